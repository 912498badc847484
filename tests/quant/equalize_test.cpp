// Equalized networks compute what they did, with weights whose ranges agree.
#include "quant/equalize.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "core/files.h"
#include "models/float_reference.h"
#include "models/model.h"
#include "tests/quant/quant_support.h"

namespace widthwise {
namespace {

using namespace testing_support;

TEST(Equalize, TwoChannelsByHand) {
  FloatBuilder b({1, 1, 1});
  b.conv("second", b.conv("first", 0, {8, 0.5F}, {4, 1}, 0), {2, 2}, {3});
  equalize(b.network);
  EXPECT_EQ(b.network.layers[0].weights, (std::vector<float>{4, 1}));  // divided by 2 and by 1/2
  EXPECT_EQ(b.network.layers[0].bias, (std::vector<float>{2, 2}));
  EXPECT_EQ(b.network.layers[1].weights, (std::vector<float>{4, 1}));
  EXPECT_EQ(b.network.layers[1].bias, (std::vector<float>{3}));
}

TEST(Equalize, LimitsBranchesAndSumsStayAsTheyAre) {
  const auto unchanged = [](const FloatNetwork& network) {
    FloatNetwork copy = network;
    equalize(copy);
    for (size_t i = 0; i < network.layers.size(); ++i)
      EXPECT_EQ(copy.layers[i].weights, network.layers[i].weights);
  };
  FloatBuilder relu6({1, 1, 1});
  relu6.conv("second", relu6.conv("first", 0, {8}, {}, 0, 6), {2}, {});
  unchanged(relu6.network);
  FloatBuilder branch({1, 1, 1});
  const int both = branch.conv("first", 0, {8}, {}, 0);
  branch.sum("sum", branch.conv("left", both, {2}, {}), branch.conv("right", both, {2}, {}));
  unchanged(branch.network);
}

TEST(Equalize, ChannelsWithoutWeightsStay) {
  FloatBuilder b({1, 1, 1});
  b.conv("second", b.conv("first", 0, {0, 8, 8}, {5, 1, 1}, 0), {2, 0, 2}, {});
  equalize(b.network);
  EXPECT_EQ(b.network.layers[0].weights, (std::vector<float>{0, 8, 4}));
  EXPECT_EQ(b.network.layers[1].weights, (std::vector<float>{2, 0, 4}));
}

TEST(Equalize, ChannelsThatAreAlmostDeadStay) {
  FloatBuilder b({1, 1, 1});
  b.conv("second", b.conv("first", 0, {8, 1e-6F}, {4, 0.5F}, 0), {2, 2}, {});
  equalize(b.network);
  EXPECT_EQ(b.network.layers[0].weights, (std::vector<float>{4, 1e-6F}));
  EXPECT_EQ(b.network.layers[0].bias, (std::vector<float>{2, 0.5F}));
}

// Depthwise convolutions are in shufflenetv2; pools in plain_cnn.
TEST(Equalize, ShippedNetworksComputeTheSame) {
  for (const char* name : {"plain_cnn", "resnet8", "shufflenetv2"}) {
    const Model model =
        load_network(share_folder() / "models" / "zoo" / (std::string(name) + ".onnx"));
    FloatNetwork equal = model.network;
    equalize(equal);
    std::mt19937 random(4);
    Values image(784);
    for (double& v : image) v = static_cast<double>(random() % 256) / 255;
    const Values wanted =
        run_float_reference(model.network, image)[static_cast<size_t>(equal.output)];
    const Values found = run_float_reference(equal, image)[static_cast<size_t>(equal.output)];
    bool changed = false;
    for (size_t i = 0; i < equal.layers.size(); ++i)
      changed |= equal.layers[i].weights != model.network.layers[i].weights;
    EXPECT_TRUE(changed) << name;
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-3) << name;
  }
}

}  // namespace
}  // namespace widthwise
