#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/error.h"
#include "cosim_support.h"
#include "hwmodel/cycles.h"

namespace widthwise {
namespace {

struct LayerCase {
  QuantizedLayer layer;
  TensorQuantization ifmap;
  std::vector<int32_t> codes;
};

// A convolution with padding on three sides only, stride, dilation and groups; random codes.
LayerCase make_layer(int64_t groups) {
  std::mt19937 random(5);
  MatmulWorkload workload;
  Window& w = workload.window;
  w = {.ifmap_channels = 4,
       .ifmap_rows = 7,
       .ifmap_cols = 6,
       .ofmap_channels = 6,
       .ofmap_rows = 4,
       .ofmap_cols = 3,
       .kernel_rows = 3,
       .kernel_cols = 2,
       .stride_rows = 2,
       .stride_cols = 2,
       .dilation_rows = 1,
       .dilation_cols = 2,
       .pad_top = 1,
       .pad_left = 1,
       .pad_bottom = 1};
  workload.groups = groups;
  LayerCase made;
  made.layer.name = "conv1";
  made.layer.operator_type = "Conv";
  made.layer.workload = workload;
  made.layer.weight_format = {4, true};
  made.ifmap = {{4, false}, 0.5F, 6};
  for (int64_t i = 0; i < workload.weight_elements(); ++i) {
    made.layer.weights.push_back(static_cast<int32_t>(random() % 16) - 8);
  }
  for (int64_t i = 0; i < w.ofmap_channels; ++i) {
    made.layer.bias.push_back(static_cast<int32_t>(random() % 400) - 200);
  }
  for (int64_t i = 0; i < w.ifmap_elements(); ++i) {
    made.codes.push_back(static_cast<int32_t>(random() % 16));
  }
  return made;
}

Accelerator layer_accelerator() {
  return make_accelerator(2, 2, {4, false}, {4, true}, 3, 8, OverflowPolicy::kSaturate);
}

std::vector<CosimTile> whole_layer(const Accelerator& accelerator, const LayerCase& c) {
  const ArrayParameters array = array_parameters(accelerator);
  return layer_cosim_tiles(accelerator, array, c.layer, c.ifmap, c.codes,
                           all_tiles(array, std::get<MatmulWorkload>(c.layer.workload)));
}

class LayerCosim : public testing::TestWithParam<int64_t> {};

TEST_P(LayerCosim, WholeLayerMatchesAndTakesTheAnalyticCycles) {
  const LayerCase c = make_layer(GetParam());
  Accelerator accelerator = layer_accelerator();
  for (const auto order :
       {std::array{ReductionAxis::kChannel, ReductionAxis::kRow, ReductionAxis::kCol},
        std::array{ReductionAxis::kCol, ReductionAxis::kChannel, ReductionAxis::kRow}}) {
    accelerator.datapath.accumulation.order = order;
    const CosimFolders folders;
    const CosimResult result =
        cosimulate(accelerator, whole_layer(accelerator, c), folders.options());
    EXPECT_TRUE(match(result));
    EXPECT_GT(result.overflowing_additions, 0);
    const auto& workload = std::get<MatmulWorkload>(c.layer.workload);
    EXPECT_EQ(result.macs_compared, 2 * workload.macs());
    EXPECT_EQ(result.cycles_measured,
              count_cycles(workload, accelerator.datapath.accumulation, accelerator).cycles);
  }
}

// The tiles' expected results are the layer's as reference_matmul gives them.
TEST_P(LayerCosim, TilesCoverEveryOutputOfTheReference) {
  const LayerCase c = make_layer(GetParam());
  const Accelerator accelerator = layer_accelerator();
  const ArrayParameters array = array_parameters(accelerator);
  const auto& workload = std::get<MatmulWorkload>(c.layer.workload);
  const LayerSums sums = reference_matmul(workload, c.codes, c.ifmap.zero_point, c.layer.weights,
                                          c.layer.bias, accelerator.datapath.accumulation);
  const auto choices = all_tiles(array, workload);
  const auto tiles = whole_layer(accelerator, c);
  size_t seen = 0;
  for (size_t t = 0; t < tiles.size(); ++t) {
    size_t i = 0;
    for (const int64_t pixel : choices[t].pixels) {
      for (const int64_t channel : choices[t].channels) {
        const auto output = static_cast<size_t>(channel * workload.window.ofmap_pixels() + pixel);
        EXPECT_EQ(tiles[t].expected[i].value, sums.accumulators[output]);
        EXPECT_EQ(tiles[t].expected[i].overflow_count, sums.overflow_counts[output]);
        ++i, ++seen;
      }
    }
  }
  EXPECT_EQ(seen, sums.accumulators.size());
}

INSTANTIATE_TEST_SUITE_P(Groups, LayerCosim, testing::Values(1, 2));

TEST(LayerCosimErrors, OperandWiderThanTheArrayIsNamed) {
  LayerCase c = make_layer(1);
  c.layer.weight_format = {8, true};
  try {
    whole_layer(layer_accelerator(), c);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(
                                  "test.yaml: layer 'conv1': weight is int8 (-128..127), the array "
                                  "takes int4 (-8..7)"));
  }
}

TEST(CosimErrors, MissingVerilatorSaysHowToInstallIt) {
  const CosimFolders folders;
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", folders.work().c_str(), 1);
  try {
    cosimulate(layer_accelerator(), whole_layer(layer_accelerator(), make_layer(1)),
               folders.options());
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("verilator: cannot be started"),
                                             testing::HasSubstr("apt-get install verilator")));
  }
  ::setenv("PATH", path.c_str(), 1);
}

TEST(CosimErrors, BrokenVerilogShowsTheFirstErrorLine) {
  const CosimFolders folders;
  CosimOptions options = folders.options();
  options.fault = Fault{"syntax", "", "adder_tree.v", "assign sum_o =", "assign sum_o = = "};
  try {
    cosimulate(layer_accelerator(), whole_layer(layer_accelerator(), make_layer(1)), options);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("%Error: adder_tree.v:"));
  }
}

}  // namespace
}  // namespace widthwise
