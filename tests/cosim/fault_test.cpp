#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files.h"
#include "cosim_support.h"

namespace widthwise {

void PrintTo(const Fault& fault, std::ostream* stream) { *stream << fault.name; }

namespace {

// Small arrays that every fault shows on; between them they hold all of the Verilog.
enum class Kind { kSaturate, kWrap, kBiasLast };

Accelerator small_array(Kind kind) {
  return make_accelerator(2, 2, {4, true}, {4, true}, 3, 8,
                          kind == Kind::kWrap ? OverflowPolicy::kWrap : OverflowPolicy::kSaturate,
                          kind == Kind::kBiasLast ? BiasMode::kLast : BiasMode::kPreload);
}

Kind kind_for(const std::string& fault) {
  if (fault == "always_saturate") return Kind::kWrap;
  return fault == "bias_beat_ignored" ? Kind::kBiasLast : Kind::kSaturate;
}

CosimResult simulate(Kind kind, const std::optional<Fault>& fault) {
  const Accelerator accelerator = small_array(kind);
  const CosimFolders folders;
  CosimOptions options = folders.options();
  options.generate.widths.count_bits = 3;  // fills up, so that the sticky end is seen
  options.fault = fault;
  const ArrayParameters array = array_parameters(accelerator, options.generate.widths);
  return cosimulate(accelerator, operand_cosim_tiles(accelerator, made_up_tiles(array, 65, 3)),
                    options);
}

class UnmutatedArray : public testing::TestWithParam<Kind> {};

TEST_P(UnmutatedArray, Matches) {
  const CosimResult result = simulate(GetParam(), std::nullopt);
  EXPECT_TRUE(match(result));
  EXPECT_GT(result.overflowing_additions, 0);
}

INSTANTIATE_TEST_SUITE_P(Kinds, UnmutatedArray,
                         testing::Values(Kind::kSaturate, Kind::kWrap, Kind::kBiasLast));

class PlantedFault : public testing::TestWithParam<Fault> {};

TEST_P(PlantedFault, IsCaught) {
  const CosimResult result = simulate(kind_for(GetParam().name), GetParam());
  EXPECT_FALSE(result.match());
  EXPECT_GT(result.mismatch_count, 0);
  ASSERT_FALSE(result.first_mismatches.empty());
  EXPECT_NE(result.first_mismatches[0].expected, result.first_mismatches[0].got);
  EXPECT_EQ(result.fault, GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(Known, PlantedFault, testing::ValuesIn(known_faults()),
                         [](const auto& test) { return test.param.name; });

TEST(Fault, UnknownNameListsTheKnownOnes) {
  try {
    find_fault("typo");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("fault is 'typo', known: overflow_wrong_bit, "));
  }
}

TEST(Fault, TextThatDoesNotOccurOnceIsOurBug) {
  const CosimFolders folders;
  write_file(folders.work() / "a.v", "assign x = y; assign x = y;");
  EXPECT_THROW(plant_fault({"twice", "", "a.v", "x = y", "x = z"}, folders.work()),
               std::logic_error);
  EXPECT_THROW(plant_fault({"never", "", "a.v", "q = y", "x = z"}, folders.work()),
               std::logic_error);
}

}  // namespace
}  // namespace widthwise
