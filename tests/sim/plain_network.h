#pragma once
// The obvious execution of a quantized network, one image and one output after the other, from the
// normative pieces only: reference_matmul, Requantizer, ElementwiseRequantizer.
#include <algorithm>
#include <vector>

#include "core/requantizer.h"
#include "hwmodel/accelerator.h"
#include "sim/layer_runner.h"
#include "sim/reference.h"

namespace widthwise::testing_support {

struct PlainRun {
  std::vector<std::vector<int32_t>> tensors;  // codes of one image
  std::vector<OverflowCounts> counts;         // one per layer
};

class PlainNetwork {
 public:
  PlainNetwork(const QuantizedNetwork& network, const Datapath& datapath)
      : network_(network), datapath_(datapath) {}
  // In place of every layer's outermost chain.
  std::optional<RunOptions::Outermost> outermost;

  PlainRun run(std::span<const int32_t> image) const {
    PlainRun result;
    result.tensors.resize(network_.tensors.size());
    result.counts.resize(network_.layers.size());
    result.tensors[static_cast<size_t>(network_.input)].assign(image.begin(), image.end());
    for (size_t i = 0; i < network_.layers.size(); ++i) {
      const QuantizedLayer& layer = network_.layers[i];
      std::vector<std::vector<int32_t>> ifmaps;
      for (const int ifmap : layer.ifmaps) {
        ifmaps.push_back(result.tensors[static_cast<size_t>(ifmap)]);
      }
      result.tensors[static_cast<size_t>(layer.ofmap)] = std::visit(
          [&](const auto& workload) { return codes(workload, layer, ifmaps, result.counts[i]); },
          layer.workload);
    }
    return result;
  }

  Accumulation accumulation(const QuantizedLayer& layer) const {
    const Accumulation& described = datapath_.layer_accumulation(layer.name);
    return outermost ? described.with_outermost(outermost->bits, outermost->overflow) : described;
  }

 private:
  using Codes = std::vector<int32_t>;

  const TensorQuantization& quantization(int tensor) const {
    return network_.tensor(tensor).quantization;
  }
  ElementwiseRequantizer requantizer(const QuantizedLayer& layer, size_t first,
                                     size_t operands) const {
    std::vector<ElementwiseRequantizer::Operand> all;
    for (size_t i = first; i < first + operands; ++i) {
      const TensorQuantization& q = quantization(layer.ifmaps[i]);
      all.push_back({q.scale, q.zero_point, q.format.bits});
    }
    const TensorQuantization& ofmap = quantization(layer.ofmap);
    return {datapath_.requantize, all, ofmap.scale, ofmap.zero_point, layer.q_min, layer.q_max};
  }

  Codes codes(const MatmulWorkload& matmul, const QuantizedLayer& layer,
              const std::vector<Codes>& ifmaps, OverflowCounts& counts) const {
    const TensorQuantization &in = quantization(layer.ifmaps[0]), &out = quantization(layer.ofmap);
    const auto sums_at = [&](const Accumulation& a) {
      return reference_matmul(matmul, ifmaps[0], in.zero_point, layer.weights, layer.bias, a,
                              layer.weight_zero_points);
    };
    Accumulation wide;
    wide.stages = {Stage{.bits = 60}};
    const LayerSums sums = sums_at(accumulation(layer)), exact = sums_at(wide);
    Codes ofmap;
    for (size_t i = 0; i < sums.accumulators.size(); ++i) {
      const int64_t oc = static_cast<int64_t>(i) / matmul.window.ofmap_pixels();
      const Requantizer to_code = layer_requantizer(layer, oc, in, out, datapath_.requantize);
      ofmap.push_back(to_code(sums.accumulators[i]));
      counts.additions_overflowed += sums.overflow_counts[i];
      counts.outputs_hit += sums.overflow_counts[i] > 0;
      counts.outputs_wrong += sums.accumulators[i] != exact.accumulators[i];
      ++counts.outputs;
    }
    return ofmap;
  }

  Codes codes(const MaxPoolWorkload& pool, const QuantizedLayer& layer,
              const std::vector<Codes>& ifmaps, OverflowCounts&) const {
    const Window& w = pool.window;
    const ElementwiseRequantizer to_code = requantizer(layer, 0, 1);
    Codes ofmap;
    for (int64_t c = 0; c < w.ofmap_channels; ++c) {
      for (int64_t y = 0; y < w.ofmap_rows; ++y) {
        for (int64_t x = 0; x < w.ofmap_cols; ++x) {
          std::vector<int32_t> taps;
          for (int64_t k = 0; k < w.kernel_rows * w.kernel_cols; ++k) {
            const int64_t row = y * w.stride_rows - w.pad_top + k / w.kernel_cols * w.dilation_rows;
            const int64_t col =
                x * w.stride_cols - w.pad_left + k % w.kernel_cols * w.dilation_cols;
            if (row < 0 || row >= w.ifmap_rows || col < 0 || col >= w.ifmap_cols) continue;
            const int64_t at = (c * w.ifmap_rows + row) * w.ifmap_cols + col;
            taps.push_back(ifmaps[0][static_cast<size_t>(at)]);
          }
          ofmap.push_back(to_code(*std::max_element(taps.begin(), taps.end())));
        }
      }
    }
    return ofmap;
  }

  Codes codes(const ElementwiseWorkload& elementwise, const QuantizedLayer& layer,
              const std::vector<Codes>& ifmaps, OverflowCounts&) const {
    const bool add = elementwise.kind == ElementwiseWorkload::Kind::kAdd;
    const ElementwiseRequantizer to_code = requantizer(layer, 0, add ? 2 : 1);
    Codes ofmap;
    for (size_t i = 0; i < ifmaps[0].size(); ++i) {
      ofmap.push_back(add ? to_code(ifmaps[0][i], ifmaps[1][i]) : to_code(ifmaps[0][i]));
    }
    return ofmap;
  }

  Codes codes(const MoveWorkload& move, const QuantizedLayer& layer,
              const std::vector<Codes>& ifmaps, OverflowCounts&) const {
    Codes all, ofmap;
    for (size_t i = 0; i < ifmaps.size(); ++i) {
      const ElementwiseRequantizer to_code = requantizer(layer, i, 1);
      for (const int32_t code : ifmaps[i]) all.push_back(to_code(code));
    }
    for (const int64_t source : move.source) ofmap.push_back(all[static_cast<size_t>(source)]);
    return ofmap;
  }

  const QuantizedNetwork& network_;
  const Datapath& datapath_;
};

}  // namespace widthwise::testing_support
