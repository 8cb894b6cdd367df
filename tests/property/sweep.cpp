// Random cases of whatever a caller may pass, each of which must end in a valid model or a clear error.
//
//   qaf_property_sweep [--cases N] [--seed S]   N cases, and a table of how they ended
//   qaf_property_sweep --case NUMBER            one of them again

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <unistd.h>

#include "property_case.hpp"

namespace {

constexpr unsigned longest_seconds = 600;  // of a case: exact scales of many zero points under sanitizers take 120

std::uint64_t current_number = 0;
char current_line[4096];

/// Tells which case ends the program.
void report_signal(int signal) {
  char text[64];
  const int length = std::snprintf(text, sizeof text, "\nFAILED with signal %d: --case %llu\n", signal,
                                   static_cast<unsigned long long>(current_number));
  if (write(2, text, static_cast<std::size_t>(std::max(length, 0))) < 0 ||
      write(2, current_line, std::strlen(current_line)) < 0)
    _exit(3);
  _exit(2);
}

struct Settings {
  std::uint64_t cases = 1000, seed = 1;
  bool is_one = false;
  std::uint64_t number = 0;
};

Settings settings_of(int argc, char** argv) {
  Settings settings;
  for (int k = 1; k + 1 < argc; k += 2) {
    const std::string name = argv[k];
    char* end = nullptr;
    const std::uint64_t value = std::strtoull(argv[k + 1], &end, 10);
    if (*end != '\0' || argv[k + 1] == end) break;
    if (name == "--cases")
      settings.cases = value;
    else if (name == "--seed")
      settings.seed = value;
    else if (name == "--case")
      settings.is_one = true, settings.number = value;
    else
      break;
    if (k + 2 == argc) return settings;
  }
  if (argc == 1) return settings;
  std::fprintf(stderr, "usage: qaf_property_sweep [--cases N] [--seed S] | --case NUMBER\n");
  std::exit(2);
}

/// Numbers far from each other for neighbouring cases (the finalizer of SplitMix64; Steele, Lea and Flood 2014).
std::uint64_t number_of_case(std::uint64_t seed, std::uint64_t k) {
  std::uint64_t z = (seed << 40) + (k + 1) * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

/// Function and argument of a refusal: its first words, without numbers.
std::string kind_of_refusal(const std::string& sentence) {
  std::string text;
  int words = 0;
  for (const char letter : sentence) {
    if (letter == ' ' && ++words == 6) break;
    if (letter < '0' || letter > '9') text += letter;
  }
  return text;
}

}  // namespace

namespace property {

void show_line(const std::string& line) { std::snprintf(current_line, sizeof current_line, "%s\n", line.c_str()); }

}  // namespace property

int main(int argc, char** argv) {
  const Settings settings = settings_of(argc, argv);
  for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL, SIGALRM}) std::signal(signal, report_signal);
  std::map<std::string, std::uint64_t> endings, refusals;
  std::uint64_t failures = 0;
  const std::uint64_t cases = settings.is_one ? 1 : settings.cases;
  for (std::uint64_t k = 0; k < cases; ++k) {
    current_number = settings.is_one ? settings.number : number_of_case(settings.seed, k);
    current_line[0] = '\0';
    alarm(longest_seconds);
    const property::Ending ending = property::run_case(current_number);
    alarm(0);
    if (!ending.failure.empty()) {
      ++failures;
      std::printf("FAILED: %s: --case %llu\n  %s\n", ending.failure.c_str(),
                  static_cast<unsigned long long>(current_number), ending.line.c_str());
      std::fflush(stdout);
    } else if (settings.is_one) {
      std::printf("%s\n", ending.line.c_str());
    }
    ++endings[ending.subject + " | " + (ending.failure.empty() ? ending.kind : "FAILED")];
    if (!ending.refusal.empty()) ++refusals[kind_of_refusal(ending.refusal)];
  }
  for (const auto& [name, count] : endings)
    std::printf("%8llu  %s\n", static_cast<unsigned long long>(count), name.c_str());
  std::printf("refusals:\n");
  for (const auto& [name, count] : refusals)
    std::printf("%8llu  %s ...\n", static_cast<unsigned long long>(count), name.c_str());
  std::printf("%llu cases, %llu failures\n", static_cast<unsigned long long>(cases),
              static_cast<unsigned long long>(failures));
  return failures == 0 ? 0 : 1;
}
