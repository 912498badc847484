#include "cli/evaluation_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace widthwise {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// 10 images of two classes, of which the odd ones are predicted wrong; batches of 4, 2 to a line.
TEST(EvaluationLines, ComeEveryFewBatchesAndAtTheEnd) {
  const std::vector<int32_t> labels(10, 1);
  std::vector<std::string> lines;
  EvaluationLines evaluation(10, labels, 4, 2,
                             [&](const std::string& line) { lines.push_back(line); });
  const auto add = [&](int64_t first, int64_t count) {
    std::vector<float> outputs;
    for (int64_t i = first; i < first + count; ++i) {
      outputs.push_back(0);
      outputs.push_back(i % 2 == 0 ? 1.0F : -1.0F);
    }
    evaluation.add(first, count, outputs);
  };
  add(4, 4);  // in any order
  EXPECT_TRUE(lines.empty());
  add(0, 3);
  EXPECT_TRUE(lines.empty());
  add(3, 1);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], StartsWith("Test: [   2/   3]  Top1  50.00  Top5 100.00  Loss 0.8133  "));
  EXPECT_THAT(lines[0], HasSubstr("images/s"));
  EXPECT_THAT(lines[0], HasSubstr("s left"));
  add(8, 2);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[1], StartsWith("Test: [   3/   3]"));
}

TEST(EvaluationLines, WithoutLabelsTellTheSpeed) {
  std::vector<std::string> lines;
  EvaluationLines evaluation(2, {}, 1, 1, [&](const std::string& line) { lines.push_back(line); });
  evaluation.add(0, 1, std::vector<float>{1, 2});
  evaluation.add(1, 1, std::vector<float>{1, 2});
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[0], testing::Not(HasSubstr("Top1")));
  EXPECT_THAT(lines[1], HasSubstr("0 s left"));
}

}  // namespace
}  // namespace widthwise
