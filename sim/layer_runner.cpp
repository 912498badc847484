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

// Turns bytes into bytes through codes, a cache's worth at a time: work(codes of the first operand,
// codes of the second or null, count) leaves its result in the first.
template <class Work>
void in_codes(std::span<uint8_t> to, const std::optional<CodeTensor::Bytes>& second,
              const CodeTensor::Bytes& first, int32_t to_offset, Work&& work) {
  constexpr size_t kChunk = 1024;
  int32_t a[kChunk], b[kChunk];
  for (size_t begin = 0; begin < to.size(); begin += kChunk) {
    const size_t count = std::min(kChunk, to.size() - begin);
    for (size_t i = 0; i < count; ++i) a[i] = first.values[begin + i] - first.offset;
    if (second) {
      for (size_t i = 0; i < count; ++i) b[i] = second->values[begin + i] - second->offset;
    }
    work(a, second ? b : nullptr, static_cast<int64_t>(count));
    for (size_t i = 0; i < count; ++i) to[begin + i] = static_cast<uint8_t>(a[i] + to_offset);
  }
}

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
  // The same for bytes, of the ifmap before and of the ofmap afterwards.
  void run(std::span<uint8_t> bytes, int32_t from_offset, int32_t to_offset) const {
    if (same_ && from_offset == to_offset) {
      const auto low = static_cast<uint8_t>(q_min_ + to_offset),
                 high = static_cast<uint8_t>(q_max_ + to_offset);
      for (uint8_t& byte : bytes) byte = std::clamp(byte, low, high);
      return;
    }
    in_codes(bytes, {}, {.values = bytes, .shape = {}, .offset = from_offset}, to_offset,
             [&](int32_t* codes, const int32_t*, int64_t count) {
               run(std::span(codes, static_cast<size_t>(count)));
             });
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

  void run(const std::vector<const CodeTensor*>& ifmaps, CodeTensor& ofmap, int64_t images,
           Workspace& workspace, LayerRecord&) const override {
    auto& all = workspace.moved;  // the inputs of one image, rescaled and end to end
    std::vector<std::vector<int32_t>> scratch(ifmaps.size());
    std::vector<std::span<const int32_t>> planes;
    for (size_t i = 0; i < ifmaps.size(); ++i) planes.push_back(ifmaps[i]->planes(scratch[i]));
    int32_t* to = ofmap.write_planes(images * std::ssize(workload_.source)).data();
    for (int64_t image = 0; image < images; ++image) {
      all.clear();
      for (size_t i = 0; i < planes.size(); ++i) {
        const auto elements = static_cast<size_t>(workload_.input_elements[i]);
        const auto from = planes[i].subspan(static_cast<size_t>(image) * elements, elements);
        all.insert(all.end(), from.begin(), from.end());
        rescalers_[i].run(std::span(all).last(elements));
      }
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
                     layer.q_min, layer.q_max, kernels_of(options)),
        format_(network.tensor(layer.ofmap).quantization.format) {}

  void run(const std::vector<const CodeTensor*>& ifmaps, CodeTensor& ofmap, int64_t,
           Workspace& workspace, LayerRecord&) const override {
    if (run_bytes(ifmaps, ofmap)) return;
    std::vector<int32_t> scratch;
    const auto first = ifmaps[0]->planes(workspace.planes);
    const int32_t* second = ifmaps.size() == 1 ? nullptr : ifmaps[1]->planes(scratch).data();
    const auto to = ofmap.write_planes(std::ssize(first));
    requantizer_.run(first.data(), second, std::ssize(first), to.data());
  }

 private:
  bool run_bytes(const std::vector<const CodeTensor*>& ifmaps, CodeTensor& ofmap) const {
    if (!CodeTensor::fits_bytes(format_)) return false;
    const auto first = ifmaps[0]->as_bytes();
    const auto second = ifmaps.size() == 1 ? std::nullopt : ifmaps[1]->as_bytes();
    if (!first || (ifmaps.size() == 2 && (!second || !(second->shape == first->shape))))
      return false;
    const int32_t offset = CodeTensor::byte_offset(format_);
    in_codes(
        ofmap.write_bytes(first->shape, offset), second, *first, offset,
        [&](int32_t* a, const int32_t* b, int64_t count) { requantizer_.run(a, b, count, a); });
    return true;
  }
  static std::vector<TensorQuantization> operands(const QuantizedNetwork& network,
                                                  const QuantizedLayer& layer) {
    std::vector<TensorQuantization> all;
    for (const int ifmap : layer.ifmaps) all.push_back(network.tensor(ifmap).quantization);
    return all;
  }
  RowRequantizer requantizer_;
  IntegerFormat format_;  // of the ofmap
};

class MaxPoolRunner : public LayerRunner {
 public:
  MaxPoolRunner(const QuantizedNetwork& network, const QuantizedLayer& layer,
                const RequantizeConfig& config, const RunOptions& options)
      : window_(std::get<MaxPoolWorkload>(layer.workload).window),
        rescaler_(network, layer, layer.ifmaps.at(0), config, options),
        format_(network.tensor(layer.ofmap).quantization.format) {}

  void run(const std::vector<const CodeTensor*>& ifmaps, CodeTensor& ofmap, int64_t images,
           Workspace& workspace, LayerRecord&) const override {
    const Window& w = window_;
    const auto bytes = ifmaps[0]->as_bytes();
    if (bytes && CodeTensor::fits_bytes(format_) && bytes->shape.channels == w.ifmap_channels) {
      const CodeTensor::Shape shape{images, w.ofmap_channels, w.ofmap_pixels()};
      const int32_t offset = CodeTensor::byte_offset(format_);
      const auto to = ofmap.write_bytes(shape, offset);
      pool(bytes->values.data(), to.data(), images, w.ifmap_channels);
      return rescaler_.run(to, bytes->offset, offset);
    }
    const auto planes = ifmaps[0]->planes(workspace.planes);
    const auto to = ofmap.write_planes(images * w.ofmap_elements());
    pool(planes.data(), to.data(), images * w.ifmap_channels, 1);
    rescaler_.run(to);
  }

 private:
  // [images, rows, cols, channels]: greatest codes, or greatest bytes, which are in the same order.
  template <class T>
  void pool(const T* from, T* to, int64_t images, int64_t channels) const {
    const Window& w = window_;
    for (int64_t image = 0; image < images; ++image) {
      for (int64_t y = 0; y < w.ofmap_rows; ++y) {
        for (int64_t x = 0; x < w.ofmap_cols; ++x, to += channels) {
          std::fill_n(to, channels, std::numeric_limits<T>::min());
          greatest(from, to, y, x, channels);
        }
      }
      from += w.ifmap_rows * w.ifmap_cols * channels;
    }
  }

  template <class T>
  void greatest(const T* image, T* to, int64_t y, int64_t x, int64_t channels) const {
    const Window& w = window_;
    for (int64_t r = 0; r < w.kernel_rows; ++r) {
      const int64_t row = y * w.stride_rows - w.pad_top + r * w.dilation_rows;
      if (row < 0 || row >= w.ifmap_rows) continue;
      for (int64_t c = 0; c < w.kernel_cols; ++c) {
        const int64_t col = x * w.stride_cols - w.pad_left + c * w.dilation_cols;
        if (col < 0 || col >= w.ifmap_cols) continue;
        const T* from = image + (row * w.ifmap_cols + col) * channels;
        for (int64_t i = 0; i < channels; ++i) to[i] = std::max(to[i], from[i]);
      }
    }
  }
  Window window_;
  Rescaler rescaler_;
  IntegerFormat format_;  // of the ofmap
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

void drop_weights(QuantizedLayer& layer, const LayerRunner& runner) {
  if (!runner.reads_weights()) std::vector<int32_t>().swap(layer.weights);
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
  if (layer.in_float)
    throw InputError({.file = "",
                      .where = "layer '" + layer.name + "'",
                      .field = "",
                      .problem = "is in float, which a datapath of integers does not run",
                      .fix = "quantize it, or write the network and evaluate the file"});
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
