#include "models/tensor_file.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>
#include <zip.h>

#include "core/files.h"
#include "models/npy.h"
#include "tests/models/compare.h"
#include "tests/models/quantized_builder.h"
#include "tests/models/temp_folder.h"

namespace widthwise {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class TensorFile : public TempFolder {
 protected:
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  template <class T>
  std::string npy(const std::string& name, const std::vector<T>& values) const {
    write_npy(file(name), npy_array<T>({std::ssize(values)}, values));
    return file(name);
  }
  std::string pb(const std::string& name, ElementType type,
                 const std::vector<int64_t>& values) const {
    onnx::TensorProto tensor;
    store_codes(tensor, type, {std::ssize(values)}, values);
    write_file(file(name), tensor.SerializeAsString());
    return file(name);
  }
  // One message that names the file and all of the parts.
  void refused(const std::string& name, ElementType wanted,
               const std::vector<std::string>& parts) const {
    const std::string error = input_error([&] { load_tensor(name, wanted); });
    EXPECT_THAT(error, HasSubstr(name.substr(0, name.find(".npz:"))));
    for (const std::string& part : parts) EXPECT_THAT(error, HasSubstr(part));
  }
  using Integers = std::vector<int64_t>;
};

TEST_F(TensorFile, SameTypeIsTakenAsItIs) {
  EXPECT_EQ(load_tensor(npy<float>("f.npy", {1.5F, -2}), ElementType::kFloat),
            Tensor::floats({2}, {1.5F, -2}));
  EXPECT_EQ(load_tensor(npy<double>("d.npy", {1e300}), ElementType::kDouble).real(0), 1e300);
  const uint64_t most = ~uint64_t{0};
  EXPECT_EQ(load_tensor(npy<uint64_t>("u.npy", {most}), ElementType::kUint64).integer(0), -1);
  EXPECT_EQ(load_tensor(pb("i.pb", ElementType::kInt16, {-5, 6}), ElementType::kInt16).integers(),
            (Integers{-5, 6}));
  EXPECT_EQ(load_tensor(pb("n.pb", ElementType::kInt4, {-8, 7, 1}), ElementType::kInt4).integers(),
            (Integers{-8, 7, 1}));
}

TEST_F(TensorFile, IntegersOfAnotherTypeThatFit) {
  const std::string wide = npy<int64_t>("wide.npy", {0, 1, 127});
  for (const ElementType type :
       {ElementType::kInt8, ElementType::kUint8, ElementType::kInt16, ElementType::kUint16,
        ElementType::kInt32, ElementType::kUint32, ElementType::kInt64, ElementType::kUint64}) {
    const Tensor tensor = load_tensor(wide, type);
    EXPECT_EQ(tensor.type(), type);
    EXPECT_EQ(tensor.integers(), (Integers{0, 1, 127})) << element_type_name(type);
  }
  EXPECT_EQ(load_tensor(npy<int64_t>("t.npy", {0, 1}), ElementType::kBool).integers(),
            (Integers{0, 1}));
  EXPECT_EQ(load_tensor(npy<int8_t>("n.npy", {-8, 7}), ElementType::kInt4).integers(),
            (Integers{-8, 7}));
  EXPECT_EQ(load_tensor(npy<uint8_t>("m.npy", {0, 3}), ElementType::kUint2).integers(),
            (Integers{0, 3}));
  EXPECT_EQ(load_tensor(pb("p.pb", ElementType::kUint4, {15, 0}), ElementType::kInt32).integers(),
            (Integers{15, 0}));
  EXPECT_EQ(load_tensor(npy<uint64_t>("x.npy", {1U << 31}), ElementType::kInt64).integer(0),
            int64_t{1} << 31);
}

TEST_F(TensorFile, IntegersThatDoNotFitAreNamed) {
  refused(npy<int64_t>("a.npy", {1, 128}), ElementType::kInt8, {"holds 128", "int8"});
  refused(npy<int64_t>("b.npy", {-1}), ElementType::kUint8, {"holds -1", "uint8"});
  refused(npy<int8_t>("c.npy", {-9}), ElementType::kInt4, {"holds -9", "int4"});
  refused(npy<uint8_t>("d.npy", {16}), ElementType::kUint4, {"holds 16", "uint4"});
  refused(npy<uint8_t>("e.npy", {2}), ElementType::kBool, {"holds 2", "bool"});
  refused(npy<int64_t>("f.npy", {-1}), ElementType::kUint64, {"holds -1", "uint64"});
  const uint64_t most = ~uint64_t{0};
  refused(npy<uint64_t>("g.npy", {most}), ElementType::kInt64,
          {"holds 18446744073709551615", "int64"});
  refused(npy<uint64_t>("h.npy", {most}), ElementType::kInt8,
          {"holds 18446744073709551615", "int8"});
  refused(pb("i.pb", ElementType::kInt32, {70000}), ElementType::kUint16, {"holds 70000"});
}

TEST_F(TensorFile, RealNumbers) {
  EXPECT_EQ(load_tensor(npy<double>("d.npy", {0.1, -3}), ElementType::kFloat).reals(),
            (std::vector<double>{static_cast<double>(0.1F), -3}));
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(load_tensor(npy<double>("i.npy", {infinity}), ElementType::kFloat).real(0), infinity);
  refused(npy<double>("e.npy", {1, 1e300}), ElementType::kFloat, {"holds 1e+300", "float"});
  refused(npy<float>("f.npy", {1}), ElementType::kInt8, {"is float, needed int8"});
  refused(npy<float>("g.npy", {1}), ElementType::kDouble, {"is float, needed double"});
  refused(npy<int8_t>("h.npy", {1}), ElementType::kFloat, {"is int8, needed float"});
}

TEST_F(TensorFile, MembersOfAnArchive) {
  int error = 0;
  zip_t* archive = zip_open(file("a.npz").c_str(), ZIP_CREATE, &error);
  const std::string bytes[] = {npy_bytes(npy_array<int8_t>({1}, std::vector<int8_t>{4})),
                               npy_bytes(npy_array<int8_t>({1}, std::vector<int8_t>{5}))};
  const char* names[] = {"one.npy", "two.pb.npy"};
  for (size_t i = 0; i < 2; ++i) {
    zip_source_t* source = zip_source_buffer(archive, bytes[i].data(), bytes[i].size(), 0);
    ASSERT_GE(zip_file_add(archive, names[i], source, 0), 0);
  }
  ASSERT_EQ(zip_close(archive), 0);
  EXPECT_EQ(load_tensor(file("a.npz:one"), ElementType::kInt8).integer(0), 4);
  EXPECT_EQ(load_tensor(file("a.npz:two.pb"), ElementType::kInt8).integer(0), 5);
  refused(file("a.npz"), ElementType::kInt8, {"one"});
  refused(file("a.npz:three"), ElementType::kInt8, {"three", "one"});
}

TEST_F(TensorFile, FilesThatAreNone) {
  refused(file("none.npy"), ElementType::kInt8, {"does not exist"});
  refused(file("none.pb"), ElementType::kInt8, {"cannot be read"});
  write_file(file("noise.npy"), "no array");
  write_file(file("noise.pb"), "no tensor");
  write_file(file("noise.txt"), "text");
  for (const char* name : {"noise.npy", "noise.pb", "noise.txt"})
    refused(file(name), ElementType::kInt8, {});
}

TEST_F(TensorFile, WriteAndReadEveryType) {
  for (const ElementType type :
       {ElementType::kFloat, ElementType::kDouble, ElementType::kUint8, ElementType::kInt8,
        ElementType::kUint16, ElementType::kInt16, ElementType::kUint32, ElementType::kInt32,
        ElementType::kUint64, ElementType::kInt64, ElementType::kBool, ElementType::kUint4,
        ElementType::kInt4, ElementType::kUint2, ElementType::kInt2}) {
    Tensor tensor(type, {2, 1});
    visit_type(type, [&](auto stored) {
      using T = decltype(stored);
      tensor.write<T>()[0] = 1;
      if (std::is_signed_v<T>) tensor.write<T>()[1] = static_cast<T>(-2);
    });
    const fs::path path = file("round.npy");
    write_tensor(path, tensor);
    EXPECT_EQ(load_tensor(path.string(), type), tensor) << element_type_name(type);
  }
  write_tensor(file("n.npy"), Tensor(ElementType::kInt4, {1}, std::vector<int8_t>{-8}));
  EXPECT_EQ(read_npy(file("n.npy")).dtype, "i1");
  write_tensor(file("b.npy"), Tensor(ElementType::kBool, {1}, std::vector<uint8_t>{1}));
  EXPECT_EQ(read_npy(file("b.npy")).dtype, "b1");
}

// A conversion either keeps the value or is refused.
RC_GTEST_FIXTURE_PROP(TensorFile, ConversionsKeepTheValue, (int64_t value)) {
  const int shift = *rc::gen::inRange(0, 64);
  value >>= shift;
  const std::string path = npy<int64_t>("v.npy", {value});
  for (const ElementType type : {ElementType::kInt4, ElementType::kUint8, ElementType::kInt16,
                                 ElementType::kUint32, ElementType::kUint64}) {
    const IntegerFormat format = *integer_format(type);
    const bool fits = format.bits == 64 ? value >= 0 : format.holds(value);
    try {
      RC_ASSERT(load_tensor(path, type).integer(0) == value);
      RC_ASSERT(fits);
    } catch (const InputError&) {
      RC_ASSERT(!fits);
    }
  }
}

}  // namespace
}  // namespace widthwise
