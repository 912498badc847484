// Written files give the simulator's codes: every layer of random networks, from the codes that the
// file's own execution gave its ifmaps, so that no difference hides behind an earlier one.
//
// Allowed to differ, by one code and only where the exact value lies next to a tie (QONNX's own
// arithmetic is float32 throughout, so there every layer may):
//   AveragePool but over the whole image: ONNX Runtime adds and divides in float32, a datapath adds
//   integers
//   as the file says it (FuseFor::kFile), where ONNX Runtime does not fuse them and computes in
//   float32: Add of two tensors and GlobalAveragePool; and Add of int8 codes that it sees as uint8
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <tuple>

#include "models/fuse.h"
#include "models/onnx_import.h"
#include "quant/onnx_writer.h"
#include "sim/graph_runner.h"
#include "sim/reference.h"
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
                                      const std::vector<float>& images, const Datapath* datapath) {
  Shape shape = image;
  shape.insert(shape.begin(), kImages);
  std::map<std::string, Codes> values;
  GraphRunner::Observers observers;
  observers.value = [&](const std::string& name, const Tensor& tensor) {
    if (is_real(tensor.type())) return;
    for (int64_t i = 0; i < tensor.elements(); ++i)
      values[name].push_back(static_cast<int32_t>(tensor.integer(i)));
  };
  GraphRunner(fused, {.datapath = datapath})
      .run({{fused.inputs[0].name, Tensor::floats(shape, images)}}, observers);
  return values;
}

class FileCodes {
 public:
  // real: the file computes in float32. datapath: on which the file runs, too, if there is one.
  FileCodes(const QuantizedNetwork& network, const Graph& fused, const std::vector<float>& images,
            bool real, const Datapath* datapath = nullptr)
      : network_(network),
        fused_(fused),
        real_(real),
        datapath_(datapath),
        values_(run_file(fused, network.tensor(network.input).shape, images, datapath)) {}

  // What differs and may not; empty: nothing.
  std::string run() {
    const Datapath datapath = datapath_ != nullptr ? *datapath_ : exact_datapath();
    RunOptions options;
    options.count = true;
    for (const QuantizedLayer& layer : network_.layers) {
      const auto runner = make_layer_runner(network_, layer, datapath, options);
      std::vector<CodeTensor> tensors(layer.ifmaps.size());
      std::vector<const CodeTensor*> ifmaps;
      for (size_t i = 0; i < tensors.size(); ++i) {
        tensors[i].assign_planes(codes(layer.ifmaps[i]));
        ifmaps.push_back(&tensors[i]);
      }
      const Codes& wanted = codes(layer.ofmap);
      CodeTensor found;
      Workspace workspace;
      LayerRecord record;
      runner->run(ifmaps, found, kImages, workspace, record);
      overflowed += record.counts.additions_overflowed;
      compare(layer, wanted, found.codes());
    }
    return differences_;
  }

  int64_t compared = 0, ties = 0, overflowed = 0;

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
    if (datapath_ != nullptr) return false;
    if (real_) return true;
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
    const double scale = network_.tensor(layer.ofmap).quantization.scale;
    const double value = exact_value(layer, element) / scale;
    return std::abs(value - std::floor(value) - 0.5) < kClose;
  }

  // The real number of an element before it is quantized.
  double exact_value(const QuantizedLayer& layer, size_t element) const {
    const auto elements = static_cast<size_t>(network_.tensor(layer.ofmap).elements());
    const size_t image = element / elements, at = element % elements;
    const auto ifmap = [&](size_t i) {
      const QuantizedTensor& tensor = network_.tensor(layer.ifmaps[i]);
      const auto size = static_cast<size_t>(tensor.elements());
      return std::span(codes(layer.ifmaps[i])).subspan(image * size, size);
    };
    const auto real = [&](size_t i, size_t k) {
      const TensorQuantization& q = network_.tensor(layer.ifmaps[i]).quantization;
      return static_cast<double>(ifmap(i)[k] - q.zero_point) * static_cast<double>(q.scale);
    };
    if (const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload)) {
      const TensorQuantization& q = network_.tensor(layer.ifmaps[0]).quantization;
      const LayerSums sums =
          reference_matmul(*matmul, ifmap(0), q.zero_point, layer.weights, layer.bias,
                           exact_accumulation({}), layer.weight_zero_points);
      const auto channel = static_cast<int64_t>(at) / matmul->window.ofmap_pixels();
      return static_cast<double>(sums.accumulators[at]) * static_cast<double>(q.scale) *
             static_cast<double>(layer.weight_scale(channel));
    }
    if (std::holds_alternative<ElementwiseWorkload>(layer.workload))
      return layer.ifmaps.size() == 2 ? real(0, at) + real(1, at) : real(0, at);
    if (const auto* move = std::get_if<MoveWorkload>(&layer.workload)) {
      auto source = static_cast<size_t>(move->source[at]);
      size_t i = 0;
      for (; source >= static_cast<size_t>(move->input_elements[i]); ++i)
        source -= static_cast<size_t>(move->input_elements[i]);
      return real(i, source);
    }
    return 0;  // max-pooling never rounds
  }

  const QuantizedNetwork& network_;
  const Graph& fused_;
  const bool real_;
  const Datapath* datapath_;
  std::map<std::string, Codes> values_;
  std::string differences_;
};

int32_t largest_bias(const QuantizedNetwork& network) {
  int32_t largest = 0;
  for (const QuantizedLayer& layer : network.layers) {
    for (const int32_t b : layer.bias) largest = std::max(largest, std::abs(b));
  }
  return largest;
}

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
    for (const auto& [kind, fuse_for, what] :
         {std::tuple{QuantizedFile::kQcdq, FuseFor::kDatapath, "QCDQ on a datapath"},
          std::tuple{QuantizedFile::kQcdq, FuseFor::kFile, "QCDQ as ONNX Runtime"},
          std::tuple{QuantizedFile::kQonnx, FuseFor::kDatapath, "QONNX on a datapath"},
          std::tuple{QuantizedFile::kQonnx, FuseFor::kFile, "QONNX as its executor"}}) {
      const bool qonnx = kind == QuantizedFile::kQonnx;
      if (qonnx && largest_bias(network) > 1 << 22) continue;
      const std::string bytes = write_quantized(made.model.graph, network, kind);
      const Graph fused = fuse(parse_graph(bytes, "written.onnx"), fuse_for);
      const bool real = qonnx && fuse_for == FuseFor::kFile;
      const std::string differences = FileCodes(network, fused, images, real).run();
      if (!differences.empty()) RC_LOG() << what << "\n" << differences;
      RC_ASSERT(differences.empty());
    }
  } catch (const InputError& error) {
    RC_FAIL(std::string(error.what()));
  }
}

// Accumulators so narrow that they overflow, and every arithmetic but ONNX Runtime's own.
Datapath narrow_datapath(RandomNetwork& made, bool powers_of_two) {
  Datapath datapath = exact_datapath();
  datapath.accumulation.stages.back().bits = made.any(6, 14);
  datapath.accumulation.stages.back().overflow =
      made.one_in(2) ? OverflowPolicy::kWrap : OverflowPolicy::kSaturate;
  using Kind = RequantizeConfig::Kind;
  RequantizeConfig& requantize = datapath.requantize;
  requantize.kind = made.one_in(2) ? Kind::kGemmlowp : Kind::kMultiplierShift;
  if (powers_of_two && made.one_in(2)) requantize.kind = Kind::kPowerOfTwo;
  requantize.rounding = kRoundings[static_cast<size_t>(made.any(0, std::ssize(kRoundings) - 1))];
  requantize.multiplier_bits = made.any(8, 31);
  if (made.one_in(2)) requantize.gemmlowp_rounding = GemmlowpRounding::kSingle;
  return datapath;
}

// A graph that runs node by node on a datapath, and the layers that are read from it.
TEST(FileCodes, OnADatapathAreItsLayers) {
  int64_t compared = 0, overflowed = 0;
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    RandomNetwork made(seed, 1 + static_cast<int>(seed % 12));
    const Statistics statistics = made.statistics(!made.one_in(4));
    QuantizationConfig config = made.config();
    if (config.weights == Symmetry::kAsymmetric) config.per_channel = false;
    const QuantizedNetwork network = quantize(made.model.network, statistics, config);
    const Datapath datapath = narrow_datapath(made, config.power_of_two_scales);
    for (const QuantizedFile kind : {QuantizedFile::kQcdq, QuantizedFile::kQonnx}) {
      if (kind == QuantizedFile::kQonnx && largest_bias(network) > 1 << 22) continue;
      const std::string bytes = write_quantized(made.model.graph, network, kind);
      const Graph fused = fuse(parse_graph(bytes, "written.onnx"), FuseFor::kDatapath);
      FileCodes file(network, fused, made.images(kImages), false, &datapath);
      ASSERT_EQ(file.run(), "") << "seed " << seed << ", "
                                << requantize_kind_name(datapath.requantize.kind);
      compared += file.compared;
      overflowed += file.overflowed;
    }
  }
  EXPECT_GT(compared, 100000);
  EXPECT_GT(overflowed, 20000);
}

}  // namespace
}  // namespace widthwise
