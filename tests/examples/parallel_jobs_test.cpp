// What compress_network's layers run in: threads, one bar for all, an end when the user wants one.

#include "support/parallel_jobs.hpp"

#include <csignal>
#include <cstddef>
#include <stdexcept>
#include <unistd.h>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>

#include "support/catch.hpp"

TEST_CASE("Every job runs once, from any number of threads", "[parallel_jobs]") {
  for (const std::size_t threads : {1U, 3U, 200U}) {
    std::vector<int> runs(100, 0);
    run_parallel(runs.size(), threads, [&](std::size_t k) { runs[k] += 1; });
    CHECK(runs == std::vector<int>(100, 1));
  }
  run_parallel(0, 2, [](std::size_t) { throw std::logic_error("there is no job"); });
}

TEST_CASE("After an exception no other job begins, and it is thrown to the caller", "[parallel_jobs]") {
  std::vector<int> runs(100, 0);
  CHECK_THROWS_WITH(run_parallel(runs.size(), 1,
                                 [&](std::size_t k) {
                                   runs[k] += 1;
                                   if (k == 5) throw std::runtime_error("the fifth");
                                 }),
                    "the fifth");
  for (std::size_t k = 0; k < runs.size(); ++k) CHECK(runs[k] == (k <= 5 ? 1 : 0));
  CHECK_THROWS_WITH(run_parallel(100, 3, [](std::size_t) { throw std::runtime_error("all of them"); }), "all of them");
}

TEST_CASE("A signal raises the flag while it is watched", "[parallel_jobs]") {
  for (const int signal : {SIGINT, SIGTERM}) {
    const InterruptionWatch watch;
    CHECK(!is_interrupted());
    std::raise(signal);
    CHECK(is_interrupted());
  }
  const InterruptionWatch watch;
  CHECK(!is_interrupted());
}

TEST_CASE("A watch leaves the handler that was there", "[parallel_jobs]") {
  static volatile std::sig_atomic_t count = 0;
  const auto earlier = std::signal(SIGTERM, [](int) { count = count + 1; });
  {
    const InterruptionWatch watch;
    std::raise(SIGTERM);
    CHECK(count == 0);
  }
  std::raise(SIGTERM);
  CHECK(count == 1);
  std::signal(SIGTERM, earlier);
}

// Sanitizers need the addresses that this takes away.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define QAF_TEST_IS_SANITIZED 1
#endif
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(QAF_TEST_IS_SANITIZED)
TEST_CASE("Where no thread can be started all jobs run in this one", "[parallel_jobs]") {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    rlimit no_more{};
    getrlimit(RLIMIT_AS, &no_more);
    no_more.rlim_cur = 1;  // none for a stack
    setrlimit(RLIMIT_AS, &no_more);
    std::size_t runs = 0;  // from one thread only
    run_parallel(10, 4, [&](std::size_t) { ++runs; });
    _exit(runs == 10 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
#endif

TEST_CASE("Durations read well", "[parallel_jobs]") {
  CHECK(duration_text(-1) == "0 s");
  CHECK(duration_text(59.4) == "59 s");
  CHECK(duration_text(59.6) == "1 min 00 s");
  CHECK(duration_text(80) == "1 min 20 s");
  CHECK(duration_text(3725) == "1 h 02 min");
}
