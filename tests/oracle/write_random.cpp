// Random networks as QCDQ files, with inputs and what they give here: for compare_export.
//   write_random <folder> <count>     <folder>/<i>/{net.onnx,x.npy,y.npy}
#include <fmt/format.h>

#include "core/files.h"
#include "models/fuse.h"
#include "models/npy.h"
#include "models/onnx_import.h"
#include "quant/onnx_writer.h"
#include "sim/graph_runner.h"
#include "tests/quant/random_network.h"

namespace widthwise {
namespace {

constexpr int64_t kImages = 32;

void write_one(const std::filesystem::path& folder, uint32_t seed) {
  testing_support::RandomNetwork made(7919 * seed, 1 + static_cast<int>(seed % 9));
  const Statistics statistics = made.statistics(true);
  QuantizationConfig config = made.config();
  if (config.weights == Symmetry::kAsymmetric) config.per_channel = false;
  if (seed % 2 == 0) {  // what ONNX Runtime fuses
    config.ifmap.is_signed = false;
    config.activations = Symmetry::kAsymmetric;
  }
  const QuantizedNetwork network = quantize(made.model.network, statistics, config);
  const std::string bytes = write_qcdq(made.model.graph, network);
  const std::vector<float> images = made.images(kImages);
  Shape shape = network.tensor(network.input).shape;
  shape.insert(shape.begin(), kImages);
  const Graph fused = fuse(parse_graph(bytes, "net.onnx"), FuseFor::kFile);
  const auto outputs =
      GraphRunner(fused).run({{fused.inputs[0].name, Tensor::floats(shape, images)}});
  const Tensor& output = outputs.begin()->second;
  const auto values = output.values<float>();
  std::filesystem::create_directories(folder);
  write_file(folder / "net.onnx", bytes);
  write_npy(folder / "x.npy", npy_array<float>(shape, images));
  write_npy(folder / "y.npy",
            npy_array<float>(output.shape(), std::vector<float>(values.begin(), values.end())));
}

}  // namespace
}  // namespace widthwise

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: write_random <folder> <count>\n");
    return 1;
  }
  try {
    for (int i = 1; i <= std::stoi(argv[2]); ++i) {
      widthwise::write_one(std::filesystem::path(argv[1]) / std::to_string(i),
                           static_cast<uint32_t>(i));
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "write_random: {}\n", error.what());
    return 1;
  }
}
