#include <gtest/gtest.h>

#include "codegen/vectors.h"
#include "cosim_support.h"

namespace widthwise {
namespace {

struct ArrayCase {
  const char* name;
  Accelerator accelerator;
  PortWidths widths;
  int64_t max_length;
};
void PrintTo(const ArrayCase& c, std::ostream* stream) { *stream << c.name; }

constexpr auto kWrap = OverflowPolicy::kWrap;
constexpr auto kSaturate = OverflowPolicy::kSaturate;

const ArrayCase kArrays[] = {
    // 24 bits overflow only when every product is at a rail: 24 beats of 16 * 255 * 128 suffice.
    {"Int8Lanes16Acc24Saturate",
     make_accelerator(4, 8, {8, false}, {8, true}, 16, 24, kSaturate),
     {},
     400},
    {"Int4Lanes16Acc10Wrap", make_accelerator(3, 5, {4, false}, {4, true}, 16, 10, kWrap), {}, 70},
    {"Int4Lanes3Acc12SaturateBiasLast",
     make_accelerator(3, 2, {4, true}, {4, true}, 3, 12, kSaturate, BiasMode::kLast),
     {},
     260},
    {"Lane1Acc4WrapCount3",
     make_accelerator(2, 3, {2, false}, {2, true}, 1, 4, kWrap),
     {.bias_bits = 8, .count_bits = 3},
     130},
    {"BinaryUnsignedAcc2",
     make_accelerator(1, 1, {1, false}, {1, false}, 5, 2, kSaturate),
     {.bias_bits = 1, .count_bits = 1},
     40},
    // A signed weight of 1 bit is -1 or +1.
    {"BinaryWeights",
     make_accelerator(2, 2, {3, true}, {1, true}, 4, 5, kSaturate, BiasMode::kLast),
     {.bias_bits = 6},
     70},
    // The sums of 17 products of 16 bits are wider than the accumulator.
    {"Int16Lanes17Acc48",
     make_accelerator(2, 1, {16, true}, {16, false}, 17, 48, kSaturate),
     {.bias_bits = 48, .count_bits = 32},
     140},
};

class ArrayCosim : public testing::TestWithParam<ArrayCase> {};

TEST_P(ArrayCosim, MatchesReferenceBitForBitAndInCycles) {
  const ArrayCase& param = GetParam();
  const ArrayParameters array = array_parameters(param.accelerator, param.widths);
  const auto tiles =
      operand_cosim_tiles(param.accelerator, made_up_tiles(array, param.max_length, 7));
  const CosimFolders folders;
  CosimOptions options = folders.options();
  options.generate.widths = param.widths;
  const CosimResult result = cosimulate(param.accelerator, tiles, options);
  EXPECT_TRUE(match(result));
  int64_t outputs = 0, macs = 0, beats = 0;
  for (const CosimTile& tile : tiles) {
    outputs += tile.operands.outputs();
    macs += tile.operands.macs();
    beats += array.beats(tile.operands.reduction_length);
  }
  EXPECT_EQ(result.outputs_compared, 2 * outputs);
  EXPECT_EQ(result.macs_compared, 2 * macs);
  EXPECT_EQ(result.cycles_measured, beats + 3);  // product, tree and accumulator register
  if (array.acc_bits < 48) {
    EXPECT_GT(result.overflowing_additions, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Arrays, ArrayCosim, testing::ValuesIn(kArrays),
                         [](const auto& test) { return test.param.name; });

// The bench's expected values come from codegen, the co-simulation's from sim.
TEST(TwoRoutes, CodegenAndSimAgreeOnEveryMadeUpTile) {
  for (const ArrayCase& param : kArrays) {
    const ArrayParameters array = array_parameters(param.accelerator, param.widths);
    for (const CosimTile& tile :
         operand_cosim_tiles(param.accelerator, made_up_tiles(array, 70, 11))) {
      const auto results = expected_results(array, tile.operands);
      ASSERT_EQ(results.size(), tile.expected.size());
      for (size_t i = 0; i < results.size(); ++i) {
        ASSERT_EQ(results[i].psum, tile.expected[i].value) << param.name;
        ASSERT_EQ(results[i].overflow_count,
                  std::min(tile.expected[i].overflow_count, array.max_count()))
            << param.name;
      }
    }
  }
}

}  // namespace
}  // namespace widthwise
