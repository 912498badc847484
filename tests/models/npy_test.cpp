#include "models/npy.h"

#include "tests/models/data_files.h"

namespace widthwise {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;

std::string npy(const std::string& dict, const std::string& data, int major = 1) {
  std::string bytes("\x93NUMPY\0\0", 8);
  bytes[6] = static_cast<char>(major);
  const std::string header = dict + "\n";
  bytes += static_cast<char>(header.size() & 255);
  bytes += static_cast<char>(header.size() >> 8);
  if (major > 1) bytes += std::string(2, '\0');
  return bytes + header + data;
}
std::string dict(const std::string& descr, const std::string& shape,
                 const std::string& fortran = "False") {
  return "{'descr': " + descr + ", 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}
std::string refusal(const std::string& bytes) {
  return input_error([&] { parse_npy(bytes, "a.npy"); });
}

class Npy : public TempFolder {};

template <class T>
class NpyTypes : public TempFolder {};
using Types = testing::Types<bool, float, double, int8_t, uint8_t, int16_t, uint16_t, int32_t,
                             uint32_t, int64_t, uint64_t>;
TYPED_TEST_SUITE(NpyTypes, Types);

TYPED_TEST(NpyTypes, RoundTripKeepsEveryBit) {
  using T = TypeParam;
  using Other = std::conditional_t<std::is_same_v<T, float>, double, float>;
  const T low = std::numeric_limits<T>::lowest(), high = std::numeric_limits<T>::max();
  const T values[] = {low, high, T(0), T(1), low, high};
  const NpyArray array = npy_array<T>({2, 3}, values);
  write_npy(this->path("a.npy"), array);
  const NpyArray back = read_npy(this->path("a.npy"));
  EXPECT_EQ(back.dtype, npy_dtype<T>());
  EXPECT_THAT(back.shape, ElementsAre(2, 3));
  EXPECT_THAT(back.values<T>(), testing::ElementsAreArray(values));
  EXPECT_EQ(float_values(back)[1], static_cast<float>(high));
  EXPECT_THROW(back.values<Other>(), std::logic_error);
}

TEST_F(Npy, BytesAreThoseOfNumPy) {  // numpy.save of array([1, 2], '<i2')
  const int16_t values[] = {1, 2};
  const std::string bytes = npy_bytes(npy_array<int16_t>({2}, values));
  EXPECT_EQ(bytes, std::string("\x93NUMPY\x01\x00v\x00", 10) +
                       "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }" +
                       std::string(60, ' ') + "\n" + std::string("\1\0\2\0", 4));
  EXPECT_EQ((bytes.size() - 4) % 64, 0u);
}

TEST_F(Npy, VersionsScalarsAndSpellings) {
  for (const int major : {1, 2, 3}) {
    EXPECT_THAT(parse_npy(npy(dict("'|u1'", "(3,)"), "abc", major), "a").values<uint8_t>(),
                ElementsAre('a', 'b', 'c'));
  }
  EXPECT_THAT(parse_npy(npy(dict("'<u2'", "()"), "ab"), "a").values<uint16_t>(),
              ElementsAre('a' + 256 * 'b'));
  EXPECT_EQ(parse_npy(npy(dict("'<f4'", "(0, 7)"), ""), "a").elements(), 0);
  EXPECT_EQ(
      parse_npy(npy("{\"shape\":(1L,2L),\"descr\":\">i1\",\"fortran_order\":True}", "ab"), "a")
          .dtype,
      "i1");
}

TEST_F(Npy, FortranOrderBecomesCOrder) {
  // numpy.arange(24).reshape(2, 3, 4) stored first axis fastest
  std::string data;
  for (int k = 0; k < 4; ++k) {
    for (int j = 0; j < 3; ++j) {
      for (int i = 0; i < 2; ++i) data += {static_cast<char>(i * 12 + j * 4 + k), 0};
    }
  }
  const NpyArray array = parse_npy(npy(dict("'<i2'", "(2, 3, 4)", "True"), data), "a");
  EXPECT_THAT(array.shape, ElementsAre(2, 3, 4));
  for (int16_t i = 0; i < 24; ++i) EXPECT_EQ(array.values<int16_t>()[static_cast<size_t>(i)], i);
  const NpyArray turned = transposed(array, {2, 0, 1});
  EXPECT_THAT(turned.shape, ElementsAre(4, 2, 3));
  EXPECT_THAT(turned.values<int16_t>().first(7), ElementsAre(0, 4, 8, 12, 16, 20, 1));
}

TEST_F(Npy, TruncatedAtEveryByteIsRefused) {
  const float values[] = {1, 2, 3};
  const std::string bytes = npy_bytes(npy_array<float>({3}, values));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(refusal(bytes.substr(0, size)),
                testing::AllOf(HasSubstr("a.npy"), HasSubstr("truncated")))
        << size;
  }
  EXPECT_THAT(refusal(bytes + "x"), HasSubstr("goes on after its 12 bytes"));
}

TEST_F(Npy, EveryChangedHeaderByteIsReadOrRefused) {
  const uint8_t values[] = {1, 2, 3, 4};
  const std::string bytes = npy_bytes(npy_array<uint8_t>({2, 2}, values));
  for (size_t at = 0; at < bytes.size() - 4; ++at) {
    for (const int value : {0x00, 0x09, 0x27, 0x28, 0x39, 0x4f, 0x80, 0xff}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(value);
      try {
        EXPECT_EQ(parse_npy(changed, "a").bytes.size(), 4u);
      } catch (const InputError&) {
      }
    }
  }
}

struct BadCase {
  const char* name;
  std::string bytes, message;
};
void PrintTo(const BadCase& c, std::ostream* out) { *out << c.name; }
class BadNpy : public testing::TestWithParam<BadCase> {};

TEST_P(BadNpy, IsRefused) { EXPECT_THAT(refusal(GetParam().bytes), HasSubstr(GetParam().message)); }

const std::string kShape = "(2,)";
const BadCase kBad[] = {
    {"OtherFormat", "PK\3\4 a zip, no npy", "magic is not that of a .npy"},
    {"Version", npy(dict("'|u1'", kShape), "ab", 4), "version is 4.0, allowed 1.0, 2.0, 3.0"},
    {"Object", npy(dict("'|O'", kShape), "ab"), "descr is '|O', allowed f4, f8, i1"},
    {"Record", npy(dict("[('a', '<f4')]", kShape), "ab"), "descr is a record of fields"},
    {"Complex", npy(dict("'<c8'", kShape), "ab"), "descr is '<c8', allowed f4"},
    {"Half", npy(dict("'<f2'", kShape), "ab"), "descr is '<f2', allowed f4"},
    {"Text", npy(dict("'<U5'", kShape), "ab"), "descr is '<U5'"},
    {"Empty", npy(dict("''", kShape), "ab"), "descr is ''"},
    {"BigEndian", npy(dict("'>f4'", kShape), "ab"), "big-endian"},
    {"Huge", npy(dict("'|u1'", "(1099511627776, 1099511627776)"), "ab"),
     "shape is (1099511627776, 1099511627776), allowed up to 8589934592 bytes"},
    {"HugeOnDisk", npy(dict("'|u1'", "(8589934592,)"), "ab"), "truncated: 2 of 8589934592 bytes"},
    {"TooLongNumber", npy(dict("'|u1'", "(99999999999999999999,)"), "ab"), "no number of 0..2^63"},
    {"Negative", npy(dict("'|u1'", "(-2,)"), "ab"), "shape is malformed"},
    {"ThirtyThreeAxes",
     npy(dict("'|u1'", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"), "a"),
     "more than 32 axes"},
    {"NoTuple", npy(dict("'|u1'", "2"), "ab"), "'(' is missing"},
    {"Order", npy(dict("'|u1'", kShape, "Maybe"), "ab"), "fortran_order is neither True nor False"},
    {"UnknownKey", npy("{'descr': '|u1', 'colour': 1}", "ab"),
     "unknown key 'colour'; known are descr, fortran_order, shape"},
    {"MissingKey", npy("{'descr': '|u1', 'fortran_order': False}", "ab"), "has no 'shape'"},
    {"TwiceAKey", npy("{'descr': '|u1', 'descr': '|u1'}", "ab"), "gives 'descr' twice"},
    {"Trailing", npy(dict("'|u1'", kShape) + " x", "ab"), "goes on after its closing brace"},
    {"NoBrace", npy("'descr'", "ab"), "'{' is missing"},
};
INSTANTIATE_TEST_SUITE_P(Headers, BadNpy, testing::ValuesIn(kBad),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(Npy, FilesThatCannotBeRead) {
  EXPECT_THAT(input_error([&] { read_npy(path("none.npy")); }), HasSubstr("does not exist"));
  EXPECT_THAT(input_error([&] { read_npy(folder_); }), HasSubstr("is a folder"));
  EXPECT_THAT(input_error([&] { read_npy("/dev/zero"); }), HasSubstr("no regular file"));
}

TEST_F(Npy, NpzStoredAndDeflated) {
  const uint8_t a[] = {1, 2, 3};
  const std::vector<float> b(10000, 0.5f);
  const std::string one = npy_bytes(npy_array<uint8_t>({3}, a));
  const std::string two = npy_bytes(npy_array<float>({100, 100}, std::span<const float>(b)));
  write_zip(path("two.npz"), {{"a.npy", one}, {"b.npy", two, true}});
  write_zip(path("one.npz"), {{"images.npy", one, true}});
  EXPECT_THAT(read_array(path("one.npz")).values<uint8_t>(), ElementsAre(1, 2, 3));
  EXPECT_THAT(read_array(path("two.npz:a")).values<uint8_t>(), ElementsAre(1, 2, 3));
  EXPECT_THAT(read_npz(path("two.npz"), "b.npy").values<float>(), testing::ElementsAreArray(b));
  EXPECT_THAT(
      input_error([&] { read_array(path("two.npz")); }),
      testing::AllOf(HasSubstr("holds 2 arrays: a.npy, b.npy"), HasSubstr("two.npz:<name>")));
  EXPECT_THAT(input_error([&] { read_array(path("two.npz:c")); }),
              HasSubstr("has no member 'c'; it holds a.npy, b.npy"));
  write_zip(path("text.npz"), {{"readme.txt", "no array"}});
  EXPECT_THAT(input_error([&] { read_array(path("text.npz")); }),
              testing::AllOf(HasSubstr("text.npz:readme.txt"), HasSubstr("magic")));
  EXPECT_THAT(input_error([&] { read_array(path("none.npz")); }), HasSubstr("does not exist"));
}

TEST_F(Npy, DamagedNpzIsRefused) {
  const uint8_t a[] = {1, 2, 3};
  const std::string one = npy_bytes(npy_array<uint8_t>({3}, a));
  for (const bool deflated : {false, true}) {
    write_zip(path("whole.npz"), {{"a.npy", one, deflated}});
    std::ifstream stream(path("whole.npz"), std::ios::binary);
    const std::string whole{std::istreambuf_iterator<char>(stream), {}};
    for (size_t size = 0; size < whole.size(); ++size) {
      write("cut.npz", whole.substr(0, size));
      EXPECT_THAT(input_error([&] { read_array(path("cut.npz")); }), HasSubstr("cut.npz")) << size;
    }
    for (size_t at = 0; at < whole.size();
         ++at) {  // every byte flipped: read as it was, or refused
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 0x5a);
      write("changed.npz", changed);
      try {
        EXPECT_THAT(read_array(path("changed.npz")).values<uint8_t>(), ElementsAre(1, 2, 3)) << at;
      } catch (const InputError&) {
      }
    }
  }
}

TEST_F(Npy, IntegersAndFloats) {
  const int8_t small[] = {-128, 127};
  EXPECT_THAT(integer_values(npy_array<int8_t>({2}, small), "a"), ElementsAre(-128, 127));
  const uint64_t large[] = {uint64_t{1} << 63};
  EXPECT_THAT(input_error([&] { integer_values(npy_array<uint64_t>({1}, large), "a"); }),
              HasSubstr("allowed 0..2^63-1"));
  const float reals[] = {1};
  EXPECT_THAT(input_error([&] { integer_values(npy_array<float>({1}, reals), "a"); }),
              HasSubstr("dtype is f4, allowed i1 u1"));
  const bool truth[] = {true, false};
  EXPECT_THAT(float_values(npy_array<bool>({2}, truth)), ElementsAre(1, 0));
  const int32_t odd[] = {16777217};  // 2^24 + 1: a tie, to even
  EXPECT_THAT(float_values(npy_array<int32_t>({1}, odd)), ElementsAre(16777216.0f));
}

}  // namespace
}  // namespace widthwise
