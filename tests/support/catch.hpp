#pragma once

// Catch2 2 (Debian 12) and Catch2 3 behind one include; tests name `Approx` without a namespace.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
