// The normative arithmetic against SystemC's fixed-point types: every policy, width, stage list and
// order of reduction, in chains of sc_fix that know nothing of ours.
#include "sim/reference.h"

#include <gtest/gtest.h>

#include <random>
#include <systemc>

int sc_main(int, char*[]) { return 0; }  // the library asks for one

namespace widthwise {
namespace {

using sc_dt::sc_fix;
using sc_dt::sc_fxval;

sc_dt::sc_o_mode mode_of(OverflowPolicy policy) {
  switch (policy) {
    case OverflowPolicy::kSaturate:
      return sc_dt::SC_SAT;
    case OverflowPolicy::kSaturateZero:
      return sc_dt::SC_SAT_ZERO;
    case OverflowPolicy::kSaturateSymmetric:
      return sc_dt::SC_SAT_SYM;
    case OverflowPolicy::kWrapSignMagnitude:
      return sc_dt::SC_WRAP_SM;
    default:
      return sc_dt::SC_WRAP;
  }
}

// Sums that do not fit are counted by their values.
struct Chain {
  sc_fix value;
  int64_t overflows = 0;

  Chain(const Stage& stage, const sc_fxval& start)
      : value(stage.bits, stage.bits, sc_dt::SC_TRN, mode_of(stage.overflow),
              stage.saturated_bits) {
    value = start;
  }
  void add(const sc_fxval& addend) {
    const sc_fxval exact = value + addend;
    value = exact;
    overflows += value != exact;
  }
};

Reduction reduce_in_systemc(const Accumulation& accumulation, const std::vector<int64_t>& products,
                            int64_t bias) {
  std::vector<sc_fxval> addends;
  for (const int64_t product : products) addends.emplace_back(product);
  int64_t overflows = 0;
  for (size_t s = 0; s < accumulation.stages.size(); ++s) {
    const Stage& stage = accumulation.stages[s];
    const bool last = s + 1 == accumulation.stages.size();
    std::vector<sc_fxval> results;
    for (size_t first = 0; first < addends.size();) {
      const size_t left = addends.size() - first;
      const size_t count =
          stage.length == Stage::kAll ? left : std::min(left, static_cast<size_t>(stage.length));
      if (stage.kind == Stage::Kind::kTree) {
        sc_fxval sum(0);
        for (size_t i = 0; i < count; ++i) sum = sum + addends[first + i];
        results.push_back(sum);
      } else {
        Chain chain(stage, sc_fxval(last && accumulation.bias == BiasMode::kPreload ? bias : 0));
        for (size_t i = 0; i < count; ++i) chain.add(addends[first + i]);
        if (last && accumulation.bias == BiasMode::kLast) chain.add(sc_fxval(bias));
        results.emplace_back(chain.value);
        overflows += chain.overflows;
      }
      first += count;
    }
    addends = results;
  }
  return {.value = addends.at(0).to_int64(), .overflow_count = overflows};
}

class Drawn {
 public:
  explicit Drawn(uint32_t seed) : random_(seed) {}
  int64_t number(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  bool one_in(int n) { return number(1, n) == 1; }
  // Codes of a format, often its ends.
  int32_t code(const IntegerFormat& f) {
    if (one_in(4)) return static_cast<int32_t>(one_in(2) ? f.min() : f.max());
    return static_cast<int32_t>(number(f.min(), f.max()));
  }
  IntegerFormat format() { return {static_cast<int>(number(1, 16)), one_in(2)}; }
  // Chains whose width is near what the products need, so that they overflow now and then.
  Stage chain(int64_t length, int needed) {
    Stage stage{
        .length = length,
        .bits = static_cast<int>(std::clamp<int64_t>(needed + number(-6, 2), 2, 48)),
        .overflow =
            kOverflowPolicies[static_cast<size_t>(number(0, std::ssize(kOverflowPolicies) - 1))]};
    if (stage.overflow == OverflowPolicy::kWrapSaturatedBits)
      stage.saturated_bits = static_cast<int>(number(1, stage.bits));
    return stage;
  }
  Accumulation accumulation(int needed) {
    Accumulation a;
    std::shuffle(a.order.begin(), a.order.end(), random_);
    a.bias = one_in(2) ? BiasMode::kPreload : BiasMode::kLast;
    a.stages.clear();
    if (one_in(2)) a.stages.push_back({.kind = Stage::Kind::kTree, .length = number(2, 17)});
    if (one_in(2)) a.stages.push_back(chain(number(2, 9), needed));
    a.stages.push_back(chain(Stage::kAll, needed + 2));
    return a;
  }

 private:
  std::mt19937 random_;
};

TEST(ReferenceInSystemC, EveryStageListAndPolicy) {
  constexpr int kReductions = 40000;
  int64_t products_seen = 0, overflows = 0, outside = 0;
  std::map<OverflowPolicy, int64_t> by_policy;
  for (uint32_t seed = 1; seed <= kReductions; ++seed) {
    Drawn drawn(seed);
    const IntegerFormat ifmap = drawn.format(), weight = drawn.format();
    const int needed = ifmap.bits + weight.bits;
    const Accumulation accumulation = drawn.accumulation(needed);
    std::vector<int64_t> products;
    for (int64_t k = drawn.number(1, 65); k > 0; --k)
      products.push_back(int64_t{drawn.code(ifmap)} * drawn.code(weight));
    const int64_t bias = drawn.number(-(int64_t{1} << needed), int64_t{1} << needed);
    const Reduction found = reduce(accumulation, products, bias),
                    wanted = reduce_in_systemc(accumulation, products, bias);
    ASSERT_EQ(found.value, wanted.value) << "seed " << seed << ", " << accumulation.describe();
    ASSERT_EQ(found.overflow_count, wanted.overflow_count) << "seed " << seed;
    products_seen += std::ssize(products);
    overflows += found.overflow_count;
    outside += found.overflow_count > 0;
    by_policy[accumulation.outermost().overflow] += found.overflow_count;
  }
  EXPECT_GT(products_seen, 1000000);
  EXPECT_GT(overflows, 100000);
  EXPECT_GT(outside, kReductions / 4);
  EXPECT_EQ(by_policy.size(), kOverflowPolicies.size());
  for (const auto& [policy, count] : by_policy)
    EXPECT_GT(count, 5000) << overflow_policy_name(policy);
}

// A convolution by its definition, its products in the order that the description says.
std::vector<Reduction> convolve(const MatmulWorkload& workload, const std::vector<int32_t>& codes,
                                int32_t zero_point, const std::vector<int32_t>& weights,
                                int32_t weight_zero_point, const std::vector<int32_t>& bias,
                                const Accumulation& accumulation) {
  const Window& w = workload.window;
  const int64_t group_in = w.ifmap_channels / workload.groups,
                group_out = w.ofmap_channels / workload.groups;
  const int64_t extents[] = {group_in, w.kernel_rows, w.kernel_cols};
  std::vector<Reduction> results;
  for (int64_t oc = 0; oc < w.ofmap_channels; ++oc) {
    for (int64_t y = 0; y < w.ofmap_rows * w.ofmap_cols; ++y) {
      std::vector<int64_t> products;
      int64_t at[3];
      const auto axis = [&](int i) { return static_cast<size_t>(accumulation.order[size_t(i)]); };
      for (at[axis(0)] = 0; at[axis(0)] < extents[axis(0)]; ++at[axis(0)]) {
        for (at[axis(1)] = 0; at[axis(1)] < extents[axis(1)]; ++at[axis(1)]) {
          for (at[axis(2)] = 0; at[axis(2)] < extents[axis(2)]; ++at[axis(2)]) {
            const int64_t row =
                y / w.ofmap_cols * w.stride_rows + at[1] * w.dilation_rows - w.pad_top;
            const int64_t col =
                y % w.ofmap_cols * w.stride_cols + at[2] * w.dilation_cols - w.pad_left;
            const int64_t channel = oc / group_out * group_in + at[0];
            const bool padded = row < 0 || col < 0 || row >= w.ifmap_rows || col >= w.ifmap_cols;
            const int64_t x = padded ? 0
                                     : codes[static_cast<size_t>(
                                           (channel * w.ifmap_rows + row) * w.ifmap_cols + col)] -
                                           zero_point;
            const int64_t k =
                ((oc * group_in + at[0]) * w.kernel_rows + at[1]) * w.kernel_cols + at[2];
            products.push_back(x * (weights[static_cast<size_t>(k)] - weight_zero_point));
          }
        }
      }
      results.push_back(reduce_in_systemc(accumulation, products, bias[static_cast<size_t>(oc)]));
    }
  }
  return results;
}

TEST(ReferenceInSystemC, Convolutions) {
  constexpr int kLayers = 1500;
  int64_t outputs = 0, hit = 0;
  for (uint32_t seed = 1; seed <= kLayers; ++seed) {
    Drawn drawn(1000 + seed);
    const IntegerFormat ifmap = drawn.format(), weight = drawn.format();
    MatmulWorkload workload;
    Window& w = workload.window;
    workload.groups = drawn.number(1, 2);
    w.ifmap_channels = workload.groups * drawn.number(1, 3);
    w.ofmap_channels = workload.groups * drawn.number(1, 2);
    w.kernel_rows = drawn.number(1, 3), w.kernel_cols = drawn.number(1, 3);
    w.stride_rows = drawn.number(1, 2), w.stride_cols = drawn.number(1, 2);
    w.dilation_rows = drawn.number(1, 2), w.dilation_cols = drawn.number(1, 2);
    w.pad_top = drawn.number(0, 2), w.pad_left = drawn.number(0, 2);
    w.ifmap_rows = drawn.number(1, 5), w.ifmap_cols = drawn.number(1, 5);
    w.ofmap_rows = drawn.number(1, 3), w.ofmap_cols = drawn.number(1, 3);  // the rest are pads
    const auto codes_of = [&](const IntegerFormat& format, int64_t count) {
      std::vector<int32_t> codes;
      for (int64_t i = 0; i < count; ++i) codes.push_back(drawn.code(format));
      return codes;
    };
    const std::vector<int32_t> codes = codes_of(ifmap, w.ifmap_elements()),
                               weights = codes_of(weight, workload.weight_elements()),
                               bias = codes_of({16, true}, w.ofmap_channels);
    const int32_t zero_point = drawn.code(ifmap), weight_zero_point = drawn.code(weight);
    const Accumulation accumulation = drawn.accumulation(ifmap.bits + weight.bits);
    const LayerSums found = reference_matmul(workload, codes, zero_point, weights, bias,
                                             accumulation, std::vector{weight_zero_point});
    const auto wanted =
        convolve(workload, codes, zero_point, weights, weight_zero_point, bias, accumulation);
    ASSERT_EQ(found.accumulators.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(found.accumulators[i], wanted[i].value) << "seed " << seed << ", output " << i;
      ASSERT_EQ(found.overflow_counts[i], wanted[i].overflow_count) << "seed " << seed;
      hit += wanted[i].overflow_count > 0;
      ++outputs;
    }
  }
  EXPECT_GT(outputs, 10000);
  EXPECT_GT(hit, outputs / 10);
}

}  // namespace
}  // namespace widthwise
