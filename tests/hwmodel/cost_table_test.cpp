#include "hwmodel/cost_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "hwmodel/shipped.h"
#include "hwmodel_test_support.h"

namespace widthwise {
namespace {

using hwmodel_test::refusal;
using hwmodel_test::replaced;
using hwmodel_test::ScratchFile;
using testing::HasSubstr;

const CostTable& horowitz() {
  static const CostTable table = load_cost_table("horowitz_45nm");
  return table;
}

class ShippedTables : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, ShippedTables, testing::ValuesIn(shipped_names("tables")),
                         [](const auto& test) { return test.param; });

TEST_P(ShippedTables, RowsArePositiveAndNameTheirSource) {
  const CostTable table = load_cost_table(GetParam());
  EXPECT_EQ(table.name(), GetParam());
  EXPECT_FALSE(table.technology().empty());
  for (const CostRow& row : table.rows()) {
    EXPECT_GT(row.energy_low_pj, 0);
    EXPECT_LE(row.energy_low_pj, row.energy_pj());
    EXPECT_LE(row.energy_pj(), row.energy_high_pj);
    EXPECT_GT(row.area_um2.value_or(1), 0);
    EXPECT_FALSE(row.source.empty());
    EXPECT_FALSE(row.area_source.empty());
    const double size = row.component == "sram" ? row.kib : row.bits;
    const Cost cost = table.lookup(row.component, row.action, size);
    EXPECT_EQ(cost.energy_pj, row.energy_pj()) << cost.rule;
    EXPECT_FALSE(cost.scaled) << cost.rule;
    EXPECT_EQ(cost.source, row.source);
    if (row.area_um2) {
      EXPECT_EQ(cost.area->value, *row.area_um2);
      EXPECT_FALSE(cost.area->scaled);
      EXPECT_EQ(cost.area->source, row.area_source);
    }
  }
}

TEST_P(ShippedTables, HaveNoGaps) {
  const CostTable table = load_cost_table(GetParam());
  const auto positive = [](const Cost& cost) {
    EXPECT_TRUE(std::isfinite(cost.energy_pj) && cost.energy_pj > 0) << cost.rule;
    EXPECT_FALSE(cost.source.empty()) << cost.rule;
    EXPECT_GT(cost.area ? cost.area->value : 1, 0) << cost.rule;
  };
  double former = 0;  // a wider one is never cheaper
  for (int bits = 1; bits <= 64; ++bits) {
    const Cost cost = table.lookup("adder", "add", bits);
    positive(cost);
    EXPECT_TRUE(cost.area.has_value());
    EXPECT_GE(cost.energy_pj, former);
    former = cost.energy_pj;
  }
  for (int a = 1; a <= 16; ++a) {
    for (int b = 1; b <= 16; ++b) positive(table.lookup("multiplier", "multiply", a, b));
  }
  former = 0;
  for (double kib = 0.125; kib <= 65536; kib *= 1.5) {
    const Cost cost = table.lookup("sram", "access", kib);
    positive(cost);
    EXPECT_GE(cost.energy_pj, former) << kib;
    former = cost.energy_pj;
  }
  positive(table.lookup("fp_adder", "add", 32));
  positive(table.lookup("fp_multiplier", "multiply", 32));
  positive(table.lookup("dram", "access", kAccessBits));
}

TEST(UnitTable, IsOneEverywhere) {
  const CostTable unit = load_cost_table("unit");
  EXPECT_EQ(unit.lookup("adder", "add", 3).energy_pj, 1);
  EXPECT_EQ(unit.lookup("adder", "add", 48).area->value, 1);
  EXPECT_EQ(unit.lookup("multiplier", "multiply", 3, 9).energy_pj, 1);
  EXPECT_EQ(unit.lookup("sram", "access", 77).energy_pj, 1);
  EXPECT_FALSE(unit.lookup("sram", "access", 77).scaled);
}

TEST(CostTable, AddersAreLinearInBits) {
  const Cost between = horowitz().lookup("adder", "add", 20);
  EXPECT_DOUBLE_EQ(between.energy_pj, 0.05 + 0.05 * 4 / 16);
  EXPECT_TRUE(between.scaled);
  EXPECT_EQ(between.rule, "adder @ 20 bit: linear between int16 (0.05 pJ) and int32 (0.1 pJ)");
  EXPECT_THAT(between.source, HasSubstr("universal"));
  EXPECT_THAT(between.source, HasSubstr("; "));  // of both rows
  // The 16-bit adder has an energy but no area: the area comes from its neighbours.
  const Cost row = horowitz().lookup("adder", "add", 16);
  EXPECT_EQ(row.energy_pj, 0.05);
  EXPECT_FALSE(row.scaled);
  EXPECT_DOUBLE_EQ(row.area->value, 36 + (137 - 36) * 8.0 / 24);
  EXPECT_TRUE(row.area->scaled);
  const Cost below = horowitz().lookup("adder", "add", 4);
  EXPECT_DOUBLE_EQ(below.energy_pj, 0.015);
  EXPECT_DOUBLE_EQ(below.area->value, 18);
  EXPECT_EQ(below.rule, "adder @ 4 bit: proportional to the width from int8 (0.03 pJ)");
  const Cost above = horowitz().lookup("adder", "add", 48);
  EXPECT_DOUBLE_EQ(above.energy_pj, 0.15);
  EXPECT_DOUBLE_EQ(above.area->value, 205.5);
}

TEST(CostTable, MultipliersAreLinearInTheProductOfWidths) {
  EXPECT_EQ(horowitz().lookup("multiplier", "multiply", 8).energy_pj, 0.2);
  EXPECT_EQ(horowitz().lookup("multiplier", "multiply", 8, 8).rule,
            "multiplier @ 8 x 8 bit: row int8 (0.2 pJ)");
  const Cost below = horowitz().lookup("multiplier", "multiply", 4, 4);  // 16 / 64
  EXPECT_DOUBLE_EQ(below.energy_pj, 0.05);
  EXPECT_DOUBLE_EQ(below.area->value, 70.5);
  const Cost between = horowitz().lookup("multiplier", "multiply", 16, 16);  // (256 - 64) / 960
  EXPECT_DOUBLE_EQ(between.energy_pj, 0.2 + 2.9 * 0.2);
  EXPECT_TRUE(between.scaled);
  EXPECT_THAT(between.rule, HasSubstr("linear in the product of the widths between int8 (0.2 pJ) "
                                      "and int32 (3.1 pJ)"));
  EXPECT_DOUBLE_EQ(horowitz().lookup("multiplier", "multiply", 4, 16).energy_pj, 0.2);
  EXPECT_DOUBLE_EQ(horowitz().lookup("multiplier", "multiply", 64, 32).energy_pj, 6.2);
}

TEST(CostTable, SramIsLinearInTheLogarithmOfItsCapacity) {
  const auto pj = [](double kib) { return horowitz().lookup("sram", "access", kib).energy_pj; };
  EXPECT_EQ(pj(8), 10);
  EXPECT_EQ(pj(32), 20);
  EXPECT_EQ(pj(1024), 100);
  EXPECT_DOUBLE_EQ(pj(16), 15);
  EXPECT_DOUBLE_EQ(pj(64), 36);     // 20 + 80 / 5
  EXPECT_DOUBLE_EQ(pj(2048), 116);  // beyond, on the last segment
  EXPECT_DOUBLE_EQ(pj(6), 10 + 5 * std::log2(6.0 / 8));
  EXPECT_DOUBLE_EQ(pj(4), 5);
  EXPECT_DOUBLE_EQ(pj(1), 5);  // the floor: half of the smallest row
  EXPECT_THAT(horowitz().lookup("sram", "access", 1).rule,
              HasSubstr("not below half of 8 KiB (10 pJ)"));
  EXPECT_TRUE(horowitz().lookup("sram", "access", 1).scaled);
  EXPECT_FALSE(horowitz().lookup("sram", "access", 64).area.has_value());
}

TEST(CostTable, DramShowsTheRangeOfItsSource) {
  const Cost dram = horowitz().lookup("dram", "access", 64);
  EXPECT_EQ(dram.energy_pj, 1950);
  EXPECT_THAT(dram.rule, HasSubstr("64 bit is the midpoint of the source's 1300..2600 pJ"));
}

TEST(CostTable, RefusesWhatItDoesNotKnow) {
  const auto message = [](const char* component, const char* action, double size, int other = 0) {
    return refusal([&] { horowitz().lookup(component, action, size, other); });
  };
  EXPECT_THAT(message("divider", "add", 8),
              HasSubstr("component is 'divider', known: adder, dram, fp_adder, fp_multiplier, "
                        "multiplier, sram"));
  EXPECT_THAT(message("adder", "multiply", 8),
              HasSubstr("action of adder is 'multiply', known: add"));
  EXPECT_THAT(
      message("fp_adder", "add", 8),
      HasSubstr("fp_adder @ 8 bit is not in the table and is never scaled, known: fp16, fp32"));
  EXPECT_THAT(message("fp_multiplier", "multiply", 24), HasSubstr("known: fp16, fp32"));
  EXPECT_THAT(message("dram", "access", 32), HasSubstr("known: 64 bit"));
  for (const double bits : {0.0, -1.0, 129.0, 8.5, std::nan("")})
    EXPECT_THAT(message("adder", "add", bits), HasSubstr("is not a size, allowed 1..128 bit"));
  EXPECT_THAT(message("adder", "add", 8, 8), HasSubstr("is not a size"));  // one width only
  EXPECT_THAT(message("sram", "access", 0), HasSubstr("a capacity above 0 KiB"));
  EXPECT_THAT(refusal([] { load_cost_table("aladdin"); }),
              HasSubstr("cost table 'aladdin' is unknown, known: horowitz_45nm, unit"));
}

TEST(ReferenceRatios, AreTheSourcesOwn) {
  const ReferenceRatios ratios = reference_ratios(horowitz());
  EXPECT_NEAR(ratios.add_energy, 30, 1e-9);
  EXPECT_NEAR(ratios.add_area, 116.2, 0.05);
  EXPECT_NEAR(ratios.multiply_energy, 18.5, 1e-9);
  EXPECT_NEAR(ratios.multiply_area, 27.3, 0.05);
}

constexpr const char* kTable = R"(technology: test
sources: {s: somewhere, t: elsewhere}
rows:
  - {component: adder, action: add, bits: 8, energy_pj: 2, area_um2: 3, scaling: linear_bits, source: s}
  - {component: sram, action: access, bits: 64, kib: 1, energy_pj: 4, scaling: log2_kib, source: s}
  - {component: sram, action: access, bits: 64, kib: 2, energy_pj: 5, scaling: log2_kib, source: t}
)";

struct BadTable {
  const char *name, *from, *to, *message;
};
constexpr BadTable kBadTables[] = {
    {"UnknownKey", "energy_pj: 2", "energy_pj: 2, power: 3",
     "t.yaml: line 4: rows[0] has the unknown key 'power'.\n  fix: known keys: component, action"},
    {"NoUnit", "energy_pj: 2", "energy: 2", "rows[0] has the unknown key 'energy'"},
    {"Component", "component: adder", "component: divider",
     "rows[0].component is 'divider', allowed adder, multiplier, fp_adder, fp_multiplier, sram"},
    {"Action", "action: add,", "action: multiply,", "rows[0].action is 'multiply', allowed add"},
    {"Energy", "energy_pj: 2", "energy_pj: 0", "line 4: rows[0].energy_pj is '0', a finite number"},
    {"Area", "area_um2: 3", "area_um2: -3", "rows[0].area_um2 is '-3', a finite number above 0"},
    {"Range", "energy_pj: 2", "energy_pj: [3, 2]", "energy_pj is [3, 2], low must come first"},
    {"RangeLength", "energy_pj: 2", "energy_pj: [2]", "energy_pj lists 1 numbers, allowed 2"},
    {"Rule", "linear_bits", "quadratic",
     "rows[0].scaling is 'quadratic', allowed linear_bits, constant, none"},
    {"SourceMissing", "linear_bits, source: s", "linear_bits", "rows[0].source is missing"},
    {"SourceUnknown", "linear_bits, source: s", "linear_bits, source: u",
     "rows[0].source is 'u', allowed s, t"},
    {"AreaSourceAlone", "log2_kib, source: t", "log2_kib, source: t, area_source: s",
     "rows[2].area_source is given without area_um2"},
    {"SramWidth", "bits: 64, kib: 2", "bits: 32, kib: 2", "rows[2].bits is '32', allowed 64..64"},
    {"KibOfAdder", "bits: 8,", "bits: 8, kib: 2,", "rows[0].kib is allowed for sram only"},
    {"Twice", "kib: 2", "kib: 1", "rows state sram of size 1 twice"},
    {"TwoRules", "log2_kib, source: t", "none, source: t", "rows state two scaling rules for sram"},
    {"NoRows", "sources: {s: somewhere, t: elsewhere}\nrows:", "sources: {s: x}\nrows: []\nmore:",
     "has the unknown key 'more'"},
};
void PrintTo(const BadTable& c, std::ostream* out) { *out << c.name; }

class BadTables : public testing::TestWithParam<BadTable> {};
TEST_P(BadTables, SayWhereAndWhat) {
  const ScratchFile file("t.yaml", replaced(kTable, GetParam().from, GetParam().to));
  EXPECT_THAT(refusal([&] { load_cost_table(file.path().string()); }),
              HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(Cases, BadTables, testing::ValuesIn(kBadTables),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(LoadCostTable, ReadsTheUsersOwn) {
  const ScratchFile file("t.yaml", kTable);
  const CostTable table = load_cost_table(file.path().string());
  EXPECT_EQ(table.lookup("adder", "add", 4).energy_pj, 1);
  EXPECT_EQ(table.lookup("sram", "access", 1.5).source, "somewhere; elsewhere");
  EXPECT_EQ(table.lookup("sram", "access", 4).energy_pj, 6);
  EXPECT_THAT(refusal([&] { table.lookup("dram", "access", 64); }),
              HasSubstr("component is 'dram', known: adder, sram"));
  EXPECT_THAT(refusal([&] { reference_ratios(table); }), HasSubstr("component is 'fp_adder'"));
}

TEST(LoadCostTable, RefusesOneSramRowOfARule) {
  const ScratchFile file(
      "t.yaml",
      std::string(kTable).substr(
          0, std::string(kTable).find("  - {component: sram, action: access, bits: 64, kib: 2")));
  EXPECT_THAT(refusal([&] { load_cost_table(file.path().string()); }),
              HasSubstr("rows state one sram row, log2_kib needs two"));
}

}  // namespace
}  // namespace widthwise
