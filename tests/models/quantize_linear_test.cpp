// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear by hand.
#include <cmath>
#include <limits>

#include "tests/models/compare.h"
#include "tests/models/node_runner.h"

namespace widthwise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

NodeRunner quantize(std::vector<std::optional<Tensor>> inputs,
                    NodeRunner::Attributes attributes = {}) {
  return {kOnnxDomain, "QuantizeLinear", std::move(inputs), std::move(attributes)};
}
NodeRunner dequantize(std::vector<std::optional<Tensor>> inputs,
                      NodeRunner::Attributes attributes = {}) {
  return {kOnnxDomain, "DequantizeLinear", std::move(inputs), std::move(attributes)};
}

TEST(QuantizeLinear, TiesToEvenBeforeTheZeroPoint) {
  const Tensor x = Tensor::floats({6}, {0.5, 1.5, 2.5, -0.5, -1.5, -2.5});
  EXPECT_THAT(quantize({x, real(1), u8({}, {7})}).codes(), ElementsAre(7, 9, 9, 7, 5, 5));
  EXPECT_THAT(quantize({x, real(1), i8({}, {-1})}).codes(), ElementsAre(-1, 1, 1, -1, -3, -3));
}

TEST(QuantizeLinear, SaturatesAndTakesNanAsTheLowest) {
  const Tensor x = Tensor::floats({5}, {1e30F, -1e30F, kInfinity, -kInfinity, kNan});
  EXPECT_THAT(quantize({x, real(1e-3F)}).codes(), ElementsAre(255, 0, 255, 0, 0));
  EXPECT_THAT(quantize({x, real(1), i16({}, {5})}).codes(),
              ElementsAre(32767, -32768, 32767, -32768, -32768));
  EXPECT_THAT(quantize({x, real(1), i4({}, {1})}).codes(), ElementsAre(7, -8, 7, -8, -8));
}

TEST(QuantizeLinear, TypesByZeroPointOrAttribute) {
  const Tensor x = Tensor::floats({2}, {-1000, 1000});
  struct Case {
    int64_t number;
    ElementType type;
    int64_t low, high;
  };
  for (const Case& c :
       {Case{2, ElementType::kUint8, 0, 255}, Case{3, ElementType::kInt8, -128, 127},
        Case{4, ElementType::kUint16, 0, 1000}, Case{5, ElementType::kInt16, -1000, 1000},
        Case{21, ElementType::kUint4, 0, 15}, Case{22, ElementType::kInt4, -8, 7},
        Case{25, ElementType::kUint2, 0, 3}, Case{26, ElementType::kInt2, -2, 1}}) {
    const Tensor y = quantize({x, real(1)}, {{"output_dtype", c.number}}).run();
    EXPECT_EQ(y.type(), c.type);
    EXPECT_THAT(y.integers(), ElementsAre(c.low, c.high)) << element_type_name(c.type);
  }
  EXPECT_EQ(quantize({x, real(1)}).run().type(), ElementType::kUint8);
}

TEST(QuantizeLinear, DividesInTheFloat32OfTheScale) {
  // In double 4.35 / 0.1 is 43.4999...; in float32 4.35f / 0.1f is exactly 43.5 -> 44.
  const Tensor x = Tensor::floats({1}, {4.35F});
  EXPECT_THAT(quantize({x, real(0.1F)}).codes(), ElementsAre(44));
  EXPECT_THAT(quantize({x, real(0.1F)}, {{"precision", int64_t{11}}}).codes(), ElementsAre(43));
  const Tensor doubles(ElementType::kDouble, {2}, std::vector<double>{2.5, 3.5});
  EXPECT_THAT(quantize({doubles, real(1)}).codes(), ElementsAre(2, 4));
  EXPECT_THAT(quantize({i32({2}, {5, 7}), real(2)}).codes(), ElementsAre(2, 4));
}

TEST(QuantizeLinear, PerAxisFromBothEnds) {
  const Tensor x = Tensor::floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor rows = Tensor::floats({2}, {1, 2}), cols = Tensor::floats({3}, {1, 2, 3});
  EXPECT_THAT(quantize({x, rows, u8({2}, {0, 10})}, {{"axis", int64_t{0}}}).codes(),
              ElementsAre(1, 2, 3, 12, 12, 13));  // 5 / 2 = 2.5 -> 2
  EXPECT_THAT(quantize({x, cols}, {{"axis", int64_t{-1}}}).codes(), ElementsAre(1, 1, 1, 4, 2, 2));
  EXPECT_THAT(quantize({x, cols}).codes(), ElementsAre(1, 1, 1, 4, 2, 2)) << "axis 1";
  EXPECT_THAT(input_error([&] { quantize({x, rows}).run(); }), HasSubstr("needed [3]"));
}

TEST(QuantizeLinear, BlocksOfWhichTheLastIsShort) {
  const Tensor x = Tensor::floats({2, 5}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  const Tensor scale = Tensor::floats({2, 3}, {1, 0.5, 0.25, 0.125, 1, 0.5});
  EXPECT_THAT(quantize({x, scale}, {{"block_size", int64_t{2}}}).codes(),
              ElementsAre(1, 1, 2, 2, 4, 8, 8, 1, 1, 2));
  const Tensor first = Tensor::floats({1, 5}, {1, 0.5, 0.25, 0.125, 1});
  EXPECT_THAT(quantize({x, first}, {{"block_size", int64_t{2}}, {"axis", int64_t{0}}}).codes(),
              ElementsAre(1, 2, 4, 8, 1, 1, 2, 4, 8, 1));
  EXPECT_THAT(input_error([&] {
                quantize({x, scale}, {{"block_size", int64_t{3}}}).run();
              }),
              HasSubstr("needed [2, 2]"));
  const int64_t huge = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(quantize({x, Tensor::floats({2, 1}, {1, 0.5})}, {{"block_size", huge}}).codes(),
              ElementsAre(1, 1, 1, 1, 1, 2, 2, 2, 2, 2));
}

TEST(QuantizeLinear, RefusesScalesThatAreNotNormalAndPositive) {
  const Tensor x = Tensor::floats({2}, {1, 2});
  for (const float scale : {0.0F, -0.0F, -1.0F, 1e-40F, kInfinity, kNan}) {
    EXPECT_THAT(input_error([&] {
                  quantize({x, real(scale)}).run();
                }),
                HasSubstr("y_scale is"))
        << scale;
    EXPECT_THAT(input_error([&] {
                  dequantize({u8({1}, {1}), real(scale)}).run();
                }),
                HasSubstr("normal positive"))
        << scale;
  }
  EXPECT_THAT(quantize({x, real(std::numeric_limits<float>::min())}).codes(),
              ElementsAre(255, 255));
}

TEST(QuantizeLinear, RefusesWhatItDoesNotKnow) {
  const Tensor x = Tensor::floats({2}, {1, 2});
  const auto refusal = [&](std::vector<std::optional<Tensor>> inputs,
                           NodeRunner::Attributes attributes = {}) {
    return input_error([&] { quantize(std::move(inputs), std::move(attributes)).run(); });
  };
  EXPECT_THAT(refusal({x, real(1)}, {{"output_dtype", int64_t{17}}}),
              HasSubstr("output_dtype is 17"));
  EXPECT_THAT(refusal({x, real(1), u8({}, {1})}, {{"output_dtype", int64_t{3}}}),
              HasSubstr("is int8, the zero point uint8"));
  EXPECT_THAT(refusal({x, real(1), i32({}, {1})}), HasSubstr("zero_point is of type int32"));
  EXPECT_THAT(refusal({x, real(1), u8({2}, {1, 2})}), HasSubstr("zero_point has the shape [2]"));
  EXPECT_THAT(refusal({x, Tensor::list({1})}), HasSubstr("y_scale is of type int64"));
  EXPECT_THAT(refusal({u8({1}, {1}), real(1)}), HasSubstr("x is of type uint8"));
  EXPECT_THAT(refusal({x, real(1)}, {{"precision", int64_t{10}}}), HasSubstr("precision is 10"));
  EXPECT_THAT(refusal({x, real(1)}, {{"block_size", int64_t{-1}}}), HasSubstr("block_size is -1"));
}

TEST(DequantizeLinear, ByHandOfEveryWidth) {
  EXPECT_THAT(dequantize({u8({3}, {0, 128, 255}), real(0.5F), u8({}, {128})}).reals(),
              ElementsAre(-64, 0, 63.5));
  EXPECT_THAT(dequantize({i4({3}, {-8, 0, 7}), real(2), i4({}, {-8})}).reals(),
              ElementsAre(0, 16, 30));
  EXPECT_THAT(dequantize({i16({2}, {-32768, 32767}), real(1), i16({}, {32767})}).reals(),
              ElementsAre(-65535, 0));
  EXPECT_THAT(dequantize({i32({2}, {16777217, -5}), real(1)}).reals(), ElementsAre(16777216, -5))
      << "rounded to float32";
  EXPECT_THAT(input_error([] {
                dequantize({i32({1}, {1}), real(1), i32({}, {1})}).run();
              }),
              HasSubstr("x_zero_point is not 0"));
  EXPECT_THAT(dequantize({i32({1}, {3}), real(1), i32({}, {0})}).reals(), ElementsAre(3));
  EXPECT_THAT(input_error([] {
                dequantize({Tensor::list({1}), real(1)}).run();
              }),
              HasSubstr("x is of type int64"));
}

TEST(DequantizeLinear, PerAxisAndBlocked) {
  const Tensor x = i8({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_THAT(dequantize({x, Tensor::floats({2}, {1, 10}), i8({2}, {0, 1})}).reals(),
              ElementsAre(1, 2, 20, 30, 5, 6, 60, 70));
  EXPECT_THAT(dequantize({x, Tensor::floats({1, 2, 2}, {1, 10, 100, 1000})},
                         {{"axis", int64_t{0}}, {"block_size", int64_t{2}}})
                  .reals(),
              ElementsAre(1, 20, 300, 4000, 5, 60, 700, 8000));
}

TEST(DynamicQuantizeLinear, RangeContainsZero) {
  const auto run = [](const std::vector<float>& x) {
    return NodeRunner(kOnnxDomain, "DynamicQuantizeLinear",
                      {Tensor::floats({static_cast<int64_t>(x.size())}, x)})
        .all();
  };
  const auto both = run({-1, 0, 254});  // range 255: scale 1, zero point 1
  EXPECT_THAT(both[0].integers(), ElementsAre(0, 1, 255));
  EXPECT_EQ(both[1], real(1));
  EXPECT_EQ(both[2], u8({}, {1}));
  const auto positive = run({255, 510});
  EXPECT_THAT(positive[0].integers(), ElementsAre(128, 255));  // 127.5 -> 128
  EXPECT_EQ(positive[2], u8({}, {0}));
  EXPECT_THAT(run({-255, -51})[0].integers(), ElementsAre(0, 204));
  EXPECT_THAT(run({0, 0})[0].integers(), ElementsAre(0, 0));
  EXPECT_EQ(run({0, 0})[1], real(1));
  EXPECT_THAT(input_error([&] { run({kNan}); }), HasSubstr("nan"));
  EXPECT_THAT(input_error([&] { run({1e-43F}); }), HasSubstr("scale of x"));
  EXPECT_THAT(input_error([&] { run({-3e38F, 3e38F}); }), HasSubstr("scale of x is inf"));
}

}  // namespace
}  // namespace widthwise
