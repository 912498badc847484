#include "core/accumulation.h"

#include <gtest/gtest.h>

namespace widthwise {
namespace {

Accumulation with(std::vector<Stage> stages) {
  Accumulation accumulation;
  accumulation.stages = std::move(stages);
  return accumulation;
}
constexpr Stage kTree16{.kind = Stage::Kind::kTree, .length = 16};

TEST(Accumulation, AcceptsWhatTheDesignNames) {
  EXPECT_FALSE(Accumulation{}.problem());
  EXPECT_FALSE(with({kTree16, Stage{}}).problem());
  EXPECT_FALSE(with({Stage{.length = 9, .bits = 16}, Stage{.bits = 24}}).problem());
}

TEST(Accumulation, RefusesTheRestNamingTheStage) {
  EXPECT_EQ(with({}).problem()->field, "stages");
  EXPECT_EQ(with({kTree16}).problem()->field, "kind");
  EXPECT_EQ(with({Stage{.length = 4}}).problem()->field, "kind");
  EXPECT_EQ(with({Stage{}, Stage{}}).problem()->field, "length");
  EXPECT_EQ(with({Stage{.length = -1}, Stage{}}).problem()->field, "length");
  for (const int bits : {-1, 0, 1, 49}) {
    const auto problem = with({kTree16, Stage{.bits = bits}}).problem();
    ASSERT_TRUE(problem) << bits;
    EXPECT_EQ(problem->stage, 1);
    EXPECT_EQ(problem->field, "bits");
  }
  const auto top = [](OverflowPolicy policy, int saturated_bits) {
    return with({Stage{.bits = 8, .overflow = policy, .saturated_bits = saturated_bits}}).problem();
  };
  EXPECT_FALSE(top(OverflowPolicy::kWrapSaturatedBits, 1));
  EXPECT_FALSE(top(OverflowPolicy::kWrapSaturatedBits, 8));
  EXPECT_EQ(top(OverflowPolicy::kWrapSaturatedBits, 0)->field, "saturated_bits");
  EXPECT_EQ(top(OverflowPolicy::kWrapSaturatedBits, 9)->problem, "is 9, allowed 1..8");
  EXPECT_EQ(top(OverflowPolicy::kWrap, 1)->problem, "is 1, allowed 0..0");
  Accumulation twice;
  twice.order = {ReductionAxis::kRow, ReductionAxis::kRow, ReductionAxis::kCol};
  EXPECT_EQ(twice.problem()->field, "order");
}

TEST(Accumulation, DescribesItself) {
  EXPECT_EQ(with({kTree16, Stage{.bits = 20, .overflow = OverflowPolicy::kSaturate}}).describe(),
            "tree 16, chain all @ 20 bit saturate, bias preload");
  EXPECT_EQ(with({Stage{.length = 3, .bits = 9, .overflow = OverflowPolicy::kSaturateZero},
                  Stage{.bits = 20, .overflow = OverflowPolicy::kSaturateSymmetric}})
                .describe(),
            "chain 3 @ 9 bit saturate_zero, chain all @ 20 bit saturate_symmetric, bias preload");
  EXPECT_EQ(Accumulation{}.with_outermost(12, OverflowPolicy::kWrapSaturatedBits, 2).describe(),
            "chain all @ 12 bit wrap_saturated_bits 2, bias preload");
  EXPECT_EQ(with({kTree16, Stage{}}).lanes(), 16);
  EXPECT_EQ(Accumulation{}.lanes(), 1);
}

}  // namespace
}  // namespace widthwise
