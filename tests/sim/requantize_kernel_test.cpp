// The requantizing loops of every instruction set against core's definitions.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "sim/kernel.h"
#include "sim/vector_requantize.h"

namespace widthwise {
namespace {

constexpr int64_t kCount = 131;  // whole vectors and a rest on every instruction set

std::vector<int32_t> extreme_sums(std::mt19937& random) {
  std::vector<int32_t> sums = {0, 1, -1, INT32_MAX, INT32_MIN, INT32_MAX - 1, INT32_MIN + 1};
  for (int bits = 1; bits < 31; ++bits) {  // ties and their neighbours
    for (const int32_t offset : {-1, 0, 1}) sums.push_back((1 << bits) + offset);
  }
  while (std::ssize(sums) < kCount) {
    sums.push_back(static_cast<int32_t>(random()) >> (random() % 31));
  }
  return sums;
}

// --- the loops as they are called ---

TEST(RequantizeKernel, MultiplierAndShiftAtEveryShift) {
  std::mt19937 random(1);
  for (const KernelTable* kernels : supported_kernels()) {
    for (int shift = 1; shift <= 62; ++shift) {
      for (const Rounding rounding : {Rounding::kHalfUp, Rounding::kFloor}) {
        const int64_t multipliers[] = {
            0, 1, INT32_MAX, 1 << 15, int64_t{1} << 30, static_cast<int64_t>(random() >> 1)};
        for (const int64_t multiplier : multipliers) {
          const std::vector<int32_t> sums = extreme_sums(random);
          std::vector<int32_t> codes(kCount, 12345);
          RequantizeJob job;
          job.sums = sums.data();
          job.count = kCount;
          job.multiplier = multiplier;
          job.shift = shift;
          if (rounding == Rounding::kHalfUp) job.rounding_addend = int64_t{1} << (shift - 1);
          job.zero_point = -7;
          job.q_min = -128;
          job.q_max = shift % 2 != 0 ? 127 : 32767;
          job.codes = codes.data();
          kernels->requantize(job);
          for (size_t i = 0; i < sums.size(); ++i) {
            const __int128 exact =
                shift_rounded(static_cast<__int128>(sums[i]) * multiplier, shift, rounding) - 7;
            const auto wanted = exact < job.q_min   ? job.q_min
                                : exact > job.q_max ? job.q_max
                                                    : int32_t(exact);
            ASSERT_EQ(codes[i], wanted)
                << kernels->name << ": " << sums[i] << " * " << multiplier << " >> " << shift;
          }
        }
      }
    }
  }
}

TEST(RequantizeKernel, WritesNoCodeBeyondTheCount) {
  for (const KernelTable* kernels : supported_kernels()) {
    for (int64_t count = 0; count <= 40; ++count) {
      const std::vector<int32_t> sums(64, 1000), second(64, 3);
      std::vector<int32_t> codes(64, 99);
      RequantizeJob job;
      job.sums = sums.data();
      job.count = count;
      job.multiplier = 1;
      job.shift = 4;
      job.q_max = 255;
      job.codes = codes.data();
      kernels->requantize(job);
      ElementwiseJob add;
      add.first = sums.data();
      add.second = second.data();
      add.count = count;
      add.first_multiplier = add.second_multiplier = 1;
      add.shift = 1;
      add.q_max = 1000;
      add.codes = codes.data();
      for (int64_t i = 0; i < 64; ++i) ASSERT_EQ(codes[size_t(i)], i < count ? 62 : 99);
      kernels->elementwise(add);
      for (int64_t i = 0; i < 64; ++i) ASSERT_EQ(codes[size_t(i)], i < count ? 501 : 99);
    }
  }
}

// --- as the layers use them: every kind, fast or not, equals the scalar requantizer ---

std::vector<RequantizeConfig> configs() {
  using Kind = RequantizeConfig::Kind;
  std::vector<RequantizeConfig> all = {
      {.kind = Kind::kFloat32},
      {.kind = Kind::kGemmlowp},
      {.kind = Kind::kGemmlowp, .gemmlowp_rounding = GemmlowpRounding::kSingle}};
  for (const Rounding rounding : kRoundings) {
    for (const int bits : {2, 15, 16, 24, 31}) {
      all.push_back({Kind::kMultiplierShift, bits, rounding});
    }
    all.push_back({.kind = Kind::kPowerOfTwo, .rounding = rounding});
  }
  return all;
}

float draw_scale(std::mt19937& random, bool power_of_two, int low, int high) {
  const double exponent = low + static_cast<double>(random() % 1000) / 1000 * (high - low);
  return static_cast<float>(std::exp2(power_of_two ? std::floor(exponent) : exponent));
}

IntegerFormat draw_format(std::mt19937& random) {
  return {1 + static_cast<int>(random() % 16), random() % 2 != 0};
}
int32_t draw_code(std::mt19937& random, IntegerFormat f) {
  if (random() % 4 == 0) return static_cast<int32_t>(random() % 2 != 0 ? f.min() : f.max());
  return static_cast<int32_t>(f.min() + static_cast<int64_t>(random()) % (f.max() - f.min() + 1));
}

TEST(ChannelRequantizer, EqualsTheScalarOneForEveryKind) {
  std::mt19937 random(2);
  for (const RequantizeConfig& config : configs()) {
    const bool shift_only = config.kind == RequantizeConfig::Kind::kPowerOfTwo;
    for (int trial = 0; trial < 60; ++trial) {
      // From a ratio of 2^-40 (everything is 0) to 2^8 (a left shift for some multipliers).
      const float ifmap = draw_scale(random, shift_only, -20, 4);
      const float weight = draw_scale(random, shift_only, -20, 4);
      const IntegerFormat format = draw_format(random);
      const TensorQuantization ofmap{.format = format,
                                     .scale = draw_scale(random, shift_only, -8, 0),
                                     .zero_point = draw_code(random, format)};
      const auto q_min = static_cast<int32_t>(trial % 2 != 0 ? ofmap.zero_point : format.min());
      const auto q_max = static_cast<int32_t>(format.max());
      const Requantizer scalar(config, ifmap, weight, ofmap.scale, ofmap.zero_point, q_min, q_max);
      const std::vector<int32_t> sums = extreme_sums(random);
      for (const KernelTable* kernels : supported_kernels()) {
        const ChannelRequantizer row(scalar, config, ofmap.zero_point, q_min, q_max, *kernels);
        std::vector<int32_t> codes(kCount);
        row.run(sums.data(), kCount, codes.data());
        for (size_t i = 0; i < sums.size(); ++i) {
          ASSERT_EQ(codes[i], scalar(sums[i]))
              << kernels->name << ", " << requantize_kind_name(config.kind) << ", "
              << config.multiplier_bits << " bits, " << rounding_name(config.rounding) << ", sum "
              << sums[i] << ", scales " << ifmap << " " << weight << " " << ofmap.scale;
        }
      }
    }
  }
}

TEST(RowRequantizer, EqualsTheScalarOneForOneAndTwoOperands) {
  std::mt19937 random(3);
  for (const RequantizeConfig& config : configs()) {
    const bool shift_only = config.kind == RequantizeConfig::Kind::kPowerOfTwo;
    for (int trial = 0; trial < 60; ++trial) {
      std::vector<TensorQuantization> operands;
      for (int i = 0; i < 1 + trial % 2; ++i) {
        const IntegerFormat format = draw_format(random);
        operands.push_back({.format = format,
                            .scale = draw_scale(random, shift_only, -12, 2),
                            .zero_point = draw_code(random, format)});
      }
      const IntegerFormat format = draw_format(random);
      const TensorQuantization ofmap{.format = format,
                                     .scale = draw_scale(random, shift_only, -12, 2),
                                     .zero_point = draw_code(random, format)};
      const auto q_min = static_cast<int32_t>(format.min()),
                 q_max = static_cast<int32_t>(format.max());
      std::vector<ElementwiseRequantizer::Operand> plain;
      for (const auto& q : operands) plain.push_back({q.scale, q.zero_point, q.format.bits});
      const ElementwiseRequantizer scalar(config, plain, ofmap.scale, ofmap.zero_point, q_min,
                                          q_max);
      std::vector<int32_t> first, second;
      for (int64_t i = 0; i < kCount; ++i) {
        first.push_back(draw_code(random, operands.front().format));
        second.push_back(draw_code(random, operands.back().format));
      }
      for (const KernelTable* kernels : supported_kernels()) {
        const RowRequantizer row(config, operands, ofmap, q_min, q_max, *kernels);
        std::vector<int32_t> codes(kCount);
        row.run(first.data(), operands.size() == 2 ? second.data() : nullptr, kCount, codes.data());
        for (size_t i = 0; i < codes.size(); ++i) {
          const int32_t wanted =
              operands.size() == 2 ? scalar(first[i], second[i]) : scalar(first[i]);
          ASSERT_EQ(codes[i], wanted)
              << kernels->name << ", " << requantize_kind_name(config.kind) << ", "
              << config.multiplier_bits << " bits, " << rounding_name(config.rounding) << ", codes "
              << first[i] << " " << second[i];
        }
      }
    }
  }
}

}  // namespace
}  // namespace widthwise
