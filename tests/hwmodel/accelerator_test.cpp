#include "hwmodel/accelerator.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "hwmodel/mode_names.h"
#include "hwmodel/shipped.h"
#include "hwmodel_test_support.h"

namespace widthwise {
namespace {

using hwmodel_test::refusal;
using hwmodel_test::replaced;
using hwmodel_test::ScratchFile;
using testing::HasSubstr;

// The example of the design, with every key that a description can have.
constexpr const char* kDescription = R"(name: edge-int4
array:        {template: systolic_ws, rows: 16, cols: 12}
datapath:
  ifmap:      {bits: 4, signed: false}
  weight:     {bits: 3, signed: true}
  accumulation:
    order:    [channel, row, col]
    stages:
      - {kind: chain, length: rows, bits: 12, overflow: wrap}
      - {kind: chain, length: all, bits: 16, overflow: saturate}
    bias:     preload
  requantize: {kind: multiplier_shift, multiplier_bits: 17, rounding: half_even}
  layers:
    conv1: {weight: {bits: 8}, ifmap: {bits: 7}, accumulation: {stages: [{kind: chain, length: all, bits: 24, overflow: saturate}]}}
    conv2: {accumulation: {bias: last, order: [row, col, channel]}}
memory:
  ifmap_sram: {kib: 64, bytes_per_cycle: 16}
  weight_sram: {kib: 48, bytes_per_cycle: 15}
  ofmap_sram: {kib: 0.5, bytes_per_cycle: 14}
  dram:       {bytes_per_cycle: 8}
clock_mhz:    500
cost_table:   horowitz_45nm
)";

Accelerator load_text(const std::string& text) {
  const ScratchFile file("a.yaml", text);
  return load_accelerator(file.path());
}

TEST(LoadAccelerator, ReadsEveryKey) {
  const Accelerator a = load_text(kDescription);
  EXPECT_EQ(a.name, "edge-int4");
  EXPECT_EQ(a.array.array_template, "systolic_ws");
  EXPECT_EQ(a.array.rows, 16);
  EXPECT_EQ(a.array.cols, 12);
  EXPECT_EQ(a.pes(), 192);
  EXPECT_EQ(a.multipliers(), 192);
  EXPECT_EQ(a.datapath.ifmap, (IntegerFormat{4, false}));
  EXPECT_EQ(a.datapath.weight, (IntegerFormat{3, true}));
  EXPECT_EQ(a.datapath.accumulation.describe(),
            "chain 16 @ 12 bit wrap, chain all @ 16 bit saturate, bias preload");
  EXPECT_EQ(a.datapath.requantize.kind, RequantizeConfig::Kind::kMultiplierShift);
  EXPECT_EQ(a.datapath.requantize.multiplier_bits, 17);
  EXPECT_EQ(a.datapath.requantize.rounding, Rounding::kHalfEven);
  EXPECT_EQ(a.memory.ifmap_sram.kib, 64);
  EXPECT_EQ(a.memory.ifmap_sram.bytes_per_cycle, 16);
  EXPECT_EQ(a.memory.weight_sram.kib, 48);
  EXPECT_EQ(a.memory.weight_sram.bytes_per_cycle, 15);
  EXPECT_EQ(a.memory.ofmap_sram.kib, 0.5);
  EXPECT_EQ(a.memory.ofmap_sram.bytes_per_cycle, 14);
  EXPECT_EQ(a.memory.dram.bytes_per_cycle, 8);
  EXPECT_EQ(a.clock_mhz, 500);
  EXPECT_EQ(a.cost_table, "horowitz_45nm");
}

TEST(LoadAccelerator, OverridesKeepWhatTheyDoNotState) {
  const Datapath d = load_text(kDescription).datapath;
  EXPECT_EQ(d.layer_weight("conv1"), (IntegerFormat{8, true}));
  EXPECT_EQ(d.layer_ifmap("conv1"), (IntegerFormat{7, false}));
  EXPECT_EQ(d.layer_accumulation("conv1").describe(), "chain all @ 24 bit saturate, bias preload");
  EXPECT_EQ(d.layer_ifmap("conv2"), d.ifmap);
  EXPECT_EQ(d.layer_accumulation("conv2").stages, d.accumulation.stages);
  EXPECT_EQ(d.layer_accumulation("conv2").bias, BiasMode::kLast);
  EXPECT_EQ(d.layer_accumulation("conv2").order[2], ReductionAxis::kChannel);
  EXPECT_EQ(d.layer_weight("conv3"), d.weight);
  EXPECT_EQ(d.layer_accumulation("conv3"), d.accumulation);
}

TEST(LoadAccelerator, OrderAndLayersMayBeLeftOut) {
  const Accelerator a =
      load_text(replaced(kDescription, "    order:    [channel, row, col]\n", ""));
  EXPECT_EQ(a.datapath.accumulation.order, Accumulation{}.order);
}

struct RequantizeCase {
  const char *name, *yaml;
  RequantizeConfig::Kind kind;
};
constexpr RequantizeCase kRequantizeCases[] = {
    {"Float32", "{kind: float32}", RequantizeConfig::Kind::kFloat32},
    {"Gemmlowp", "{kind: gemmlowp}", RequantizeConfig::Kind::kGemmlowp},
    {"PowerOfTwo", "{kind: power_of_two, rounding: floor}", RequantizeConfig::Kind::kPowerOfTwo},
};
void PrintTo(const RequantizeCase& c, std::ostream* out) { *out << c.name; }

class RequantizeKinds : public testing::TestWithParam<RequantizeCase> {};
TEST_P(RequantizeKinds, IsRead) {
  const Accelerator a = load_text(
      replaced(kDescription, "{kind: multiplier_shift, multiplier_bits: 17, rounding: half_even}",
               GetParam().yaml));
  EXPECT_EQ(a.datapath.requantize.kind, GetParam().kind);
}
INSTANTIATE_TEST_SUITE_P(Kinds, RequantizeKinds, testing::ValuesIn(kRequantizeCases),
                         [](const auto& test) { return std::string(test.param.name); });

// Every name of a mode, as a description says it, and what reports say.
struct NameCase {
  const char *yaml, *canonical;
};
constexpr NameCase kRoundingNames[] = {
    {"half_up", "half_up"},
    {"half_down", "half_down"},
    {"half_even", "half_even"},
    {"half_away", "half_away"},
    {"half_toward_zero", "half_toward_zero"},
    {"truncate", "truncate"},
    {"floor", "floor"},
    {"AP_RND", "half_up"},
    {"AP_RND_ZERO", "half_toward_zero"},
    {"AP_RND_MIN_INF", "half_down"},
    {"AP_RND_INF", "half_away"},
    {"AP_RND_CONV", "half_even"},
    {"AP_TRN", "floor"},
    {"AP_TRN_ZERO", "truncate"},
    {"SC_RND", "half_up"},
    {"SC_RND_ZERO", "half_toward_zero"},
    {"SC_RND_MIN_INF", "half_down"},
    {"SC_RND_INF", "half_away"},
    {"SC_RND_CONV", "half_even"},
    {"SC_TRN", "floor"},
    {"SC_TRN_ZERO", "truncate"},
};
constexpr NameCase kOverflowNames[] = {
    {"wrap", "wrap"},
    {"saturate", "saturate"},
    {"saturate_zero", "saturate_zero"},
    {"saturate_symmetric", "saturate_symmetric"},
    {"wrap_sign_magnitude", "wrap_sign_magnitude"},
    {"wrap_saturated_bits, saturated_bits: 1", "wrap_saturated_bits 1"},
    {"wrap_saturated_bits, saturated_bits: 12", "wrap_saturated_bits 12"},
    {"AP_WRAP", "wrap"},
    {"AP_SAT", "saturate"},
    {"AP_SAT_ZERO", "saturate_zero"},
    {"AP_SAT_SYM", "saturate_symmetric"},
    {"SC_WRAP", "wrap"},
    {"SC_WRAP, saturated_bits: 0", "wrap"},
    {"SC_WRAP, saturated_bits: 2", "wrap_saturated_bits 2"},
    {"SC_WRAP_SM", "wrap_sign_magnitude"},
    {"SC_SAT", "saturate"},
    {"SC_SAT_ZERO", "saturate_zero"},
    {"SC_SAT_SYM", "saturate_symmetric"},
};

TEST(LoadAccelerator, ReadsEveryNameOfARounding) {
  for (const auto& [yaml, canonical] : kRoundingNames) {
    for (const char* kind : {"multiplier_shift, multiplier_bits: 17", "power_of_two"}) {
      const Accelerator a = load_text(
          replaced(kDescription, "kind: multiplier_shift, multiplier_bits: 17, rounding: half_even",
                   fmt::format("kind: {}, rounding: {}", kind, yaml)));
      EXPECT_STREQ(rounding_name(a.datapath.requantize.rounding), canonical) << yaml;
    }
  }
  EXPECT_EQ(std::size(kRoundingNames), rounding_names().size());
}

TEST(LoadAccelerator, ReadsEveryNameOfAnOverflow) {
  for (const auto& [yaml, canonical] : kOverflowNames) {
    const Accelerator a = load_text(replaced(kDescription, "bits: 12, overflow: wrap",
                                             fmt::format("bits: 12, overflow: {}", yaml)));
    EXPECT_EQ(
        a.datapath.accumulation.describe(),
        fmt::format("chain 16 @ 12 bit {}, chain all @ 16 bit saturate, bias preload", canonical));
  }
  for (const auto& named : overflow_names()) {
    const auto tested = [&](const NameCase& c) {
      const std::string yaml = c.yaml;
      return yaml.substr(0, yaml.find(',')) == named.name;
    };
    EXPECT_TRUE(std::any_of(std::begin(kOverflowNames), std::end(kOverflowNames), tested))
        << named.name;
  }
}

TEST(LoadAccelerator, GemmlowpRoundsTwiceUnlessToldOnce) {
  const auto rounding = [](const std::string& yaml) {
    return load_text(replaced(kDescription,
                              "kind: multiplier_shift, multiplier_bits: 17, rounding: half_even",
                              "kind: gemmlowp" + yaml))
        .datapath.requantize.gemmlowp_rounding;
  };
  EXPECT_EQ(rounding(""), GemmlowpRounding::kDouble);
  EXPECT_EQ(rounding(", rounding: double"), GemmlowpRounding::kDouble);
  EXPECT_EQ(rounding(", rounding: single"), GemmlowpRounding::kSingle);
}

TEST(LoadAccelerator, ReadsEveryShippedDescription) {
  const auto names = shipped_names("accelerators");
  EXPECT_THAT(names, testing::IsSupersetOf({"edge-int4", "edge-int8"}));
  for (const std::string& name : names) {
    const Accelerator a = load_accelerator(name);
    EXPECT_EQ(a.name, name);
    EXPECT_EQ(a.file, shipped_path("accelerators", name));
  }
  const Accelerator int4 = load_accelerator("edge-int4");
  EXPECT_EQ(int4.multipliers(), 4 * 8 * 16);
  EXPECT_EQ(int4.datapath.accumulation.describe(),
            "tree 16, chain all @ 16 bit saturate, bias preload");
  EXPECT_EQ(load_accelerator("edge-int8.yaml").datapath.accumulation.outermost().bits, 24);
}

TEST(LoadAccelerator, CostTablePathStartsAtTheDescription) {
  const ScratchFile file("a.yaml", replaced(kDescription, "horowitz_45nm", "tables/../mine.yaml"));
  const auto table = file.path().parent_path() / "mine.yaml";
  EXPECT_THAT(refusal([&] { load_accelerator(file.path()); }), HasSubstr("does not exist"));
  write_file(table, read_file(shipped_path("tables", "unit"), ""));
  EXPECT_EQ(load_accelerator(file.path()).cost_table, table.string());
  write_file(table, "technology: x\n");  // the table's own error names the table
  EXPECT_THAT(refusal([&] { load_accelerator(file.path()); }),
              HasSubstr(table.string() + ": line 1: sources is missing"));
}

// One change to the description, and what the error says.
struct BadCase {
  const char *name, *from, *to, *message;
};
constexpr const char* kConv2 = "conv2: {accumulation: {bias: last, order: [row, col, channel]}}";
constexpr BadCase kBadCases[] = {
    {"UnknownTopKey", "clock_mhz:    500", "clock_mhz: 500\nclock: 5",
     "a.yaml: line 22: has the unknown key 'clock'.\n"
     "  fix: known keys: name, array, datapath, memory, clock_mhz, cost_table"},
    {"UnknownArrayKey", "rows: 16, cols: 12", "rows: 16, cols: 12, depth: 3",
     "line 2: array has the unknown key 'depth'.\n  fix: known keys: template, rows, cols"},
    {"DoubledKey", "rows: 16, cols: 12", "rows: 16, cols: 12, rows: 16",
     "line 2: array has the key 'rows' twice"},
    {"DoubledTopKey", "clock_mhz:    500", "clock_mhz: 500\nclock_mhz: 500",
     "line 22: has the key 'clock_mhz' twice"},
    {"DoubledLayer", kConv2, "conv1: {ifmap: {bits: 3}}",
     "line 15: datapath.layers has the key 'conv1' twice"},
    {"MissingName", "name: edge-int4\n", "", "name is missing"},
    {"MissingRows", "rows: 16, ", "", "line 2: array.rows is missing"},
    {"MissingSigned", "bits: 4, signed: false", "bits: 4",
     "line 4: datapath.ifmap.signed is missing"},
    {"MissingBias", "    bias:     preload\n", "", "datapath.accumulation.bias is missing"},
    {"MissingClock", "clock_mhz:    500\n", "", "clock_mhz is missing"},
    {"BadName", "name: edge-int4", "name: ../x", "name is '../x', allowed up to 64 letters"},
    {"NameIsList", "name: edge-int4", "name: [a]", "line 1: name is a list"},
    {"NameIsEmpty", "name: edge-int4", "name:", "name is empty"},
    {"Template", "systolic_ws", "systolic",
     "array.template is 'systolic', allowed systolic_ws, systolic_os, dot_tree"},
    {"RowsZero", "rows: 16,", "rows: 0,", "line 2: array.rows is '0', allowed 1..1024"},
    {"ColsTooMany", "cols: 12", "cols: 1025", "array.cols is '1025', allowed 1..1024"},
    {"RowsFraction", "rows: 16,", "rows: 16.5,", "array.rows is '16.5', allowed 1..1024"},
    {"RowsText", "rows: 16,", "rows: \"16\",", "array.rows is the text '16', allowed 1..1024"},
    {"RowsHuge", "rows: 16,", "rows: 99999999999999999999,", "allowed 1..1024"},
    {"ArrayIsList", "{template: systolic_ws, rows: 16, cols: 12}", "[1, 2]",
     "line 2: array is a list, a map is needed"},
    {"IfmapBits", "bits: 4,", "bits: 17,", "datapath.ifmap.bits is '17', allowed 1..16"},
    {"WeightBits", "bits: 3,", "bits: 0,", "datapath.weight.bits is '0', allowed 1..16"},
    {"SignedYes", "signed: false", "signed: no",
     "datapath.ifmap.signed is 'no', allowed true, false"},
    {"AxisUnknown", "order:    [channel, row, col]", "order: [channel, row, depth]",
     "line 7: datapath.accumulation.order holds an unknown axis"},
    {"AxisTwice", "order:    [channel, row, col]", "order: [channel, row, row]",
     "line 7: datapath.accumulation.order names an axis twice"},
    {"AxisMissing", "order:    [channel, row, col]", "order: [channel, row]",
     "datapath.accumulation.order lists 2 axes"},
    {"StageKind", "{kind: chain, length: rows", "{kind: ring, length: rows",
     "line 9: datapath.accumulation.stages[0].kind is 'ring', allowed tree, chain"},
    {"StageBits", "bits: 12", "bits: 49",
     "line 9: datapath.accumulation.stages[0].bits is '49', allowed 2..48"},
    {"StageLengthWord", "length: rows", "length: cols",
     "stages[0].length is 'cols', allowed 1..1048576, all, rows"},
    {"StageLengthZero", "length: rows", "length: 0", "stages[0].length is '0', allowed 1.."},
    {"StageAllFirst", "length: rows", "length: all",
     "line 9: datapath.accumulation.stages[0].length is all, allowed only in the last stage"},
    {"StageOverflow", "overflow: wrap", "overflow: clip",
     "stages[0].overflow is 'clip', allowed wrap, saturate, saturate_zero, saturate_symmetric, "
     "wrap_saturated_bits, wrap_sign_magnitude, AP_WRAP, AP_SAT, AP_SAT_ZERO, AP_SAT_SYM, SC_WRAP, "
     "SC_SAT, SC_SAT_ZERO, SC_SAT_SYM, SC_WRAP_SM"},
    {"SaturatedBitsMissing", "overflow: wrap", "overflow: wrap_saturated_bits",
     "line 9: datapath.accumulation.stages[0].saturated_bits is missing"},
    {"SaturatedBitsZero", "overflow: wrap", "overflow: wrap_saturated_bits, saturated_bits: 0",
     "stages[0].saturated_bits is '0', allowed 1..12"},
    {"SaturatedBitsTooMany", "overflow: wrap", "overflow: SC_WRAP, saturated_bits: 13",
     "stages[0].saturated_bits is '13', allowed 0..12"},
    {"SaturatedBitsOfWrap", "overflow: wrap", "overflow: wrap, saturated_bits: 1",
     "stages[0].saturated_bits does not apply to the overflow wrap.\n"
     "  fix: remove it, or state overflow: wrap_saturated_bits"},
    {"StageBitsMissing", "length: rows, bits: 12", "length: rows", "stages[0].bits is missing"},
    {"TreeWithBits", "{kind: chain, length: rows", "{kind: tree, length: rows",
     "stages[0] has the unknown key 'bits'.\n  fix: known keys: kind, length"},
    {"TreeLast", "      - {kind: chain, length: all, bits: 16, overflow: saturate}",
     "      - {kind: tree, length: all}",
     "line 10: datapath.accumulation.stages[1].kind of the last stage must be a chain"},
    {"LastChainNotAll", "length: all, bits: 16", "length: 4, bits: 16",
     "line 10: datapath.accumulation.stages[1].kind of the last stage must be a chain of length "
     "all"},
    {"Bias", "preload", "first", "accumulation.bias is 'first', allowed preload, last"},
    {"RequantizeKind", "multiplier_shift", "shift",
     "datapath.requantize.kind is 'shift', allowed float32, multiplier_shift, gemmlowp, "
     "power_of_two"},
    {"MultiplierBits", "multiplier_bits: 17", "multiplier_bits: 32",
     "datapath.requantize.multiplier_bits is '32', allowed 2..31"},
    {"MultiplierBitsMissing", "multiplier_bits: 17, ", "", "multiplier_bits is missing"},
    {"RoundingMissing", ", rounding: half_even", "", "datapath.requantize.rounding is missing"},
    {"Rounding", "half_even", "nearest",
     "rounding is 'nearest', allowed half_up, half_down, half_even, half_away, half_toward_zero, "
     "truncate, floor, AP_RND, AP_RND_ZERO, AP_RND_MIN_INF, AP_RND_INF, AP_RND_CONV, AP_TRN, "
     "AP_TRN_ZERO, SC_RND, SC_RND_ZERO, SC_RND_MIN_INF, SC_RND_INF, SC_RND_CONV, SC_TRN, "
     "SC_TRN_ZERO"},
    {"GemmlowpRounding", "kind: multiplier_shift, multiplier_bits: 17, rounding: half_even",
     "kind: gemmlowp, rounding: half_up",
     "datapath.requantize.rounding is 'half_up', allowed double, single"},
    {"MultiplierBitsDoNotApply", "kind: multiplier_shift, multiplier_bits: 17, rounding",
     "kind: power_of_two, multiplier_bits: 17, rounding",
     "datapath.requantize.multiplier_bits does not apply to the kind power_of_two"},
    {"RoundingDoesNotApply", "kind: multiplier_shift, multiplier_bits: 17, rounding",
     "kind: float32, rounding", "datapath.requantize.rounding does not apply to the kind float32"},
    {"OverrideUnknown", kConv2, "conv2: {ofmap: {bits: 4}}",
     "line 15: datapath.layers.conv2 has the unknown key 'ofmap'.\n"
     "  fix: known keys: ifmap, weight, accumulation"},
    {"OverrideSigned", kConv2, "conv2: {ifmap: {bits: 4, signed: true}}",
     "datapath.layers.conv2.ifmap has the unknown key 'signed'.\n  fix: known keys: bits"},
    {"OverrideBits", kConv2, "conv2: {ifmap: {bits: 20}}",
     "line 15: datapath.layers.conv2.ifmap.bits is '20', allowed 1..16"},
    {"OverrideStage", kConv2, "conv2: {accumulation: {stages: []}}",
     "datapath.layers.conv2.accumulation.stages is empty, allowed at least one chain"},
    {"OverrideEmpty", kConv2, "conv2: {}", "datapath.layers.conv2 states nothing"},
    {"OverrideNull", kConv2, "conv2:", "datapath.layers.conv2 is empty, a map is needed"},
    {"SramZero", "kib: 64", "kib: 0", "memory.ifmap_sram.kib is '0', a finite number above 0"},
    {"SramInfinite", "kib: 64", "kib: .inf", "memory.ifmap_sram.kib is '.inf', a finite number"},
    {"SramNan", "kib: 64", "kib: nan", "memory.ifmap_sram.kib is 'nan', a finite number above 0"},
    {"SramOverflow", "kib: 64", "kib: 1e999", "memory.ifmap_sram.kib is '1e999', a finite number"},
    {"DramBandwidth", "bytes_per_cycle: 8}", "bytes_per_cycle: -8}",
     "line 20: memory.dram.bytes_per_cycle is '-8', a finite number above 0"},
    {"DramCapacity", "{bytes_per_cycle: 8}", "{kib: 5, bytes_per_cycle: 8}",
     "memory.dram has the unknown key 'kib'"},
    {"ClockZero", "500", "0", "clock_mhz is '0', a finite number above 0"},
    {"CostTable", "horowitz_45nm", "horowitz",
     "line 22: cost_table is 'horowitz', known tables: horowitz_45nm, unit"},
    {"Syntax", "rows: 16, cols: 12}", "rows: 16, cols: 12", "is not valid YAML"},
    {"TwoDocuments", "memory:", "---\nmemory:", "line 16: starts a second document"},
    {"StrayComma", "name: edge-int4", ",name: edge-int4", "line 1: starts a second document or"},
    {"StrayBrace", "memory:", "}\nmemory:", "a.yaml: "},
    {"MergeKey", "rows: 16, cols: 12}", "rows: 16, cols: 12, <<: {a: 1}}",
     "array has the unknown key '<<'"},
    {"ListAsKey", "rows: 16, cols: 12}", "rows: 16, cols: 12, [a]: 1}",
     "array has a key that is a list"},
    {"UndefinedAlias", "name: edge-int4", "name: *nothing", "is not valid YAML"},
};
void PrintTo(const BadCase& c, std::ostream* out) { *out << c.name; }

class BadDescriptions : public testing::TestWithParam<BadCase> {};
TEST_P(BadDescriptions, SayWhereAndWhat) {
  const std::string text = replaced(kDescription, GetParam().from, GetParam().to);
  const std::string message = refusal([&] { load_text(text); });
  EXPECT_THAT(message, HasSubstr(GetParam().message));
  EXPECT_THAT(message, HasSubstr("a.yaml: "));
  EXPECT_THAT(message, HasSubstr("\n  fix: "));
}
INSTANTIATE_TEST_SUITE_P(Cases, BadDescriptions, testing::ValuesIn(kBadCases),
                         [](const auto& test) { return std::string(test.param.name); });

// A dot-product PE has one tree and one chain, and every layer runs on it.
TEST(LoadAccelerator, DotTreeTakesOneTreeAndOneChain) {
  const std::string text = replaced(
      replaced(replaced(kDescription, "systolic_ws", "dot_tree"),
               "{kind: chain, length: rows, bits: 12, overflow: wrap}",
               "{kind: tree, length: rows}"),
      "{stages: [{kind: chain, length: all, bits: 24, overflow: saturate}]}",
      "{stages: [{kind: tree, length: 16}, {kind: chain, length: all, bits: 24, overflow: wrap}]}");
  EXPECT_EQ(load_text(text).multipliers(), 16 * 12 * 16);
  EXPECT_THAT(refusal([&] { load_text(replaced(kDescription, "systolic_ws", "dot_tree")); }),
              HasSubstr("line 9: datapath.accumulation.stages do not fit the template dot_tree, "
                        "allowed [tree T, chain all] or [chain all]"));
  EXPECT_THAT(refusal([&] { load_text(replaced(text, "length: 16}, {", "length: 8}, {")); }),
              HasSubstr("datapath.layers.conv1.accumulation.stages sum 8 products per cycle, the "
                        "dot_tree PE has 16"));
}

TEST(LoadAccelerator, RefusesWhatIsNoDescription) {
  EXPECT_THAT(refusal([] { load_text(""); }), HasSubstr("a.yaml: is empty"));
  EXPECT_THAT(refusal([] { load_text("# only a comment\n"); }), HasSubstr("is empty"));
  EXPECT_THAT(refusal([] { load_text("[1, 2]"); }), HasSubstr("is a list, not a map"));
  EXPECT_THAT(refusal([] { load_text("name"); }), HasSubstr("is 'name', not a map"));
  EXPECT_THAT(refusal([] {
                load_text(
                    std::string("\x7f"
                                "ELF\0\1\2",
                                7));
              }),
              HasSubstr("line 1: is not text: it holds the byte 0x7f"));
  EXPECT_THAT(refusal([] { load_text(std::string(2 << 20, ' ')); }),
              HasSubstr("has 2097152 bytes, allowed 1048576"));
  EXPECT_THAT(refusal([] { load_text(std::string(100000, '[')); }), HasSubstr("is not valid YAML"));
  EXPECT_THAT(refusal([] { load_text(std::string(100000, '{')); }), HasSubstr("is not valid YAML"));
  std::string deep;
  for (int i = 0; i < 20000; ++i) deep += "- ";
  EXPECT_THAT(refusal([&] { load_text(deep); }), HasSubstr("is not valid YAML"));
  EXPECT_THAT(refusal([] { load_accelerator("/dev/zero"); }), HasSubstr("is not a regular file"));
  EXPECT_THAT(refusal([] { load_accelerator("/tmp"); }), HasSubstr("is a folder"));
  EXPECT_THAT(refusal([] { load_accelerator("/nowhere/a.yaml"); }), HasSubstr("cannot be read"));
  EXPECT_THAT(refusal([] { load_accelerator("edge-int5"); }),
              HasSubstr("edge-int5: does not exist.\n  fix: give the path of a description, or one "
                        "of the shipped: edge-int4, edge-int8"));
}

// Damaged descriptions load or are refused; nothing else is thrown, nothing crashes.
TEST(LoadAccelerator, SurvivesDamage) {
  std::mt19937 random(1);
  const std::string pieces[] = {"{",    "}",  "[",  "]",  ":",  "- ", "\"", "'",
                                "&a ",  "*a", "\n", "\t", "!!", "|",  "? ", "999999999999",
                                "\xff", "%",  "#",  ",",  ""};
  int refused = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string text = kDescription;
    const auto changes = 1 + random() % 3;
    for (unsigned i = 0; i < changes; ++i)
      text.replace(random() % text.size(), random() % 4, pieces[random() % std::size(pieces)]);
    try {
      load_text(text);
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace widthwise
