#pragma once

#include <csignal>
#include <initializer_list>
#include <stdexcept>

/// Whether the user has asked the program to end, by SIGINT (Ctrl-C) or SIGTERM.
inline volatile std::sig_atomic_t& interruption_flag() {
  static volatile std::sig_atomic_t flag = 0;
  return flag;
}

inline bool is_interrupted() { return interruption_flag() != 0; }

/// While it lives the two signals raise the flag; a second one of them ends the program at once, as they do otherwise.
class InterruptionWatch {
 public:
  InterruptionWatch() {
    interruption_flag() = 0;
    for (const int signal : {SIGINT, SIGTERM})
      std::signal(signal, [](int number) {
        interruption_flag() = 1;
        std::signal(number, SIG_DFL);
      });
  }
  InterruptionWatch(const InterruptionWatch&) = delete;
  InterruptionWatch& operator=(const InterruptionWatch&) = delete;
  ~InterruptionWatch() {
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
  }
};

/// Work that ended before it was done because the flag was raised.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};
