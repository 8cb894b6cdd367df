#pragma once

/// @file
/// The version of the library.

/// The version of the library, and its only source: the build system reads it from here.
/// Semantic versioning: while the first number is 0 any release may change the interface.
#define QAF_VERSION "0.1.0"
