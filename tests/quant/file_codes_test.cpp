// Written files give the simulator's codes: every layer of random networks, from the codes that the
// file's own execution gave its ifmaps, so that no difference hides behind an earlier one.
//
// Allowed to differ, by one code and only where the exact value lies next to a tie:
//   AveragePool but over the whole image: ONNX Runtime adds and divides in float32, a datapath adds
//   integers
//   as the file says it (FuseFor::kFile), where ONNX Runtime does not fuse them and computes in
//   float32: Add of two tensors and GlobalAveragePool; and Add of int8 codes that it sees as uint8
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "models/fuse.h"
#include "models/onnx_import.h"
#include "models/sliding_window.h"
#include "quant/onnx_writer.h"
#include "sim/graph_runner.h"
#include "sim/simulator.h"
#include "tests/quant/random_network.h"

namespace widthwise {
namespace {

using testing_support::RandomNetwork;
constexpr int64_t kImages = 3;
using Codes = std::vector<int32_t>;

Datapath exact_datapath() {
  Datapath datapath;
  datapath.ifmap = datapath.weight = {17, true};  // takes every operand
  datapath.accumulation = exact_accumulation({});
  datapath.requantize.kind = RequantizeConfig::Kind::kFloat32;
  return datapath;
}

// Every value of integers that a fused file computes, by name.
std::map<std::string, Codes> run_file(const Graph& fused, const Shape& image,
                                      const std::vector<float>& images) {
  Shape shape = image;
  shape.insert(shape.begin(), kImages);
  std::map<std::string, Codes> values;
  GraphRunner::Observers observers;
  observers.value = [&](const std::string& name, const Tensor& tensor) {
    if (is_real(tensor.type())) return;
    for (int64_t i = 0; i < tensor.elements(); ++i)
      values[name].push_back(static_cast<int32_t>(tensor.integer(i)));
  };
  GraphRunner(fused).run({{fused.inputs[0].name, Tensor::floats(shape, images)}}, observers);
  return values;
}

class FileCodes {
 public:
  FileCodes(const QuantizedNetwork& network, const Graph& fused, const std::vector<float>& images)
      : network_(network),
        fused_(fused),
        values_(run_file(fused, network.tensor(network.input).shape, images)) {}

  // What differs and may not; empty: nothing.
  std::string run() {
    const Datapath datapath = exact_datapath();
    for (const QuantizedLayer& layer : network_.layers) {
      const auto runner = make_layer_runner(network_, layer, datapath, {});
      std::vector<std::span<const int32_t>> ifmaps;
      for (const int ifmap : layer.ifmaps) ifmaps.emplace_back(codes(ifmap));
      const Codes& wanted = codes(layer.ofmap);
      Codes found(wanted.size());
      Workspace workspace;
      LayerRecord record;
      runner->run(ifmaps, found, kImages, workspace, record);
      compare(layer, wanted, found);
    }
    return differences_;
  }

  int64_t compared = 0, ties = 0;

 private:
  // The value that holds a tensor's codes, by the names that the writer and fuse() give.
  const Codes& codes(int tensor) const {
    const std::string name =
        network_.tensor(tensor).name + (tensor == network_.input ? "_quantized" : "");
    for (const char* suffix : {"_codes_clipped", "_codes", "_float_codes"}) {
      const auto found = values_.find(name + suffix);
      if (found != values_.end()) return found->second;
    }
    throw std::runtime_error("no codes of " + name);
  }

  bool may_differ(const QuantizedLayer& layer) const {
    const bool adds =
        std::holds_alternative<ElementwiseWorkload>(layer.workload) && layer.ifmaps.size() == 2;
    if (!adds && layer.operator_type != "AveragePool" && layer.operator_type != "GlobalAveragePool")
      return false;
    return std::none_of(fused_.nodes.begin(), fused_.nodes.end(), [&](const GraphNode& node) {
      return node.name == layer.name &&
             ((node.op_type == "QLinearAdd" && !node.attributes.contains("code_offset")) ||
              node.op_type == "QLinearGlobalAveragePool" || node.op_type == "QLinearConv" ||
              (node.op_type == "QLinearAveragePool" && over_all(layer)));
    });
  }

  static bool over_all(const QuantizedLayer& layer) {
    const Window& w = std::get<MatmulWorkload>(layer.workload).window;
    return w.kernel_rows == w.ifmap_rows && w.kernel_cols == w.ifmap_cols && w.pad_top == 0 &&
           w.pad_left == 0 && w.pad_bottom == 0 && w.pad_right == 0;
  }

  void compare(const QuantizedLayer& layer, const Codes& wanted, const Codes& found) {
    compared += std::ssize(wanted);
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i] == found[i]) continue;
      if (may_differ(layer) && std::abs(wanted[i] - found[i]) == 1 && next_to_tie(layer, i)) {
        ++ties;
        continue;
      }
      differences_ += fmt::format("layer '{}' ({}), element {}: the file gives {}, the layer {}\n",
                                  layer.name, layer.operator_type, i, wanted[i], found[i]);
      return;
    }
  }

  bool next_to_tie(const QuantizedLayer& layer, size_t element) const {
    constexpr double kClose = 1e-4;  // of a code: far above float32's error
    const TensorQuantization& q = network_.tensor(layer.ofmap).quantization;
    double value = 0;
    for (const int ifmap : layer.ifmaps) {
      const TensorQuantization& from = network_.tensor(ifmap).quantization;
      int64_t sum = 0;
      double scale = from.scale;
      if (const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload)) {
        sum = window_sum(*matmul, codes(ifmap), from.zero_point, element);
        scale *= static_cast<double>(layer.weight_scale(0));
      } else {
        sum = codes(ifmap)[element] - from.zero_point;
      }
      value += static_cast<double>(sum) * scale / static_cast<double>(q.scale);
    }
    return std::abs(value - std::floor(value) - 0.5) < kClose;
  }

  static int64_t window_sum(const MatmulWorkload& matmul, const Codes& codes, int32_t zero_point,
                            size_t element) {
    const Window& w = matmul.window;
    const auto at = static_cast<int64_t>(element);
    const int64_t plane = at / w.ofmap_pixels(), row = at % w.ofmap_pixels() / w.ofmap_cols,
                  col = at % w.ofmap_cols;
    int64_t sum = 0;
    for_each_tap(w, row, col, [&](int64_t, int64_t pixel) {
      sum += codes[static_cast<size_t>(plane * w.ifmap_rows * w.ifmap_cols + pixel)] - zero_point;
    });
    return sum;
  }

  const QuantizedNetwork& network_;
  const Graph& fused_;
  std::map<std::string, Codes> values_;
  std::string differences_;
};

RC_GTEST_PROP(FileCodes, AreTheSimulators, ()) {
  const auto seed = *rc::gen::arbitrary<uint32_t>();
  const auto nodes = *rc::gen::inRange(1, 13);
  try {
    RandomNetwork made(seed, nodes);
    const Statistics statistics = made.statistics(!made.one_in(4));
    QuantizationConfig config = made.config();
    if (config.weights == Symmetry::kAsymmetric) config.per_channel = false;
    const QuantizedNetwork network = quantize(made.model.network, statistics, config);
    const std::vector<float> images = made.images(kImages);
    const std::string bytes = write_qcdq(made.model.graph, network);
    for (const FuseFor fuse_for : {FuseFor::kDatapath, FuseFor::kFile}) {
      const Graph fused = fuse(parse_graph(bytes, "written.onnx"), fuse_for);
      const std::string differences = FileCodes(network, fused, images).run();
      if (!differences.empty())
        RC_LOG() << (fuse_for == FuseFor::kFile ? "file\n" : "datapath\n") << differences;
      RC_ASSERT(differences.empty());
    }
  } catch (const InputError& error) {
    RC_FAIL(std::string(error.what()));
  }
}

}  // namespace
}  // namespace widthwise
