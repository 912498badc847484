#include "models/dataset.h"

#include <unistd.h>
#include <zlib.h>

#include <fstream>

#include "models/preprocessing.h"
#include "tests/models/compare.h"
#include "tests/models/onnx_builder.h"

namespace widthwise {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;

class Files : public testing::Test {
 protected:
  Files() : folder_(fs::temp_directory_path() / ("widthwise-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~Files() override { fs::remove_all(folder_); }

  static std::string idx(const std::vector<uint32_t>& dims, const std::string& data) {
    std::string bytes = {0, 0, 8, static_cast<char>(dims.size())};
    for (const uint32_t dim : dims) {
      for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(dim >> shift);
    }
    return bytes + data;
  }
  static std::string gzip(const std::string& bytes) {
    const std::string path =
        (fs::temp_directory_path() / ("widthwise-gz-" + std::to_string(::getpid()))).string();
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
    std::ifstream stream(path, std::ios::binary);
    const std::string packed{std::istreambuf_iterator<char>(stream), {}};
    fs::remove(path);
    return packed;
  }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  void write_pair(const std::string& images, const std::string& labels) const {
    write("t-images-idx3-ubyte.gz", images);
    write("t-labels-idx1-ubyte.gz", labels);
  }
  std::string refusal() const {
    return input_error([&] { load_idx_set(folder_, "t"); });
  }

  fs::path folder_;
  const std::string images_ = idx({2, 2, 3}, std::string("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a"
                                                         "\x0b\xff",
                                                         12));
  const std::string labels_ = idx({2}, std::string("\x07\x00", 2));
};

TEST_F(Files, IdxIsReadPlainAndCompressed) {
  for (const bool packed : {false, true}) {
    if (packed) {
      write_pair(gzip(images_), gzip(labels_));
    } else {
      write("t-images-idx3-ubyte", images_);
      write("t-labels-idx1-ubyte", labels_);
    }
    const ImageSet set = load_idx_set(folder_, "t");
    EXPECT_EQ(set.count, 2);
    EXPECT_EQ(set.channels, 1);
    EXPECT_EQ(set.rows, 2);
    EXPECT_EQ(set.cols, 3);
    EXPECT_EQ(set.pixels[11], 255);
    EXPECT_THAT(set.labels, testing::ElementsAre(7, 0));
  }
}

TEST_F(Files, IdxOfFourDimensionsHasChannels) {
  write("t-images-idx4-ubyte", idx({1, 3, 1, 2}, "abcdef"));
  write("t-labels-idx1-ubyte", idx({1}, "\x02"));
  const ImageSet set = load_idx_set(folder_, "t");
  EXPECT_EQ(set.channels, 3);
  EXPECT_EQ(set.image_elements(), 6);
}

TEST_F(Files, BadIdxIsRefused) {
  EXPECT_THAT(refusal(), testing::AllOf(HasSubstr("t-images-idx3-ubyte.gz"),
                                        HasSubstr("apt-get install dataset-fashion-mnist")));
  write_pair(gzip(images_).substr(0, 25), gzip(labels_));
  EXPECT_THAT(refusal(), HasSubstr("truncated"));
  const std::string packed = gzip(images_);
  write_pair(packed.substr(0, packed.size() - 4), gzip(labels_));
  EXPECT_THAT(refusal(), HasSubstr("damaged"));
  std::string wrong_sum = packed;
  wrong_sum[packed.size() - 6] ^= 1;
  write_pair(wrong_sum, gzip(labels_));
  EXPECT_THAT(refusal(), HasSubstr("damaged"));
  write_pair(images_.substr(0, 20), labels_);
  EXPECT_THAT(refusal(), HasSubstr("truncated or damaged: 4 of 12 bytes"));
  write_pair(images_.substr(0, 2), labels_);
  EXPECT_THAT(refusal(), HasSubstr("truncated or damaged: 2 of 4 bytes"));
  write_pair("", labels_);
  EXPECT_THAT(refusal(), HasSubstr("truncated"));
  write_pair(images_ + "x", labels_);
  EXPECT_THAT(refusal(), HasSubstr("is longer than its 12 elements"));
  write_pair("not an IDX file", labels_);
  EXPECT_THAT(refusal(), HasSubstr("magic is 6e6f7420, allowed 00000803"));
  write_pair(labels_, labels_);
  EXPECT_THAT(refusal(), HasSubstr("magic is 00000801"));
  write_pair(images_, images_);
  EXPECT_THAT(refusal(), HasSubstr("magic is 00000803, allowed 00000801"));
  write_pair(idx({0xffffffff, 0xffffffff, 0xffffffff}, ""), labels_);
  EXPECT_THAT(refusal(), HasSubstr("allowed 1..8589934592 bytes"));
  write_pair(idx({0x7fffffff, 2, 2}, "abc"), labels_);  // claims 8 GiB, has 3 bytes
  EXPECT_THAT(refusal(), HasSubstr("3 of 8589934588 bytes"));
  write_pair(idx({0, 2, 2}, ""), labels_);
  EXPECT_THAT(refusal(), HasSubstr("dimensions hold 0"));
  write_pair(images_, idx({3}, "abc"));
  EXPECT_THAT(refusal(), testing::AllOf(HasSubstr("count is 3"), HasSubstr("has 2 images")));
}

const std::string kGood =
    "input: {scale: 0.5, mean: [1, 2], std: [2, 4], layout: NCHW}\n"
    "classes: [cat, dog]\n"
    "data: pets\n";

std::string replaced(const std::string& from, const std::string& to) {
  std::string text = kGood;
  return text.replace(text.find(from), from.size(), to);
}

TEST_F(Files, PreprocessingByHand) {
  write("net.yaml", kGood);
  const Preprocessing p = load_preprocessing(preprocessing_path(folder_ / "net.onnx"));
  EXPECT_THAT(p.classes, testing::ElementsAre("cat", "dog"));
  const ImageSet images{"made", 2, 2, 1, 2, {0, 2, 4, 8, 10, 12, 14, 16}, {0, 1}};
  std::vector<float> values(4);
  preprocess(images, p, 1, 1, values);  // (x / 2 - 1) / 2; (x / 2 - 2) / 4
  EXPECT_THAT(values, testing::ElementsAre(2, 2.5, 1.25, 1.5));
  EXPECT_THROW(preprocess(images, p, 1, 2, values), std::logic_error);
}

TEST_F(Files, PreprocessingDefaultsAndGeometry) {
  write("a.yaml", "input: {divide_by: 255}");
  const Preprocessing plain = load_preprocessing(folder_ / "a.yaml");
  EXPECT_FALSE(plain.changes_size());
  EXPECT_EQ(plain.value(51, 2), 51.0f / 255.0f);
  EXPECT_EQ(plain.layout, "NCHW");
  write("a.yaml", "input: {scale: 1, resize: 256, center_crop: 224, interpolation: bicubic}");
  const Preprocessing shorter = load_preprocessing(folder_ / "a.yaml");
  EXPECT_EQ(shorter.interpolation, Interpolation::kBicubic);
  const auto resized = [](const Preprocessing& p, int64_t rows, int64_t cols) {
    const ImageSize size = resized_size({.rows = rows, .cols = cols}, p, "x");
    return std::pair(size.rows, size.cols);
  };
  EXPECT_EQ(resized(shorter, 375, 500), std::pair(int64_t{256}, int64_t{341}));  // 341.33
  EXPECT_EQ(resized(shorter, 500, 333), std::pair(int64_t{384}, int64_t{256}));  // 384.38
  EXPECT_EQ(resized(shorter, 256, 999), std::pair(int64_t{256}, int64_t{999}));
  const ImageSize size = prepared_size({.rows = 375, .cols = 500}, shorter, "x");
  EXPECT_EQ(std::pair(size.rows, size.cols), std::pair(int64_t{224}, int64_t{224}));
  write("a.yaml", "input: {scale: 1, resize: [10, 20], center_crop: [3, 4]}");
  const Preprocessing both = load_preprocessing(folder_ / "a.yaml");
  EXPECT_EQ(resized(both, 375, 500), std::pair(int64_t{10}, int64_t{20}));
  EXPECT_EQ(both.center_crop.rows, 3);
  EXPECT_EQ(both.center_crop.cols, 4);
}

TEST_F(Files, BadPreprocessingIsRefused) {
  const auto refusal_of = [&](const std::string& text) {
    write("net.yaml", text);
    return input_error([&] { load_preprocessing(folder_ / "net.yaml"); });
  };
  EXPECT_THAT(input_error([&] { load_preprocessing(folder_ / "none.yaml"); }),
              HasSubstr("cannot be read"));
  EXPECT_THAT(refusal_of(""), HasSubstr("must be a map of input, classes, data, label_offset"));
  EXPECT_THAT(refusal_of("input: [unclosed"), HasSubstr("is not YAML"));
  EXPECT_THAT(refusal_of(replaced("data:", "date:")),
              testing::AllOf(HasSubstr("line 3"), HasSubstr("date is an unknown key")));
  EXPECT_THAT(refusal_of("classes: [cat]"), HasSubstr("input is missing"));
  EXPECT_THAT(refusal_of(replaced("scale: 0.5, ", "")), HasSubstr("input.scale is missing"));
  EXPECT_THAT(refusal_of(replaced("scale: 0.5", "scale: 0.5, divide_by: 2")),
              HasSubstr("input.divide_by is given beside input.scale"));
  EXPECT_THAT(
      refusal_of(replaced("scale: 0.5", "scale: 0.5, crop: 2")),
      HasSubstr("input.crop is an unknown key; known are scale, divide_by, zero_point, mean, "
                "std, layout, resize, center_crop, interpolation, affine"));
  for (const char* size : {"0", "many", "[2]", "[2, 0]", "[1, 2, 3]", "9000", "-1", "2.5"}) {
    for (const std::string key : {"resize", "center_crop"})
      EXPECT_THAT(refusal_of(replaced("scale: 0.5", "scale: 0.5, " + key + ": " + size)),
                  HasSubstr("input." + key + " must be a"));
  }
  EXPECT_THAT(refusal_of(replaced("scale: 0.5", "scale: 0.5, interpolation: cubic")),
              HasSubstr("input.interpolation is cubic, allowed nearest, bilinear, bicubic"));
  EXPECT_THAT(refusal_of(kGood + "label_offset: x\n"), HasSubstr("label_offset must be a whole"));
  EXPECT_THAT(refusal_of(kGood + "data: again\n"), HasSubstr("data is given twice"));
  EXPECT_THAT(refusal_of(replaced("scale: 0.5", "scale: 0")),
              HasSubstr("input.scale must be a finite number above 0"));
  EXPECT_THAT(refusal_of(replaced("scale: 0.5", "scale: many")), HasSubstr("input.scale must be"));
  EXPECT_THAT(refusal_of(replaced("scale: 0.5", "scale: .nan")), HasSubstr("input.scale must be"));
  EXPECT_THAT(refusal_of(replaced("scale: 0.5", "scale: {a: b}")),
              HasSubstr("input.scale must be"));
  EXPECT_THAT(refusal_of(replaced("std: [2, 4]", "std: [2, 0]")),
              HasSubstr("input.std must be a finite number above 0"));
  EXPECT_THAT(refusal_of(replaced("std: [2, 4]", "std: [2]")), HasSubstr("differ in length"));
  EXPECT_THAT(refusal_of(replaced("mean: [1, 2]", "mean: 1")), HasSubstr("input.mean must be a"));
  EXPECT_THAT(refusal_of(replaced("NCHW", "CHW")), HasSubstr("input.layout is CHW, allowed NCHW"));
  EXPECT_THAT(refusal_of(replaced("[cat, dog]", "cat")), HasSubstr("classes must be a list"));
  EXPECT_THAT(refusal_of("[1, 2]: x\n" + kGood), HasSubstr("has a key that is no text"));
}

TEST_F(Files, ImagesThatDoNotFitTheNetwork) {
  OnnxBuilder model({1, 2, 1, 2});
  model.random("w", {4, 2});
  model.node("Flatten", {"x"}, {"f"});
  model.node("MatMul", {"f", "w"});
  const FloatNetwork network = lower(fold(model.parse()));
  write("net.yaml", kGood);
  Preprocessing p = load_preprocessing(folder_ / "net.yaml");
  ImageSet images{"made", 1, 2, 1, 2, {0, 2, 4, 8}, {1}};
  check_images(images, p, network);
  images.labels = {2};
  EXPECT_THAT(input_error([&] { check_images(images, p, network); }),
              HasSubstr("labels hold 2, allowed 0..1"));
  images.labels = {1};
  p.mean = p.std = {1};
  EXPECT_THAT(input_error([&] { check_images(images, p, network); }),
              HasSubstr("input.mean has 1 entries, the images have 2 channels"));
  p.mean = p.std = {1, 1};
  p.classes = {"cat"};
  EXPECT_THAT(input_error([&] { check_images(images, p, network); }),
              HasSubstr("classes has 1 entries"));
  images.rows = 2;
  EXPECT_THAT(input_error([&] { check_images(images, p, network); }),
              testing::AllOf(HasSubstr("[2, 2, 2]"), HasSubstr("[2, 1, 2]")));
}

}  // namespace
}  // namespace widthwise
