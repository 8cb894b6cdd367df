// Catch2 2 wants its main compiled once; with Catch2 3 the target Catch2::Catch2WithMain brings it.
#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif
