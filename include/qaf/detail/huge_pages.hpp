#pragma once

#include <cstdint>

#include <qaf/types.hpp>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace qaf::detail {

/// Asks for huge pages under memory that has not been written yet. Rows that lie far apart are then found faster: a
/// table of addresses holds them all. Without effect for little memory, and where the system has no such pages.
template <typename Scalar>
void advise_huge_pages(Scalar* memory, Index size) {
#ifdef MADV_HUGEPAGE
  constexpr std::uintptr_t page = std::uintptr_t{1} << 21, least = 2 * page;
  const std::uintptr_t bytes = static_cast<std::uintptr_t>(size) * sizeof(Scalar);
  if (bytes < least) return;
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(memory), begin = (address + page - 1) / page * page;
  const std::uintptr_t end = (address + bytes) / page * page;
  // A piece of advice: refused, all stays as it is.
  static_cast<void>(madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE));
#else
  static_cast<void>(memory);
  static_cast<void>(size);
#endif
}

}  // namespace qaf::detail
