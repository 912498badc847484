#include "hwmodel/cycles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hwmodel_test_support.h"

namespace widthwise {
namespace {

using hwmodel_test::dot_tree;
using hwmodel_test::matmul;
using hwmodel_test::refusal;
using testing::HasSubstr;

struct CycleCase {
  const char* name;
  int rows, cols;
  int64_t lanes, pixels, channels, reduction, groups;
  BiasMode bias;
  int64_t tiles, cycles_per_tile;
};
constexpr CycleCase kCycleCases[] = {
    {"One", 1, 1, 1, 1, 1, 1, 1, BiasMode::kPreload, 1, 1},
    {"ExactFit", 4, 8, 16, 4, 8, 16, 1, BiasMode::kPreload, 1, 1},
    {"OneMoreOfEach", 4, 8, 16, 5, 9, 17, 1, BiasMode::kPreload, 4, 2},
    {"OneLessOfEach", 4, 8, 16, 3, 7, 15, 1, BiasMode::kPreload, 1, 1},
    {"BiasLast", 4, 8, 16, 8, 16, 32, 1, BiasMode::kLast, 4, 3},
    {"Depthwise", 4, 8, 16, 10, 1, 9, 32, BiasMode::kPreload, 96, 1},  // 32 * ceil(10 / 4)
    {"Groups", 4, 8, 4, 10, 9, 9, 3, BiasMode::kLast, 18, 4},          // 3 * 3 * 2, 3 + 1
};
void PrintTo(const CycleCase& c, std::ostream* out) { *out << c.name; }

class Cycles : public testing::TestWithParam<CycleCase> {};
TEST_P(Cycles, AreCounted) {
  const CycleCase& c = GetParam();
  const Accelerator array = dot_tree(c.rows, c.cols, c.lanes, 24, c.bias);
  const MatmulWorkload workload = matmul(c.pixels, c.channels, c.reduction, c.groups);
  const CycleCount count = count_cycles(workload, array.datapath.accumulation, array);
  EXPECT_EQ(count.tiles, c.tiles);
  EXPECT_EQ(count.cycles_per_tile, c.cycles_per_tile);
  EXPECT_EQ(count.cycles, c.tiles * c.cycles_per_tile + 3);
  const auto products = static_cast<double>(c.groups * c.pixels * c.channels * c.reduction);
  const auto slots = static_cast<double>(count.cycles * c.rows * c.cols * c.lanes);
  EXPECT_DOUBLE_EQ(count.utilization, products / slots);
}
INSTANTIATE_TEST_SUITE_P(Cases, Cycles, testing::ValuesIn(kCycleCases),
                         [](const auto& test) { return std::string(test.param.name); });

// Cycle by cycle: a tile issues one slice of `lanes` products per PE and cycle.
TEST(Cycles, AgreeWithASimulatedSchedule) {
  const Accelerator array = dot_tree(3, 2, 5, 24, BiasMode::kPreload);
  for (int64_t pixels = 1; pixels <= 7; ++pixels) {
    for (int64_t channels = 1; channels <= 5; ++channels) {
      for (const int64_t reduction : {1, 4, 5, 6, 10, 11}) {
        int64_t issued = 0, cycle = 0;
        for (int64_t row = 0; row < pixels; row += 3) {
          for (int64_t col = 0; col < channels; col += 2) {
            for (int64_t k = 0; k < reduction; k += 5, ++cycle) {
              issued += std::min<int64_t>(3, pixels - row) * std::min<int64_t>(2, channels - col) *
                        std::min<int64_t>(5, reduction - k);
            }
          }
        }
        const MatmulWorkload workload = matmul(pixels, channels, reduction);
        EXPECT_EQ(issued, workload.macs());
        EXPECT_EQ(count_cycles(workload, array.datapath.accumulation, array).cycles, cycle + 3);
      }
    }
  }
}

TEST(Cycles, UtilizationReachesOneAndNeverPassesIt) {
  const Accelerator array = dot_tree(4, 8, 16, 24, BiasMode::kPreload);
  const CycleCount count =
      count_cycles(matmul(4000, 800, 1600), array.datapath.accumulation, array);
  EXPECT_GT(count.utilization, 0.9999);
  EXPECT_LT(count.utilization, 1.0);
}

TEST(Cycles, UnitWeightsOccupyTheLanes) {
  const Accelerator array = dot_tree(4, 8, 16, 24, BiasMode::kPreload);
  MatmulWorkload pool = matmul(16, 1, 49, 8);
  const CycleCount weighted = count_cycles(pool, array.datapath.accumulation, array);
  pool.unit_weights = true;
  const CycleCount unit = count_cycles(pool, array.datapath.accumulation, array);
  EXPECT_EQ(unit.cycles, weighted.cycles);
  EXPECT_EQ(unit.utilization, weighted.utilization);
}

TEST(Cycles, RefuseWhatHasNoModel) {
  for (const char* array_template : {"systolic_ws", "systolic_os"}) {
    Accelerator array = dot_tree(4, 8, 16, 24, BiasMode::kPreload);
    array.array.array_template = array_template;
    EXPECT_THAT(refusal([&] { count_cycles(matmul(1, 1, 1), array.datapath.accumulation, array); }),
                HasSubstr(std::string("test.yaml: array.template is ") + array_template +
                          ", for which no cycle model exists yet, allowed dot_tree"));
  }
}

TEST(Tiling, RefusesWhatCannotBeCounted) {
  const Accelerator array = dot_tree(4, 8, 16, 24, BiasMode::kPreload);
  const int64_t huge = int64_t{1} << 40;
  MatmulWorkload uneven = matmul(1, 3, 1);
  uneven.groups = 2;
  for (const MatmulWorkload& workload :
       {matmul(0, 1, 1), matmul(1, 1, -1), matmul(huge, huge, huge), matmul(1, 1, 1, 0), uneven}) {
    EXPECT_THAT(refusal([&] { tile(workload, array); }), HasSubstr("cannot be counted"));
  }
}

}  // namespace
}  // namespace widthwise
