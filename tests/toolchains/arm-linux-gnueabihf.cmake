# 32-bit ARM, by Debian's cross compiler (g++-arm-linux-gnueabihf). The programs run in an emulator (qemu-user).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
set(CMAKE_CXX_FLAGS_INIT -Wno-psabi)  # which tells of g++ before 7
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-arm)
# No loader and libraries of that system need be here.
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
# Packages of headers are those of this machine; its libraries are of no use.
set(CMAKE_FIND_ROOT_PATH /usr/arm-linux-gnueabihf)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
