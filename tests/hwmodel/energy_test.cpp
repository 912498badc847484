#include "hwmodel/energy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "hwmodel/additions.h"
#include "hwmodel/area.h"
#include "hwmodel_test_support.h"

namespace widthwise {
namespace {

using hwmodel_test::dot_tree;
using hwmodel_test::matmul;
using hwmodel_test::refusal;
using testing::HasSubstr;

const CostTable& unit() {
  static const CostTable table = load_cost_table("unit");
  return table;
}

std::map<std::string, int64_t> counts(const LayerEnergy& energy) {
  std::map<std::string, int64_t> by_name;
  for (const CountedAction& action : energy.actions) by_name[action.what] += action.count;
  return by_name;
}

// 2 groups of 5 pixels x 3 channels x 10 products on 2 x 2 PEs of 4 lanes. Per output: two full
// trees of 4 and one of 2 products, 3 chain additions.
TEST(Energy, IsCountedByHand) {
  const Accelerator array = dot_tree(2, 2, 4, 24, BiasMode::kPreload);
  const MatmulWorkload workload = matmul(5, 3, 10, 2);
  const LayerEnergy energy =
      matmul_energy(workload, {8, 4, 20, 8}, array.datapath.accumulation, array, unit());
  const std::map<std::string, int64_t> expected = {
      {"multiplication", 300},         // 2 * 5 * 3 * 10
      {"tree level 1 addition", 150},  // 30 outputs * (2 + 2 + 1)
      {"tree level 2 addition", 60},   // 30 * (1 + 1)
      {"accumulator addition", 90},    // 30 * 3
      {"ifmap SRAM read", 25},         // 2 * ceil(3 / 2) * 5 * 10 = 200 codes of 8 bits
      {"weight SRAM read", 12},        // 2 * ceil(5 / 2) * 3 * 10 = 180 codes of 4 bits: 11.25
      {"ofmap SRAM write", 4},         // 30 codes of 8 bits: 3.75
      {"ifmap DRAM read", 13},         // 2 * 5 * 10 codes of 8 bits: 12.5
      {"weight DRAM read", 4},         // 2 * 3 * 10 codes of 4 bits: 3.75
      {"ofmap DRAM write", 4},
  };
  EXPECT_EQ(counts(energy), expected);
  EXPECT_EQ(energy.compute_pj, 300 + 150 + 60 + 90);
  EXPECT_EQ(energy.sram_pj, 25 + 12 + 4);
  EXPECT_EQ(energy.dram_pj, 13 + 4 + 4);
  EXPECT_EQ(energy.total_pj(), 662);
  EXPECT_EQ(energy.actions[0].bits, 8);
  EXPECT_EQ(energy.actions[0].other_bits, 4);
  EXPECT_EQ(energy.actions[1].bits, 13);  // a product has 12 bits
  EXPECT_EQ(energy.actions[2].bits, 14);
  EXPECT_EQ(energy.actions[3].bits, 20);
  EXPECT_EQ(energy.actions[5].moved_bits, 720);
}

TEST(Energy, Float32HasTheSameCountsAndWiderWords) {
  const Accelerator array = dot_tree(2, 2, 4, 24, BiasMode::kLast);
  const MatmulWorkload workload = matmul(5, 3, 10, 2);
  const Accumulation& accumulation = array.datapath.accumulation;
  const auto integer = counts(matmul_energy(workload, {8, 8, 20, 8}, accumulation, array, unit()));
  const LayerEnergy real =
      matmul_energy(workload, {8, 8, 20, 8}, accumulation, array, unit(), Arithmetic::kFloat32);
  const auto real_counts = counts(real);
  for (const auto& [what, count] : integer) {
    if (what.find("RAM") == std::string::npos) {
      EXPECT_EQ(real_counts.at(what), count) << what;
    }
  }
  EXPECT_EQ(real_counts.at("accumulator addition"), 120);  // the bias is one more
  EXPECT_EQ(real_counts.at("ifmap SRAM read"), 100);       // 200 words of 32 bits
  EXPECT_EQ(real_counts.at("weight DRAM read"), 30);       // 60 words of 32 bits
  for (const CountedAction& action : real.actions) {
    if (action.moved_bits > 0) continue;
    EXPECT_TRUE(action.component.starts_with("fp_") && action.bits == 32) << action.what;
  }
}

TEST(Energy, UnitWeightsNeitherMultiplyNorLoad) {
  const Accelerator array = dot_tree(2, 2, 4, 24, BiasMode::kPreload);
  MatmulWorkload pool = matmul(5, 1, 4, 3);
  pool.unit_weights = true;
  const LayerEnergy energy =
      matmul_energy(pool, {8, 8, 20, 8}, array.datapath.accumulation, array, unit());
  const auto by_name = counts(energy);
  EXPECT_FALSE(by_name.contains("multiplication"));
  EXPECT_FALSE(by_name.contains("weight SRAM read"));
  EXPECT_FALSE(by_name.contains("weight DRAM read"));
  EXPECT_EQ(energy.compute_pj, 15 * 4);
  EXPECT_EQ(energy.actions[0].bits, 9);  // leaves are ifmap codes
}

// Every product is added once, into a tree or a chain, at every length and number of lanes.
TEST(Additions, AreOnePerProduct) {
  for (const int64_t lanes : {1, 2, 3, 4, 5, 7, 8, 9, 16}) {
    const Accumulation accumulation =
        dot_tree(1, 1, lanes, 24, BiasMode::kPreload).datapath.accumulation;
    for (int64_t reduction = 1; reduction <= 70; ++reduction) {
      int64_t tree = 0, chain = 0;
      for (const Adders& adders : additions_per_output(accumulation, 16, reduction))
        (adders.what.starts_with("tree") ? tree : chain) += adders.count;
      EXPECT_EQ(chain, (reduction + lanes - 1) / lanes);
      EXPECT_EQ(tree + chain, reduction);
    }
  }
}

// Adds `values` pairwise as the tree does; returns additions by level.
TEST(Additions, LevelsAreThoseOfAPairwiseTree) {
  for (size_t lanes = 1; lanes <= 20; ++lanes) {
    std::map<int, int64_t> expected;
    std::vector<int> depth(lanes, 0);  // of each partial sum
    for (int level = 1; depth.size() > 1; ++level) {
      std::vector<int> next;
      for (size_t i = 0; i < depth.size(); i += 2) {
        if (i + 1 < depth.size()) ++expected[16 + level];
        next.push_back(level);
      }
      depth = next;
    }
    const Accumulation accumulation =
        dot_tree(1, 1, static_cast<int64_t>(lanes), 24, BiasMode::kPreload).datapath.accumulation;
    std::map<int, int64_t> counted;
    for (const Adders& adders : adders_per_pe(accumulation, 16)) {
      if (adders.what.starts_with("tree")) counted[adders.bits] += adders.count;
    }
    EXPECT_EQ(counted, expected);
  }
}

TEST(Additions, FollowEveryStage) {
  Accumulation accumulation;
  Stage inner, outer;
  inner.length = 4;
  inner.bits = 16;
  outer.bits = 24;
  accumulation.stages = {inner, outer};
  accumulation.bias = BiasMode::kLast;
  const auto additions = additions_per_output(accumulation, 8, 10);
  ASSERT_EQ(additions.size(), 2u);
  EXPECT_EQ(additions[0].count, 10);
  EXPECT_EQ(additions[0].bits, 16);
  EXPECT_EQ(additions[1].count, 4);  // ceil(10 / 4) and the bias
  EXPECT_EQ(additions[1].bits, 24);
}

// Totals are the counted actions times the table's rows, with real numbers too.
TEST(Energy, TotalsAreTheSumOverActions) {
  const Accelerator array = load_accelerator("edge-int4");
  const CostTable table = load_cost_table(array.cost_table);
  const LayerEnergy energy = matmul_energy(matmul(100, 32, 144), array_widths(array),
                                           array.datapath.accumulation, array, table);
  double sum = 0;
  for (const CountedAction& action : energy.actions) {
    const double size = action.component == "sram" ? action.kib : action.bits;
    const Cost cost = table.lookup(action.component, action.action, size, action.other_bits);
    EXPECT_EQ(action.energy_pj, cost.energy_pj);
    EXPECT_EQ(action.scaled, cost.scaled);
    EXPECT_EQ(action.rule, cost.rule);
    EXPECT_EQ(action.source, cost.source);
    EXPECT_FALSE(action.source.empty());
    sum += static_cast<double>(action.count) * cost.energy_pj;
  }
  EXPECT_DOUBLE_EQ(energy.total_pj(), sum);
  const LayerEnergy real =
      matmul_energy(matmul(100, 32, 144), array_widths(array), array.datapath.accumulation, array,
                    table, Arithmetic::kFloat32);
  EXPECT_GT(real.compute_pj, 10 * energy.compute_pj);
  EXPECT_NEAR(real.dram_pj, 8 * energy.dram_pj, 0.01 * real.dram_pj);  // 32 bits for 4
}

TEST(Energy, RefusesWeightStationaryArrays) {
  Accelerator array = dot_tree(2, 2, 4, 24, BiasMode::kPreload);
  array.array.array_template = "systolic_ws";
  EXPECT_THAT(refusal([&] {
                matmul_energy(matmul(1, 1, 1), {}, array.datapath.accumulation, array, unit());
              }),
              HasSubstr("test.yaml: array.template is systolic_ws, whose memory traffic is not "
                        "modelled yet, allowed dot_tree, systolic_os"));
  EXPECT_THAT(refusal([&] { array_area({}, array, unit()); }),
              HasSubstr("array.template is systolic_ws, whose area is not modelled yet"));
}

// 6 PEs of 4 lanes: 24 multipliers, 2 + 1 tree adders and one accumulator each.
TEST(Area, IsCountedByHand) {
  const Accelerator array = dot_tree(2, 3, 4, 24, BiasMode::kLast);
  const ArrayArea area = array_area({8, 4, 20, 8}, array, unit());
  ASSERT_EQ(area.instances.size(), 4u);
  const int64_t expected_counts[] = {24, 12, 6, 6};
  const int expected_bits[] = {8, 13, 14, 20};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(area.instances[i].count, expected_counts[i]);
    EXPECT_EQ(area.instances[i].bits, expected_bits[i]);
  }
  EXPECT_EQ(area.total_um2, 48);
  EXPECT_EQ(array_area({8, 4, 20, 8}, array, unit(), Arithmetic::kFloat32).total_um2, 48);
}

TEST(Area, Int8SavesAsTheTableSays) {
  const Accelerator array = dot_tree(1, 1, 1, 32, BiasMode::kPreload);  // a plain MAC
  const CostTable table = load_cost_table("horowitz_45nm");
  const double integer = array_area({8, 8, 32, 8}, array, table).total_um2;
  const double real = array_area({8, 8, 32, 8}, array, table, Arithmetic::kFloat32).total_um2;
  EXPECT_EQ(integer, 282 + 137);
  EXPECT_EQ(real, 7700 + 4184);
}

TEST(Area, WidthsAreTheWidestOfAllLayers) {
  Accelerator array = dot_tree(1, 1, 4, 16, BiasMode::kPreload);
  array.datapath.ifmap.bits = array.datapath.weight.bits = 4;
  LayerOverride wide;
  wide.weight_bits = 8;
  wide.accumulation = array.datapath.accumulation.with_outermost(24, OverflowPolicy::kWrap);
  array.datapath.layers["conv1"] = wide;
  const OperandWidths widths = array_widths(array);
  EXPECT_EQ(widths.ifmap_bits, 4);
  EXPECT_EQ(widths.weight_bits, 8);
  EXPECT_EQ(widths.accumulator_bits, 24);
}

}  // namespace
}  // namespace widthwise
