#pragma once

#include <atomic>
#include <csignal>
#include <stdexcept>

/// Whether the user has asked the program to end, by SIGINT (Ctrl-C) or SIGTERM.
inline std::atomic<bool>& interruption_flag() {
  static std::atomic<bool> flag{false};
  static_assert(std::atomic<bool>::is_always_lock_free, "only then a signal's handler may set it");
  return flag;
}

inline bool is_interrupted() { return interruption_flag(); }

/// While it lives the two signals raise the flag; a second one of them ends the program at once. Afterwards they do
/// what they did before.
class InterruptionWatch {
 public:
  InterruptionWatch() {
    interruption_flag() = false;
    const auto raise_flag = [](int number) {
      interruption_flag() = true;
      std::signal(number, SIG_DFL);
    };
    for (Watched& one : watched_) one.before = std::signal(one.signal, raise_flag);
  }
  InterruptionWatch(const InterruptionWatch&) = delete;
  InterruptionWatch& operator=(const InterruptionWatch&) = delete;
  ~InterruptionWatch() {
    for (const Watched& one : watched_)
      if (one.before != SIG_ERR) std::signal(one.signal, one.before);
  }

 private:
  struct Watched {
    int signal;
    void (*before)(int);
  };
  Watched watched_[2] = {{SIGINT, SIG_DFL}, {SIGTERM, SIG_DFL}};
};

/// Work that ended before it was done because the flag was raised.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};
