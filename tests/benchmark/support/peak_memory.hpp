#pragma once

// How much memory a process took at most, where Linux tells it.

#include <fstream>
#include <sstream>
#include <string>

#ifdef __GLIBC__
#include <malloc.h>
#endif

/// The most memory taken since this was made, beyond what was taken then.
class PeakMemory {
 public:
  PeakMemory() {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
    before_ = status("VmRSS:");
  }

  /// Bytes; 0 where the system does not tell.
  double bytes() const {
    const double peak = status("VmHWM:");
    return peak > before_ ? 1024 * (peak - before_) : 0;
  }

 private:
  static double status(const std::string& name) {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
      if (line.rfind(name, 0) == 0) return std::stod(line.substr(name.size()));
    return 0;
  }

  double before_ = 0;  // KiB
};
