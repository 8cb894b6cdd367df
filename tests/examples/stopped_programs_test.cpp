// The example programs, stopped by a signal at any moment: what stands in their folders is whole, and the same command
// once more ends as if nothing had been.

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <sys/wait.h>

#include <qaf/detail/random.hpp>
#include <qaf/io/npy.hpp>
#include <qaf/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/program_run.hpp"

namespace {

namespace fs = std::filesystem;

using Seconds = std::chrono::duration<double>;
using Words = std::vector<std::string>;
using support::Folder;

/// How a program ended.
struct End {
  bool by_signal;
  int code;  // of the signal or of the program
  double seconds;
};

/// Runs a program without its output, sends it a signal after some time, 0 for none, and waits for its end.
End run(const Words& command, double seconds = 0, int signal = 0) {
  const auto begin = std::chrono::steady_clock::now();
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGINT, SIG_DFL);  // a shell may have it ignored
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execv(arguments.front(), arguments.data());
    _exit(127);
  }
  if (signal != 0) {
    std::this_thread::sleep_for(Seconds(seconds));
    kill(child, signal);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  const double elapsed = Seconds(std::chrono::steady_clock::now() - begin).count();
  return {WIFSIGNALED(status), WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), elapsed};
}

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The files of a folder that are results, each with its bytes. Those that are not whole have names that end in
/// `.partial`, or lie in a folder of such a name.
std::map<std::string, std::string> results_in(const std::string& folder) {
  std::map<std::string, std::string> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    if (entry.is_regular_file() && name.find(".partial") == std::string::npos) files[name] = bytes_of(entry.path());
  }
  return files;
}

/// Every one of the files can be read to its end.
void check_whole(const std::string& folder) {
  for (const auto& [name, bytes] : results_in(folder)) {
    INFO(name);
    const std::string path = folder + "/" + name;
    const std::string extension = fs::path(name).extension().string();
    if (extension == ".npy")
      CHECK_NOTHROW(qaf::read_npy<double>(path));
    else if (extension == ".safetensors")
      CHECK_NOTHROW(qaf::list_safetensors(path));
    else
      CHECK(bytes.find_last_of("\n>") == bytes.size() - 1);  // a text's or a page's end
  }
}

/// What two runs of the same command differ in: seconds, in the layers' figures and in the report.
std::map<std::string, std::string> without_times(std::map<std::string, std::string> files) {
  for (auto& [name, bytes] : files)
    if (name.rfind("layer.", 0) == 0 || name == "report.html") bytes.clear();
  return files;
}

/// Stops `command`, which writes into the folder behind its last word, at several moments by several signals, and once
/// more goes on in the folder. `whole` is what stands there after a run that nothing disturbed.
void stop_at_random(Words command, const Folder& folder) {
  const auto run_into = [&](const std::string& output, double seconds, int signal) {
    command.back() = output;
    return run(command, seconds, signal);
  };
  const End undisturbed = run_into(folder / "whole", 0, 0);
  REQUIRE_FALSE(undisturbed.by_signal);
  REQUIRE(undisturbed.code == 0);
  const auto whole = without_times(results_in(folder / "whole"));
  REQUIRE_FALSE(whole.empty());
  // Near the end is where files are written. The moments do not depend on the seed of anything else.
  qaf::detail::NormalGenerator normal(11);
  int stopped = 0;
  for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
    const std::string output = folder / ("stopped" + std::to_string(signal));
    for (const double share : {0.3, 0.85, 1.0}) {
      const double moment = std::clamp(share + 0.05 * normal(), 0.02, 1.1) * undisturbed.seconds;
      CAPTURE(signal, moment);
      const End end = run_into(output, moment, signal);
      if (end.by_signal) CHECK(end.code == signal);
      stopped += end.by_signal || end.code != 0;
      check_whole(output);
      for (const auto& [name, bytes] : without_times(results_in(output))) {
        INFO(name);
        REQUIRE(whole.count(name) == 1);
        CHECK(bytes == whole.at(name));
      }
    }
    const End after = run_into(output, 0, 0);
    CHECK_FALSE(after.by_signal);
    CHECK(after.code == 0);
    CHECK(without_times(results_in(output)) == whole);
    for (const auto& entry : fs::recursive_directory_iterator(output))
      CHECK(entry.path().string().find(".partial") == std::string::npos);
  }
  CHECK(stopped > 0);
}

}  // namespace

TEST_CASE("compress_layer stopped by signals", "[stopped_programs]") {
  const Folder folder("qaf-stopped");
  qaf::write_npy(folder / "in.npy", qaf::detail::NormalGenerator(1).matrix<float>(60, 50));
  stop_at_random({QAF_COMPRESS_LAYER, folder / "in.npy", "--rank", "12", "--effort", "quick", "--output", ""}, folder);
}

TEST_CASE("calibrate_network stopped by signals", "[stopped_programs]") {
  const Folder folder("qaf-stopped");
  qaf::DenseTensor<std::uint8_t> images({20, 1, 24, 24}, qaf::StorageOrder::row_major);
  for (qaf::Index k = 0; k < images.size(); ++k) images.data()[k] = static_cast<std::uint8_t>(k * k % 251);
  qaf::write_npy(folder / "images.npy", images);
  stop_at_random({QAF_CALIBRATE_NETWORK, "--images", folder / "images.npy", "--output", ""}, folder);
}

TEST_CASE("compress_network stopped by signals", "[stopped_programs]") {
  const Folder folder("qaf-stopped");
  qaf::DenseTensor<std::uint8_t> images({8, 1, 24, 24}, qaf::StorageOrder::row_major);
  for (qaf::Index k = 0; k < images.size(); ++k) images.data()[k] = static_cast<std::uint8_t>(k * k % 251);
  qaf::write_npy(folder / "images.npy", images);
  qaf::DenseTensor<std::uint8_t> labels({8}, qaf::StorageOrder::row_major);
  qaf::write_npy(folder / "labels.npy", labels);
  stop_at_random({QAF_COMPRESS_NETWORK, "--layers", "conv2,conv3", "--effort", "quick", "--reduction", "20",
                  "--calibration", folder / "images.npy", "--images", folder / "images.npy", "--labels",
                  folder / "labels.npy", "--jobs", "2", "--output", ""},
                 folder);
}
