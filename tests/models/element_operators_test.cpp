// Operators on elements, by hand: arithmetic, functions, comparisons, casts. The standard's cases
// are in tests/conformance/.
#include <limits>

#include "tests/models/one_node.h"

namespace widthwise {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsNan;
using testing::Pointwise;
constexpr auto kLowest64 = std::numeric_limits<int64_t>::min();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Arithmetic, IntegersWrapAroundInEveryType) {
  EXPECT_THAT(evaluate_integers({"Sub", {bytes({-128, 5}), bytes({1, 7})}}), ElementsAre(127, -2));
  EXPECT_THAT(evaluate_integers({"Mul", {bytes({16, -128}), bytes({16, -1})}}),
              ElementsAre(0, -128));
  const Tensor a = integers<uint16_t>(ElementType::kUint16, {0}),
               b = integers<uint16_t>(ElementType::kUint16, {1});
  EXPECT_THAT(evaluate_integers({"Sub", {a, b}}), ElementsAre(65535));
  EXPECT_THAT(evaluate_integers({"Mul", {Tensor::list({kLowest64}), Tensor::list({-1})}}),
              ElementsAre(kLowest64));
}

TEST(Arithmetic, DivisionIsTowardZero) {
  EXPECT_THAT(evaluate_integers({"Div", {bytes({-7, 7, -128, -128}), bytes({2, -2, -1, 1})}}),
              ElementsAre(-3, -3, -128, -128));
  EXPECT_THAT(evaluate_integers({"Div", {Tensor::list({kLowest64}), Tensor::list({-1})}}),
              ElementsAre(kLowest64));
  EXPECT_THAT(evaluate_reals({"Div", {floats({1, -1, 3}), floats({0, 0, 2})}}),
              ElementsAre(kInfinity, -kInfinity, 1.5));
}

TEST(Arithmetic, BroadcastsFromBothSides) {
  const Tensor column = Tensor::floats({2, 1}, {10, 20}), row = Tensor::floats({3}, {1, 2, 3});
  const Tensor found = evaluate_one({"Sub", {column, row}});
  EXPECT_EQ(found.shape(), (Shape{2, 3}));
  EXPECT_THAT(found.reals(), ElementsAre(9, 8, 7, 19, 18, 17));
}

TEST(Pow, InTheTypeOfTheBase) {
  EXPECT_THAT(evaluate_integers({"Pow", {Tensor::list({2, -3, 3}), Tensor::list({62, 3, 0})}}),
              ElementsAre(int64_t{1} << 62, -27, 1));
  EXPECT_THAT(evaluate_integers({"Pow", {Tensor::list({2, -1, 1}), Tensor::list({-1, -3, -9})}}),
              ElementsAre(0, -1, 1));
  EXPECT_THAT(evaluate_integers({"Pow", {Tensor::list({2, 10}), floats({0.5f, 30})}}),
              ElementsAre(1, std::numeric_limits<int64_t>::max()));  // 1.41; 10^30 is limited
  EXPECT_THAT(evaluate_reals({"Pow", {floats({2, 9}), Tensor::list({-1, 2})}}),
              ElementsAre(0.5, 81));
}

TEST(MinMax, OfSeveralInputsWithNaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor a = floats({1, nan, 3}), b = floats({2, 2, nan}), c = floats({0});
  EXPECT_THAT(evaluate_reals({"Max", {a, b, c}}), ElementsAre(DoubleNear(2, 0), IsNan(), IsNan()));
  EXPECT_THAT(evaluate_reals({"Min", {a, b, c}}), ElementsAre(DoubleNear(0, 0), IsNan(), IsNan()));
  EXPECT_THAT(evaluate_integers({"Min", {bytes({-1, 3}), bytes({2})}}), ElementsAre(-1, 2));
  EXPECT_THAT(evaluate_reals({"Sum", {floats({1, 2}), floats({10}), floats({100, 200})}}),
              ElementsAre(111, 212));
  EXPECT_THAT(evaluate_reals({"Mean", {floats({1, 2}), floats({3})}}), ElementsAre(2, 2.5));
}

struct FunctionCase {
  const char* op;
  std::vector<double> wanted;  // of -2, -0.5, 0, 0.5, 2
  std::map<std::string, GraphAttribute> attributes = {};
  const char* name = nullptr;
};
void PrintTo(const FunctionCase& c, std::ostream* out) { *out << c.op; }
class Function : public testing::TestWithParam<FunctionCase> {};

TEST_P(Function, ByHand) {
  const FunctionCase& c = GetParam();
  const std::vector<double> x = {-2, -0.5, 0, 0.5, 2};
  const OneNode node = {c.op, {Tensor(ElementType::kDouble, {5}, x)}, c.attributes};
  EXPECT_THAT(evaluate_reals(node), Pointwise(DoubleNear(1e-7), c.wanted));
  const OneNode single = {c.op, {floats({-2, -0.5f, 0, 0.5f, 2})}, c.attributes};
  EXPECT_THAT(evaluate_reals(single), Pointwise(DoubleNear(1e-6), c.wanted));
}

const FunctionCase kFunctions[] = {
    {"Abs", {2, 0.5, 0, 0.5, 2}},
    {"Neg", {2, 0.5, 0, -0.5, -2}},
    {"Sign", {-1, -1, 0, 1, 1}},
    {"Ceil", {-2, 0, 0, 1, 2}},
    {"Floor", {-2, -1, 0, 0, 2}},
    {"Round", {-2, 0, 0, 0, 2}},  // halves to even
    {"Exp", {0.135335283, 0.606530660, 1, 1.648721271, 7.389056099}},
    {"Erf", {-0.995322265, -0.520499878, 0, 0.520499878, 0.995322265}},
    {"Tanh", {-0.964027580, -0.462117157, 0, 0.462117157, 0.964027580}},
    {"Sigmoid", {0.119202922, 0.377540669, 0.5, 0.622459331, 0.880797078}},
    {"Softplus", {0.126928011, 0.474076984, 0.693147181, 0.974076984, 2.126928011}},
    {"Softsign", {-2.0 / 3, -1.0 / 3, 0, 1.0 / 3, 2.0 / 3}},
    {"HardSwish", {-1.0 / 3, -0.208333333, 0, 0.291666667, 5.0 / 3}},
    {"HardSigmoid", {0.1, 0.4, 0.5, 0.6, 0.9}},
    {"HardSigmoid", {0, 0.25, 0.5, 0.75, 1}, {{"alpha", 0.5f}}, "HardSigmoidAlpha"},
    {"LeakyRelu", {-0.02, -0.005, 0, 0.5, 2}},
    {"LeakyRelu", {-0.5, -0.125, 0, 0.5, 2}, {{"alpha", 0.25f}}, "LeakyReluAlpha"},
    {"Elu", {-0.864664717, -0.393469340, 0, 0.5, 2}},
    {"Selu", {-1.520166469, -0.691758222, 0, 0.525350511, 2.101402044}},
    {"Gelu", {-0.045500264, -0.154268770, 0, 0.345731230, 1.954499736}},
    {"Gelu",
     {-0.045402306, -0.154285988, 0, 0.345714012, 1.954597694},
     {{"approximate", std::string("tanh")}},
     "GeluTanh"},
};
INSTANTIATE_TEST_SUITE_P(Cases, Function, testing::ValuesIn(kFunctions), [](const auto& test) {
  return std::string(test.param.name != nullptr ? test.param.name : test.param.op);
});

TEST(Functions, OfPositiveNumbers) {
  EXPECT_THAT(evaluate_reals({"Sqrt", {floats({4, 0.25f})}}), ElementsAre(2, 0.5));
  EXPECT_THAT(evaluate_reals({"Log", {floats({1, 0})}}), ElementsAre(0, -kInfinity));
  EXPECT_THAT(evaluate_reals({"Reciprocal", {floats({4, 0})}}), ElementsAre(0.25, kInfinity));
}

TEST(Functions, LargeArgumentsStayFinite) {
  EXPECT_THAT(evaluate_reals({"Softplus", {floats({1000, -1000})}}), ElementsAre(1000, 0));
  EXPECT_THAT(evaluate_reals({"Sigmoid", {floats({1000, -1000})}}), ElementsAre(1, 0));
}

TEST(Functions, OfIntegers) {
  EXPECT_THAT(evaluate_integers({"Abs", {bytes({-128, -3, 3})}}), ElementsAre(-128, 3, 3));
  EXPECT_THAT(evaluate_integers({"Neg", {bytes({-128, -3, 3})}}), ElementsAre(-128, 3, -3));
  EXPECT_THAT(evaluate_integers({"Sign", {bytes({-128, 0, 3})}}), ElementsAre(-1, 0, 1));
  const Tensor large = integers<uint64_t>(ElementType::kUint64, {0, ~uint64_t{0}});
  EXPECT_EQ(evaluate_one({"Abs", {large}}), large);
}

TEST(PRelu, SlopePerChannelAndOfIntegers) {
  const Tensor x = Tensor::floats({1, 2, 2}, {-1, 2, -3, 4});
  EXPECT_THAT(evaluate_reals({"PRelu", {x, Tensor::floats({2, 1}, {0.5f, 2})}}),
              ElementsAre(-0.5, 2, -6, 4));
  EXPECT_THAT(evaluate_integers({"PRelu", {Tensor::list({-3, 3}), Tensor::list({2})}}),
              ElementsAre(-6, 3));
}

TEST(Comparisons, GiveBool) {
  const Tensor a = bytes({1, 2, 3}), b = bytes({2});
  EXPECT_EQ(evaluate_one({"Equal", {a, b}}), bools({0, 1, 0}));
  EXPECT_EQ(evaluate_one({"Less", {a, b}}), bools({1, 0, 0}));
  EXPECT_EQ(evaluate_one({"Greater", {a, b}}), bools({0, 0, 1}));
  EXPECT_EQ(evaluate_one({"LessOrEqual", {a, b}}), bools({1, 1, 0}));
  EXPECT_EQ(evaluate_one({"GreaterOrEqual", {a, b}}), bools({0, 1, 1}));
  EXPECT_EQ(evaluate_one({"Equal", {bools({0, 1}), bools({1, 1})}}), bools({0, 1}));
}

TEST(Logic, OfBools) {
  const Tensor a = bools({0, 0, 1, 1}), b = bools({0, 1, 0, 1});
  EXPECT_EQ(evaluate_one({"And", {a, b}}), bools({0, 0, 0, 1}));
  EXPECT_EQ(evaluate_one({"Or", {a, b}}), bools({0, 1, 1, 1}));
  EXPECT_EQ(evaluate_one({"Xor", {a, b}}), bools({0, 1, 1, 0}));
  EXPECT_EQ(evaluate_one({"Not", {a}}), bools({1, 1, 0, 0}));
}

TEST(Where, BroadcastsAllThree) {
  const Tensor condition(ElementType::kBool, {2, 1}, std::vector<uint8_t>{1, 0});
  const Tensor found = evaluate_one({"Where", {condition, bytes({1, 2, 3}), bytes({9})}});
  EXPECT_EQ(found.shape(), (Shape{2, 3}));
  EXPECT_THAT(found.integers(), ElementsAre(1, 2, 3, 9, 9, 9));
}

// ONNX numbers of the types.
constexpr int64_t kFloat = 1, kUint8 = 2, kInt8 = 3, kInt64 = 7, kBool = 9, kUint4 = 21, kInt4 = 22,
                  kUint2 = 25, kInt2 = 26;
std::vector<int64_t> cast(const Tensor& from, int64_t to) {
  return evaluate_integers({"Cast", {from}, {{"to", to}}, 25});
}

TEST(Cast, RealToIntegerIsTowardZeroAndLimited) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = floats({-1.9f, 1.9f, 300, -300, 1e30f, -1e30f, nan});
  EXPECT_THAT(cast(x, kInt8), ElementsAre(-1, 1, 127, -128, 127, -128, 0));
  EXPECT_THAT(cast(x, kUint8), ElementsAre(0, 1, 255, 0, 255, 0, 0));
  EXPECT_THAT(cast(x, kInt64),
              ElementsAre(-1, 1, 300, -300, std::numeric_limits<int64_t>::max(), kLowest64, 0));
  EXPECT_THAT(cast(x, kBool), ElementsAre(1, 1, 1, 1, 1, 1, 1));
}

TEST(Cast, ToFourAndTwoBitsKeepsTheLowBits) {  // as the standard's tests have it
  for (const Tensor& x :
       {floats({-9, -8, -1.5f, 7, 8, 15}), Tensor::list({-9, -8, -1, 7, 8, 15})}) {
    EXPECT_THAT(cast(x, kInt4), ElementsAre(7, -8, -1, 7, -8, -1));
    EXPECT_THAT(cast(x, kUint4), ElementsAre(7, 8, 15, 7, 8, 15));
    EXPECT_THAT(cast(x, kInt2), ElementsAre(-1, 0, -1, -1, 0, -1));
    EXPECT_THAT(cast(x, kUint2), ElementsAre(3, 0, 3, 3, 0, 3));
  }
}

TEST(Cast, IntegersKeepTheirLowBits) {
  EXPECT_THAT(cast(Tensor::list({200, -200, 256}), kInt8), ElementsAre(-56, 56, 0));
  EXPECT_THAT(cast(Tensor::list({200, -200, 256}), kBool), ElementsAre(1, 1, 1));
  EXPECT_THAT(cast(bytes({-1}), kUint8), ElementsAre(255));
  EXPECT_THAT(cast(bools({0, 1}), kInt64), ElementsAre(0, 1));
}

TEST(Cast, EveryPairOfTypes) {
  const int64_t types[] = {1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 21, 22, 25, 26};
  for (const int64_t from : types) {
    const Tensor x = evaluate_one({"Cast", {floats({0, 1})}, {{"to", from}}, 25});
    for (const int64_t to : types) {
      const Tensor y = evaluate_one({"Cast", {x}, {{"to", to}}, 25});
      EXPECT_EQ(evaluate_one({"Cast", {y}, {{"to", kFloat}}, 25}), floats({0, 1}))
          << from << " to " << to;
      EXPECT_EQ(evaluate_one({"CastLike", {x, y}, {}, 25}), y);
    }
  }
}

struct Refusal {
  const char* name;
  OneNode node;
  const char* message;
};
void PrintTo(const Refusal& c, std::ostream* out) { *out << c.name; }
class ElementRefusals : public testing::TestWithParam<Refusal> {};

TEST_P(ElementRefusals, NameTheNode) {
  const std::string message = input_error([&] { evaluate(GetParam().node); });
  EXPECT_THAT(message, HasSubstr("node 'node' (" + GetParam().node.op_type + ")"));
  EXPECT_THAT(message, HasSubstr(GetParam().message));
}

const Refusal kRefusals[] = {
    {"DivisionByZero", {"Div", {bytes({1}), bytes({0})}}, "divides an integer by zero"},
    {"ZeroToANegativePower",
     {"Pow", {Tensor::list({0}), Tensor::list({-1})}},
     "raises zero to a negative power"},
    {"TwoTypes", {"Mul", {bytes({1}), floats({1})}}, "are of the types int8 and float"},
    {"ArithmeticOfBool", {"Sub", {bools({1}), bools({1})}}, "type is bool"},
    {"NoBroadcast", {"Sub", {floats({1, 2}), floats({1, 2, 3})}}, "do not broadcast"},
    {"SqrtOfIntegers", {"Sqrt", {bytes({4})}}, "type is int8"},
    {"GeluApproximation",
     {"Gelu", {floats({1})}, {{"approximate", std::string("none?")}}},
     "allowed none, tanh"},
    {"LogicOfIntegers", {"And", {bytes({1}), bytes({1})}}, "allowed bool"},
    {"ConditionOfIntegers", {"Where", {bytes({1}), bytes({1}), bytes({1})}}, "condition is int8"},
    {"SlopeTooLarge", {"PRelu", {floats({1}), floats({1, 2})}}, "does not broadcast"},
    {"CastToNothing", {"Cast", {floats({1})}}, "to is missing"},
    {"CastToString", {"Cast", {floats({1})}, {{"to", int64_t{8}}}}, "is STRING"},
    {"CastToAnUnknownType", {"Cast", {floats({1})}, {{"to", int64_t{1} << 40}}}, "is 1000"},
    {"MissingInput", {"Max", {floats({1}), std::nullopt}}, "input 1 is missing"},
};
INSTANTIATE_TEST_SUITE_P(Cases, ElementRefusals, testing::ValuesIn(kRefusals),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace widthwise
