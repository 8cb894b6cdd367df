#pragma once

#include <cstddef>
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
  constexpr std::size_t page = std::size_t{1} << 21, least = 2 * page;
  const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(Scalar);
  if (bytes < least) return;
  const std::size_t before = (page - reinterpret_cast<std::uintptr_t>(memory) % page) % page;
  // A piece of advice: refused, all stays as it is.
  static_cast<void>(madvise(reinterpret_cast<char*>(memory) + before, (bytes - before) / page * page, MADV_HUGEPAGE));
#else
  static_cast<void>(memory);
  static_cast<void>(size);
#endif
}

/// Makes room for `size` scalars, where there is less: then all are left undefined, and may stand on huge pages.
template <typename Scalar>
void grow(Vector<Scalar>& memory, Index size) {
  if (memory.size() >= size) return;
  memory.resize(0);  // where there is no memory, Eigen's resize would leave a pointer to what it has freed
  memory.resize(size);
  advise_huge_pages(memory.data(), size);
}

}  // namespace qaf::detail
