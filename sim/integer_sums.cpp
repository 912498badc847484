#include "sim/integer_sums.h"

#include "sim/sum_sink.h"

namespace widthwise {
namespace {

QuantizedLayer layer_of(const IntegerMatmul& matmul) {
  QuantizedLayer layer;
  layer.workload = matmul.workload;
  layer.weight_format = matmul.weight_format;
  layer.weights = matmul.weights;
  layer.weight_zero_points = matmul.weight_zero_points;
  layer.bias = matmul.bias;
  layer.bias.resize(static_cast<size_t>(matmul.workload.window.ofmap_channels), 0);
  return layer;
}

}  // namespace

IntegerAccumulator::IntegerAccumulator(const IntegerMatmul& matmul,
                                       const Accumulation& accumulation, bool count,
                                       const KernelTable& kernels)
    : layer_(layer_of(matmul)),
      ifmap_{.format = matmul.ifmap_format, .scale = 1, .zero_point = matmul.ifmap_zero_point},
      accumulation_(accumulation),
      count_(count),
      path_(MatmulPath::choose(layer_, ifmap_, accumulation_, count, false, kernels)) {}

IntegerAccumulator::IntegerAccumulator(const IntegerMatmul& matmul, const KernelTable& kernels)
    : layer_(layer_of(matmul)),
      ifmap_{.format = matmul.ifmap_format, .scale = 1, .zero_point = matmul.ifmap_zero_point},
      accumulation_(exact_accumulation({})) {
  path_.packed = PackedMatmul::pack(layer_, ifmap_, accumulation_, KernelMode::kExact, kernels);
}

LayerSums IntegerAccumulator::reference(const IntegerMatmul& matmul, int64_t image,
                                        const Accumulation& accumulation) const {
  const auto elements = static_cast<size_t>(matmul.workload.window.ifmap_elements());
  return reference_matmul(
      matmul.workload,
      std::span(matmul.ifmap).subspan(static_cast<size_t>(image) * elements, elements),
      matmul.ifmap_zero_point, layer_.weights, layer_.bias, accumulation,
      layer_.weight_zero_points);
}

IntegerSums IntegerAccumulator::run(const IntegerMatmul& matmul, Workspace& workspace) const {
  IntegerSums result;
  std::vector<int64_t> exact;
  if (path_.packed) {
    SumSink sink(matmul.workload.window, matmul.images);
    path_.packed->run(matmul.ifmap, matmul.images, workspace, sink);
    result.values.assign(sink.sums.begin(), sink.sums.end());
    if (path_.wrap_bits > 0) {
      for (int64_t& sum : result.values) sum = fit(sum, path_.wrap_bits, OverflowPolicy::kWrap);
    }
    if (!count_) return result;
    result.overflow_counts.assign(sink.overflows.begin(), sink.overflows.end());
    result.overflow_counts.resize(result.values.size());  // proven safe: none
    exact = result.values;
    if (path_.exact) {
      SumSink exact_sink(matmul.workload.window, matmul.images);
      path_.exact->run(matmul.ifmap, matmul.images, workspace, exact_sink);
      exact.assign(exact_sink.sums.begin(), exact_sink.sums.end());
    }
  } else {
    for (int64_t image = 0; image < matmul.images; ++image) {
      const LayerSums sums = reference(matmul, image, accumulation_);
      result.values.insert(result.values.end(), sums.accumulators.begin(), sums.accumulators.end());
      if (!count_) continue;
      result.overflow_counts.insert(result.overflow_counts.end(), sums.overflow_counts.begin(),
                                    sums.overflow_counts.end());
      const LayerSums wide = reference(matmul, image, exact_accumulation(accumulation_));
      exact.insert(exact.end(), wide.accumulators.begin(), wide.accumulators.end());
    }
    if (!count_) return result;
  }
  for (size_t i = 0; i < result.values.size(); ++i) {
    result.counts.additions_overflowed += result.overflow_counts[i];
    result.counts.outputs_hit += result.overflow_counts[i] != 0;
    result.counts.outputs_wrong += result.values[i] != exact[i];
  }
  result.counts.outputs = std::ssize(result.values);
  return result;
}

}  // namespace widthwise
