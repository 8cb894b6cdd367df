#pragma once

#include <stdexcept>
#include <string>

#include "support/catch.hpp"

namespace support {

/// The sentence of the `std::invalid_argument` that `call` throws; "" where it throws nothing. Any
/// other exception goes through and fails the test.
template <typename Call>
std::string error_text(const Call& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace support

/// The statement must throw `std::invalid_argument` with exactly this sentence.
#define CHECK_ERROR(statement, sentence) CHECK(support::error_text([&] { static_cast<void>(statement); }) == (sentence))
