#include "codegen/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "codegen/rtl_template.h"
#include "codegen_support.h"
#include "core/error.h"
#include "core/files.h"

namespace widthwise {
namespace {

Accelerator plain() {
  return make_accelerator(2, 3, {4, false}, {4, true}, 5, 12, OverflowPolicy::kSaturate);
}

std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files[entry.path().filename().string()] = read_file(entry.path(), "");
  }
  return files;
}

TEST(Generate, SameInputGivesTheSameBytes) {
  const TemporaryFolder first, second;
  generate_array(plain(), first.path());
  generate_array(plain(), second.path());
  EXPECT_EQ(contents(first.path()), contents(second.path()));
}

TEST(Generate, ManifestListsWhatIsThere) {
  const TemporaryFolder folder;
  const GeneratedArray made =
      generate_array(plain(), folder.path(), {.command = "widthwise generate x.yaml --out y"});
  const auto files = contents(folder.path());
  std::set<std::string> there;
  for (const auto& [name, text] : files) {
    there.insert(name);
    EXPECT_EQ(text.find("@MODULE@"), std::string::npos) << name;
  }
  EXPECT_EQ(there, std::set<std::string>(made.files.begin(), made.files.end()));
  const auto manifest = nlohmann::json::parse(files.at(kManifestFile));
  EXPECT_EQ(manifest.at("files"), made.files);
  EXPECT_EQ(manifest.at("config_hash"), content_hash(made.parameters.json()));
  EXPECT_EQ(manifest.at("configuration").at("accumulator_bits"), 12);
  EXPECT_EQ(manifest.at("latency_cycles"), 3);
  std::map<std::string, int> bits;
  for (const auto& port : manifest.at("ports")) bits[port.at("name")] = port.at("bits");
  EXPECT_EQ(bits.at("ifmap_i"), 2 * 5 * 4);
  EXPECT_EQ(bits.at("weight_i"), 3 * 5 * 4);
  EXPECT_EQ(bits.at("bias_i"), 3 * 32);
  EXPECT_EQ(bits.at("psum_o"), 2 * 3 * 12);
  EXPECT_EQ(bits.at("overflow_count_o"), 2 * 3 * 16);
  EXPECT_THAT(files.at("test_array.v"),
              testing::AllOf(testing::HasSubstr("`widthwise generate x.yaml --out y`"),
                             testing::HasSubstr(made.config_hash),
                             testing::HasSubstr(".AccBits     (12)")));
}

TEST(Generate, HashNamesTheConfigurationNotTheAccelerator) {
  const TemporaryFolder folder;
  Accelerator renamed = plain(), wider = plain();
  renamed.name = "4th array";
  wider.datapath.accumulation.stages.back().bits = 13;
  const std::string hash = generate_array(plain(), folder.path()).config_hash;
  const GeneratedArray other = generate_array(renamed, folder.path());
  EXPECT_EQ(other.config_hash, hash);
  EXPECT_EQ(other.module, "ww_4th_array_array");
  EXPECT_NE(generate_array(wider, folder.path()).config_hash, hash);
}

// A command that would end a comment or a string does not reach the Verilog.
TEST(Generate, CommandIsMadeSafe) {
  const TemporaryFolder folder;
  const GeneratedArray made =
      generate_array(plain(), folder.path(), {.command = "x\nmodule y; \"endmodule\""});
  EXPECT_EQ(run_bench(folder.path(), made).exit_code, 0);
}

TEST(Generate, SynthesisScriptRuns) {
  const TemporaryFolder folder;
  generate_array(plain(), folder.path());
  const ToolRun run = run_tool(folder.path(), "yosys synth.ys");
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, testing::HasSubstr("Number of cells:"));
}

struct BadCase {
  const char* name;
  std::function<void(Accelerator&)> spoil;
  const char* message;
};
void PrintTo(const BadCase& c, std::ostream* stream) { *stream << c.name; }

const BadCase kBadCases[] = {
    {"Template", [](Accelerator& a) { a.array.array_template = "systolic_ws"; },
     "test.yaml: array.template is 'systolic_ws', which has no Verilog; known: dot_tree."},
    {"TwoChains",
     [](Accelerator& a) {
       a.datapath.accumulation.stages.insert(a.datapath.accumulation.stages.begin(),
                                             Stage{.length = 4, .bits = 8});
       a.datapath.accumulation.stages.erase(a.datapath.accumulation.stages.begin() + 1);
     },
     "dot_tree can be [tree T, chain all] or [chain all]"},
    {"ThreeStages",
     [](Accelerator& a) {
       a.datapath.accumulation.stages.insert(a.datapath.accumulation.stages.begin() + 1,
                                             Stage{.length = 4, .bits = 8});
     },
     "datapath.accumulation.stages is [tree 5, chain 4 @ 8 bit wrap, chain all @ 12 bit saturate"},
    {"AccumulatorBits", [](Accelerator& a) { a.datapath.accumulation.stages.back().bits = 49; },
     "datapath.accumulation.stages[1].bits is 49, allowed 2..48"},
    {"SaturateZero",
     [](Accelerator& a) {
       a.datapath.accumulation.stages.back().overflow = OverflowPolicy::kSaturateZero;
     },
     "test.yaml: datapath.accumulation.stages[1].overflow is saturate_zero, dot_tree can wrap or "
     "saturate.\n  fix: state overflow: wrap or overflow: saturate"},
    {"SaturateSymmetric",
     [](Accelerator& a) {
       a.datapath.accumulation.stages = {{.overflow = OverflowPolicy::kSaturateSymmetric}};
     },
     "stages[0].overflow is saturate_symmetric, dot_tree can wrap or saturate"},
    {"WrapSignMagnitude",
     [](Accelerator& a) {
       a.datapath.accumulation.stages.back().overflow = OverflowPolicy::kWrapSignMagnitude;
     },
     "stages[1].overflow is wrap_sign_magnitude, dot_tree can wrap or saturate"},
    {"WrapSaturatedBits",
     [](Accelerator& a) {
       a.datapath.accumulation.stages.back().overflow = OverflowPolicy::kWrapSaturatedBits;
       a.datapath.accumulation.stages.back().saturated_bits = 2;
     },
     "stages[1].overflow is wrap_saturated_bits, dot_tree can wrap or saturate"},
    {"Rows", [](Accelerator& a) { a.array.rows = 0; }, "array.rows is 0, allowed 1..1024"},
    {"Lanes", [](Accelerator& a) { a.datapath.accumulation.stages.front().length = 2000; },
     "stages[0].length is 2000, allowed 1..1024"},
    {"IfmapBits", [](Accelerator& a) { a.datapath.ifmap.bits = 17; },
     "datapath.ifmap.bits is 17, allowed 1..16"},
};

class GenerateRefuses : public testing::TestWithParam<BadCase> {};

TEST_P(GenerateRefuses, WithAMessage) {
  Accelerator accelerator = plain();
  GetParam().spoil(accelerator);
  const TemporaryFolder folder;
  try {
    generate_array(accelerator, folder.path());
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(GetParam().message));
    EXPECT_THAT(error.what(), testing::HasSubstr("fix: "));
  }
  EXPECT_TRUE(contents(folder.path()).empty());
}

INSTANTIATE_TEST_SUITE_P(BadInput, GenerateRefuses, testing::ValuesIn(kBadCases),
                         [](const auto& test) { return test.param.name; });

TEST(CheckLayer, OwnAccumulationAndWorkloadsThatAreNoMatmul) {
  Accelerator accelerator = plain();
  const ArrayParameters array = array_parameters(accelerator);
  QuantizedLayer layer;
  layer.name = "fc";
  layer.operator_type = "Gemm";
  layer.workload = MatmulWorkload{};
  layer.weight_format = {3, true};
  layer.bias = {5};
  const TensorQuantization ifmap{{4, false}, 1, 0};
  EXPECT_NO_THROW(check_layer_fits(accelerator, array, layer, ifmap));
  EXPECT_THROW(check_layer_fits(accelerator, array, layer, {{4, true}, 1, 0}), InputError);

  layer.weight_zero_points = {1};
  EXPECT_THROW(check_layer_fits(accelerator, array, layer, ifmap), InputError);
  layer.weight_zero_points = {0};
  layer.weights = {8};  // beyond its own format, and int4
  EXPECT_THROW(check_layer_fits(accelerator, array, layer, ifmap), InputError);
  layer.weights = {7};
  EXPECT_NO_THROW(check_layer_fits(accelerator, array, layer, ifmap));

  layer.workload = MaxPoolWorkload{};
  EXPECT_THROW(check_layer_fits(accelerator, array, layer, ifmap), InputError);
  layer.workload = MatmulWorkload{};
  Accumulation own = accelerator.datapath.accumulation;
  own.stages.back().bits = 9;
  accelerator.datapath.layers["fc"].accumulation = own;
  try {
    check_layer_fits(accelerator, array, layer, ifmap);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("layer 'fc': accumulation is [tree 5, chain all @ "
                                                 "9 bit saturate, bias preload], the array has"));
  }
}

TEST(CheckLayer, BinaryWeightsAreMinusOneAndPlusOne) {
  Accelerator accelerator = plain();
  accelerator.datapath.weight = {1, true};
  const ArrayParameters array = array_parameters(accelerator);
  QuantizedLayer layer;
  layer.workload = MatmulWorkload{};
  layer.weight_format = {1, true};
  layer.weights = {1, -1};
  layer.bias = {0};
  EXPECT_NO_THROW(check_layer_fits(accelerator, array, layer, {{4, false}, 1, 0}));
  layer.weights = {1, 0};
  EXPECT_THROW(check_layer_fits(accelerator, array, layer, {{4, false}, 1, 0}), InputError);
}

TEST(Placeholders, LoneAtSignsStayAndUnknownNamesAreOurBug) {
  EXPECT_EQ(fill_placeholders("always @(posedge @CLK@) @ 5", {{"CLK", "clk"}}),
            "always @(posedge clk) @ 5");
  EXPECT_THROW(fill_placeholders("@NOT_THERE@", {}), std::logic_error);
}

}  // namespace
}  // namespace widthwise
