#include "codegen/stimulus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "codegen/vectors.h"
#include "codegen_support.h"

namespace widthwise {
namespace {

using testing::ElementsAre;

// 2 channels of 2 x 2, kernel 2 x 1, padded by one row above: ifmap codes 1..8, weights 1..4.
struct SmallConvolution {
  QuantizedLayer layer;
  TensorQuantization ifmap{{4, false}, 1, 9};
  std::vector<int32_t> codes = {1, 2, 3, 4, 5, 6, 7, 8};

  SmallConvolution() {
    MatmulWorkload workload;
    workload.window = {.ifmap_channels = 2,
                       .ifmap_rows = 2,
                       .ifmap_cols = 2,
                       .ofmap_rows = 2,
                       .ofmap_cols = 2,
                       .kernel_rows = 2,
                       .pad_top = 1};
    layer.workload = workload;
    layer.weights = {1, 2, 3, 4};
    layer.bias = {-5};
  }
};

TEST(LayerTile, FollowsTheOrderAndFeedsPaddingTheZeroPoint) {
  const SmallConvolution c;
  Accumulation accumulation;
  TileOperands tile = layer_tile(c.layer, c.ifmap, c.codes, accumulation, {{1, 3}, {0}});
  EXPECT_THAT(tile.ifmap[0], ElementsAre(9, 2, 9, 6));  // y 0: the upper tap is padded
  EXPECT_THAT(tile.ifmap[1], ElementsAre(2, 4, 6, 8));
  EXPECT_THAT(tile.weight[0], ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(tile.bias, ElementsAre(-5));
  accumulation.order = {ReductionAxis::kRow, ReductionAxis::kCol, ReductionAxis::kChannel};
  tile = layer_tile(c.layer, c.ifmap, c.codes, accumulation, {{1, 3}, {0}});
  EXPECT_THAT(tile.ifmap[0], ElementsAre(9, 9, 2, 6));
  EXPECT_THAT(tile.weight[0], ElementsAre(1, 3, 2, 4));
}

TEST(Beats, UnusedLanesRowsAndColumnsAreHarmless) {
  ArrayParameters array;
  array.rows = array.cols = 2;
  array.lanes = 3;
  array.ifmap = array.weight = {8, false};
  array.bias_bits = 8;
  array.bias = BiasMode::kLast;
  const TileOperands tile{4, 9, {{1, 2, 3, 4}}, {{5, 6, 7, 8}}, {-1}};
  std::vector<Beat> beats;
  for_each_beat(array, tile, [&](const Beat& beat) { beats.push_back(beat); });
  ASSERT_EQ(beats.size(), 3U);  // ceil(4 / 3), and the bias
  EXPECT_EQ(beats[0].ifmap.hex(), "090909030201");
  EXPECT_EQ(beats[1].ifmap.hex(), "090909090904");
  EXPECT_EQ(beats[0].weight.hex(), "000000070605");
  EXPECT_EQ(beats[1].weight.hex(), "000000000008");
  EXPECT_EQ(beats[2].bias.hex(), "00ff");
  EXPECT_TRUE(beats[0].first && !beats[0].last && !beats[1].last);
  EXPECT_TRUE(beats[2].last && beats[2].bias_beat && !beats[2].first && !beats[1].bias_beat);
}

// (1 - 9) * 5 + ... = -40 - 42 - 42 | - 40: the first addition of a 7-bit accumulator overflows.
TEST(ExpectedResults, CountsByHand) {
  ArrayParameters array;
  array.lanes = 3;
  array.acc_bits = 7;
  array.overflow = OverflowPolicy::kSaturate;
  const TileOperands tile{4, 9, {{1, 2, 3, 4}}, {{5, 6, 7, 8}}, {100}};
  // Start: 100 -> 63, not counted; 63 - 124 = -61; -61 - 40 = -101 -> -64, counted.
  EXPECT_EQ(expected_results(array, tile), (std::vector<PeResult>{{-64, 1}}));
  array.overflow = OverflowPolicy::kWrap;
  // Start: 100 -> -28; -28 - 124 = -152 -> -24; -24 - 40 = -64.
  EXPECT_EQ(expected_results(array, tile), (std::vector<PeResult>{{-64, 1}}));
}

TEST(Tiles, CoverEveryOutputOnceAndStayInTheirGroup) {
  ArrayParameters array;
  array.rows = 4;
  array.cols = 2;
  MatmulWorkload workload;
  workload.window = {.ifmap_channels = 4,
                     .ifmap_rows = 3,
                     .ifmap_cols = 3,
                     .ofmap_channels = 6,
                     .ofmap_rows = 3,
                     .ofmap_cols = 3};
  workload.groups = 2;
  std::set<std::pair<int64_t, int64_t>> outputs;
  const auto tiles = all_tiles(array, workload);
  EXPECT_EQ(tiles.size(), 2U * 2U * 3U);  // groups, ceil(3 / 2) channels, ceil(9 / 4) pixels
  for (const TileChoice& tile : tiles) {
    EXPECT_EQ(tile.channels.front() / 3, tile.channels.back() / 3);
    for (const int64_t channel : tile.channels) {
      for (const int64_t pixel : tile.pixels) EXPECT_TRUE(outputs.insert({channel, pixel}).second);
    }
  }
  EXPECT_EQ(outputs.size(), 6U * 9U);
}

TEST(PickTiles, KeepsTheBudgetAndTakesTheCorners) {
  ArrayParameters array;
  array.rows = array.cols = 4;
  MatmulWorkload workload;
  workload.window = {.ifmap_channels = 8,
                     .ifmap_rows = 16,
                     .ifmap_cols = 16,
                     .ofmap_channels = 16,
                     .ofmap_rows = 16,
                     .ofmap_cols = 16,
                     .kernel_rows = 3,
                     .kernel_cols = 3,
                     .pad_top = 1,
                     .pad_left = 1,
                     .pad_bottom = 1,
                     .pad_right = 1};
  const int64_t tile_macs = 4 * 4 * 8 * 9;
  const auto tiles = pick_tiles(array, workload, 10 * tile_macs + 1);
  EXPECT_EQ(tiles.size(), 10U);
  EXPECT_EQ(tiles[0].pixels.front(), 0);
  EXPECT_EQ(tiles[1].pixels.back(), 255);
  EXPECT_EQ(tiles[1].channels.back(), 15);
  EXPECT_EQ(pick_tiles(array, workload, 0).size(), 1U);
  const size_t all = all_tiles(array, workload).size();
  EXPECT_EQ(pick_tiles(array, workload, int64_t{1} << 40).size(), all);
}

TEST(MadeUpTiles, StayInsideTheFormatsAndHoldEveryLengthAroundTheLanes) {
  ArrayParameters array;
  array.rows = 2;
  array.lanes = 6;
  array.ifmap = {3, true};
  array.weight = {2, false};
  std::set<int64_t> lengths;
  for (const TileOperands& tile : made_up_tiles(array, 17, 1)) {
    lengths.insert(tile.reduction_length);
    EXPECT_TRUE(array.ifmap.holds(tile.zero_point));
    for (const auto& row : tile.ifmap) {
      for (const int32_t code : row) ASSERT_TRUE(array.ifmap.holds(code));
    }
    for (const auto& column : tile.weight) {
      for (const int32_t code : column) ASSERT_TRUE(array.weight.holds(code));
    }
  }
  EXPECT_THAT(lengths, testing::IsSupersetOf({1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17}));
  EXPECT_EQ(*lengths.rbegin(), 17);
}

TEST(PackedBits, FieldsCrossWords) {
  PackedBits bits;
  bits.append(-1, 30);
  bits.append(0x155, 9);
  bits.append(int64_t{1} << 47, 48);
  EXPECT_EQ(bits.bits(), 87);
  EXPECT_EQ(bits.words(), (std::vector<uint32_t>{0x7fffffff, 0x00000055, 0x00400000}));
  EXPECT_EQ(bits.hex(), "400000000000557fffffff");
}

}  // namespace
}  // namespace widthwise
