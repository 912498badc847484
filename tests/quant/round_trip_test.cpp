// A quantized network that is written and read back is the same network, in both kinds of file.
//
// What may differ, by design: names of the network, of tensors, of layers' operators and of layers
// that only clamp codes, of which a Clip is left; weight zero points that are all 0 are none; a
// layer of groups over features, which a Gemm cannot say, is one dense product whose other weights
// are 0; a tensor that joins others of its own scale and zero point has no more bits than they
// have.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "models/fuse.h"
#include "models/onnx_import.h"
#include "quant/onnx_writer.h"
#include "quant/quantized_import.h"
#include "tests/quant/random_network.h"

namespace widthwise {
namespace {

using testing_support::RandomNetwork;

std::string text(const TensorQuantization& q) {
  return fmt::format("{} scale {} zero point {}", q.format.name(), q.scale, q.zero_point);
}

class Comparison {
 public:
  Comparison(const QuantizedNetwork& wanted, const QuantizedNetwork& found)
      : wanted_(wanted), found_(found) {
    for (size_t i = wanted_.layers.size(); i-- > 0;) join_clamp(i);
    for (QuantizedLayer& layer : wanted_.layers) narrow(layer);
  }

  // What differs; empty: nothing.
  std::string run() {
    same_tensor(wanted_.input, found_.input, "input");
    same("count of layers", wanted_.layers.size(), found_.layers.size());
    for (size_t i = 0; i < wanted_.layers.size() && i < found_.layers.size(); ++i)
      compare_layers(wanted_.layers[i], found_.layers[i]);
    same_tensor(wanted_.output, found_.output, "output");
    same("count of tensors", wanted_.tensors.size() - joined_, found_.tensors.size());
    return differences_;
  }

 private:
  template <class T>
  void same(const std::string& what, const T& wanted, const T& found) {
    if (wanted == found) return;
    if constexpr (std::is_arithmetic_v<T>) {
      differences_ += fmt::format("{}: {}, not {}\n", what, found, wanted);
    } else {
      differences_ += what + " differ\n";
    }
  }

  // Tensors correspond in the order in which layers write them.
  void same_tensor(int wanted, int found, const std::string& what) {
    const auto known = tensors_.emplace(wanted, found);
    same(what + ": tensor", known.first->second, found);
    if (found < 0) return;
    const QuantizedTensor &a = wanted_.tensor(wanted), &b = found_.tensor(found);
    if (a.quantization != b.quantization) {
      differences_ +=
          fmt::format("{}: {}, not {}\n", what, text(b.quantization), text(a.quantization));
    }
    same(what + ": shapes", a.shape, b.shape);
  }

  void compare_layers(const QuantizedLayer& given, const QuantizedLayer& found) {
    const QuantizedLayer wanted = as_written(given);
    const std::string what = fmt::format("layer '{}' ({})", wanted.name, wanted.operator_type);
    if (!only_clamps(wanted))
      same(what + " against '" + found.name + "': names", wanted.name, found.name);
    same(what + ": workloads", wanted.workload, found.workload);
    same(what + ": count of ifmaps", wanted.ifmaps.size(), found.ifmaps.size());
    for (size_t i = 0; i < wanted.ifmaps.size() && i < found.ifmaps.size(); ++i)
      same_tensor(wanted.ifmaps[i], found.ifmaps[i], what + ": ifmap");
    same_tensor(wanted.ofmap, found.ofmap, what + ": ofmap");
    same(what + ": q_min", wanted.q_min, found.q_min);
    same(what + ": q_max", wanted.q_max, found.q_max);
    if (!std::holds_alternative<MatmulWorkload>(wanted.workload)) return;
    if (wanted.weight_format != found.weight_format) {
      differences_ += fmt::format("{}: weights are {}, not {}\n", what, found.weight_format.name(),
                                  wanted.weight_format.name());
    }
    same(what + ": weights", wanted.weights, found.weights);
    same(what + ": weight scales", wanted.weight_scales, found.weight_scales);
    same(what + ": weight zero points", wanted.weight_zero_points, found.weight_zero_points);
    same(what + ": biases", wanted.bias, found.bias);
  }

  bool only_clamps(const QuantizedLayer& layer) const {
    const TensorQuantization &from = wanted_.tensor(layer.ifmaps[0]).quantization,
                             &to = wanted_.tensor(layer.ofmap).quantization;
    return layer.operator_type == "Identity" && from.scale == to.scale &&
           from.zero_point == to.zero_point;
  }

  // The layer that only clamps codes which nobody else reads goes into their writer.
  void join_clamp(size_t index) {
    const QuantizedLayer clamp = wanted_.layers[index];
    if (!only_clamps(clamp)) return;
    const int codes = clamp.ifmaps[0];
    int64_t readers = wanted_.output == codes ? 1 : 0;
    for (const QuantizedLayer& layer : wanted_.layers)
      readers += std::count(layer.ifmaps.begin(), layer.ifmaps.end(), codes);
    if (readers > 1) return;
    wanted_.tensors[static_cast<size_t>(codes)].quantization =
        wanted_.tensor(clamp.ofmap).quantization;
    wanted_.layers.erase(wanted_.layers.begin() + static_cast<std::ptrdiff_t>(index));
    for (QuantizedLayer& layer : wanted_.layers) {
      std::replace(layer.ifmaps.begin(), layer.ifmaps.end(), clamp.ofmap, codes);
      if (layer.ofmap != codes) continue;
      layer.q_min = std::clamp(layer.q_min, clamp.q_min, clamp.q_max);
      layer.q_max = std::clamp(layer.q_max, clamp.q_min, clamp.q_max);
    }
    if (wanted_.output == clamp.ofmap) wanted_.output = codes;
    ++joined_;
  }

  // The format of a tensor whose codes are those of narrower ones of its sign, and of those that
  // copy it or take the greatest of it.
  void narrow(QuantizedLayer& layer) {
    if (!std::holds_alternative<MoveWorkload>(layer.workload) &&
        !std::holds_alternative<MaxPoolWorkload>(layer.workload))
      return;
    TensorQuantization& q = wanted_.tensors[static_cast<size_t>(layer.ofmap)].quantization;
    IntegerFormat widest = wanted_.tensor(layer.ifmaps[0]).quantization.format;
    for (const int ifmap : layer.ifmaps) {
      const TensorQuantization& from = wanted_.tensor(ifmap).quantization;
      if (from.scale != q.scale || from.zero_point != q.zero_point ||
          from.format.is_signed != q.format.is_signed)
        return;
      widest.bits = std::max(widest.bits, from.format.bits);
    }
    q.format.bits = std::min(q.format.bits, widest.bits);
    layer.q_min = std::max(layer.q_min, static_cast<int32_t>(q.format.min()));
    layer.q_max = std::min(layer.q_max, static_cast<int32_t>(q.format.max()));
  }

  QuantizedLayer as_written(QuantizedLayer layer) const {
    auto& zero_points = layer.weight_zero_points;
    if (std::all_of(zero_points.begin(), zero_points.end(), [](int32_t z) { return z == 0; }))
      zero_points.clear();
    auto* workload = std::get_if<MatmulWorkload>(&layer.workload);
    if (workload == nullptr || workload->groups == 1 ||
        wanted_.tensor(layer.ifmaps[0]).shape.size() > 1)
      return layer;
    const int64_t columns = workload->window.ifmap_channels, own = workload->group_ifmap_channels();
    std::vector<int32_t> dense;
    for (int64_t oc = 0; oc < workload->window.ofmap_channels; ++oc) {
      const int64_t first = oc / workload->group_ofmap_channels() * own;
      for (int64_t ic = 0; ic < columns; ++ic) {
        const bool inside = ic >= first && ic < first + own;
        dense.push_back(inside ? layer.weights[static_cast<size_t>(oc * own + ic - first)]
                               : layer.weight_zero_point(oc));
      }
    }
    layer.weights = dense;
    workload->groups = 1;
    workload->unit_weights = false;
    return layer;
  }

  QuantizedNetwork wanted_;
  const QuantizedNetwork& found_;
  size_t joined_ = 0;
  std::map<int, int> tensors_;
  std::string differences_;
};

bool weight_zero_points_differ(const QuantizedNetwork& network) {
  return std::any_of(network.layers.begin(), network.layers.end(), [](const QuantizedLayer& l) {
    const auto& z = l.weight_zero_points;
    return std::adjacent_find(z.begin(), z.end(), std::not_equal_to<>()) != z.end();
  });
}

// QONNX holds integers as float32: not every one from here on.
bool beyond_float32(const QuantizedNetwork& network) {
  constexpr int32_t kExact = 1 << 22;
  return std::any_of(network.layers.begin(), network.layers.end(), [](const QuantizedLayer& l) {
    return std::any_of(l.bias.begin(), l.bias.end(),
                       [](int32_t b) { return b > kExact || b < -kExact; });
  });
}

void check_round_trip(uint32_t seed, int nodes) {
  RandomNetwork made(seed, nodes);
  const Statistics statistics = made.statistics(made.one_in(2));
  const QuantizedNetwork network = quantize(made.model.network, statistics, made.config());
  for (const QuantizedFile kind : {QuantizedFile::kQcdq, QuantizedFile::kQonnx}) {
    const bool qcdq = kind == QuantizedFile::kQcdq;
    if (qcdq && weight_zero_points_differ(network)) {
      RC_ASSERT_THROWS_AS(write_quantized(made.model.graph, network, kind), InputError);
      continue;
    }
    std::string bytes;
    try {
      bytes = write_quantized(made.model.graph, network, kind);
    } catch (const InputError&) {
      if (qcdq || !beyond_float32(network)) throw;
      continue;
    }
    onnx::ModelProto proto;
    RC_ASSERT(proto.ParseFromString(bytes));
    onnx::checker::check_model(proto);
    const Graph fused = fuse(parse_graph(bytes, "written.onnx"), FuseFor::kDatapath);
    const std::string differences = Comparison(network, import_quantized(fused)).run();
    if (!differences.empty()) RC_LOG() << (qcdq ? "QCDQ\n" : "QONNX\n") << differences;
    RC_ASSERT(differences.empty());
  }
}

RC_GTEST_PROP(RoundTrip, GivesTheSameNetwork, ()) {
  const auto seeds = *rc::gen::container<std::vector<uint32_t>>(5, rc::gen::arbitrary<uint32_t>());
  const auto nodes = *rc::gen::inRange(1, 13);
  try {
    for (const uint32_t seed : seeds) check_round_trip(seed, nodes);
  } catch (const InputError& error) {
    RC_FAIL(std::string(error.what()));
  }
}

}  // namespace
}  // namespace widthwise
