// What the convolutions of a network get to see: runs images through it and writes, for every one of them, the second
// moments of its input. `calibrate_network --help` lists the options.

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <system_error>

#include <qaf/io/npy.hpp>

#include "support/arguments.hpp"
#include "support/network.hpp"
#include "support/program.hpp"
#include "support/second_moments.hpp"
#include "support/table.hpp"

namespace {

const char* const usage =
    "usage: calibrate_network --output DIR [options]\n"
    "Runs images through a network and writes, for every convolution of C input channels and P = kh kw positions,\n"
    "  LAYER.channels.npy   C x C, the second moment of the channels\n"
    "  LAYER.positions.npy  P x P, the second moment of the kernel's positions\n"
    "both of float64 and divided by the mean of the diagonal.\n";

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw std::runtime_error("cannot write to the output folder " + path + ": " + error.message());
}

void calibrate(const Network& network, const std::string& images_path, const std::string& output) {
  const qaf::DenseTensor<std::uint8_t> images = read_images(images_path);
  const std::map<std::string, SecondMoments> moments = second_moments(network, images);
  make_folder(output);

  Table table({"layer", "channels", "patches an image", "mean square"});
  for (const std::string& layer : convolution_names(network)) {
    const SecondMoments& sums = moments.at(layer);
    qaf::write_npy(output + "/" + layer + ".channels.npy", with_mean_diagonal_1(sums.channels));
    qaf::write_npy(output + "/" + layer + ".positions.npy", with_mean_diagonal_1(sums.positions));
    table.add({layer, std::to_string(sums.channels.rows()), std::to_string(sums.patches / images.dimensions()[0]),
               fixed(mean_square(sums), 4)});
  }
  std::printf("inputs of the convolutions of %s\nover the %td images of %s, written to %s\n\n", network.path.c_str(),
              images.dimensions()[0], images_path.c_str(), output.c_str());
  table.print();
}

}  // namespace

int main(int argc, char** argv) {
  const Program program{"calibrate_network",
                        usage,
                        {{"--network", "NETWORK", "a folder of .npy or a safetensors file (default: bundled)"},
                         {"--description", "FILE", "its steps (default: the bundled network's or the ResNet-20's)"},
                         {"--images", "IMAGES.npy", "uint8, images x channels x rows x columns (default: bundled)"},
                         {"--output", "DIR", "write the moments there"}}};
  return run_program(program, argc, argv, [](const Arguments& arguments) {
    const std::string output = arguments.text("--output", "");
    if (output.empty()) throw UsageError("--output needs a folder: --output DIR");
    calibrate(
        read_network(arguments.text("--network", QAF_EXAMPLE_DATA "/network"), arguments.text("--description", "")),
        arguments.text("--images", QAF_EXAMPLE_DATA "/calibration_images.npy"), output);
  });
}
