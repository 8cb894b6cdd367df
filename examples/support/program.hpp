#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "arguments.hpp"

/// What a program tells of itself and takes.
struct Program {
  std::string name;
  std::string usage;  ///< printed before the options
  std::vector<Option> options;
  std::size_t most_positional = 0;
};

/// Throws where what was printed has not reached its place, such as a full disk.
inline void check_printed() {
  const bool failed_before = std::ferror(stdout) != 0;
  if (std::fflush(stdout) != 0 || failed_before)
    throw std::runtime_error("cannot write to the standard output: " +
                             std::error_code(errno, std::generic_category()).message());
}

/// Runs `body(arguments)` for a command line, or prints the help where that is asked for. Returns what main returns:
/// 0, 1 where the body throws or what it printed cannot be written, 2 where the command line is not understood; errors
/// are one line on stderr.
template <typename Body>
int run_program(const Program& program, int argc, char** argv, const Body& body) {
  const char* const name = program.name.c_str();
  try {
    const Arguments arguments(argc, argv, program.options, program.most_positional);
    if (arguments.has("--help"))
      std::printf("%s%s", program.usage.c_str(), arguments.help().c_str());
    else
      body(arguments);
    check_printed();
    return 0;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "%s: %s; --help lists the options\n", name, error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "%s: not enough memory\n", name);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
  }
  return 1;
}
