// The byte kernels against the scalar reference: sums in every mode, and all that a census says.
#include "sim/byte_matmul.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "sim/code_tensor.h"
#include "sim/reference.h"
#include "tests/sim/compared.h"
#include "tests/sim/random_layer.h"

namespace widthwise {
namespace {

using namespace testing_support;

// Null where this machine has none.
const KernelTable* byte_kernels() {
  for (const KernelTable* kernels : supported_kernels()) {
    if (kernels->bytes != nullptr) return kernels;
  }
  return nullptr;
}

class ByteMatmulTest : public testing::Test {
 protected:
  void SetUp() override {
    if (byte_kernels() == nullptr) GTEST_SKIP() << "this machine has no kernels for bytes";
  }
};

class Sums : public TileSink {
 public:
  explicit Sums(const RandomLayer& l)
      : values(static_cast<size_t>(l.images * l.workload().window.ofmap_elements())),
        window_(l.workload().window) {}
  void tile(int64_t channel, int64_t channels, int64_t pixel, int64_t count,
            const int32_t* sums) override {
    for (int64_t p = 0; p < count; ++p) {
      const int64_t image = (pixel + p) / window_.ofmap_pixels(),
                    inside = (pixel + p) % window_.ofmap_pixels();
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t to =
            (image * window_.ofmap_channels + channel + c) * window_.ofmap_pixels() + inside;
        values[static_cast<size_t>(to)] = sums[p * kTileChannels + c];
      }
    }
  }
  std::vector<int64_t> values;  // [images, oc, pixels]

 private:
  Window window_;
};

LayerCensus reference_census(const RandomLayer& l, const Accumulation& accumulation) {
  LayerCensus census(l.layer.bias, accumulation);
  for (int64_t image = 0; image < l.images; ++image) {
    census.add_image(reference_extremes(l.workload(), l.image(image), l.ifmap.zero_point,
                                        l.layer.weights, l.layer.bias, accumulation,
                                        l.layer.weight_zero_points));
  }
  return census;
}

// What differs first; empty: nothing.
std::string difference(const LayerCensus& got, const LayerCensus& wanted) {
  for (int64_t c = 0; c < wanted.channels(); ++c) {
    if (got.least(c) != wanted.least(c) || got.greatest(c) != wanted.greatest(c)) {
      return fmt::format("channel {}: extremes {} {} are {} {}", c, wanted.least(c),
                         wanted.greatest(c), got.least(c), got.greatest(c));
    }
    for (int bits = LayerCensus::kMinBits; bits <= LayerCensus::kMaxBits; ++bits) {
      for (const auto policy : {OverflowPolicy::kWrap, OverflowPolicy::kSaturate}) {
        const int64_t hit = got.hit(bits, policy, c), expected = wanted.hit(bits, policy, c);
        if (hit != expected) {
          return fmt::format("channel {}, {} bits, {}: {} hit are {}", c, bits,
                             overflow_policy_name(policy), expected, hit);
        }
      }
      if (got.final_misfit(bits, c) != wanted.final_misfit(bits, c))
        return fmt::format("channel {}, {} bits: misfits", c, bits);
    }
  }
  return got.outputs() == wanted.outputs() ? "" : "outputs";
}

std::vector<int64_t> reference_sums(const RandomLayer& l, const Accumulation& accumulation) {
  std::vector<int64_t> all;
  for (int64_t image = 0; image < l.images; ++image) {
    const LayerSums sums =
        reference_matmul(l.workload(), l.image(image), l.ifmap.zero_point, l.layer.weights,
                         l.layer.bias, accumulation, l.layer.weight_zero_points);
    all.insert(all.end(), sums.accumulators.begin(), sums.accumulators.end());
  }
  return all;
}

// False where the layer is refused.
bool compare(const RandomLayer& l, const Accumulation& accumulation, KernelMode mode) {
  const auto packed = pack_bytes(l.layer, l.ifmap, accumulation, mode, *byte_kernels());
  if (!packed) return false;
  CodeTensor planes;
  planes.assign_planes(l.codes);
  const Window& w = l.workload().window;
  std::vector<uint8_t> scratch;
  const auto bytes = planes.bytes({l.images, w.ifmap_channels, w.ifmap_rows * w.ifmap_cols},
                                  CodeTensor::byte_offset(l.ifmap.format), scratch);
  Sums sums(l);
  Workspace workspace;
  LayerCensus census(l.layer.bias, accumulation);
  packed->run(bytes, l.images, workspace, sums, &census);
  compared->add(l);
  const bool saturates = mode == KernelMode::kSaturate;
  Accumulation exact = accumulation;
  exact.stages = {Stage{.bits = 48}};
  EXPECT_EQ(sums.values, reference_sums(l, saturates ? accumulation : exact))
      << accumulation.describe();
  if (mode == KernelMode::kCensus) {
    EXPECT_EQ(difference(census, reference_census(l, accumulation)), "") << accumulation.describe();
  }
  return true;
}

Accumulation stages(int64_t lanes, int bits, OverflowPolicy policy, BiasMode bias) {
  return lanes == 1 ? chain(bits, policy, bias) : tree_chain(lanes, bits, policy, bias);
}

RC_GTEST_FIXTURE_PROP(ByteMatmulTest, EqualsTheReference, ()) {
  if (byte_kernels() == nullptr) return;
  LayerShape s;
  s.groups = *rc::gen::element<int64_t>(1, 1, 1, 2);
  s.group_ifmaps = *rc::gen::element<int64_t>(1, 3, 4, 8, 15, 16, 17, 40);
  s.group_ofmaps = *rc::gen::element<int64_t>(8, 15, 16, 17, 33, 65);
  s.kernel_rows = *rc::gen::inRange<int64_t>(1, 4);
  s.kernel_cols = *rc::gen::inRange<int64_t>(1, 4);
  s.dilation = *rc::gen::inRange<int64_t>(1, 3);
  s.stride = *rc::gen::inRange<int64_t>(1, 4);
  s.rows = (s.kernel_rows - 1) * s.dilation + *rc::gen::inRange<int64_t>(1, 6);
  s.cols = (s.kernel_cols - 1) * s.dilation + *rc::gen::element<int64_t>(1, 2, 5, 16, 17, 35);
  s.pad_top = *rc::gen::inRange<int64_t>(0, 3);
  s.pad_left = *rc::gen::inRange<int64_t>(0, 3);
  s.pad_bottom = *rc::gen::inRange<int64_t>(0, 3);
  s.pad_right = *rc::gen::inRange<int64_t>(0, 3);
  const IntegerFormat ifmap{*rc::gen::element(1, 2, 4, 7, 8, 8), *rc::gen::arbitrary<bool>()};
  const IntegerFormat weight{*rc::gen::element(1, 2, 4, 7, 8), *rc::gen::arbitrary<bool>()};
  const auto zero_point = *rc::gen::element<int64_t>(0, ifmap.min(), ifmap.max(), ifmap.max() / 2);
  const auto data = *rc::gen::element(Data::kUniform, Data::kExtremes, Data::kSparse);
  const auto lanes = *rc::gen::element<int64_t>(1, 1, 1, 2, 3, 4, 5, 8, 16, 20);
  const auto bits = *rc::gen::inRange(4, 26);
  const auto bias = *rc::gen::element(BiasMode::kPreload, BiasMode::kLast);
  const auto bias_magnitude = *rc::gen::element<int64_t>(0, 3, 5000, 1000000);
  const auto images = *rc::gen::inRange<int64_t>(1, 4);
  std::array order = {ReductionAxis::kChannel, ReductionAxis::kRow, ReductionAxis::kCol};
  std::rotate(order.begin(), order.begin() + *rc::gen::inRange(0, 3), order.end());
  if (*rc::gen::arbitrary<bool>()) std::swap(order[1], order[2]);
  const RandomLayer l = random_layer(s, ifmap, static_cast<int32_t>(zero_point), weight, images,
                                     data, bias_magnitude, *rc::gen::arbitrary<uint32_t>());
  Accumulation accumulation = stages(lanes, bits, OverflowPolicy::kSaturate, bias);
  accumulation.order = order;
  // Unsigned weights of 8 bits are no int8; all else is taken.
  const bool fits = weight.bits < 8 || weight.is_signed;
  const auto check = [&](KernelMode mode, bool taken) {
    const bool compared = compare(l, accumulation, mode);
    if (fits) RC_ASSERT(compared == taken);
  };
  check(KernelMode::kExact, true);
  check(KernelMode::kCensus, true);
  check(KernelMode::kSaturate, true);
  RC_ASSERT(!testing::Test::HasFailure());
}

// Chains of all widths and of lengths around what is done product by product, by tight and by wide
// bounds, and around the products whose weights are spread out together.
RC_GTEST_FIXTURE_PROP(ByteMatmulTest, ChainsEqualTheReference, ()) {
  if (byte_kernels() == nullptr) return;
  const auto length = *rc::gen::element<int64_t>(1, 5, 63, 64, 65, 127, 129, 200, 399, 401, 408,
                                                 530, 1023, 1025, 1100);
  const auto channels = *rc::gen::element<int64_t>(8, 16, 17, 64, 65, 128, 130);
  const auto rows = *rc::gen::element<int64_t>(1, 1, 2, 3),
             cols = *rc::gen::element<int64_t>(1, 2, 7);
  const IntegerFormat ifmap{*rc::gen::element(3, 8, 8), *rc::gen::arbitrary<bool>()};
  const auto zero_point = *rc::gen::element<int64_t>(0, ifmap.min(), ifmap.max(), ifmap.max() / 2);
  const IntegerFormat weight{*rc::gen::element(3, 6, 8), true};
  const auto data = *rc::gen::element(Data::kUniform, Data::kExtremes, Data::kSparse);
  const auto bits = *rc::gen::element(2, 3, 8, 12, 15, 16, 16, 17, 18, 20, 22, 24, 25, 26, 28, 31);
  const auto bias = *rc::gen::element(BiasMode::kPreload, BiasMode::kLast);
  const int64_t half = int64_t{1} << (bits - 1);
  const auto bias_magnitude = *rc::gen::element<int64_t>(0, 3, 5000, half, half + half / 8);
  const RandomLayer l = random_layer(
      point_shape(length, channels, rows, cols), ifmap, static_cast<int32_t>(zero_point), weight,
      *rc::gen::inRange<int64_t>(1, 3), data, bias_magnitude, *rc::gen::arbitrary<uint32_t>());
  const auto accumulation = stages(1, bits, OverflowPolicy::kSaturate, bias);
  const bool fits = bits < 28;
  const bool saturated = compare(l, accumulation, KernelMode::kSaturate),
             counted = compare(l, accumulation, KernelMode::kCensus);
  if (fits) RC_ASSERT(saturated && counted);
  RC_ASSERT(!testing::Test::HasFailure());
}

// The extremes of a layer's channels grow from image to image: what earlier ones leave open
// differs.
TEST_F(ByteMatmulTest, CensusOfManyPixels) {
  for (const int64_t length : {300, 500, 1100}) {
    for (const Data data : {Data::kUniform, Data::kSparse}) {
      const RandomLayer l = random_layer(point_shape(length, 20, 9, 9), {8, false}, 0, {8, true}, 4,
                                         data, 40000, static_cast<uint32_t>(length));
      for (const BiasMode bias : {BiasMode::kPreload, BiasMode::kLast}) {
        EXPECT_TRUE(compare(l, stages(1, 24, OverflowPolicy::kWrap, bias), KernelMode::kCensus));
      }
    }
  }
}

// More pixels than are saturated together, some of which stay within their bits.
TEST_F(ByteMatmulTest, ChainsThatSaturateNowAndThen) {
  const LayerShape s = point_shape(150, 130, 18, 17);
  for (const int bits : {14, 16, 17, 18, 19, 20, 21, 22}) {
    for (const Data data : {Data::kUniform, Data::kSparse}) {
      for (const IntegerFormat ifmap : {IntegerFormat{8, false}, IntegerFormat{8, true}}) {
        RandomLayer l = random_layer(s, ifmap, 0, {8, true}, 1, data, 1000, 7);
        for (size_t i = 0; i < l.codes.size(); ++i) {
          if (i / 9 % 17 < 12) l.codes[i] /= 16;  // most of the pixels of some rows
        }
        EXPECT_TRUE(compare(l, stages(1, bits, OverflowPolicy::kSaturate, BiasMode::kPreload),
                            KernelMode::kSaturate));
      }
    }
  }
}

// Sums that go up and come down again: where they are looked at, they may lie as at the start.
TEST_F(ByteMatmulTest, PeaksBetweenPoints) {
  for (const int64_t length : {384, 640, 1280}) {  // product by product, tight and wide bounds
    for (const int64_t run : {1, 2, 4, 8, 16, 32, 64}) {
      RandomLayer l = random_layer(point_shape(length, 20, 1, 2), {8, true}, 0, {8, true}, 1,
                                   Data::kUniform, 0, 1);
      for (size_t i = 0; i < l.codes.size(); ++i) l.codes[i] = i / 2 % 100 == 99 ? 3 : 7;
      for (int64_t i = 0; i < 20 * length; ++i) {
        const int64_t channel = i / length, product = i % length + channel;
        const int32_t weight = static_cast<int32_t>(5 + channel);
        l.layer.weights[static_cast<size_t>(i)] =
            product / run % 2 == channel % 2 ? weight : -weight;
      }
      for (const bool is_signed : {false, true}) {
        l.ifmap.format.is_signed = is_signed;
        for (int bits = 5; bits <= 20; ++bits) {
          const auto accumulation = stages(1, bits, OverflowPolicy::kSaturate, BiasMode::kPreload);
          EXPECT_TRUE(compare(l, accumulation, KernelMode::kSaturate)) << run << " " << bits;
        }
        EXPECT_TRUE(compare(l, stages(1, 24, OverflowPolicy::kWrap, BiasMode::kPreload),
                            KernelMode::kCensus))
            << run;
      }
    }
  }
}

// Sums that climb near to a rail and pass it for a few products at a time, or not quite: only what
// can happen between two points shows that they may.
TEST_F(ByteMatmulTest, PeaksPastTheRails) {
  constexpr int32_t kClimb = 64, kLength = 128;
  constexpr int32_t kCode = 15;  // the largest one, so that bounds are reached
  RandomLayer l = random_layer(point_shape(kLength, 8, 1, 1), {4, false}, 0, {8, true}, 1,
                               Data::kUniform, 0, 1);
  std::fill(l.codes.begin(), l.codes.end(), kCode);
  for (const int bits : {11, 13, 15, 16, 17}) {
    const int32_t half = 1 << (bits - 1), weight = half * 3 / 2048;
    for (const int32_t run : {2, 4, 8, 16, 32}) {
      for (int32_t below = 0; below < 80; ++below) {
        const int32_t sign = below % 2 == 0 ? 1 : -1;
        const int32_t climb = (half - below * half / 80) / kCode;  // of all weights
        for (int32_t i = 0; i < kLength; ++i) {
          const int32_t peaks = (i - kClimb) / run % 2 == 0 ? weight : -weight;
          const int32_t own = i < kClimb ? climb * (i + 1) / kClimb - climb * i / kClimb : peaks;
          for (int32_t c = 0; c < 8; ++c)
            l.layer.weights[static_cast<size_t>(c * kLength + i)] = sign * own;
        }
        const auto accumulation = stages(1, bits, OverflowPolicy::kSaturate, BiasMode::kPreload);
        EXPECT_TRUE(compare(l, accumulation, KernelMode::kSaturate)) << run << " " << bits;
      }
    }
  }
}

// Lengths around the blocks, points and quads of a chain, at both extremes; -128 and rails
// included.
TEST_F(ByteMatmulTest, ReductionLengthsAtTheExtremes) {
  for (const int64_t length : {1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129}) {
    const LayerShape s = point_shape(length, 20, 3, 4);
    for (const IntegerFormat ifmap : {IntegerFormat{8, false}, IntegerFormat{8, true}}) {
      const RandomLayer l = random_layer(s, ifmap, 0, {8, true}, 3, Data::kExtremes, 40000,
                                         static_cast<uint32_t>(length));
      for (const BiasMode bias : {BiasMode::kPreload, BiasMode::kLast}) {
        for (const int64_t lanes : {1, 3, 4, 8, 16}) {
          const auto accumulation = stages(lanes, 15, OverflowPolicy::kSaturate, bias);
          EXPECT_TRUE(compare(l, accumulation, KernelMode::kCensus)) << length;
          EXPECT_TRUE(compare(l, accumulation, KernelMode::kSaturate)) << length;
        }
      }
    }
  }
}

// Sums that end on a rail, one past it, and touch it on their way.
TEST_F(ByteMatmulTest, SumsOnTheRails) {
  const LayerShape s = point_shape(6, 16, 1, 1);
  for (int bits = 4; bits <= 25; ++bits) {
    RandomLayer l = random_layer(s, {8, false}, 0, {8, true}, 1, Data::kUniform, 0, 1);
    l.codes = {1, 1, 1, 1, 1, 1};
    const int32_t half = 1 << (bits - 1);
    for (int32_t c = 0; c < 16; ++c) {
      const int32_t end = c % 2 == 0 ? half - 1 : -half;
      // The bias leaves the rest to the products: up to the rail, past it, back again.
      const int32_t steps[] = {c % 4, -(c % 3), 1 - c % 2 * 2, c % 5 - 2, 0, -(c % 4)};
      std::copy(std::begin(steps), std::end(steps), l.layer.weights.begin() + c * 6);
      l.layer.bias[static_cast<size_t>(c)] = end - c % 4;
    }
    for (const int64_t lanes : {1, 2, 4, 5}) {
      const auto accumulation = stages(lanes, bits, OverflowPolicy::kSaturate, BiasMode::kPreload);
      EXPECT_TRUE(compare(l, accumulation, KernelMode::kCensus)) << bits;
      EXPECT_TRUE(compare(l, accumulation, KernelMode::kSaturate)) << bits;
    }
  }
}

// Some tiles within their bits, some not: after too many of those, tiles are no longer watched.
TEST_F(ByteMatmulTest, TreesThatSaturateNowAndThen) {
  LayerShape s{.group_ifmaps = 32, .group_ofmaps = 64, .rows = 16, .cols = 16};
  for (const int bits : {12, 14, 15, 16, 17, 18, 20, 24}) {
    for (const Data data : {Data::kUniform, Data::kSparse}) {
      RandomLayer l = random_layer(s, {8, false}, 0, {8, true}, 1, data, 1000, 7);
      for (size_t i = 0; i < l.codes.size(); ++i) {
        if (i % 256 < 128) l.codes[i] /= 16;  // the upper half of the image
      }
      EXPECT_TRUE(compare(l, stages(16, bits, OverflowPolicy::kSaturate, BiasMode::kPreload),
                          KernelMode::kSaturate));
    }
  }
}

RC_GTEST_FIXTURE_PROP(ByteMatmulTest, DepthwiseEqualsTheReference, ()) {
  if (byte_kernels() == nullptr) return;
  LayerShape s;
  s.groups = *rc::gen::element<int64_t>(1, 2, 15, 16, 17, 63, 64, 65, 130);
  s.group_ifmaps = s.group_ofmaps = 1;
  s.kernel_rows = *rc::gen::inRange<int64_t>(1, 6);
  s.kernel_cols = *rc::gen::inRange<int64_t>(1, 6);
  s.dilation = *rc::gen::inRange<int64_t>(1, 3);
  s.stride = *rc::gen::inRange<int64_t>(1, 3);
  s.rows = (s.kernel_rows - 1) * s.dilation + *rc::gen::inRange<int64_t>(1, 6);
  s.cols = (s.kernel_cols - 1) * s.dilation + *rc::gen::inRange<int64_t>(1, 9);
  s.pad_top = *rc::gen::inRange<int64_t>(0, 3);
  s.pad_left = *rc::gen::inRange<int64_t>(0, 3);
  const IntegerFormat ifmap{*rc::gen::element(1, 4, 8, 8), *rc::gen::arbitrary<bool>()};
  const auto zero_point = *rc::gen::element<int64_t>(0, ifmap.min(), ifmap.max());
  const auto data = *rc::gen::element(Data::kUniform, Data::kExtremes, Data::kSparse);
  const auto lanes = *rc::gen::element<int64_t>(1, 1, 2, 3, 4, 5, 9, 16, 30);
  const auto bits = *rc::gen::inRange(4, 26);
  const auto bias = *rc::gen::element(BiasMode::kPreload, BiasMode::kLast);
  const RandomLayer l = random_layer(
      s, ifmap, static_cast<int32_t>(zero_point), {8, true}, *rc::gen::inRange<int64_t>(1, 4), data,
      *rc::gen::element<int64_t>(0, 5000, 1000000), *rc::gen::arbitrary<uint32_t>());
  Accumulation accumulation = stages(lanes, bits, OverflowPolicy::kSaturate, bias);
  if (*rc::gen::arbitrary<bool>()) std::swap(accumulation.order[1], accumulation.order[2]);
  for (const auto mode : {KernelMode::kExact, KernelMode::kCensus, KernelMode::kSaturate})
    RC_ASSERT(compare(l, accumulation, mode));
  RC_ASSERT(!testing::Test::HasFailure());
}

// Windows side by side that share their columns; rows of all lengths around a tile's.
TEST_F(ByteMatmulTest, DepthwiseColumns) {
  for (const int64_t kernel_rows : {3, 4}) {
    for (const int64_t cols : {1, 2, 3, 5, 6, 7, 13, 20}) {
      for (const int64_t channels : {5, 64, 65, 130}) {
        for (const IntegerFormat ifmap : {IntegerFormat{8, false}, IntegerFormat{8, true}}) {
          const RandomLayer l = random_layer({.groups = channels,
                                              .group_ifmaps = 1,
                                              .group_ofmaps = 1,
                                              .rows = 4,
                                              .cols = cols,
                                              .kernel_rows = kernel_rows,
                                              .pad_left = 2},
                                             ifmap, 3, {8, true}, 2, Data::kUniform, 5000, 7);
          EXPECT_TRUE(compare(l, stages(1, 16, OverflowPolicy::kWrap, BiasMode::kPreload),
                              KernelMode::kExact))
              << kernel_rows << " " << cols << " " << channels;
        }
      }
    }
  }
}

TEST_F(ByteMatmulTest, RefusesWhatDoesNotFit) {
  const auto packs = [](IntegerFormat ifmap, IntegerFormat weight, const Accumulation& accumulation,
                        KernelMode mode, int64_t channels = 64) {
    const RandomLayer l = random_layer({.group_ifmaps = channels, .group_ofmaps = 16}, ifmap, 0,
                                       weight, 1, Data::kExtremes, 0, 1);
    return ByteMatmul::pack(l.layer, l.ifmap, accumulation, mode, *byte_kernels()).has_value();
  };
  const auto saturate = OverflowPolicy::kSaturate;
  EXPECT_TRUE(packs({8, true}, {8, true}, chain(24, saturate), KernelMode::kExact));
  EXPECT_FALSE(packs({9, false}, {8, true}, chain(24, saturate), KernelMode::kExact));
  EXPECT_FALSE(packs({8, false}, {8, false}, chain(24, saturate), KernelMode::kExact));
  EXPECT_FALSE(packs({8, false}, {8, true}, tree_chain(16, 24, OverflowPolicy::kSaturateZero),
                     KernelMode::kSaturate));
  EXPECT_FALSE(packs({8, false}, {8, true}, tree_chain(16, 30, saturate), KernelMode::kSaturate));
  EXPECT_FALSE(packs({8, false}, {8, true}, chain(24, saturate), KernelMode::kCensus, 1000));
  Accumulation nested = chain(24, saturate);
  nested.stages.insert(nested.stages.begin(), Stage{.length = 4, .bits = 12});
  EXPECT_FALSE(packs({8, false}, {8, true}, nested, KernelMode::kCensus));
  EXPECT_TRUE(packs({8, false}, {8, true}, nested, KernelMode::kExact));
}

}  // namespace
}  // namespace widthwise
