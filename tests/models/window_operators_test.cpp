// Conv, MaxPool, AveragePool, GlobalAveragePool: shapes by hand, values against the definitions.
#include <ostream>

#include "tests/models/compare.h"
#include "tests/models/onnx_builder.h"

namespace widthwise {
namespace {

struct WindowCase {
  const char* name;
  Shape ifmap;  // [C, (H,) W]
  int64_t ofmap_channels, groups;
  std::vector<int64_t> kernel, strides, dilations, pads;
  Shape ofmap;  // by hand
};
void PrintTo(const WindowCase& c, std::ostream* out) { *out << c.name; }

const WindowCase kWindows[] = {
    {"OnePixel", {1, 1, 1}, 1, 1, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1, 1}},
    {"Same3x3", {3, 8, 8}, 4, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, {4, 8, 8}},
    {"Valid3x3", {16, 7, 9}, 17, 1, {3, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {17, 5, 7}},
    {"Stride2Even", {15, 8, 8}, 16, 1, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, {16, 4, 4}},
    {"Stride2Odd", {2, 7, 7}, 33, 1, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, {33, 4, 4}},
    {"Stride3Rest", {2, 8, 8}, 3, 1, {2, 2}, {3, 3}, {1, 1}, {0, 0, 0, 0}, {3, 3, 3}},
    {"OneByOne", {31, 5, 4}, 32, 1, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {32, 5, 4}},
    {"OneByOneStride2", {4, 5, 4}, 6, 1, {1, 1}, {2, 2}, {1, 1}, {0, 0, 0, 0}, {6, 3, 2}},
    {"Depthwise", {16, 9, 9}, 16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, {16, 9, 9}},
    {"DepthwiseOdd", {17, 9, 9}, 17, 17, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, {17, 5, 5}},
    {"DepthwiseTimes2", {5, 6, 6}, 10, 5, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, {10, 6, 6}},
    {"Groups", {8, 6, 6}, 12, 4, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, {12, 6, 6}},
    {"Dilated", {3, 9, 9}, 4, 1, {3, 3}, {1, 1}, {2, 3}, {0, 0, 0, 0}, {4, 5, 3}},
    {"DilatedPadded", {3, 9, 9}, 4, 1, {3, 3}, {1, 1}, {2, 2}, {2, 2, 2, 2}, {4, 9, 9}},
    {"Asymmetric", {3, 8, 7}, 4, 1, {3, 3}, {1, 1}, {1, 1}, {0, 1, 2, 0}, {4, 8, 6}},
    {"AsymmetricStride", {3, 8, 8}, 4, 1, {3, 3}, {2, 2}, {1, 1}, {0, 0, 1, 1}, {4, 4, 4}},
    {"Rectangle", {2, 4, 16}, 3, 1, {1, 5}, {1, 2}, {1, 1}, {0, 2, 0, 2}, {3, 4, 8}},
    {"OneDimension", {3, 17}, 4, 1, {5}, {2}, {1}, {2, 2}, {4, 9}},
    {"OneDimensionAsymmetric", {4, 16}, 4, 4, {3}, {1}, {2}, {0, 3}, {4, 15}},
};

class Windows : public testing::TestWithParam<WindowCase> {
 protected:
  OnnxBuilder model_{batched(GetParam().ifmap)};

  static Shape batched(Shape shape) {
    shape.insert(shape.begin(), GraphValue::kSymbolic);
    return shape;
  }
  void set_window(onnx::NodeProto& node) {
    set(node, "kernel_shape", GetParam().kernel);
    set(node, "strides", GetParam().strides);
    set(node, "dilations", GetParam().dilations);
    set(node, "pads", GetParam().pads);
  }
};

TEST_P(Windows, Conv) {
  const WindowCase& c = GetParam();
  Shape weight = {c.ofmap_channels, c.ifmap[0] / c.groups};
  weight.insert(weight.end(), c.kernel.begin(), c.kernel.end());
  model_.random("w", weight);
  model_.random("b", {c.ofmap_channels});
  auto& node = model_.node("Conv", {"x", "w", "b"});
  set_window(node);
  set(node, "group", c.groups);
  const FloatNetwork network = expect_all_agree(model_.parse());
  EXPECT_EQ(network.tensor(network.output).shape, c.ofmap);
  EXPECT_EQ(network_macs(network),
            shape_elements(c.ofmap) * shape_elements(weight) / c.ofmap_channels);
  EXPECT_EQ(network_parameters(network), shape_elements(weight) + c.ofmap_channels);
}

TEST_P(Windows, MaxPool) {
  const WindowCase& c = GetParam();
  set_window(model_.node("MaxPool", {"x"}));
  const FloatNetwork network = expect_all_agree(model_.parse());
  Shape ofmap = c.ofmap;
  ofmap[0] = c.ifmap[0];
  EXPECT_EQ(network.tensor(network.output).shape, ofmap);
  EXPECT_EQ(network_macs(network), 0);
}

TEST_P(Windows, AveragePool) {  // padded taps count, as they do on the array
  const WindowCase& c = GetParam();
  auto& node = model_.node("AveragePool", {"x"});
  set_window(node);
  set(node, "count_include_pad", int64_t{1});
  const FloatNetwork network = expect_all_agree(model_.parse());
  Shape ofmap = c.ofmap;
  ofmap[0] = c.ifmap[0];
  EXPECT_EQ(network.tensor(network.output).shape, ofmap);
  EXPECT_EQ(network_macs(network), 0) << "additions, no multiplications";
  const auto& matmul = std::get<MatmulWorkload>(network.layers[0].workload);
  EXPECT_TRUE(matmul.unit_weights);
  EXPECT_EQ(matmul.additions(), shape_elements(ofmap) * shape_elements(c.kernel));
  EXPECT_FLOAT_EQ(network.layers[0].weights[0],
                  1.0f / static_cast<float>(shape_elements(c.kernel)));
}

TEST_P(Windows, GlobalAveragePool) {
  model_.node("GlobalAveragePool", {"x"});
  const FloatNetwork network = expect_all_agree(model_.parse());
  Shape ofmap(GetParam().ifmap.size(), 1);
  ofmap[0] = GetParam().ifmap[0];
  EXPECT_EQ(network.tensor(network.output).shape, ofmap);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Windows, testing::ValuesIn(kWindows),
                         [](const auto& test) { return test.param.name; });

struct AutoPadCase {
  const char* name;
  const char* mode;
  int64_t extent, kernel, stride;
  int64_t begin, end, ofmap;  // by hand
};
void PrintTo(const AutoPadCase& c, std::ostream* out) { *out << c.name; }

constexpr AutoPadCase kAutoPads[] = {
    {"UpperOdd", "SAME_UPPER", 8, 3, 2, 0, 1, 4},   // (4-1)*2+3-8 = 1 pad, at the end
    {"LowerOdd", "SAME_LOWER", 8, 3, 2, 1, 0, 4},   // at the beginning
    {"UpperEven", "SAME_UPPER", 7, 3, 2, 1, 1, 4},  // 2 pads
    {"UpperNone", "SAME_UPPER", 8, 2, 2, 0, 0, 4},
    {"UpperStrideAboveKernel", "SAME_UPPER", 7, 1, 3, 0, 0, 3},  // a negative pad is none
    {"Valid", "VALID", 8, 3, 2, 0, 0, 3},
};

class AutoPad : public testing::TestWithParam<AutoPadCase> {};

TEST_P(AutoPad, GivesPadsByHand) {
  const AutoPadCase& c = GetParam();
  OnnxBuilder model({1, 2, c.extent, c.extent});
  model.random("w", {3, 2, c.kernel, c.kernel});
  auto& node = model.node("Conv", {"x", "w"});
  set(node, "auto_pad", c.mode);
  set(node, "strides", {c.stride, c.stride});
  const FloatNetwork network = expect_all_agree(model.parse());
  const Window& w = std::get<MatmulWorkload>(network.layers[0].workload).window;
  EXPECT_EQ(w.pad_top, c.begin);
  EXPECT_EQ(w.pad_left, c.begin);
  EXPECT_EQ(w.pad_bottom, c.end);
  EXPECT_EQ(w.pad_right, c.end);
  EXPECT_EQ(w.ofmap_rows, c.ofmap);
  EXPECT_EQ(w.ofmap_cols, c.ofmap);
}

INSTANTIATE_TEST_SUITE_P(Modes, AutoPad, testing::ValuesIn(kAutoPads),
                         [](const auto& test) { return test.param.name; });

Values run(const FloatNetwork& network, const Values& image) {
  return run_float_reference(network, image)[static_cast<size_t>(network.output)];
}

TEST(ConvByHand, PadsStrideAndOrderOfAxes) {
  // ifmap 1..6 in two rows; the kernel takes 1 x its left and 10 x its right tap; one column of
  // pads on the left only.
  OnnxBuilder model({1, 1, 2, 3});
  model.floats("w", {1, 1, 1, 2}, {1, 10});
  model.floats("b", {1}, {100});
  set(model.node("Conv", {"x", "w", "b"}), "pads", {0, 1, 0, 0});
  const FloatNetwork network = lower(fold(model.parse()));
  EXPECT_THAT(run(network, {1, 2, 3, 4, 5, 6}), testing::ElementsAre(110, 121, 132, 140, 154, 165));
}

TEST(ConvByHand, GroupsReadTheirOwnChannels) {
  OnnxBuilder model({1, 4, 1, 1});
  model.floats("w", {2, 2, 1, 1}, {1, 10, 100, 1000});
  set(model.node("Conv", {"x", "w"}), "group", int64_t{2});
  EXPECT_THAT(run(lower(fold(model.parse())), {1, 2, 3, 4}), testing::ElementsAre(21, 4300));
}

TEST(PoolByHand, PaddedTapsDoNotTakePartInAMaximum) {
  OnnxBuilder model({1, 1, 1, 3});
  auto& node = model.node("MaxPool", {"x"});
  set(node, "kernel_shape", {1, 2});
  set(node, "pads", {0, 1, 0, 0});
  EXPECT_THAT(run(lower(fold(model.parse())), {-3, -5, -4}), testing::ElementsAre(-3, -3, -4));
}

TEST(PoolByHand, AverageDividesByTheWholeWindow) {
  OnnxBuilder model({1, 1, 2, 2});
  auto& node = model.node("AveragePool", {"x"});
  set(node, "kernel_shape", {2, 2});
  EXPECT_THAT(run(lower(fold(model.parse())), {1, 2, 3, 6}), testing::ElementsAre(3));
}

}  // namespace
}  // namespace widthwise
