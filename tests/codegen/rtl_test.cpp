#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "codegen_support.h"
#include "core/files.h"

namespace widthwise {
namespace {

constexpr auto kWrap = OverflowPolicy::kWrap;
constexpr auto kSaturate = OverflowPolicy::kSaturate;

struct RtlCase {
  const char* name;
  Accelerator accelerator;
  PortWidths widths;
};
void PrintTo(const RtlCase& c, std::ostream* stream) { *stream << c.name; }

const RtlCase kCases[] = {
    {"SmallestOfEverything",
     make_accelerator(1, 1, {1, false}, {1, false}, 1, 2, kWrap),
     {.bias_bits = 1, .count_bits = 1}},
    {"OneBitSigned",
     make_accelerator(2, 1, {1, true}, {1, true}, 2, 2, kSaturate),
     {.bias_bits = 2, .count_bits = 2}},
    {"WidestOfEverything",
     make_accelerator(1, 2, {16, true}, {16, false}, 33, 48, kSaturate),
     {.bias_bits = 48, .count_bits = 32}},
    {"TreeWiderThanAccumulator",
     make_accelerator(2, 2, {8, false}, {8, true}, 7, 5, kSaturate),
     {}},
    {"BiasWiderThanAccumulator",
     make_accelerator(2, 3, {2, true}, {3, true}, 1, 4, kWrap, BiasMode::kLast),
     {}},
    {"BiasLast",
     make_accelerator(1, 3, {4, true}, {5, false}, 9, 12, kSaturate, BiasMode::kLast),
     {}},
    {"Lanes15", make_accelerator(2, 2, {4, false}, {4, true}, 15, 10, kWrap), {}},
    {"Lanes16", make_accelerator(2, 2, {4, false}, {4, true}, 16, 10, kWrap), {}},
    {"Lanes17", make_accelerator(2, 2, {4, false}, {4, true}, 17, 10, kSaturate), {}},
};

class Rtl : public testing::TestWithParam<RtlCase> {
 protected:
  Rtl() : made_(generate_array(GetParam().accelerator, folder_.path(), options())) {}
  static GenerateOptions options() { return {.widths = GetParam().widths}; }

  TemporaryFolder folder_;
  GeneratedArray made_;
};

TEST_P(Rtl, IsLintCleanInVerilator) {
  const ToolRun run = run_tool(folder_.path(), "verilator --lint-only -Wall --top-module " +
                                                   made_.module + " -f " + made_.module + ".f");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.output, "");
}

TEST_P(Rtl, IsLintCleanInIcarus) {
  const ToolRun run = run_tool(folder_.path(), "iverilog -g2005 -Wall -o lint -s " + made_.module +
                                                   " -c " + made_.module + ".f");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.output, "");
}

TEST_P(Rtl, ChecksInYosysWithoutALatch) {
  const std::string files = std::accumulate(
      made_.rtl_files.begin(), made_.rtl_files.end(), std::string(),
      [](const std::string& text, const std::string& file) { return text + " " + file; });
  const ToolRun run = run_tool(
      folder_.path(), "yosys -p 'read_verilog" + files + "; hierarchy -check -top " + made_.module +
                          "; proc; check -assert; flatten; select -assert-none t:$dlatch t:$adlatch"
                          " t:$_DLATCH_*; select -assert-min 1 t:$mul'");
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, testing::Not(testing::HasSubstr("Warning:")));
}

TEST_P(Rtl, PassesItsOwnTestBench) {
  const ToolRun run = run_bench(folder_.path(), made_);
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, testing::StartsWith("PASS test_array: "));
}

INSTANTIATE_TEST_SUITE_P(Widths, Rtl, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

struct BenchFault {
  const char *name, *file, *from, *to;
};
void PrintTo(const BenchFault& fault, std::ostream* stream) { *stream << fault.name; }

constexpr BenchFault kBenchFaults[] = {
    {"WrongEnd", "accumulator_fit.v", "{(OutBits - 1) {~negative}}", "{(OutBits - 1) {negative}}"},
    {"LostCarry", "adder_tree.v", "{right[Bits-2], right}", "{1'b0, right}"},
    {"LateResult", "dot_tree_array.v", "tree_valid_q && tree_last_q", "valid_q ^ tree_last_q"},
    {"ShortVectors", "expected.hex", "\n", "\n// "},
};

class TestBench : public testing::TestWithParam<BenchFault> {};

TEST_P(TestBench, FailsWithThePlantedFault) {
  const TemporaryFolder folder;
  const GeneratedArray made =
      generate_array(make_accelerator(2, 2, {4, true}, {4, true}, 4, 9, kSaturate), folder.path());
  ASSERT_EQ(run_bench(folder.path(), made).exit_code, 0);
  const auto path = folder.path() / GetParam().file;
  std::string text = read_file(path, "");
  const std::string from = GetParam().from;
  ASSERT_NE(text.find(from), std::string::npos);
  write_file(path, text.replace(text.find(from), from.size(), GetParam().to));
  const ToolRun run = run_bench(folder.path(), made);
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.output, testing::HasSubstr("\nFAIL test_array: "));
}

INSTANTIATE_TEST_SUITE_P(Faults, TestBench, testing::ValuesIn(kBenchFaults),
                         [](const auto& test) { return test.param.name; });

struct BadParameter {
  const char *name, *value, *message;
};
void PrintTo(const BadParameter& bad, std::ostream* stream) { *stream << bad.name; }

class Elaboration : public testing::TestWithParam<BadParameter> {};

TEST_P(Elaboration, StopsWithAMessage) {
  const std::string modules = "adder_tree.v accumulator_fit.v dot_tree_pe.v dot_tree_array.v";
  const std::string name = GetParam().name, value = GetParam().value;
  const auto folder = share_folder() / "rtl_templates" / "dot_tree";
  for (const std::string& command :
       {"verilator --lint-only -Wall --top-module dot_tree_array -G" + name + "=" + value + " " +
            modules,
        "iverilog -g2005 -s dot_tree_array -Pdot_tree_array." + name + "=" + value +
            " -o /dev/null " + modules,
        "yosys -p 'read_verilog " + modules + "; chparam -set " + name + " " + value +
            " dot_tree_array; hierarchy -check -top dot_tree_array'"}) {
    const ToolRun run = run_tool(folder, command);
    EXPECT_NE(run.exit_code, 0) << command;
    EXPECT_THAT(run.output, testing::HasSubstr(GetParam().message)) << command;
  }
}

constexpr BadParameter kBadParameters[] = {
    {"Rows", "0", "Rows_must_be_1_to_1024"},
    {"Cols", "1025", "Cols_must_be_1_to_1024"},
    {"Lanes", "0", "Lanes_must_be_1_to_1024"},
    {"IfmapBits", "17", "IfmapBits_must_be_1_to_16"},
    {"WeightBits", "17", "WeightBits_must_be_1_to_16"},
    {"AccBits", "1", "AccBits_must_be_2_to_48"},
    {"BiasBits", "49", "BiasBits_must_be_1_to_48"},
    {"CountBits", "33", "CountBits_must_be_1_to_32"},
};
INSTANTIATE_TEST_SUITE_P(Parameters, Elaboration, testing::ValuesIn(kBadParameters),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace widthwise
