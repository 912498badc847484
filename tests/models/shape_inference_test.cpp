#include "models/shape_inference.h"

#include "tests/models/compare.h"
#include "tests/models/quantized_builder.h"
#include "tests/models/run_nodes.h"

namespace widthwise {
namespace {

using testing::AllOf;
using testing::HasSubstr;
constexpr int64_t kOpen = GraphValue::kSymbolic;

TEST(ShapeInference, AnOpenBatchCountsAsOne) {
  OnnxBuilder b({kOpen, 3, 6, 5});
  b.random("w", {4, 3, 3, 3});
  b.node("Conv", {"x", "w"}, {"c"});
  b.node("Flatten", {"c"});
  const ValueShapes shapes = infer_shapes(b.parse());
  EXPECT_EQ(shapes.at("x"), (Shape{1, 3, 6, 5}));
  EXPECT_EQ(shapes.at("c"), (Shape{1, 4, 4, 3}));
  EXPECT_EQ(shapes.at("y"), (Shape{1, 48}));
}

TEST(ShapeInference, AFixedBatchStays) {
  OnnxBuilder b({4, 3});
  b.node("Relu", {"x"});
  EXPECT_EQ(infer_shapes(b.parse()).at("y"), (Shape{4, 3}));
  EXPECT_EQ(infer_image_shapes(b.parse()).at("y"), (Shape{1, 3}));
}

// What PyTorch exports for x.view(x.size(0), -1): Shape, Gather, Unsqueeze, Concat, Reshape.
Graph dynamic_flatten(int64_t batch) {
  OnnxBuilder b({batch, 3, 4});
  b.node("Shape", {"x"}, {"s"});
  auto& first = *b.graph().add_initializer();
  store_codes(first, ElementType::kInt64, {}, {0});
  first.set_name("first");
  b.integers("axes", {0});
  b.integers("rest", {-1});
  b.node("Gather", {"s", "first"}, {"n"});
  b.node("Unsqueeze", {"n", "axes"}, {"u"});
  set(b.node("Concat", {"u", "rest"}, {"to"}), "axis", int64_t{0});
  b.node("Reshape", {"x", "to"});
  return b.parse();
}

TEST(ShapeInference, DynamicFlatten) {
  EXPECT_EQ(infer_shapes(dynamic_flatten(kOpen)).at("y"), (Shape{1, 12}));
  EXPECT_EQ(infer_shapes(dynamic_flatten(5)).at("y"), (Shape{5, 12}));
  const Tensor x = Tensor::floats({2, 3, 4}, random_values(24, 1));
  EXPECT_EQ(run_nodes(dynamic_flatten(kOpen), {{"x", x}}).at("y"), x.reshaped({2, 12}));
}

TEST(ShapeInference, ShapesThatDependOnValuesAreRefused) {
  OnnxBuilder b({2, 3});
  b.node("Neg", {"x"}, {"n"});
  set(b.node("Cast", {"n"}, {"to"}), "to", int64_t{onnx::TensorProto::INT64});
  b.node("Reshape", {"x", "to"}).set_name("reshape");
  EXPECT_THAT(input_error([&] { infer_shapes(b.parse()); }),
              AllOf(HasSubstr("test.onnx: node 'reshape' (Reshape)"), HasSubstr("'to'")));
}

TEST(ShapeInference, InputsWithOtherOpenExtentsOrWithoutAShape) {
  OnnxBuilder open({kOpen, 3, kOpen});
  open.node("Relu", {"x"});
  EXPECT_THAT(input_error([&] { infer_shapes(open.parse()); }),
              AllOf(HasSubstr("input 'x': shape [N, 3, N] is open"), HasSubstr("fix: ")));
  OnnxBuilder none({2});
  none.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  none.node("Relu", {"x"});
  EXPECT_THAT(input_error([&] { infer_shapes(none.parse()); }), HasSubstr("shape none is open"));
  OnnxBuilder large({kOpen, int64_t{1} << 20, int64_t{1} << 20});
  large.node("Relu", {"x"});
  EXPECT_THAT(input_error([&] { infer_shapes(large.parse()); }), HasSubstr("too large"));
}

Graph declared_as(const Shape& declared) {
  OnnxBuilder b({kOpen, 3, 4});
  b.node("Relu", {"x"});
  b.bytes("y", declared);
  return b.parse();
}

TEST(ShapeInference, DeclaredOutputs) {
  for (const Shape& fits : {Shape{}, Shape{kOpen, 3, 4}, Shape{kOpen, kOpen, 4}, Shape{7, 3, 4}})
    EXPECT_EQ(infer_shapes(declared_as(fits)).at("y"), (Shape{1, 3, 4})) << shape_text(fits);
  for (const Shape& differs : {Shape{kOpen, 3}, Shape{kOpen, 3, 5}, Shape{kOpen, 12, 1, 1}}) {
    EXPECT_THAT(
        input_error([&] { infer_shapes(declared_as(differs)); }),
        AllOf(HasSubstr("test.onnx: output 'y': shape is declared as " + shape_text(differs)),
              HasSubstr("the nodes give [1, 3, 4]")));
  }
}

TEST(ShapeInference, ConstantsAndShapeArithmeticOfZeroDimensions) {
  OnnxBuilder b({kOpen, 6});
  b.node("Shape", {"x"}, {"s"});
  auto& index = *b.graph().add_initializer();
  store_codes(index, ElementType::kInt64, {}, {1});
  index.set_name("one");
  b.node("Gather", {"s", "one"}, {"features"});
  auto& two = *b.graph().add_initializer();
  store_codes(two, ElementType::kInt64, {}, {2});
  two.set_name("two");
  b.node("Div", {"features", "two"}, {"half"});
  b.integers("axes", {0});
  b.node("Unsqueeze", {"half", "axes"}, {"h"});
  b.integers("rest", {-1});
  set(b.node("Concat", {"rest", "h"}, {"to"}), "axis", int64_t{0});
  b.node("Reshape", {"x", "to"});
  EXPECT_EQ(infer_shapes(b.parse()).at("y"), (Shape{2, 3}));
}

TEST(ShapeInference, ImageNetworksKeepTheBatchFirst) {
  OnnxBuilder b({kOpen, 3, 4});
  set(b.node("Transpose", {"x"}), "perm", std::vector<int64_t>{1, 0, 2});
  EXPECT_EQ(infer_shapes(b.parse()).at("y"), (Shape{3, 1, 4}));
  EXPECT_NE(input_error([&] { infer_image_shapes(b.parse()); }), "");
}

}  // namespace
}  // namespace widthwise
