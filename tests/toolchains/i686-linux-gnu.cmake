# 32-bit x86, by Debian's cross compiler (g++-i686-linux-gnu). The programs run as they are where the kernel runs 32-bit
# programs, which most 64-bit ones do.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR i686)
set(CMAKE_CXX_COMPILER i686-linux-gnu-g++)
# Without them floats are kept with the digits of a long double here and there, and equal ones compare unequal.
set(CMAKE_CXX_FLAGS_INIT "-msse2 -mfpmath=sse")
# No loader and libraries of that system need be here.
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
# Packages of headers are those of this machine; its libraries are of no use.
set(CMAKE_FIND_ROOT_PATH /usr/i686-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
