#include "qaf_in_one.hpp"

int bytes_of_packed_codes();

int bytes_of_packed_codes() {
  return static_cast<int>(qaf::pack_codes(qaf::Matrix<std::int8_t>::Constant(2, 2, -3), 4).size());
}
