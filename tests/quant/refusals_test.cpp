// Values that must be refused where they would otherwise pass unseen.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/files.h"
#include "models/model.h"
#include "quant/calibrate.h"
#include "quant/onnx_writer.h"
#include "quant/quantize.h"
#include "tests/quant/quant_support.h"

namespace widthwise {
namespace {

TEST(Refusals, NotANumber) {
  FloatNetwork network;
  network.tensors = {{"x", {4}}, {"y", {4}}};
  network.input = 0;
  network.output = 1;
  FloatLayer clamp;
  clamp.name = "clamp";
  clamp.workload = ElementwiseWorkload{ElementwiseWorkload::Kind::kClamp, 4};
  clamp.inputs = {0};
  clamp.output = 1;
  network.layers = {clamp};
  const ImageSource source = [](int64_t first, int64_t count, std::span<float> values) {
    for (int64_t i = 0; i < 4 * count; ++i)
      values[static_cast<size_t>(i)] = static_cast<float>(first + i);
    if (first == 16) values[2] = std::nanf("");
  };
  EXPECT_THAT(
      testing_support::input_error([&] { calibrate(network, source, 40, Progress::none()); }),
      testing::HasSubstr("input is not finite for images 16..31"));
  Statistics statistics;
  statistics["x"] = {std::nan(""), 1, 1};
  EXPECT_THROW(quantize(network, statistics, {}), InputError);
}

TEST(Refusals, RangesWiderThanFloat32) {
  const Model model = load_network(share_folder() / "models" / "zoo" / "plain_cnn.onnx");
  Statistics statistics;
  for (const FloatTensor& tensor : model.network.tensors)
    statistics[tensor.name] = {-3e38F, 3e38F, 1};
  EXPECT_THROW(quantize(model.network, statistics, {}), InputError);
}

TEST(Refusals, QcdqRefusesWeightZeroPointsThatDifferByChannel) {
  const Model model = load_network(share_folder() / "models" / "zoo" / "plain_cnn.onnx");
  Statistics statistics;
  for (const FloatTensor& tensor : model.network.tensors)
    statistics[tensor.name] = {-1.0F, 4.0F, 1};
  QuantizationConfig config;
  config.weight.is_signed = false;
  config.weights = Symmetry::kAsymmetric;
  EXPECT_THROW(write_qcdq(model.graph, quantize(model.network, statistics, config)), InputError);
  config.per_channel = false;
  EXPECT_NO_THROW(write_qcdq(model.graph, quantize(model.network, statistics, config)));
}

}  // namespace
}  // namespace widthwise
