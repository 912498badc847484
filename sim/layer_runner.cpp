#include "sim/layer_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "core/error.h"
#include "core/requantizer.h"
#include "sim/matmul_runner.h"

namespace widthwise {
namespace {

// Codes of one tensor rescaled to another's; the same quantization moves them as they are.
class Rescaler {
 public:
  Rescaler(const RequantizeConfig& config, const TensorQuantization& from,
           const TensorQuantization& to, int32_t q_min, int32_t q_max)
      : same_(from == to),
        q_min_(q_min),
        q_max_(q_max),
        requantizer_(config, {{from.scale, from.zero_point, from.format.bits}}, to.scale,
                     to.zero_point, q_min, q_max) {}
  int32_t operator()(int32_t code) const {
    return same_ ? std::clamp(code, q_min_, q_max_) : requantizer_(code);
  }

 private:
  bool same_;
  int32_t q_min_, q_max_;
  ElementwiseRequantizer requantizer_;
};

class MoveRunner : public LayerRunner {
 public:
  MoveRunner(const QuantizedNetwork& network, const QuantizedLayer& layer,
             const RequantizeConfig& config)
      : workload_(std::get<MoveWorkload>(layer.workload)) {
    for (const int ifmap : layer.ifmaps) {
      rescalers_.emplace_back(config, network.tensor(ifmap).quantization,
                              network.tensor(layer.ofmap).quantization, layer.q_min, layer.q_max);
    }
    std::vector<int64_t> begins = {0};
    for (const int64_t elements : workload_.input_elements)
      begins.push_back(begins.back() + elements);
    for (const int64_t source : workload_.source) {
      const auto after = std::upper_bound(begins.begin(), begins.end(), source);
      const auto input = static_cast<size_t>(after - begins.begin()) - 1;
      sources_.push_back({input, source - begins[input]});
    }
  }

  void run(const std::vector<std::span<const int32_t>>& ifmaps, std::span<int32_t> ofmap,
           int64_t images, Workspace&, LayerRecord&) const override {
    size_t to = 0;
    for (int64_t image = 0; image < images; ++image) {
      for (const Source& source : sources_) {
        const int64_t at = image * workload_.input_elements[source.input] + source.element;
        ofmap[to++] = rescalers_[source.input](ifmaps[source.input][static_cast<size_t>(at)]);
      }
    }
  }

 private:
  struct Source {
    size_t input;
    int64_t element;
  };
  const MoveWorkload& workload_;
  std::vector<Rescaler> rescalers_;
  std::vector<Source> sources_;
};

class ElementwiseRunner : public LayerRunner {
 public:
  ElementwiseRunner(const QuantizedNetwork& network, const QuantizedLayer& layer,
                    const RequantizeConfig& config)
      : requantizer_(
            config, operands(network, layer), network.tensor(layer.ofmap).quantization.scale,
            network.tensor(layer.ofmap).quantization.zero_point, layer.q_min, layer.q_max) {}

  void run(const std::vector<std::span<const int32_t>>& ifmaps, std::span<int32_t> ofmap, int64_t,
           Workspace&, LayerRecord&) const override {
    if (ifmaps.size() == 1) {
      for (size_t i = 0; i < ofmap.size(); ++i) ofmap[i] = requantizer_(ifmaps[0][i]);
    } else {
      for (size_t i = 0; i < ofmap.size(); ++i) ofmap[i] = requantizer_(ifmaps[0][i], ifmaps[1][i]);
    }
  }

 private:
  static std::vector<ElementwiseRequantizer::Operand> operands(const QuantizedNetwork& network,
                                                               const QuantizedLayer& layer) {
    std::vector<ElementwiseRequantizer::Operand> all;
    for (const int ifmap : layer.ifmaps) {
      const TensorQuantization& q = network.tensor(ifmap).quantization;
      all.push_back({q.scale, q.zero_point, q.format.bits});
    }
    return all;
  }
  ElementwiseRequantizer requantizer_;
};

class MaxPoolRunner : public LayerRunner {
 public:
  MaxPoolRunner(const QuantizedNetwork& network, const QuantizedLayer& layer,
                const RequantizeConfig& config)
      : window_(std::get<MaxPoolWorkload>(layer.workload).window),
        rescaler_(config, network.tensor(layer.ifmaps.at(0)).quantization,
                  network.tensor(layer.ofmap).quantization, layer.q_min, layer.q_max) {}

  void run(const std::vector<std::span<const int32_t>>& ifmaps, std::span<int32_t> ofmap,
           int64_t images, Workspace&, LayerRecord&) const override {
    const Window& w = window_;
    size_t to = 0;
    for (int64_t plane = 0; plane < images * w.ifmap_channels; ++plane) {
      const int32_t* from = ifmaps[0].data() + plane * w.ifmap_rows * w.ifmap_cols;
      for (int64_t y = 0; y < w.ofmap_rows; ++y) {
        for (int64_t x = 0; x < w.ofmap_cols; ++x) ofmap[to++] = rescaler_(greatest(from, y, x));
      }
    }
  }

 private:
  int32_t greatest(const int32_t* plane, int64_t y, int64_t x) const {
    const Window& w = window_;
    int32_t best = std::numeric_limits<int32_t>::min();
    for (int64_t r = 0; r < w.kernel_rows; ++r) {
      const int64_t row = y * w.stride_rows - w.pad_top + r * w.dilation_rows;
      if (row < 0 || row >= w.ifmap_rows) continue;
      for (int64_t c = 0; c < w.kernel_cols; ++c) {
        const int64_t col = x * w.stride_cols - w.pad_left + c * w.dilation_cols;
        if (col >= 0 && col < w.ifmap_cols) best = std::max(best, plane[row * w.ifmap_cols + col]);
      }
    }
    return best;
  }
  Window window_;
  Rescaler rescaler_;
};

bool inside(const IntegerFormat& inner, const IntegerFormat& outer) {
  return inner.min() >= outer.min() && inner.max() <= outer.max();
}

void check_operands(const QuantizedNetwork& network, const QuantizedLayer& layer,
                    const Datapath& datapath) {
  const IntegerFormat ifmap = network.tensor(layer.ifmaps.at(0)).quantization.format;
  const auto refuse = [&](const std::string& field, const IntegerFormat& has,
                          const IntegerFormat& takes) {
    throw InputError(
        {.file = "",
         .where = "layer '" + layer.name + "'",
         .field = field,
         .problem = fmt::format("is {}, the datapath takes {}", has.name(), takes.name()),
         .fix = "quantize for this accelerator, or state the layer's bits under datapath.layers"});
  };
  if (!inside(ifmap, datapath.layer_ifmap(layer.name)))
    refuse("ifmap", ifmap, datapath.layer_ifmap(layer.name));
  const bool unit = std::get<MatmulWorkload>(layer.workload).unit_weights;
  if (!unit && !inside(layer.weight_format, datapath.layer_weight(layer.name))) {
    refuse("weight", layer.weight_format, datapath.layer_weight(layer.name));
  }
}

}  // namespace

void LayerRecord::merge(const LayerRecord& other) {
  census.merge(other.census);
  counts.additions_overflowed += other.counts.additions_overflowed;
  counts.outputs += other.counts.outputs;
  counts.outputs_hit += other.counts.outputs_hit;
  counts.outputs_wrong += other.counts.outputs_wrong;
}

std::unique_ptr<LayerRunner> make_layer_runner(const QuantizedNetwork& network,
                                               const QuantizedLayer& layer,
                                               const Datapath& datapath,
                                               const RunOptions& options) {
  try {
    if (std::holds_alternative<MatmulWorkload>(layer.workload)) {
      check_operands(network, layer, datapath);
      return make_matmul_runner(network, layer, datapath, options);
    }
    if (std::holds_alternative<MoveWorkload>(layer.workload))
      return std::make_unique<MoveRunner>(network, layer, datapath.requantize);
    if (std::holds_alternative<MaxPoolWorkload>(layer.workload))
      return std::make_unique<MaxPoolRunner>(network, layer, datapath.requantize);
    return std::make_unique<ElementwiseRunner>(network, layer, datapath.requantize);
  } catch (const std::invalid_argument& error) {
    throw InputError({.file = "",
                      .where = "layer '" + layer.name + "'",
                      .field = "requantize",
                      .problem = std::string("cannot be ") +
                                 requantize_kind_name(datapath.requantize.kind) + ": " +
                                 error.what(),
                      .fix = "quantize for this accelerator, or name another requantizer"});
  }
}

}  // namespace widthwise
