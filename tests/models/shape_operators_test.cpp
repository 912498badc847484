// Operators along axes, by hand: Softmax, reductions, Gather, Squeeze, Resize, ConvTranspose and
// others that change shapes. The standard's cases are in tests/conformance/.
#include <limits>

#include "tests/models/one_node.h"

namespace widthwise {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsNan;
using testing::Pointwise;

Tensor matrix() { return Tensor::floats({2, 3}, {1, 2, 3, 4, 5, 6}); }

TEST(Softmax, AlongAnAxisOrOverAllAxesFromItBeforeOpset13) {
  const float two = std::log(2.0f), three = std::log(3.0f);
  const Tensor x = Tensor::floats({1, 2, 2}, {0, two, 0, three});
  EXPECT_THAT(evaluate_reals({"Softmax", {x}}),
              Pointwise(DoubleNear(1e-6), {1 / 3., 2 / 3., 1 / 4., 3 / 4.}));
  EXPECT_THAT(evaluate_reals({"Softmax", {x}, {{"axis", int64_t{1}}}}),
              Pointwise(DoubleNear(1e-6), {1 / 2., 2 / 5., 1 / 2., 3 / 5.}));
  EXPECT_THAT(evaluate_reals({"Softmax", {x}, {}, 11}),
              Pointwise(DoubleNear(1e-6), {1 / 7., 2 / 7., 1 / 7., 3 / 7.}));
  EXPECT_THAT(evaluate_reals({"LogSoftmax", {x}, {}, 11}),
              Pointwise(DoubleNear(1e-6),
                        {std::log(1 / 7.), std::log(2 / 7.), std::log(1 / 7.), std::log(3 / 7.)}));
}

TEST(Reduce, ByAttributeOrInputAndKeepdims) {
  const Tensor sum = evaluate_one({"ReduceSum", {matrix(), Tensor::list({0})}});
  EXPECT_EQ(sum.shape(), (Shape{1, 3}));
  EXPECT_THAT(sum.reals(), ElementsAre(5, 7, 9));
  const Tensor mean = evaluate_one(
      {"ReduceMean", {matrix()}, {{"axes", list({-1})}, {"keepdims", int64_t{0}}}, 13});
  EXPECT_EQ(mean.shape(), Shape{2});
  EXPECT_THAT(mean.reals(), ElementsAre(2, 5));
  EXPECT_EQ(evaluate_one({"ReduceMax", {matrix()}, {{"keepdims", int64_t{0}}}}), Tensor::scalar(6));
  EXPECT_EQ(evaluate_one({"ReduceMin", {matrix()}}), Tensor::floats({1, 1}, {1}));
}

TEST(Reduce, NoAxesMayMeanNone) {
  EXPECT_EQ(evaluate_one({"ReduceSum", {matrix()}, {{"noop_with_empty_axes", int64_t{1}}}}),
            matrix());
  EXPECT_EQ(evaluate_one({"ReduceSum", {matrix(), Tensor::list({})}}),
            Tensor::floats({1, 1}, {21}));
}

TEST(Reduce, NothingGivesTheNeutralElement) {
  const Tensor none = Tensor::floats({2, 0}, {});
  const Tensor axes = Tensor::list({1});
  EXPECT_THAT(evaluate_reals({"ReduceSum", {none, axes}}), ElementsAre(0, 0));
  EXPECT_THAT(evaluate_reals({"ReduceMean", {none, axes}}), ElementsAre(IsNan(), IsNan()));
  EXPECT_THAT(evaluate_reals({"ReduceMax", {none, axes}}),
              ElementsAre(-std::numeric_limits<double>::infinity(),
                          -std::numeric_limits<double>::infinity()));
  EXPECT_THAT(
      evaluate_integers({"ReduceMin", {Tensor(ElementType::kInt8, {0}), Tensor::list({0})}}),
      ElementsAre(127));
}

TEST(Reduce, Integers) {
  EXPECT_THAT(evaluate_integers({"ReduceSum", {bytes({100, 100})}}), ElementsAre(-56));
  EXPECT_THAT(evaluate_integers({"ReduceMean", {Tensor::list({-1, -2, -2})}}), ElementsAre(-1));
  EXPECT_THAT(evaluate_integers({"ReduceMax", {bools({0, 1, 0})}}), ElementsAre(1));
}

TEST(ArgMax, TakesTheFirstOrTheLastOfEqualOnes) {
  const Tensor x = Tensor::floats({2, 3}, {1, 3, 3, 2, 2, 0});
  EXPECT_THAT(evaluate_integers({"ArgMax", {x}, {{"axis", int64_t{1}}}}), ElementsAre(1, 0));
  EXPECT_THAT(evaluate_integers(
                  {"ArgMax", {x}, {{"axis", int64_t{-1}}, {"select_last_index", int64_t{1}}}}),
              ElementsAre(2, 1));
  const Tensor down = evaluate_one({"ArgMin", {x}, {{"keepdims", int64_t{0}}}});
  EXPECT_EQ(down, Tensor::list({0, 1, 1}));
}

TEST(Gather, ByIndicesOfAnyShape) {
  const Tensor rows = evaluate_one({"Gather", {matrix(), Tensor::list({-1, 0})}});
  EXPECT_EQ(rows, Tensor::floats({2, 3}, {4, 5, 6, 1, 2, 3}));
  const Tensor column =
      evaluate_one({"Gather",
                    {matrix(), Tensor(ElementType::kInt64, {}, std::vector<int64_t>{1})},
                    {{"axis", int64_t{1}}}});
  EXPECT_EQ(column, Tensor::floats({2}, {2, 5}));
}

TEST(GatherElements, ByPosition) {
  const Tensor at(ElementType::kInt64, {1, 3}, std::vector<int64_t>{1, 0, -1});
  EXPECT_THAT(evaluate_reals({"GatherElements", {matrix(), at}}), ElementsAre(4, 2, 6));
}

TEST(Squeeze, AndUnsqueezeByAttributeOrInput) {
  const Tensor x = Tensor::floats({1, 2, 1}, {1, 2});
  EXPECT_EQ(evaluate_one({"Squeeze", {x}}).shape(), Shape{2});
  EXPECT_EQ(evaluate_one({"Squeeze", {x, Tensor::list({-1})}}).shape(), (Shape{1, 2}));
  EXPECT_EQ(evaluate_one({"Squeeze", {x}, {{"axes", list({0})}}, 11}).shape(), (Shape{2, 1}));
  EXPECT_EQ(evaluate_one({"Unsqueeze", {x, Tensor::list({-1, 0})}}).shape(),
            (Shape{1, 1, 2, 1, 1}));
  EXPECT_EQ(evaluate_one({"Unsqueeze", {x}, {{"axes", list({1})}}, 11}).shape(),
            (Shape{1, 1, 2, 1}));
}

TEST(Slice, OfAnEmptyAxisIsEmpty) {
  const Tensor none = Tensor::floats({2, 0}, {}), axis = Tensor::list({1});
  for (const int64_t step : {-1, 1}) {
    const Tensor ends = Tensor::list({step < 0 ? -9 : 9});
    const Tensor slice =
        evaluate_one({"Slice", {none, Tensor::list({0}), ends, axis, Tensor::list({step})}});
    EXPECT_EQ(slice.shape(), (Shape{2, 0})) << step;
  }
}

TEST(Expand, BroadcastsBothWays) {
  EXPECT_EQ(evaluate_one({"Expand", {Tensor::floats({2, 1}, {1, 2}), Tensor::list({3, 1, 2})}}),
            Tensor::floats({3, 2, 2}, {1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2}));
  EXPECT_EQ(evaluate_one({"Expand", {floats({5}), Tensor::list({int64_t{1} << 28, 0})}}).shape(),
            (Shape{int64_t{1} << 28, 0}));
}

TEST(Tile, RepeatsEveryAxis) {
  EXPECT_EQ(evaluate_one({"Tile", {Tensor::floats({1, 2}, {1, 2}), Tensor::list({2, 2})}}),
            Tensor::floats({2, 4}, {1, 2, 1, 2, 1, 2, 1, 2}));
  EXPECT_EQ(evaluate_one({"Tile", {matrix(), Tensor::list({0, 1})}}).shape(), (Shape{0, 3}));
}

TEST(ConstantOfShape, AndRange) {
  EXPECT_EQ(evaluate_one({"ConstantOfShape", {Tensor::list({2})}}), floats({0, 0}));
  EXPECT_EQ(evaluate_one({"ConstantOfShape", {Tensor::list({2})}, {{"value", bytes({7})}}}),
            bytes({7, 7}));
  const auto scalar = [](int64_t v) { return Tensor(ElementType::kInt64, {}, std::vector{v}); };
  EXPECT_EQ(evaluate_one({"Range", {scalar(1), scalar(6), scalar(2)}}), Tensor::list({1, 3, 5}));
  EXPECT_EQ(evaluate_one({"Range", {scalar(1), scalar(-6), scalar(-3)}}),
            Tensor::list({1, -2, -5}));
  EXPECT_EQ(evaluate_one({"Range", {scalar(1), scalar(-6), scalar(3)}}), Tensor::list({}));
  EXPECT_EQ(evaluate_one({"Range", {Tensor::scalar(0), Tensor::scalar(1), Tensor::scalar(0.5f)}}),
            floats({0, 0.5f}));
}

TEST(DepthToSpace, BothModesAndBack) {
  const Tensor x = Tensor::floats({1, 8, 1, 1}, {0, 1, 2, 3, 4, 5, 6, 7});
  const OneNode dcr = {"DepthToSpace", {x}, {{"blocksize", int64_t{2}}}};
  EXPECT_EQ(evaluate_one(dcr), Tensor::floats({1, 2, 2, 2}, {0, 2, 4, 6, 1, 3, 5, 7}));
  const OneNode crd = {
      "DepthToSpace", {x}, {{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}}};
  EXPECT_EQ(evaluate_one(crd), Tensor::floats({1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(evaluate_one({"SpaceToDepth", {evaluate_one(dcr)}, {{"blocksize", int64_t{2}}}}), x);
}

TEST(Normalization, OfInstancesAndLayers) {
  const Tensor x = Tensor::floats({1, 2, 2}, {1, 3, 10, 30});
  const std::map<std::string, GraphAttribute> exact = {{"epsilon", 0.0f}};
  EXPECT_THAT(evaluate_reals({"InstanceNormalization", {x, floats({1, 2}), floats({0, 5})}, exact}),
              ElementsAre(-1, 1, 3, 7));
  const auto all = evaluate({"LayerNormalization", {x, floats({1, 2})}, exact, 17, 3});
  EXPECT_THAT(all[0].reals(), ElementsAre(-1, 2, -1, 2));
  EXPECT_EQ(all[1], Tensor::floats({1, 2, 1}, {2, 20}));
  EXPECT_EQ(all[2], Tensor::floats({1, 2, 1}, {1, 0.1f}));
}

// One axis of extent 4 or 2, values 0, 1, 2, ...
std::vector<double> resized(int64_t from, const std::vector<float>& scales,
                            const std::vector<int64_t>& sizes, const std::string& coordinates,
                            const std::string& rounding, const std::string& mode = "nearest") {
  std::vector<float> values;
  for (int64_t i = 0; i < from; ++i) values.push_back(static_cast<float>(i));
  OneNode node = {"Resize", {floats(values), std::nullopt, std::nullopt, std::nullopt}};
  if (!scales.empty()) node.inputs[2] = floats(scales);
  if (!sizes.empty()) node.inputs[3] = Tensor::list(sizes);
  node.attributes = {{"coordinate_transformation_mode", coordinates}, {"mode", mode}};
  if (!rounding.empty()) node.attributes["nearest_mode"] = rounding;
  return evaluate_reals(node);
}

TEST(Resize, NearestByHand) {
  EXPECT_THAT(resized(2, {2}, {}, "half_pixel", ""), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(resized(2, {}, {4}, "asymmetric", "floor"), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(resized(2, {}, {4}, "asymmetric", "ceil"), ElementsAre(0, 1, 1, 1));
  EXPECT_THAT(resized(2, {}, {4}, "asymmetric", "round_prefer_floor"), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(resized(2, {}, {4}, "asymmetric", "round_prefer_ceil"), ElementsAre(0, 1, 1, 1));
  EXPECT_THAT(resized(4, {}, {2}, "align_corners", "floor"), ElementsAre(0, 3));
  EXPECT_THAT(resized(4, {}, {1}, "pytorch_half_pixel", "floor"), ElementsAre(0));
  EXPECT_THAT(resized(4, {0.5f}, {}, "half_pixel", ""), ElementsAre(0, 2));
}

TEST(Resize, LinearAndCubicByHand) {
  EXPECT_THAT(resized(2, {2}, {}, "half_pixel", "", "linear"), ElementsAre(0, 0.25, 0.75, 1));
  EXPECT_THAT(resized(2, {}, {3}, "align_corners", "", "linear"), ElementsAre(0, 0.5, 1));
  // Keys' kernel with a = -0.75 at a distance of 1/4: weights -27/256, 225/256, 67/256, -9/256.
  EXPECT_EQ(resized(4, {2}, {}, "half_pixel", "", "cubic")[3], (225 + 2 * 67 - 3 * 9) / 256.0);
}

TEST(Resize, SizesKeepTheAspectRatioOnRequest) {
  const Tensor x = Tensor::floats({2, 4}, {0, 1, 2, 3, 4, 5, 6, 7});
  OneNode node = {"Resize",
                  {x, std::nullopt, std::nullopt, Tensor::list({4, 4})},
                  {{"keep_aspect_ratio_policy", std::string("not_larger")}}};
  EXPECT_EQ(evaluate_one(node).shape(), (Shape{2, 4}));
  node.attributes["keep_aspect_ratio_policy"] = std::string("not_smaller");
  EXPECT_EQ(evaluate_one(node).shape(), (Shape{4, 8}));
  node.attributes = {{"axes", list({-1})}};
  node.inputs[3] = Tensor::list({2});
  EXPECT_THAT(evaluate_reals(node), ElementsAre(0, 2, 4, 6));
}

TEST(Upsample, ByAttributeOrInput) {
  const Tensor x = floats({1, 2});
  EXPECT_THAT(evaluate_reals({"Upsample", {x}, {{"scales", std::vector<float>{2}}}, 7}),
              ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(evaluate_reals({"Upsample", {x, floats({2})}, {{"mode", std::string("linear")}}, 9}),
              ElementsAre(1, 1.5, 2, 2));
  EXPECT_THAT(evaluate_reals({"Resize", {floats({0, 1, 2, 3}), floats({0.6f})}, {}, 10}),
              ElementsAre(0, 2));  // downward in opset 10: 1 / 0.6 toward the end
}

TEST(ConvTranspose, ByHand) {
  const Tensor x = Tensor::floats({1, 1, 2}, {1, 10}), w = Tensor::floats({1, 1, 3}, {1, 2, 3});
  EXPECT_EQ(evaluate_one({"ConvTranspose", {x, w}}), Tensor::floats({1, 1, 4}, {1, 12, 23, 30}));
  EXPECT_EQ(evaluate_one({"ConvTranspose", {x, w, floats({100})}, {{"pads", list({1, 0})}}}),
            Tensor::floats({1, 1, 3}, {112, 123, 130}));
  const OneNode strided = {
      "ConvTranspose", {x, w}, {{"strides", list({2})}, {"output_padding", list({1})}}};
  EXPECT_EQ(evaluate_one(strided), Tensor::floats({1, 1, 6}, {1, 2, 13, 20, 30, 0}));
  EXPECT_EQ(evaluate_one({"ConvTranspose", {x, w}, {{"dilations", list({2})}}}),
            Tensor::floats({1, 1, 6}, {1, 10, 2, 20, 3, 30}));
}

TEST(ConvTranspose, OutputShapeDecidesThePads) {  // 2 * (2 - 1) + 3 = 5, so 4 needs one pad
  const Tensor x = Tensor::floats({1, 1, 2}, {1, 10}), w = Tensor::floats({1, 1, 3}, {1, 2, 3});
  std::map<std::string, GraphAttribute> attributes = {{"strides", list({2})},
                                                      {"output_shape", list({4})}};
  EXPECT_THAT(evaluate_reals({"ConvTranspose", {x, w}, attributes}), ElementsAre(2, 13, 20, 30));
  attributes["auto_pad"] = std::string("SAME_UPPER");
  EXPECT_THAT(evaluate_reals({"ConvTranspose", {x, w}, attributes}), ElementsAre(1, 2, 13, 20));
  attributes.erase("output_shape");  // extent * stride
  EXPECT_THAT(evaluate_reals({"ConvTranspose", {x, w}, attributes}), ElementsAre(1, 2, 13, 20));
}

TEST(ConvTranspose, GroupsAndTwoAxes) {
  const Tensor x = Tensor::floats({1, 2, 1, 2}, {1, 2, 3, 4});
  const Tensor w = Tensor::floats({2, 2, 1, 1}, {1, 10, 100, 1000});
  const Tensor grouped = evaluate_one({"ConvTranspose", {x, w}, {{"group", int64_t{2}}}});
  EXPECT_EQ(grouped, Tensor::floats({1, 4, 1, 2}, {1, 2, 10, 20, 300, 400, 3000, 4000}));
  const Tensor whole = evaluate_one({"ConvTranspose", {x, w}});
  EXPECT_EQ(whole, Tensor::floats({1, 2, 1, 2}, {301, 402, 3010, 4020}));
}

TEST(Dropout, GivesAMaskOfOnes) {
  const auto all = evaluate({"Dropout", {floats({1, 2})}, {}, 13, 2});
  EXPECT_EQ(all[0], floats({1, 2}));
  EXPECT_EQ(all[1], bools({1, 1}));
}

TEST(Split, PartsOfNothing) {
  const auto all = evaluate({"Split", {floats({}), Tensor::list({0, 0})}, {}, 13, 2});
  EXPECT_EQ(all[0].shape(), Shape{0});
  EXPECT_EQ(all[1].shape(), Shape{0});
}

struct Refusal {
  const char* name;
  OneNode node;
  const char* message;
};
void PrintTo(const Refusal& c, std::ostream* out) { *out << c.name; }
class ShapeRefusals : public testing::TestWithParam<Refusal> {};

TEST_P(ShapeRefusals, NameTheNode) {
  const std::string message = input_error([&] { evaluate(GetParam().node); });
  EXPECT_THAT(message, HasSubstr("node 'node' (" + GetParam().node.op_type + ")"));
  EXPECT_THAT(message, HasSubstr(GetParam().message));
}

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
const Tensor kImage = Tensor::floats({1, 1, 2, 2}, {1, 2, 3, 4});
const Tensor kKernel = Tensor::floats({1, 1, 1, 1}, {1});
const Refusal kRefusals[] = {
    {"SoftmaxOfAScalar", {"Softmax", {Tensor::scalar(1)}}, "axis is -1"},
    {"AxisTooLarge", {"Softmax", {matrix()}, {{"axis", int64_t{2}}}}, "axis is 2, allowed -2..1"},
    {"ReduceAxisTwice", {"ReduceSum", {matrix(), Tensor::list({0, -2})}}, "name an axis twice"},
    {"ReduceAxesInTheOtherForm",
     {"ReduceMean", {matrix()}, {{"axes", list({0})}}, 18},
     "in opset 18 it is an input"},
    {"ReduceAxesAsAnInputTooEarly",
     {"ReduceMean", {matrix(), Tensor::list({0})}, {}, 13},
     "attribute before opset 18"},
    {"MeanOfNoIntegers",
     {"ReduceMean", {Tensor(ElementType::kInt64, {0})}},
     "integers have no mean of nothing"},
    {"ArgMaxOfNothing", {"ArgMax", {Tensor::floats({0}, {})}}, "without elements"},
    {"IndexTooLarge", {"Gather", {matrix(), Tensor::list({2})}}, "hold 2, allowed -2..1"},
    {"IndexTooSmall", {"Gather", {matrix(), Tensor::list({-3})}}, "hold -3"},
    {"IndexOfFloat", {"Gather", {matrix(), floats({0})}}, "allowed int32, int64"},
    {"IndicesOfAnotherRank",
     {"GatherElements", {matrix(), Tensor::list({0})}},
     "does not lie in the data's"},
    {"SqueezeOfTwo", {"Squeeze", {matrix(), Tensor::list({0})}}, "allowed are extents of 1"},
    {"UnsqueezeTwice", {"Unsqueeze", {matrix(), Tensor::list({0, 0})}}, "name an axis twice"},
    {"UnsqueezeWithoutAxes", {"Unsqueeze", {matrix()}}, "axes are missing"},
    {"ExpandByNegative", {"Expand", {matrix(), Tensor::list({-1, 3})}}, "holds -1"},
    {"ExpandTooFar", {"Expand", {floats({1}), Tensor::list({1 << 20, 1 << 20})}}, "at most"},
    {"TileTooOften", {"Tile", {floats({1, 2}), Tensor::list({kHuge})}}, "repeats holds"},
    {"TileOfAnotherRank", {"Tile", {matrix(), Tensor::list({1})}}, "has 1 entries, needed 2"},
    {"ConstantOfHugeShape", {"ConstantOfShape", {Tensor::list({kHuge, kHuge})}}, "at most"},
    {"ConstantOfTwoValues",
     {"ConstantOfShape", {Tensor::list({1})}, {{"value", floats({1, 2})}}},
     "must be a tensor of one element"},
    {"RangeWithoutStep",
     {"Range", {Tensor::scalar(0), Tensor::scalar(1), Tensor::scalar(0)}},
     "delta is 0"},
    {"RangeWithoutEnd",
     {"Range", {Tensor::list({-kHuge}), Tensor::list({kHuge}), Tensor::list({1})}},
     "range has"},
    {"RangeOfTwoTypes",
     {"Range", {Tensor::scalar(0), Tensor::list({1}), Tensor::scalar(1)}},
     "start's type"},
    {"BlockDoesNotDivide",
     {"DepthToSpace", {kImage}, {{"blocksize", int64_t{2}}}},
     "divides the channels by its square"},
    {"BlockOfZero", {"SpaceToDepth", {kImage}, {{"blocksize", int64_t{0}}}}, "blocksize is 0"},
    {"BlockHuge", {"DepthToSpace", {kImage}, {{"blocksize", kHuge}}}, "blocksize is"},
    {"NormalizationScale",
     {"InstanceNormalization", {kImage, floats({1, 2}), floats({1})}},
     "scale has the shape [2], needed [1]"},
    {"ResizeWithoutSizes", {"Resize", {floats({1, 2})}}, "are both missing"},
    {"ResizeBoth",
     {"Resize", {floats({1, 2}), std::nullopt, floats({2}), Tensor::list({4})}},
     "are both given"},
    {"ResizeAntialias",
     {"Resize", {floats({1, 2}), std::nullopt, floats({2})}, {{"antialias", int64_t{1}}}},
     "antialias is 1, allowed 0"},
    {"ResizeUnknownMode",
     {"Resize", {floats({1}), std::nullopt, floats({2})}, {{"mode", std::string("area")}}},
     "mode is area, allowed nearest, linear, cubic"},
    {"ResizeUnknownCoordinates",
     {"Resize",
      {floats({1}), std::nullopt, floats({2})},
      {{"coordinate_transformation_mode", std::string("none")}}},
     "allowed half_pixel"},
    {"ResizeByZero", {"Resize", {floats({1}), std::nullopt, floats({0})}}, "hold 0"},
    {"ResizeByInfinity",
     {"Resize", {floats({1}), std::nullopt, floats({std::numeric_limits<float>::infinity()})}},
     "hold inf"},
    {"ResizeHuge",
     {"Resize", {floats({1}), std::nullopt, std::nullopt, Tensor::list({kHuge})}},
     "sizes hold"},
    {"ResizeLinearHuge",
     {"Resize",
      {floats({1}), std::nullopt, std::nullopt, Tensor::list({1 << 28})},
      {{"mode", std::string("linear")}}},
     "lead to the shape"},
    {"ResizeNothing",
     {"Resize", {Tensor::floats({0}, {}), std::nullopt, std::nullopt, Tensor::list({2})}},
     "for an extent of 0"},
    {"ResizeWithoutRoi",
     {"Resize",
      {floats({1}), std::nullopt, floats({2})},
      {{"coordinate_transformation_mode", std::string("tf_crop_and_resize")}}},
     "roi has 0 entries"},
    {"TransposedGroups",
     {"ConvTranspose", {kImage, kKernel}, {{"group", int64_t{2}}}},
     "group is 2 for 1 channels"},
    {"TransposedWeight", {"ConvTranspose", {kImage, matrix()}}, "weight has the shape [2, 3]"},
    {"TransposedBias", {"ConvTranspose", {kImage, kKernel, floats({1, 2})}}, "needed [1]"},
    {"TransposedPads",
     {"ConvTranspose", {kImage, kKernel}, {{"pads", list({1, 1, 1, 1})}}},
     "has the extent 0"},
    {"TransposedStrides",
     {"ConvTranspose", {kImage, kKernel}, {{"strides", list({kHuge, 1})}}},
     "strides holds"},
    {"TransposedTooLarge",
     {"ConvTranspose", {kImage, kKernel}, {{"strides", list({1 << 20, 1 << 20})}}},
     "at most"},
    {"TransposedShape",
     {"ConvTranspose", {kImage, kKernel}, {{"output_shape", list({3})}}},
     "output_shape has 1 entries"},
};
INSTANTIATE_TEST_SUITE_P(Cases, ShapeRefusals, testing::ValuesIn(kRefusals),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace widthwise
