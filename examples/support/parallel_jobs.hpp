#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "interruption.hpp"
#include "progress_bar.hpp"

/// Calls `job(k)` for k = 0 .. count - 1 from so many threads, or as many as can be started, in this order. After the
/// first exception no other job is begun; it is thrown again here once all threads have ended.
inline void run_parallel(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& job) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    for (std::size_t k = next++; k < count; k = next++) {
      try {
        job(k);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> others;
  others.reserve(std::min(threads, count));  // nothing else may throw while threads run
  try {
    for (std::size_t k = 1; k < std::min(threads, count); ++k) others.emplace_back(work);
  } catch (const std::system_error&) {
    // The system has no more threads; those there are do all the jobs.
  }
  work();
  for (std::thread& thread : others) thread.join();
  if (failure) std::rethrow_exception(failure);
}

/// "1 h 02 min", "3 min 20 s" or "7 s".
inline std::string duration_text(double seconds) {
  const long long whole = std::llround(std::max(seconds, 0.0));
  char text[64];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%lld h %02lld min", whole / 3600, whole / 60 % 60);
  else if (whole >= 60)
    std::snprintf(text, sizeof text, "%lld min %02lld s", whole / 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%lld s", whole);
  return text;
}

/// One bar for several jobs at a time, with the time that is left if all goes on as it has so far. Thread-safe.
class JobsProgress {
 public:
  /// `work`: what each job is worth, in any unit.
  JobsProgress(std::string label, std::vector<double> work)
      : bar_(std::move(label)), work_(std::move(work)), parts_(work_.size(), 0) {
    for (const double one : work_) total_ += one;
  }

  /// Job `k` has done this part of its work, from 0 to 1; less than before counts nothing.
  void update(std::size_t k, double part) {
    const std::lock_guard<std::mutex> lock(mutex_);
    parts_[k] = std::max(parts_[k], std::clamp(part, 0.0, 1.0));
    double done = 0;
    std::size_t finished = 0;
    for (std::size_t job = 0; job < parts_.size(); ++job) {
      done += parts_[job] * work_[job];
      if (parts_[job] == 1) ++finished;
    }
    const double share = total_ > 0 ? done / total_ : 1;
    bar_.show(share, std::to_string(finished) + " of " + std::to_string(parts_.size()) + " layers, " + left(share));
  }

 private:
  std::string left(double share) const {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    constexpr double least_seconds = 0.5, least_share = 0.01;  // before, it would be a guess
    if (seconds < least_seconds || share < least_share) return "time left: not known yet";
    return duration_text(seconds * (1 - share) / share) + " left";
  }

  ProgressBar bar_;
  std::vector<double> work_, parts_;
  double total_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
};
