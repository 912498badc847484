#include "models/image.h"

#include <zlib.h>

#include "models/image_codec.h"
#include "tests/models/data_files.h"

namespace widthwise {
namespace {
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct ResizeCase {
  const char* name;
  Interpolation interpolation;
  int64_t rows, cols;
  std::vector<uint8_t> pixels;
};
void PrintTo(const ResizeCase& c, std::ostream* out) { *out << c.name; }

// Made by tests/data/make_image_goldens.py with Pillow 9.4.
const ResizeCase kResizes[] = {
    {"Nearest2x3", Interpolation::kNearest, 2, 3, {109, 231, 97, 183, 49, 171}},
    {"Nearest8x4", Interpolation::kNearest, 8, 4, {11,  133, 255, 121, 11,  133, 255, 121,
                                                   48,  170, 36,  158, 85,  207, 73,  195,
                                                   85,  207, 73,  195, 122, 244, 110, 232,
                                                   159, 25,  147, 13,  159, 25,  147, 13}},
    {"Nearest5x9", Interpolation::kNearest, 5, 9, {11,  72,  72,  133, 194, 255, 60,  60,  121,
                                                   48,  109, 109, 170, 231, 36,  97,  97,  158,
                                                   85,  146, 146, 207, 12,  73,  134, 134, 195,
                                                   122, 183, 183, 244, 49,  110, 171, 171, 232,
                                                   159, 220, 220, 25,  86,  147, 208, 208, 13}},
    {"Bilinear2x3", Interpolation::kBilinear, 2, 3, {100, 146, 123, 157, 110, 151}},
    {"Bilinear8x4", Interpolation::kBilinear, 8, 4, {43,  138, 199, 101, 59,  154, 157, 112,
                                                     82,  173, 101, 128, 105, 151, 79,  151,
                                                     129, 152, 80,  175, 152, 175, 103, 198,
                                                     168, 123, 126, 145, 179, 81,  142, 103}},
    {"Bilinear5x9", Interpolation::kBilinear, 5, 9, {11,  52,  99,  147, 194, 241, 147, 80,  121,
                                                     48,  89,  136, 184, 231, 79,  70,  117, 158,
                                                     85,  126, 173, 164, 12,  59,  107, 154, 195,
                                                     122, 163, 210, 201, 49,  96,  144, 191, 232,
                                                     159, 200, 133, 39,  86,  133, 181, 143, 13}},
    {"Bicubic2x3", Interpolation::kBicubic, 2, 3, {95, 152, 122, 161, 104, 151}},
    {"Bicubic8x4", Interpolation::kBicubic, 8, 4, {32,  141, 215, 92,  47,  162, 168, 103,
                                                   75,  184, 97,  126, 105, 152, 64,  156,
                                                   132, 151, 63,  188, 154, 179, 92,  210,
                                                   176, 116, 128, 146, 188, 65,  150, 95}},
    {"Bicubic5x9", Interpolation::kBicubic, 5, 9, {8,   48,  99,  147, 194, 255, 143, 66,  124,
                                                   45,  85,  136, 188, 231, 67,  56,  121, 161,
                                                   82,  122, 187, 176, 12,  55,  107, 158, 198,
                                                   119, 159, 224, 213, 49,  92,  144, 195, 235,
                                                   156, 214, 137, 21,  86,  133, 198, 150, 4}},
};
class Resize : public testing::TestWithParam<ResizeCase> {};

Image pattern() {
  Image image{.channels = 1, .rows = 5, .cols = 7};
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 7; ++x)
      image.pixels.push_back(static_cast<uint8_t>((y * 37 + x * 61 + 11) % 256));
  }
  return image;
}

TEST_P(Resize, IsPillows) {
  const ResizeCase& c = GetParam();
  Image image = pattern();
  EXPECT_EQ(resize_image(image, c.rows, c.cols, c.interpolation).pixels, c.pixels);
  // A second plane does not mix with the first.
  image.channels = 2;
  image.pixels.resize(70, 9);
  const Image both = resize_image(image, c.rows, c.cols, c.interpolation);
  std::vector<uint8_t> wanted = c.pixels;
  wanted.resize(2 * wanted.size(), 9);
  EXPECT_EQ(both.pixels, wanted);
}
INSTANTIATE_TEST_SUITE_P(Goldens, Resize, testing::ValuesIn(kResizes),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Images, ResizeToTheSameSizeChangesNothing) {
  const Image image = pattern();
  for (const auto interpolation :
       {Interpolation::kNearest, Interpolation::kBilinear, Interpolation::kBicubic}) {
    EXPECT_EQ(resize_image(image, 5, 7, interpolation).pixels, image.pixels);
  }
  EXPECT_THROW(resize_image(image, 0, 7, Interpolation::kNearest), std::logic_error);
  EXPECT_THROW(resize_image(image, 1 << 14, 1 << 14, Interpolation::kNearest), std::logic_error);
}

struct CropCase {
  const char* name;
  int64_t have, wanted, first;  // pixels of one row; first: position in the image of output pixel 0
};
void PrintTo(const CropCase& c, std::ostream* out) { *out << c.name; }
constexpr CropCase kCrops[] = {
    {"Same", 7, 7, 0},     {"Even", 8, 4, 2},     // 2.0
    {"OddDown", 8, 3, 2},                         // 2.5 -> 2, half to even
    {"OddUp", 10, 3, 4},                          // 3.5 -> 4
    {"OneMore", 4, 3, 0},                         // 0.5 -> 0
    {"PadEven", 3, 5, -1}, {"PadOdd", 3, 6, -1},  // 1 in front, 2 behind
};
class Crop : public testing::TestWithParam<CropCase> {};

TEST_P(Crop, WindowOfBothAxes) {
  const CropCase& c = GetParam();
  Image row{.channels = 1, .rows = 1, .cols = c.have};
  for (int64_t i = 0; i < c.have; ++i) row.pixels.push_back(static_cast<uint8_t>(i + 1));
  std::vector<uint8_t> wanted;
  for (int64_t i = c.first; i < c.first + c.wanted; ++i)
    wanted.push_back(i < 0 || i >= c.have ? uint8_t{0} : static_cast<uint8_t>(i + 1));
  EXPECT_EQ(center_crop(row, 1, c.wanted).pixels, wanted);
  Image column = row;
  std::swap(column.rows, column.cols);
  EXPECT_EQ(center_crop(column, c.wanted, 1).pixels, wanted);
}
INSTANTIATE_TEST_SUITE_P(Cases, Crop, testing::ValuesIn(kCrops),
                         [](const auto& test) { return std::string(test.param.name); });

std::vector<uint8_t> decoded(const std::string& bytes, int64_t channels) {
  return decode_image(bytes, "a.png", channels).pixels;
}

// L of red 200, green 100, blue 50: (200 * 19595 + 100 * 38470 + 50 * 7471 + 2^15) >> 16 = 124.
TEST(Images, PngOfEveryColorType) {
  const std::string rgb = png_bytes(1, 2, PNG_COLOR_TYPE_RGB, {200, 100, 50, 1, 2, 3});
  EXPECT_THAT(decoded(rgb, 3), ElementsAre(200, 1, 100, 2, 50, 3));  // planes
  EXPECT_THAT(decoded(rgb, 1), ElementsAre(124, 2));
  const std::string rgba = png_bytes(1, 1, PNG_COLOR_TYPE_RGBA, {200, 100, 50, 0});
  EXPECT_THAT(decoded(rgba, 3), ElementsAre(200, 100, 50));  // alpha is dropped, not blended
  const std::string grey = png_bytes(2, 1, PNG_COLOR_TYPE_GRAY, {7, 255});
  EXPECT_THAT(decoded(grey, 1), ElementsAre(7, 255));
  EXPECT_THAT(decoded(grey, 3), ElementsAre(7, 255, 7, 255, 7, 255));
  const std::string alpha = png_bytes(1, 1, PNG_COLOR_TYPE_GRAY_ALPHA, {7, 0});
  EXPECT_THAT(decoded(alpha, 3), ElementsAre(7, 7, 7));
  const std::string palette =
      png_bytes(1, 2, PNG_COLOR_TYPE_PALETTE, {1, 0}, 8, {{1, 2, 3}, {200, 100, 50}});
  EXPECT_THAT(decoded(palette, 3), ElementsAre(200, 1, 100, 2, 50, 3));
  EXPECT_THAT(decoded(palette, 1), ElementsAre(124, 2));
  const std::string bits = png_bytes(1, 3, PNG_COLOR_TYPE_GRAY, {0b10100000}, 1);
  EXPECT_THAT(decoded(bits, 1), ElementsAre(255, 0, 255));
  const std::string deep = png_bytes(1, 1, PNG_COLOR_TYPE_RGB, {200, 255, 100, 255, 50, 0}, 16);
  EXPECT_THAT(decoded(deep, 3), ElementsAre(200, 100, 50));  // the high bytes
  EXPECT_THAT(input_error([&] {
                decoded(png_bytes(1, 1, PNG_COLOR_TYPE_GRAY, {1, 2}, 16), 1);
              }),
              HasSubstr("a.png: is a PNG of 16-bit grey"));
}

TEST(Images, JpegGreyColorAndCmyk) {
  const auto near = [](int value) {
    return testing::AllOf(testing::Ge(value - 3), testing::Le(value + 3));
  };
  EXPECT_THAT(decoded(jpeg_bytes(1, 1, 1, {100}), 3), ElementsAre(near(100), near(100), near(100)));
  const std::string color = jpeg_bytes(1, 1, 3, {200, 100, 50});
  EXPECT_THAT(decoded(color, 3), ElementsAre(near(200), near(100), near(50)));
  EXPECT_THAT(decoded(color, 1), ElementsAre(near(124)));
  // As Adobe stores it 255 is no ink: C 55, M 155, Y 205, K 0 and a half-black one.
  EXPECT_THAT(decoded(jpeg_bytes(1, 1, 4, {200, 100, 50, 255}), 3),
              ElementsAre(near(200), near(100), near(50)));
  EXPECT_THAT(decoded(jpeg_bytes(1, 1, 4, {200, 100, 50, 128}), 3),
              ElementsAre(near(100), near(50), near(25)));
}

std::vector<uint8_t> noise(size_t count) {
  std::mt19937 engine(3);
  std::vector<uint8_t> values(count);
  for (uint8_t& value : values) value = static_cast<uint8_t>(engine());
  return values;
}

TEST(Images, TruncatedAtEveryByteIsRefused) {
  for (const std::string& bytes :
       {png_bytes(9, 8, PNG_COLOR_TYPE_RGB, noise(216)), jpeg_bytes(9, 8, 3, noise(216))}) {
    EXPECT_EQ(decoded(bytes, 3).size(), 216u);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_THAT(input_error([&] { decoded(bytes.substr(0, size), 3); }), HasSubstr("a.png: "))
          << size << " of " << bytes.size();
    }
  }
}

TEST(Images, DamagedFilesAreRefusedOrDecoded) {
  for (const std::string& bytes :
       {png_bytes(9, 8, PNG_COLOR_TYPE_RGB, noise(216)), jpeg_bytes(9, 8, 3, noise(216))}) {
    for (size_t at = 0; at < bytes.size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ flip);
        try {
          decoded(changed, 3);
        } catch (const InputError&) {
        }
      }
    }
  }
}

TEST(Images, OtherFormatsAndSizesAreRefused) {
  EXPECT_THAT(input_error([&] { decoded("", 3); }), HasSubstr("is empty"));
  EXPECT_THAT(input_error([&] { decoded("GIF89a", 3); }), HasSubstr("is neither JPEG nor PNG"));
  EXPECT_THROW(decode_image("", "a", 2), std::logic_error);
  check_image_size(1 << 13, 1 << 13, "a");
  for (const auto& [rows, cols] : {std::pair(0, 1), {1, 0}, {65537, 1}, {1, 65537}, {8192, 8193}})
    EXPECT_THAT(input_error([&] { check_image_size(rows, cols, "a.png"); }),
                AllOf(HasSubstr("a.png"), HasSubstr("allowed up to 65536 a side and 67108864")));
  // A PNG of 8000 x 8000 in 100 bytes: its claim is not believed.
  std::string bomb = png_bytes(1, 8000, PNG_COLOR_TYPE_RGB, std::vector<uint8_t>(24000));
  bomb.replace(20, 4, std::string("\0\0\x1f\x40", 4));
  const uLong sum = crc32(0, reinterpret_cast<const Bytef*>(bomb.data()) + 12, 17);
  for (size_t i = 0; i < 4; ++i) bomb[29 + i] = static_cast<char>(sum >> (24 - 8 * i));
  EXPECT_THAT(input_error([&] { decoded(bomb, 3); }), HasSubstr("too short for its size"));
}

TEST(Images, BytesBeforeAMarkerDoNotMatter) {  // as in some photographs; Pillow reads them too
  std::string bytes = jpeg_bytes(8, 8, 1, noise(64));
  const std::vector<uint8_t> wanted = decoded(bytes, 1);
  bytes.insert(bytes.size() - 2, "xyz");
  EXPECT_EQ(decoded(bytes, 1), wanted);
}

}  // namespace
}  // namespace widthwise
