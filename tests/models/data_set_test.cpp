// Arrays, IDX and folders of images as a network's input.
#include "models/dataset.h"
#include "tests/models/data_files.h"

namespace widthwise {
namespace {
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class DataSets : public TempFolder {
 protected:
  template <class T>
  std::string save(const std::string& name, std::vector<int64_t> shape, std::vector<T> values) {
    write_npy(path(name), npy_array<T>(std::move(shape), std::span<const T>(values)));
    return path(name);
  }
  Preprocessing yaml(const std::string& text) const {
    return load_preprocessing(write("net.yaml", text));
  }
  std::unique_ptr<DataSet> open(const DataFiles& files, const std::string& text) const {
    return open_data_set(files, yaml(text), network_);
  }
  std::string refusal(const DataFiles& files, const std::string& text) const {
    return input_error([&] { open(files, text); });
  }
  static std::vector<float> read(const DataSet& set, int64_t first, int64_t count) {
    std::vector<float> values(static_cast<size_t>(count * set.input_elements()));
    set.read(first, count, values);
    return values;
  }
  static std::vector<float> read(const DataSet& set) { return read(set, 0, set.count()); }

  FloatNetwork network_ = network_of({2, 1, 3}, 10);  // [channels, rows, cols]
};

const std::string kPlain = "input: {scale: 1}";

TEST_F(DataSets, LayoutsComeOutAsNchw) {
  const std::vector<uint8_t> chw = {1, 2, 3, 4, 5, 6}, hwc = {1, 4, 2, 5, 3, 6};
  const auto nchw = open({.path = save<uint8_t>("a.npy", {1, 2, 1, 3}, chw)}, kPlain);
  EXPECT_THAT(read(*nchw), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_TRUE(nchw->labels().empty());
  const auto nhwc =
      open({.path = save<uint8_t>("b.npy", {1, 1, 3, 2}, hwc)}, "input: {scale: 1, layout: NHWC}");
  EXPECT_THAT(read(*nhwc), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(refusal({.path = path("b.npy")}, kPlain),
              AllOf(HasSubstr("image shape is [1, 3, 2], the network net reads [2, 1, 3]"),
                    HasSubstr("input.layout")));
  EXPECT_THAT(refusal({.path = path("b.npy")}, "input: {scale: 1, layout: CHWN}"),
              HasSubstr("input.layout is CHWN, allowed NCHW, NHWC, NCWH, NWHC, NHCW, NWCH"));
  const ImageSet set = load_array_set(path("b.npy"), "", "NHWC");
  EXPECT_EQ(set.channels, 2);
  EXPECT_THAT(set.pixels, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(DataSets, ArraysWithoutChannels) {
  network_ = network_of({1, 2, 3}, 10);
  const auto rows = open({.path = save<uint8_t>("a.npy", {1, 2, 3}, {1, 2, 3, 4, 5, 6})}, kPlain);
  EXPECT_THAT(read(*rows), ElementsAre(1, 2, 3, 4, 5, 6));
  const auto turned = open({.path = save<uint8_t>("b.npy", {1, 3, 2}, {1, 4, 2, 5, 3, 6})},
                           "input: {scale: 1, layout: NWHC}");
  EXPECT_THAT(read(*turned), ElementsAre(1, 2, 3, 4, 5, 6));
  network_ = network_of({6}, 10);  // a network that flattens first
  EXPECT_EQ(read(*open({.path = path("a.npy")}, kPlain)).size(), 6u);
  network_ = network_of({1, 6}, 10);
  EXPECT_EQ(read(*open({.path = save<uint8_t>("c.npy", {1, 6}, {1, 2, 3, 4, 5, 6})}, kPlain)),
            read(*rows));
}

TEST_F(DataSets, FeaturesOfEveryTypeWithOneFormula) {
  const std::string text = "input: {zero_point: -3, scale: 0.5, mean: [1, 2], std: [2, 4]}";
  const std::vector<float> wanted = {0.5f, 0.75f, 1, 0.5f, 0.625f, 0.75f};
  // ((x + 3) / 2 - 1) / 2 of 1, 2, 3; ((x + 3) / 2 - 2) / 4 of 5, 6, 7
  EXPECT_EQ(read(*open({.path = save<int8_t>("a.npy", {1, 2, 1, 3}, {1, 2, 3, 5, 6, 7})}, text)),
            wanted);
  EXPECT_EQ(read(*open({.path = save<uint8_t>("a.npy", {1, 2, 1, 3}, {1, 2, 3, 5, 6, 7})}, text)),
            wanted);
  EXPECT_EQ(read(*open({.path = save<float>("a.npy", {1, 2, 1, 3}, {1, 2, 3, 5, 6, 7})}, text)),
            wanted);
  EXPECT_EQ(read(*open({.path = save<int64_t>("a.npy", {1, 2, 1, 3}, {1, 2, 3, 5, 6, 7})}, text)),
            wanted);
  EXPECT_EQ(read(*open({.path = save<double>("a.npy", {1, 2, 1, 3}, {1, 2, 3, 5, 6, 7})}, text)),
            wanted);
}

TEST_F(DataSets, DivisionIsNotMultiplication) {  // x / 255 and x * (1 / 255) differ in float32
  network_ = network_of({1, 1, 256}, 10);
  std::vector<uint8_t> all(256);
  for (size_t i = 0; i < 256; ++i) all[i] = static_cast<uint8_t>(i);
  const DataFiles files{.path = save<uint8_t>("a.npy", {1, 1, 256}, all)};
  const auto divided = read(*open(files, "input: {divide_by: 255, mean: [0.5], std: [0.5]}"));
  const auto scaled =
      read(*open(files, "input: {scale: 0.00392156862745098, mean: [0.5], std: [0.5]}"));
  int different = 0;
  for (size_t i = 0; i < 256; ++i) {
    const float x = static_cast<float>(i);
    EXPECT_EQ(divided[i], (x / 255.0f - 0.5f) / 0.5f);
    EXPECT_EQ(scaled[i], (x * 0.00392156862745098f - 0.5f) / 0.5f);
    different += divided[i] != scaled[i];
  }
  EXPECT_GT(different, 0);
}

TEST_F(DataSets, AffineByFeature) {
  const float scales[] = {1, 10, 100}, offsets[] = {0, 0.5f, -1};
  write_zip(path("affine.npz"), {{"A.npy", npy_bytes(npy_array<float>({3}, scales))},
                                 {"B.npy", npy_bytes(npy_array<float>({3}, offsets))}});
  const auto text = [](const std::string& axis) {
    return "input: {scale: 2, affine: {file: affine.npz, scale: A, offset: B, axis: " + axis + "}}";
  };
  const DataFiles features{.path = save<int8_t>("f.npy", {1, 2, 1, 3}, {1, 2, 3, -1, -2, -3})};
  EXPECT_THAT(read(*open(features, text("W"))), ElementsAre(2, 40.5f, 599, -2, -39.5f, -601));
  const DataFiles images{.path = save<uint8_t>("i.npy", {1, 2, 1, 3}, {1, 2, 3, 0, 0, 0})};
  EXPECT_THAT(read(*open(images, text("W"))), ElementsAre(2, 40.5f, 599, 0, 0.5f, -1));
  EXPECT_THAT(refusal(features, text("C")),
              HasSubstr("input.affine has 3 entries, axis C of the inputs [2, 1, 3] has 2"));
  EXPECT_THAT(refusal(features, text("K")), HasSubstr("input.affine.axis is K, allowed C, H, W"));
  EXPECT_THAT(refusal(features, "input: {scale: 1, affine: {file: affine.npz, scale: A}}"),
              HasSubstr("input.affine.offset is missing"));
  EXPECT_THAT(
      refusal(features,
              "input: {scale: 1, affine: {file: affine.npz, scale: A, offset: C, axis: W}}"),
      HasSubstr("has no member 'C'; it holds A.npy, B.npy"));
}

TEST_F(DataSets, LabelsOfAnyIntegerTypeWithAnOffset) {
  const std::string images = save<uint8_t>("a.npy", {2, 2, 1, 3}, std::vector<uint8_t>(12));
  const DataFiles files{.path = images, .labels = save<int64_t>("l.npy", {2}, {3, 8})};
  EXPECT_THAT(open(files, kPlain)->labels(), ElementsAre(3, 8));
  EXPECT_THAT(open(files, kPlain + "\nlabel_offset: 1")->labels(), ElementsAre(4, 9));
  EXPECT_THAT(refusal(files, kPlain + "\nlabel_offset: 2"),
              AllOf(HasSubstr("labels hold 10, allowed 0..9"), HasSubstr("label_offset")));
  EXPECT_THAT(refusal(files, kPlain + "\nlabel_offset: -4"), HasSubstr("labels hold -1"));
  save<uint8_t>("l.npy", {2, 1}, {3, 8});
  EXPECT_THAT(open(files, kPlain)->labels(), ElementsAre(3, 8));
  save<uint8_t>("l.npy", {3}, {3, 8, 1});
  EXPECT_THAT(refusal(files, kPlain), HasSubstr("shape is [3], there are 2 inputs"));
  save<int32_t>("l.npy", {2}, {3, -8});
  EXPECT_THAT(refusal(files, kPlain), HasSubstr("labels hold -8, allowed 0..2^31-1"));
  save<float>("l.npy", {2}, {3, 8});
  EXPECT_THAT(refusal(files, kPlain), HasSubstr("dtype is f4, allowed i1"));
}

TEST_F(DataSets, BadArraysAreRefused) {
  EXPECT_THAT(refusal({.path = save<uint8_t>("a.npy", {6}, {1, 2, 3, 4, 5, 6})}, kPlain),
              HasSubstr("[6] has 1 axes, allowed 2..4"));
  EXPECT_THAT(refusal({.path = save<uint8_t>("a.npy", {0, 2, 1, 3}, {})}, kPlain),
              HasSubstr("has no element"));
  EXPECT_THAT(refusal({.path = save<float>("a.npy", {1, 2, 1, 3}, {1, 2, NAN, 4, 5, 6})}, kPlain),
              HasSubstr("values hold nan at element 2"));
  EXPECT_THAT(refusal({.path = save<double>("a.npy", {1, 2, 1, 3}, {1, 2, 3, 1e39, 5, 6})}, kPlain),
              HasSubstr("values hold inf at element 3"));
  EXPECT_THAT(refusal({.path = save<int8_t>("a.npy", {1, 2, 1, 3}, {1, 2, 3, 4, 5, 6})},
                      "input: {scale: 1, resize: 8}"),
              HasSubstr("allowed only for images of unsigned bytes"));
  EXPECT_THAT(refusal({.path = path("a.txt")}, kPlain),
              HasSubstr("is neither a folder nor a .npy"));
  EXPECT_THAT(input_error([&] { load_array_set(path("a.npy"), "", "NCHW"); }),
              HasSubstr("dtype is i1, allowed for images is u1"));
}

TEST_F(DataSets, ImagesInMemoryAreResizedAndCropped) {
  network_ = network_of({1, 2, 2}, 10);
  const DataFiles files{.path = save<uint8_t>("a.npy", {2, 4, 8}, std::vector<uint8_t>(64, 200))};
  const auto set = open(files, "input: {scale: 1, resize: 2, center_crop: 2}");  // [2, 4], [2, 2]
  EXPECT_EQ(set->input_elements(), 4);
  EXPECT_THAT(read(*set), testing::Each(200));
  EXPECT_THAT(refusal(files, "input: {scale: 1, resize: 2}"),
              HasSubstr("image shape is [1, 2, 4]"));
  EXPECT_THROW(read(*set, 1, 2), std::logic_error);
}

TEST_F(DataSets, SomeInputsOfASet) {
  network_ = network_of({1}, 10);
  const DataFiles files{.path = save<uint8_t>("a.npy", {5, 1}, {10, 11, 12, 13, 14}),
                        .labels = save<uint8_t>("l.npy", {5}, {0, 1, 2, 3, 4})};
  const auto first = take_inputs(open(files, kPlain), 2, Take::kFirst, "--images");
  EXPECT_THAT(first->labels(), ElementsAre(0, 1));
  EXPECT_THAT(read(*first), ElementsAre(10, 11));
  const auto spread = take_inputs(open(files, kPlain), 3, Take::kSpread, "--images");
  EXPECT_THAT(spread->labels(), ElementsAre(0, 1, 3));
  EXPECT_THAT(read(*spread, 1, 2), ElementsAre(11, 13));
  EXPECT_EQ(take_inputs(open(files, kPlain), 0, Take::kFirst, "--images")->count(), 5);
  EXPECT_THAT(input_error([&] { take_inputs(open(files, kPlain), 6, Take::kFirst, "--images"); }),
              HasSubstr("--images is 6, allowed 0..5"));
}

TEST_F(DataSets, IdxAsAnyOther) {
  const std::string images({0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6});
  write("idx/t10k-images-idx3-ubyte", images);
  write("idx/t10k-labels-idx1-ubyte", std::string({0, 0, 8, 1, 0, 0, 0, 1, 7}));
  network_ = network_of({1, 3, 2}, 10);
  const auto set = open({.path = path("idx")}, "input: {scale: 1, layout: NWHC}");
  EXPECT_THAT(read(*set), ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(set->labels(), ElementsAre(7));
  EXPECT_THAT(refusal({.path = path("idx"), .labels = "l.npy"}, kPlain),
              HasSubstr("labels are given beside a folder"));
}

class Folders : public DataSets {
 protected:
  Folders() {
    network_ = network_of({3, 2, 2}, 3);
    for (const auto& [name, level] : kFiles) write(name, flat(level));
    write("set/dog/notes.txt", "not an image");
    write("set/.cache/x.png", "hidden");
    write("set/list.csv", "beside the classes");
  }
  static std::string flat(uint8_t level) {
    return png_bytes(4, 6, PNG_COLOR_TYPE_GRAY, std::vector<uint8_t>(24, level));
  }
  const std::vector<std::pair<std::string, uint8_t>> kFiles = {
      {"set/cat/b.png", 2},
      {"set/cat/a.PNG", 1},
      {"set/cat/sub/a.png", 3},
      {"set/dog/x.jpg", 4},  // told by content, not by name
      {"set/Ant/x.jpeg", 5}};
  const std::string kCrop = "input: {scale: 1, resize: 2, center_crop: 2}";
};

TEST_F(Folders, ClassesAndFilesInSortedOrder) {
  const auto set = open({.path = path("set")}, kCrop);
  EXPECT_THAT(set->labels(), ElementsAre(0, 1, 1, 1, 2));  // Ant, cat, dog: upper case first
  const std::vector<float> values = read(*set);
  ASSERT_EQ(values.size(), 5u * 12);
  for (const auto& [i, level] : {std::pair(0, 5), {1, 1}, {2, 2}, {3, 3}, {4, 4}})
    EXPECT_EQ(values[static_cast<size_t>(i) * 12 + 7], static_cast<float>(level)) << i;
  EXPECT_THAT(read(*set, 3, 1), testing::Each(3));
}

TEST_F(Folders, ClassesByName) {
  const std::string named = kCrop + "\nclasses: [dog, cat, Ant]";
  EXPECT_THAT(open({.path = path("set")}, named)->labels(), ElementsAre(2, 1, 1, 1, 0));
  EXPECT_THAT(refusal({.path = path("set")}, kCrop + "\nclasses: [dog, cat, bee]"),
              AllOf(HasSubstr("set/Ant: class 'Ant' is unknown; known are dog, cat, bee")));
  EXPECT_THAT(open({.path = path("set")}, kCrop)->labels().front(), 0);
  EXPECT_THAT(refusal({.path = path("set")}, kCrop + "\nlabel_offset: 1"),
              HasSubstr("labels hold 3, allowed 0..2"));
}

TEST_F(Folders, OneChannelNetworks) {
  write("set/Ant/x.jpeg", png_bytes(2, 2, PNG_COLOR_TYPE_RGB,
                                    {200, 100, 50, 200, 100, 50, 200, 100, 50, 200, 100, 50}));
  network_ = network_of({1, 2, 2}, 3);
  EXPECT_THAT(read(*open({.path = path("set")}, kCrop), 0, 1), testing::Each(124));
  network_ = network_of({4}, 3);
  EXPECT_EQ(open({.path = path("set")}, kCrop)->input_elements(), 4);
  EXPECT_THAT(refusal({.path = path("set")}, "input: {scale: 1, resize: 2}"),
              HasSubstr("add input.resize: [rows, cols]"));
}

TEST_F(Folders, ProblemsNameTheFile) {
  const auto set = open({.path = path("set")}, "input: {scale: 1}");
  EXPECT_THAT(input_error([&] { read(*set, 1, 1); }),
              AllOf(HasSubstr("cat/a.PNG: size is 6 x 4 pixels, the network reads 2 x 2"),
                    HasSubstr("input.resize")));
  write("set/cat/b.png", flat(2).substr(0, 50));
  const auto cut = open({.path = path("set")}, kCrop);
  EXPECT_THAT(input_error([&] { read(*cut); }), HasSubstr("cat/b.png: is a damaged"));
  EXPECT_EQ(read(*cut, 0, 2).size(), 24u);  // the others are read
  std::filesystem::remove(path("set/cat/b.png"));
  EXPECT_THAT(input_error([&] { read(*cut); }), HasSubstr("cat/b.png: does not exist"));
  write("set/dog/y.webp", "");
  EXPECT_THAT(refusal({.path = path("set")}, kCrop), HasSubstr("y.webp: is an image of a kind"));
  std::filesystem::remove(path("set/dog/y.webp"));
  std::filesystem::create_directory(path("set/empty"));
  EXPECT_THAT(refusal({.path = path("set")}, kCrop), HasSubstr("set/empty: holds no image"));
  std::filesystem::remove(path("set/empty"));
  EXPECT_THAT(refusal({.path = path("set/dog")}, kCrop),
              HasSubstr("nor folders of images by class"));
  network_ = network_of({2, 2, 2}, 3);
  EXPECT_THAT(refusal({.path = path("set")}, kCrop), HasSubstr("image shape is [3, 2, 2]"));
}

TEST_F(Folders, ThinImagesThatGrowTooLargeAreRefused) {
  write("set/cat/b.png", png_bytes(1, 60000, PNG_COLOR_TYPE_GRAY, std::vector<uint8_t>(60000)));
  const auto set = open({.path = path("set")}, "input: {scale: 1, resize: 256, center_crop: 2}");
  EXPECT_THAT(input_error([&] { read(*set, 2, 1); }),
              AllOf(HasSubstr("b.png"), HasSubstr("15360000 x 256 after the resize")));
}

}  // namespace
}  // namespace widthwise
