# 64-bit ARM, by Debian's cross compiler (g++-aarch64-linux-gnu). The programs run in an emulator (qemu-user).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
# No loader and libraries of that system need be here.
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
# Packages of headers are those of this machine; its libraries are of no use.
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
