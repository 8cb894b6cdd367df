#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include <qaf/status.hpp>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
inline bool stderr_is_terminal() { return isatty(STDERR_FILENO) != 0; }
#else
inline bool stderr_is_terminal() { return false; }
#endif

/// A bar on stderr that shows how far a program is; nothing where stderr is not a terminal. It is
/// erased at the end, so that what remains on the screen is the program's answer.
class ProgressBar {
 public:
  explicit ProgressBar(std::string label) : label_(std::move(label)) {}
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }

  /// To be called from a solver's `on_iteration`.
  void show(const qaf::Progress& progress) {
    char text[96];
    std::snprintf(text, sizeof text, "sweep %td of at most %td, relative error %.4f", progress.iteration,
                  progress.max_iterations, progress.best_error);
    show(
        static_cast<double>(progress.iteration) / static_cast<double>(std::max<qaf::Index>(progress.max_iterations, 1)),
        text);
  }

  /// Draws the part that is done, from 0 to 1, and what there is to say of it.
  void show(double part, const std::string& text) {
    using Clock = std::chrono::steady_clock;
    const auto now = Clock::now();
    if (!visible_ || (drawn_ && now - last_ < std::chrono::milliseconds(50))) return;
    last_ = now;
    drawn_ = true;
    constexpr double width = 30;
    std::string bar(static_cast<std::size_t>(width * std::clamp(part, 0.0, 1.0)), '#');
    bar.resize(static_cast<std::size_t>(width), '.');
    std::fprintf(stderr, "\r%-24s [%s] %s\033[K", label_.c_str(), bar.c_str(), text.c_str());
    std::fflush(stderr);
  }

 private:
  std::string label_;
  bool visible_ = stderr_is_terminal();
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_;
};
