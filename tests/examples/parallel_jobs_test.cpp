// What compress_network's layers run in: threads, one bar for all, an end when the user wants one.

#include "support/parallel_jobs.hpp"

#include <csignal>
#include <cstddef>
#include <stdexcept>
#include <vector>

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

TEST_CASE("Durations read well", "[parallel_jobs]") {
  CHECK(duration_text(-1) == "0 s");
  CHECK(duration_text(59.4) == "59 s");
  CHECK(duration_text(59.6) == "1 min 00 s");
  CHECK(duration_text(80) == "1 min 20 s");
  CHECK(duration_text(3725) == "1 h 02 min");
}
