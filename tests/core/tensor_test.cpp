#include "core/tensor.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <stdexcept>

namespace widthwise {
namespace {

constexpr ElementType kAll[] = {ElementType::kFloat,  ElementType::kDouble, ElementType::kUint8,
                                ElementType::kInt8,   ElementType::kUint16, ElementType::kInt16,
                                ElementType::kUint32, ElementType::kInt32,  ElementType::kUint64,
                                ElementType::kInt64,  ElementType::kBool,   ElementType::kUint4,
                                ElementType::kInt4,   ElementType::kUint2,  ElementType::kInt2};

struct TypeCase {
  ElementType type;
  const char* name;
  int bits;  // 0: real
  bool is_signed;
  int64_t bytes;
};
constexpr TypeCase kTypes[] = {
    {ElementType::kFloat, "float", 0, true, 4},     {ElementType::kDouble, "double", 0, true, 8},
    {ElementType::kUint8, "uint8", 8, false, 1},    {ElementType::kInt8, "int8", 8, true, 1},
    {ElementType::kUint16, "uint16", 16, false, 2}, {ElementType::kInt16, "int16", 16, true, 2},
    {ElementType::kUint32, "uint32", 32, false, 4}, {ElementType::kInt32, "int32", 32, true, 4},
    {ElementType::kUint64, "uint64", 64, false, 8}, {ElementType::kInt64, "int64", 64, true, 8},
    {ElementType::kBool, "bool", 1, false, 1},      {ElementType::kUint4, "uint4", 4, false, 1},
    {ElementType::kInt4, "int4", 4, true, 1},       {ElementType::kUint2, "uint2", 2, false, 1},
    {ElementType::kInt2, "int2", 2, true, 1}};

TEST(ElementTypes, NamesFormatsAndSizes) {
  ASSERT_EQ(std::size(kTypes), std::size(kAll));
  for (const TypeCase& one : kTypes) {
    EXPECT_STREQ(element_type_name(one.type), one.name);
    EXPECT_EQ(element_bytes(one.type), one.bytes) << one.name;
    EXPECT_EQ(is_real(one.type), one.bits == 0) << one.name;
    const auto format = integer_format(one.type);
    ASSERT_EQ(format.has_value(), one.bits != 0) << one.name;
    if (format) {
      EXPECT_EQ(*format, (IntegerFormat{one.bits, one.is_signed})) << one.name;
    }
  }
}

TEST(ElementTypes, TheNarrowestThatHoldsEveryCode) {
  for (int bits = 1; bits <= 32; ++bits) {
    for (const bool is_signed : {false, true}) {
      const IntegerFormat format{bits, is_signed};
      const IntegerFormat stored = *integer_format(element_type(format));
      EXPECT_TRUE(stored.holds(format.min()) && stored.holds(format.max())) << format.name();
      EXPECT_EQ(stored.is_signed, is_signed) << format.name();
      EXPECT_TRUE(stored.bits == 8 || stored.bits / 2 < bits) << format.name();
    }
  }
}

TEST(Shapes, Elements) {
  EXPECT_EQ(shape_elements({}), 1);
  EXPECT_EQ(shape_elements({2, 3, 4}), 24);
  EXPECT_EQ(shape_elements({2, 0, 4}), 0);
  EXPECT_EQ(shape_elements({2, -1}), -1);
  EXPECT_EQ(shape_elements({kMaxTensorElements}), kMaxTensorElements);
  EXPECT_EQ(shape_elements({kMaxTensorElements, 2}), -1);
  EXPECT_EQ(shape_elements({0, kMaxTensorElements, 2}), -1) << "its strides would overflow";
  EXPECT_EQ(shape_text({-1, 3, 28}), "[N, 3, 28]");
  EXPECT_EQ(shape_text({}), "[]");
}

TEST(Tensors, StartAsZeros) {
  for (const ElementType type : kAll) {
    const Tensor tensor(type, {2, 3});
    EXPECT_EQ(tensor.elements(), 6);
    EXPECT_EQ(tensor.rank(), 2U);
    EXPECT_EQ(tensor.integers(), std::vector<int64_t>(6, 0));
    EXPECT_EQ(tensor.reals(), std::vector<double>(6, 0));
  }
  EXPECT_EQ(Tensor().elements(), 0);
  EXPECT_EQ(Tensor(ElementType::kInt8, {}).elements(), 1);
}

TEST(Tensors, ElementsOfEveryType) {
  for (const ElementType type : kAll) {
    visit_type(type, [&](auto stored) {
      using T = decltype(stored);
      const Tensor tensor(type, {2}, std::vector<T>{T{1}, std::is_signed_v<T> ? T(-2) : T(3)});
      EXPECT_EQ(tensor.integer(0), 1);
      EXPECT_EQ(tensor.integer(1), std::is_signed_v<T> ? -2 : 3);
      EXPECT_EQ(tensor.real(1), std::is_signed_v<T> ? -2.0 : 3.0);
      EXPECT_EQ(tensor.template values<T>()[0], T{1});
    });
  }
  EXPECT_EQ(Tensor::scalar(2.5F).real(0), 2.5);
  EXPECT_EQ(Tensor::list({4, 5}).integers(), (std::vector<int64_t>{4, 5}));
}

TEST(Tensors, CopiesShareUntilOneIsWritten) {
  Tensor first = Tensor::floats({3}, {1, 2, 3});
  const float* own = first.values<float>().data();
  first.write<float>()[0] = 9;
  EXPECT_EQ(first.values<float>().data(), own) << "nobody shares it";
  const Tensor second = first;
  EXPECT_EQ(second.values<float>().data(), own);
  first.write<float>()[0] = 7;
  EXPECT_NE(first.values<float>().data(), own);
  EXPECT_EQ(first.reals(), (std::vector<double>{7, 2, 3}));
  EXPECT_EQ(second.reals(), (std::vector<double>{9, 2, 3}));
}

TEST(Tensors, ReshapedAndRetypedShareElements) {
  const Tensor tensor(ElementType::kInt8, {2, 3}, std::vector<int8_t>{1, 2, 3, -4, 5, 6});
  Tensor flat = tensor.reshaped({6});
  EXPECT_EQ(flat.shape(), Shape{6});
  EXPECT_EQ(flat.values<int8_t>().data(), tensor.values<int8_t>().data());
  flat.write<int8_t>()[0] = 0;
  EXPECT_EQ(tensor.integer(0), 1);
  EXPECT_THROW(tensor.reshaped({7}), std::logic_error);
  EXPECT_THROW(tensor.reshaped({-2, -3}), std::logic_error);
  const Tensor narrow = tensor.retyped(ElementType::kInt4);
  EXPECT_EQ(narrow.type(), ElementType::kInt4);
  EXPECT_EQ(narrow.integers(), tensor.integers());
  EXPECT_EQ(tensor.retyped(ElementType::kUint8).integer(3), 252);
  EXPECT_THROW(tensor.retyped(ElementType::kInt16), std::logic_error);
}

TEST(Tensors, WrongTypesAndSizesAreBugs) {
  Tensor tensor(ElementType::kInt8, {2});
  EXPECT_THROW(tensor.values<uint8_t>(), std::logic_error);
  EXPECT_THROW(tensor.values<float>(), std::logic_error);
  EXPECT_THROW(tensor.write<int16_t>(), std::logic_error);
  EXPECT_THROW(Tensor(ElementType::kFloat, {3}, std::vector<float>{1, 2}), std::logic_error);
  EXPECT_THROW(Tensor(ElementType::kFloat, {2}, std::vector<int32_t>{1, 2}), std::logic_error);
  EXPECT_THROW(Tensor(ElementType::kInt8, {-1}), std::logic_error);
  EXPECT_THROW(Tensor(ElementType::kInt8, {int64_t{1} << 40, int64_t{1} << 40}), std::logic_error);
  EXPECT_THROW(Tensor(ElementType::kInt16, {2}, std::string("abc")), std::logic_error);
}

TEST(Tensors, EqualTypeShapeAndElements) {
  const Tensor a = Tensor::floats({2}, {1, 2});
  EXPECT_EQ(a, Tensor::floats({2}, {1, 2}));
  EXPECT_FALSE(a == Tensor::floats({2, 1}, {1, 2}));
  EXPECT_FALSE(a == Tensor::floats({2}, {1, 3}));
  EXPECT_FALSE(a == Tensor(ElementType::kInt32, {2}, a.bytes()));
}

RC_GTEST_PROP(Tensors, AWriteChangesOneCopyOnly, (const std::vector<int16_t>& values)) {
  Tensor changed(ElementType::kInt16, {std::ssize(values)}, values);
  const Tensor kept = changed;
  for (int16_t& value : changed.write<int16_t>()) value = static_cast<int16_t>(~value);
  for (size_t i = 0; i < values.size(); ++i) {
    RC_ASSERT(kept.values<int16_t>()[i] == values[i]);
    RC_ASSERT(changed.integer(static_cast<int64_t>(i)) == ~values[i]);
  }
}

}  // namespace
}  // namespace widthwise
