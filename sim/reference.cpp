#include "sim/reference.h"

#include <algorithm>
#include <limits>

namespace widthwise {

Reduction reduce(const Accumulation& accumulation, std::span<const int64_t> products,
                 int64_t bias) {
  Reduction result;
  std::vector<int64_t> addends(products.begin(), products.end());
  for (const Stage& stage : accumulation.stages) {
    const bool outermost = &stage == &accumulation.stages.back();
    const size_t length =
        stage.length == Stage::kAll ? addends.size() : static_cast<size_t>(stage.length);
    std::vector<int64_t> sums;
    for (size_t begin = 0; begin < addends.size(); begin += length) {
      const size_t end = std::min(begin + length, addends.size());
      if (stage.kind == Stage::Kind::kTree) {
        int64_t sum = 0;
        for (size_t i = begin; i < end; ++i) sum += addends[i];
        sums.push_back(sum);
        continue;
      }
      const bool preload = outermost && accumulation.bias == BiasMode::kPreload;
      Accumulator chain(stage.bits, stage.overflow, preload ? bias : 0, stage.saturated_bits);
      for (size_t i = begin; i < end; ++i) chain.add(addends[i]);
      if (outermost && accumulation.bias == BiasMode::kLast) chain.add(bias);
      sums.push_back(chain.value());
      result.overflow_count += chain.overflow_count();
    }
    addends = std::move(sums);
  }
  result.value = addends.front();
  return result;
}

std::vector<Tap> reduction_taps(const MatmulWorkload& workload, const Accumulation& accumulation) {
  const auto extent = [&](ReductionAxis axis) {
    switch (axis) {
      case ReductionAxis::kChannel:
        return workload.group_ifmap_channels();
      case ReductionAxis::kRow:
        return workload.window.kernel_rows;
      default:
        return workload.window.kernel_cols;
    }
  };
  const auto& order = accumulation.order;
  std::vector<Tap> taps;
  int64_t index[3];  // by axis
  const auto at = [&index](ReductionAxis axis) -> int64_t& {
    return index[static_cast<size_t>(axis)];
  };
  for (at(order[0]) = 0; at(order[0]) < extent(order[0]); ++at(order[0])) {
    for (at(order[1]) = 0; at(order[1]) < extent(order[1]); ++at(order[1])) {
      for (at(order[2]) = 0; at(order[2]) < extent(order[2]); ++at(order[2])) {
        taps.push_back(
            {at(ReductionAxis::kChannel), at(ReductionAxis::kRow), at(ReductionAxis::kCol)});
      }
    }
  }
  return taps;
}

namespace {

// Calls visit(oc, products in the order of reduction) for every output, [oc, rows, cols].
template <class Visit>
void for_each_output(const MatmulWorkload& workload, std::span<const int32_t> codes,
                     int32_t ifmap_zero_point, std::span<const int32_t> weights,
                     std::span<const int32_t> weight_zero_points, const Accumulation& accumulation,
                     Visit&& visit) {
  const Window& w = workload.window;
  const std::vector<Tap> taps = reduction_taps(workload, accumulation);
  std::vector<int64_t> products(taps.size());
  for (int64_t oc = 0; oc < w.ofmap_channels; ++oc) {
    const int64_t group = oc / workload.group_ofmap_channels();
    const size_t scale = weight_zero_points.size() == 1 ? 0 : static_cast<size_t>(oc);
    const int64_t weight_zero_point = weight_zero_points.empty() ? 0 : weight_zero_points[scale];
    for (int64_t y = 0; y < w.ofmap_rows; ++y) {
      for (int64_t x = 0; x < w.ofmap_cols; ++x) {
        for (size_t k = 0; k < taps.size(); ++k) {
          const Tap& tap = taps[k];
          const int64_t ic = group * workload.group_ifmap_channels() + tap.channel;
          const int64_t row = y * w.stride_rows - w.pad_top + tap.row * w.dilation_rows;
          const int64_t col = x * w.stride_cols - w.pad_left + tap.col * w.dilation_cols;
          const bool inside = row >= 0 && row < w.ifmap_rows && col >= 0 && col < w.ifmap_cols;
          const int64_t at = (ic * w.ifmap_rows + row) * w.ifmap_cols + col;
          const int64_t ifmap = inside ? codes[static_cast<size_t>(at)] - ifmap_zero_point : 0;
          const int64_t weight_at = workload.weight_index(oc, tap.channel, tap.row, tap.col);
          products[k] = ifmap * (weights[static_cast<size_t>(weight_at)] - weight_zero_point);
        }
        visit(oc, products);
      }
    }
  }
}

struct RunningSum {
  int64_t sum = 0;
  int64_t low = std::numeric_limits<int64_t>::max(), high = std::numeric_limits<int64_t>::min();
  void observe() {
    low = std::min(low, sum);
    high = std::max(high, sum);
  }
};

}  // namespace

LayerSums reference_matmul(const MatmulWorkload& workload, std::span<const int32_t> codes,
                           int32_t ifmap_zero_point, std::span<const int32_t> weights,
                           std::span<const int32_t> bias, const Accumulation& accumulation,
                           std::span<const int32_t> weight_zero_points) {
  LayerSums sums;
  for_each_output(workload, codes, ifmap_zero_point, weights, weight_zero_points, accumulation,
                  [&](int64_t oc, const std::vector<int64_t>& products) {
                    const Reduction reduction =
                        reduce(accumulation, products, bias[static_cast<size_t>(oc)]);
                    sums.accumulators.push_back(reduction.value);
                    sums.overflow_counts.push_back(reduction.overflow_count);
                  });
  return sums;
}

PrefixExtremes reference_extremes(const MatmulWorkload& workload, std::span<const int32_t> codes,
                                  int32_t ifmap_zero_point, std::span<const int32_t> weights,
                                  std::span<const int32_t> bias, const Accumulation& accumulation,
                                  std::span<const int32_t> weight_zero_points) {
  PrefixExtremes extremes;
  const auto& stages = accumulation.stages;
  const int64_t all = workload.reduction_length();
  size_t first = 0;   // chain
  int64_t lanes = 1;  // products of one addition to it
  for (; stages[first].kind == Stage::Kind::kTree; ++first)
    lanes = std::min(lanes * std::min(stages[first].length, all), all);
  const bool nested = first + 1 < stages.size();
  const int64_t length =  // products of one sum of it
      nested ? std::min(lanes * std::min(stages[first].length, all), all) : all;
  for_each_output(workload, codes, ifmap_zero_point, weights, weight_zero_points, accumulation,
                  [&](int64_t oc, const std::vector<int64_t>& products) {
                    const int64_t b = bias[static_cast<size_t>(oc)];
                    const bool preload = accumulation.bias == BiasMode::kPreload;
                    RunningSum inner, outer;
                    if (preload) (nested ? outer : inner).sum = b;
                    for (int64_t k = 0; k < all; ++k) {
                      inner.sum += products[static_cast<size_t>(k)];
                      const bool last = k + 1 == all;
                      if ((k % length + 1) % lanes == 0 || last) inner.observe();
                      if (nested && ((k + 1) % length == 0 || last)) {
                        outer.sum += inner.sum;
                        outer.observe();
                        inner.sum = 0;
                      }
                    }
                    RunningSum& outermost = nested ? outer : inner;
                    if (!preload) {
                      outermost.sum += b;
                      outermost.observe();
                    }
                    extremes.sums.push_back(outermost.sum);
                    extremes.low.push_back(outermost.low);
                    extremes.high.push_back(outermost.high);
                    if (!nested) return;
                    extremes.inner_low.push_back(inner.low);
                    extremes.inner_high.push_back(inner.high);
                  });
  return extremes;
}

}  // namespace widthwise
