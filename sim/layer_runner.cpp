#include "sim/layer_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "core/error.h"
#include "sim/matmul_runner.h"
#include "sim/vector_requantize.h"

namespace widthwise {
namespace {

// Codes of one tensor rescaled to another's; the same quantization moves them as they are.
class Rescaler {
 public:
  Rescaler(const QuantizedNetwork& network, const QuantizedLayer& layer, int ifmap,
           const RequantizeConfig& config, const RunOptions& options)
      : same_(network.tensor(ifmap).quantization == network.tensor(layer.ofmap).quantization),
        q_min_(layer.q_min),
        q_max_(layer.q_max),
        requantizer_(config, {network.tensor(ifmap).quantization},
                     network.tensor(layer.ofmap).quantization, layer.q_min, layer.q_max,
                     kernels_of(options)) {}
  // In place.
  void run(std::span<int32_t> codes) const {
    if (!same_) return requantizer_.run(codes.data(), nullptr, std::ssize(codes), codes.data());
    for (int32_t& code : codes) code = std::clamp(code, q_min_, q_max_);
  }

 private:
  bool same_;
  int32_t q_min_, q_max_;
  RowRequantizer requantizer_;
};

class MoveRunner : public LayerRunner {
 public:
  MoveRunner(const QuantizedNetwork& network, const QuantizedLayer& layer,
             const RequantizeConfig& config, const RunOptions& options)
      : workload_(std::get<MoveWorkload>(layer.workload)) {
    for (const int ifmap : layer.ifmaps) {
      rescalers_.emplace_back(network, layer, ifmap, config, options);
    }
  }

  void run(const std::vector<std::span<const int32_t>>& ifmaps, std::span<int32_t> ofmap,
           int64_t images, Workspace& workspace, LayerRecord&) const override {
    auto& all = workspace.moved;  // the inputs of one image, rescaled and end to end
    for (int64_t image = 0; image < images; ++image) {
      all.clear();
      for (size_t i = 0; i < ifmaps.size(); ++i) {
        const auto elements = static_cast<size_t>(workload_.input_elements[i]);
        const auto from = ifmaps[i].subspan(static_cast<size_t>(image) * elements, elements);
        all.insert(all.end(), from.begin(), from.end());
        rescalers_[i].run(std::span(all).last(elements));
      }
      int32_t* to = ofmap.data() + image * std::ssize(workload_.source);
      for (const int64_t source : workload_.source) *to++ = all[static_cast<size_t>(source)];
    }
  }

 private:
  const MoveWorkload& workload_;
  std::vector<Rescaler> rescalers_;
};

class ElementwiseRunner : public LayerRunner {
 public:
  ElementwiseRunner(const QuantizedNetwork& network, const QuantizedLayer& layer,
                    const RequantizeConfig& config, const RunOptions& options)
      : requantizer_(config, operands(network, layer), network.tensor(layer.ofmap).quantization,
                     layer.q_min, layer.q_max, kernels_of(options)) {}

  void run(const std::vector<std::span<const int32_t>>& ifmaps, std::span<int32_t> ofmap, int64_t,
           Workspace&, LayerRecord&) const override {
    const int32_t* second = ifmaps.size() == 1 ? nullptr : ifmaps[1].data();
    requantizer_.run(ifmaps[0].data(), second, std::ssize(ofmap), ofmap.data());
  }

 private:
  static std::vector<TensorQuantization> operands(const QuantizedNetwork& network,
                                                  const QuantizedLayer& layer) {
    std::vector<TensorQuantization> all;
    for (const int ifmap : layer.ifmaps) all.push_back(network.tensor(ifmap).quantization);
    return all;
  }
  RowRequantizer requantizer_;
};

class MaxPoolRunner : public LayerRunner {
 public:
  MaxPoolRunner(const QuantizedNetwork& network, const QuantizedLayer& layer,
                const RequantizeConfig& config, const RunOptions& options)
      : window_(std::get<MaxPoolWorkload>(layer.workload).window),
        rescaler_(network, layer, layer.ifmaps.at(0), config, options) {}

  void run(const std::vector<std::span<const int32_t>>& ifmaps, std::span<int32_t> ofmap,
           int64_t images, Workspace&, LayerRecord&) const override {
    const Window& w = window_;
    size_t to = 0;
    for (int64_t plane = 0; plane < images * w.ifmap_channels; ++plane) {
      const int32_t* from = ifmaps[0].data() + plane * w.ifmap_rows * w.ifmap_cols;
      for (int64_t y = 0; y < w.ofmap_rows; ++y) {
        for (int64_t x = 0; x < w.ofmap_cols; ++x) ofmap[to++] = greatest(from, y, x);
      }
    }
    rescaler_.run(ofmap);
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
  if (!datapath.layer_ifmap(layer.name).holds(ifmap))
    refuse("ifmap", ifmap, datapath.layer_ifmap(layer.name));
  const bool unit = std::get<MatmulWorkload>(layer.workload).unit_weights;
  if (!unit && !datapath.layer_weight(layer.name).holds(layer.weight_format)) {
    refuse("weight", layer.weight_format, datapath.layer_weight(layer.name));
  }
}

}  // namespace

const KernelTable& kernels_of(const RunOptions& options) {
  return options.kernels != nullptr ? *options.kernels : default_kernels();
}

void OverflowCounts::merge(const OverflowCounts& other) {
  additions_overflowed += other.additions_overflowed;
  outputs += other.outputs;
  outputs_hit += other.outputs_hit;
  outputs_wrong += other.outputs_wrong;
}

void LayerRecord::merge(const LayerRecord& other) {
  census.merge(other.census);
  counts.merge(other.counts);
}

Requantizer layer_requantizer(const QuantizedLayer& layer, int64_t channel,
                              const TensorQuantization& ifmap, const TensorQuantization& ofmap,
                              const RequantizeConfig& config) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const float weight_scale = layer.weight_scale(channel);
  const int64_t taps = workload.reduction_length();
  const bool is_signed = ofmap.format.is_signed;
  if (workload.unit_weights && weight_scale == 1 / static_cast<float>(taps)) {
    const Requantizer::Mean mean{ifmap.scale, ifmap.zero_point, taps};
    return {config, mean, ofmap.scale, ofmap.zero_point, layer.q_min, layer.q_max, is_signed};
  }
  return {config,           ifmap.scale, weight_scale, ofmap.scale,
          ofmap.zero_point, layer.q_min, layer.q_max,  is_signed};
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
      return std::make_unique<MoveRunner>(network, layer, datapath.requantize, options);
    if (std::holds_alternative<MaxPoolWorkload>(layer.workload))
      return std::make_unique<MaxPoolRunner>(network, layer, datapath.requantize, options);
    return std::make_unique<ElementwiseRunner>(network, layer, datapath.requantize, options);
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
