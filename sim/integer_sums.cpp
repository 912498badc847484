#include "sim/integer_sums.h"

#include "sim/sum_sink.h"

namespace widthwise {
namespace {

// Sums, and their census.
class CensusSink : public SumSink {
 public:
  CensusSink(const Window& window, int64_t images, LayerCensus& census, const KernelTable& kernels)
      : SumSink(window, images), census_(census), kernels_(kernels) {}
  void panel(int64_t channel, int64_t first, int64_t count, const PanelSums& from) override {
    SumSink::panel(channel, first, count, from);
    census_.add_row(channel, count, census_row(from), kernels_);
  }

 private:
  LayerCensus& census_;
  const KernelTable& kernels_;
};

}  // namespace

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

IntegerAccumulator::IntegerAccumulator(const IntegerMatmul& matmul,
                                       const Accumulation& accumulation, Record record,
                                       const KernelTable& kernels)
    : layer_(layer_of(matmul)),
      ifmap_{.format = matmul.ifmap_format, .scale = 1, .zero_point = matmul.ifmap_zero_point},
      accumulation_(accumulation),
      record_(record),
      kernels_(kernels) {
  if (record == Record::kCensus) {
    path_.packed = PackedMatmul::pack(layer_, ifmap_, accumulation_, KernelMode::kCensus, kernels);
  } else {
    path_ = MatmulPath::choose(layer_, ifmap_, accumulation_, record == Record::kCounts, false,
                               kernels);
  }
}

IntegerAccumulator::IntegerAccumulator(const IntegerMatmul& matmul, const KernelTable& kernels)
    : layer_(layer_of(matmul)),
      ifmap_{.format = matmul.ifmap_format, .scale = 1, .zero_point = matmul.ifmap_zero_point},
      accumulation_(exact_accumulation({})),
      kernels_(kernels) {
  path_.packed = PackedMatmul::pack(layer_, ifmap_, accumulation_, KernelMode::kExact, kernels);
}

template <class Function>
auto IntegerAccumulator::reference(Function&& function, const IntegerMatmul& matmul, int64_t image,
                                   const Accumulation& accumulation) const {
  const auto elements = static_cast<size_t>(matmul.workload.window.ifmap_elements());
  return function(matmul.workload,
                  std::span(matmul.ifmap).subspan(static_cast<size_t>(image) * elements, elements),
                  matmul.ifmap_zero_point, layer_.weights, layer_.bias, accumulation,
                  layer_.weight_zero_points);
}

IntegerSums IntegerAccumulator::run(const IntegerMatmul& matmul, Workspace& workspace) const {
  IntegerSums result;
  if (record_ == Record::kCensus) result.record.census = LayerCensus(layer_.bias, accumulation_);
  if (path_.packed) {
    run_packed(matmul, workspace, result);
  } else {
    run_reference(matmul, result);
  }
  return result;
}

void IntegerAccumulator::run_packed(const IntegerMatmul& matmul, Workspace& workspace,
                                    IntegerSums& result) const {
  const Window& window = matmul.workload.window;
  if (record_ == Record::kCensus) {
    CensusSink sink(window, matmul.images, result.record.census, kernels_);
    path_.packed->run(matmul.ifmap, matmul.images, workspace, sink);
    result.values.assign(sink.sums.begin(), sink.sums.end());
    return;
  }
  SumSink sink(window, matmul.images);
  path_.packed->run(matmul.ifmap, matmul.images, workspace, sink);
  result.values.assign(sink.sums.begin(), sink.sums.end());
  if (path_.wrap_bits > 0) {
    for (int64_t& sum : result.values) sum = fit(sum, path_.wrap_bits, OverflowPolicy::kWrap);
  }
  if (record_ == Record::kNothing) return;
  result.overflow_counts.assign(sink.overflows.begin(), sink.overflows.end());
  result.overflow_counts.resize(result.values.size());  // proven safe: none
  if (!path_.exact) return count(result.values, result);
  SumSink exact(window, matmul.images);
  path_.exact->run(matmul.ifmap, matmul.images, workspace, exact);
  count({exact.sums.begin(), exact.sums.end()}, result);
}

void IntegerAccumulator::run_reference(const IntegerMatmul& matmul, IntegerSums& result) const {
  const bool census = record_ == Record::kCensus, counts = record_ == Record::kCounts;
  const auto append = [](std::vector<int64_t>& to, const std::vector<int64_t>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  std::vector<int64_t> exact;
  for (int64_t image = 0; image < matmul.images; ++image) {
    if (census) {
      const PrefixExtremes sums = reference(reference_extremes, matmul, image, accumulation_);
      append(result.values, sums.sums);
      result.record.census.add_image(sums);
      continue;
    }
    const LayerSums sums = reference(reference_matmul, matmul, image, accumulation_);
    append(result.values, sums.accumulators);
    if (!counts) continue;
    append(result.overflow_counts, sums.overflow_counts);
    append(
        exact,
        reference(reference_matmul, matmul, image, exact_accumulation(accumulation_)).accumulators);
  }
  if (counts) count(exact, result);
}

void IntegerAccumulator::count(const std::vector<int64_t>& exact, IntegerSums& result) {
  OverflowCounts& counts = result.record.counts;
  for (size_t i = 0; i < result.values.size(); ++i) {
    counts.additions_overflowed += result.overflow_counts[i];
    counts.outputs_hit += result.overflow_counts[i] != 0;
    counts.outputs_wrong += result.values[i] != exact[i];
  }
  counts.outputs = std::ssize(result.values);
}

}  // namespace widthwise
