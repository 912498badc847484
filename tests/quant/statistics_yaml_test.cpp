// Distiller's statistics files: what is read, what is written, what is refused.
#include "quant/statistics_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "core/error.h"

namespace widthwise {
namespace {

using testing::HasSubstr;

void expect_same(const TensorStatistics& a, const TensorStatistics& b, const std::string& what) {
  EXPECT_EQ(a.min, b.min) << what;
  EXPECT_EQ(a.max, b.max) << what;
  EXPECT_EQ(a.avg_min, b.avg_min) << what;
  EXPECT_EQ(a.avg_max, b.avg_max) << what;
  EXPECT_EQ(a.mean, b.mean) << what;
  EXPECT_EQ(a.std, b.std) << what;
  EXPECT_EQ(a.b, b.b) << what;
  EXPECT_EQ(a.images, b.images) << what;
  EXPECT_EQ(a.shape, b.shape) << what;
  EXPECT_EQ(a.total_numel, b.total_numel) << what;
  ASSERT_EQ(a.histogram.has_value(), b.histogram.has_value()) << what;
  if (!a.histogram) return;
  EXPECT_EQ(a.histogram->low, b.histogram->low) << what;
  EXPECT_EQ(a.histogram->high, b.histogram->high) << what;
  EXPECT_EQ(a.histogram->counts, b.histogram->counts) << what;
}

void expect_same(const NetworkStatistics& a, const NetworkStatistics& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, layer] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    const LayerStatistics& other = b.at(name);
    EXPECT_EQ(layer.position, other.position) << name;
    ASSERT_EQ(layer.inputs.size(), other.inputs.size()) << name;
    for (const auto& [k, input] : layer.inputs) expect_same(input, other.inputs.at(k), name);
    ASSERT_EQ(layer.output.has_value(), other.output.has_value()) << name;
    if (layer.output) expect_same(*layer.output, *other.output, name);
  }
}

// Finite doubles of every exponent, subnormal ones and both zeros too.
double any_double(std::mt19937_64& random) {
  for (;;) {
    const double value =
        random() % 16 == 0 ? (random() % 2 == 0 ? 0.0 : -0.0) : std::bit_cast<double>(random());
    if (std::isfinite(value)) return value;
  }
}

TensorStatistics any_record(std::mt19937_64& random) {
  TensorStatistics s;
  s.min = any_double(random);
  s.max = any_double(random);
  if (s.min > s.max) std::swap(s.min, s.max);
  const auto maybe = [&](std::optional<double>& value) {
    if (random() % 4 != 0) value = std::clamp(any_double(random), s.min, s.max);
  };
  maybe(s.avg_min);
  maybe(s.avg_max);
  maybe(s.mean);
  if (random() % 4 != 0) s.std = std::abs(any_double(random));
  if (random() % 4 != 0) s.b = std::abs(any_double(random));
  if (random() % 4 != 0) {
    s.images = static_cast<int64_t>(random() % 1000 + 1);
    s.total_numel = s.images;
    s.shape = {static_cast<int64_t>(random() % 100 + 1)};
    for (size_t axes = random() % 4; axes > 0; --axes) {
      s.shape.push_back(static_cast<int64_t>(random() % 50 + 1));
      s.total_numel *= s.shape.back();
    }
  }
  if (random() % 4 == 0) {
    Histogram h{s.min, s.max, {}};
    for (size_t bins = random() % 9 + 1; bins > 0; --bins)
      h.counts.push_back(static_cast<int64_t>((random() >> 15) + 1));
    s.histogram = h;
  }
  return s;
}

TEST(StatisticsYaml, RandomStatisticsRoundTripToTheBit) {
  // Names that YAML 1.1 or 1.2 would take for something else, and the usual ones.
  const std::vector<std::string> names = {
      "conv1",        "layer1.0.conv1", "0", "1_000", "on",   "No", "~",   "a: b", " pad",
      "x#y",          "\"q\"",          "",  "tab\t", "null", "-",  "1e3", "ä",    "*a",
      "/model/Relu_1"};
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    NetworkStatistics all;
    int position = 0;
    for (const std::string& name : names) {
      if (random() % 3 == 0) continue;
      LayerStatistics& layer = all[name];
      layer.position = position++;
      for (int k = 0; k < static_cast<int>(random() % 3); ++k)
        layer.inputs[k * 3] = any_record(random);
      if (random() % 4 != 0) layer.output = any_record(random);
    }
    const std::string text = statistics_yaml(all);
    const NetworkStatistics read = parse_statistics(text, "made.yaml");
    expect_same(all, read);
    EXPECT_EQ(statistics_yaml(read), text);
    if (HasFailure()) return;
  }
}

TEST(StatisticsYaml, IsWrittenAsDistillerWritesIt) {
  NetworkStatistics all;
  TensorStatistics s;
  s.min = -1;
  s.max = 1e-5;
  s.avg_min = -0.1;
  s.avg_max = 2.5e20;
  s.mean = 1e22;
  s.std = 0.5;
  s.b = 0.25;
  s.shape = {4, 3};
  s.total_numel = 24;
  all["b"] = {.inputs = {{0, s}}, .output = {}, .position = 0};
  all["a"] = {.inputs = {}, .output = s, .position = 1};
  all["a"].output->histogram = Histogram{-1, 1, {3, 0}};
  EXPECT_EQ(statistics_yaml(all), R"(b:
  inputs:
    0:
      min: -1.0
      max: 1.0e-05
      avg_min: -0.1
      avg_max: 2.5e+20
      mean: 1.0e+22
      std: 0.5
      b: 0.25
      shape: (4, 3)
      total_numel: 24
a:
  output:
    min: -1.0
    max: 1.0e-05
    avg_min: -0.1
    avg_max: 2.5e+20
    mean: 1.0e+22
    std: 0.5
    b: 0.25
    shape: (4, 3)
    total_numel: 24
    histogram: {low: -1.0, high: 1.0, counts: [3, 0]}
)");
}

TEST(StatisticsYaml, ReadsWhatPeopleWriteByHand) {
  const auto read = parse_statistics(R"yaml(
stem:
  inputs:
    0: {min: -2, max: 2.5, shape: (32, 3, 8, 8), total_numel: 12288}
  output: {min: -6.0, max: 7.5, shape: "(32,)"}
head:
  inputs:
  output: {max: 1, min: 1, shape: ''}
tail: {inputs: {}}
)yaml",
                                     "hand.yaml");
  const LayerStatistics& stem = read.at("stem");
  EXPECT_EQ(stem.inputs.at(0).min, -2);
  EXPECT_EQ(stem.inputs.at(0).shape, (std::vector<int64_t>{32, 3, 8, 8}));
  EXPECT_EQ(stem.inputs.at(0).total_numel, 12288);
  EXPECT_EQ(stem.inputs.at(0).images, 64);
  EXPECT_EQ(stem.output->shape, std::vector<int64_t>{32});
  EXPECT_EQ(stem.output->images, 0);
  EXPECT_FALSE(stem.output->mean);
  EXPECT_TRUE(read.at("head").inputs.empty());
  EXPECT_EQ(read.at("head").position, 1);
  EXPECT_FALSE(read.at("tail").output);
}

struct Refusal {
  const char* name;
  const char* text;
  const char* where;
  const char* field;
  const char* problem;
};
void PrintTo(const Refusal& refusal, std::ostream* to) { *to << refusal.name; }

constexpr Refusal kRefusals[] = {
    {"UnknownKey", "conv1:\n  output:\n    min: 0\n    max: 1\n    mode: 2\n", "line 5",
     "conv1.output.mode", "known are min, max, avg_min"},
    {"UnknownPart", "conv1:\n  outputs: {min: 0, max: 1}\n", "line 2", "conv1.outputs",
     "known are inputs, output"},
    {"NoMin", "conv1:\n  output:\n    max: 1\n", "line 3", "conv1.output.min", "is missing"},
    {"NoMax", "conv1:\n  inputs:\n    0:\n      min: 1\n", "line 4", "conv1.inputs.0.max",
     "is missing"},
    {"MinAboveMax", "conv1:\n  output:\n    min: 2\n    max: 1\n", "line 3", "conv1.output.min",
     "is 2, above max = 1"},
    {"NotANumber", "conv1:\n  output:\n    min: .nan\n    max: 1\n", "line 3", "conv1.output.min",
     "is .nan, allowed are finite numbers"},
    {"Infinite", "conv1:\n  output:\n    min: 0\n    max: .inf\n", "line 4", "conv1.output.max",
     "allowed are finite numbers"},
    {"TooLarge", "conv1:\n  output:\n    min: 0\n    max: 1e999\n", "line 4", "conv1.output.max",
     "number"},
    {"Text", "conv1:\n  output:\n    min: zero\n    max: 1\n", "line 3", "conv1.output.min",
     "is 'zero', allowed are decimal numbers"},
    {"NegativeStd", "a:\n  output: {min: 0, max: 1, std: -1}\n", "line 2", "a.output.std",
     "is -1, allowed are numbers from 0"},
    {"InputName", "conv1:\n  inputs:\n    x: {min: 0, max: 1}\n", "line 3", "conv1.inputs",
     "has the key 'x', allowed are whole numbers from 0"},
    {"InputFraction", "conv1:\n  inputs:\n    0.5: {min: 0, max: 1}\n", "line 3", "conv1.inputs",
     "'0.5'"},
    {"InputNegative", "conv1:\n  inputs:\n    -1: {min: 0, max: 1}\n", "line 3", "conv1.inputs",
     "'-1'"},
    {"InputTwice", "a:\n  inputs:\n    0: {min: 0, max: 1}\n    0: {min: 0, max: 1}\n", "line 4",
     "a.inputs.0", "is given twice"},
    {"ListOfLayers", "- conv1\n- conv2\n", "line 1", "statistics", "must be a mapping"},
    {"Empty", "", "", "statistics", "are empty"},
    {"AverageOutside", "a:\n  output: {min: 0, max: 1, avg_min: -2}\n", "line 2",
     "a.output.avg_min", "is -2, outside of min = 0 to max = 1"},
    {"MeanOutside", "a:\n  output: {min: 0, max: 1, mean: 2}\n", "line 2", "a.output.mean",
     "is 2, outside of min = 0 to max = 1"},
    {"HistogramElsewhere",
     "a:\n  output: {min: 0, max: 1, histogram: {low: 0, high: 2, counts: [1]}}\n", "line 2",
     "a.output.histogram", "is of 0 to 2, min and max are 0 and 1"},
    {"HistogramOfNothing",
     "a:\n  output: {min: 0, max: 1, histogram: {low: 0, high: 1, counts: [0, 0]}}\n", "line 2",
     "a.output.histogram.counts", "are all 0"},
    {"HistogramOverflows",
     "a:\n  output: {min: 0, max: 1, histogram: {low: 0, high: 1, counts: [9007199254740992, "
     "1]}}\n",
     "line 2", "a.output.histogram.counts", "are beyond 2^53"},
    {"BeyondFloat64", "a:\n  output: {min: 0, max: 1e400}\n", "line 2", "a.output.max",
     "is '1e400', allowed are decimal numbers of float64"},
    {"LayerIsNumber", "conv1: 3\n", "line 1", "conv1", "must be a mapping"},
    {"RecordIsList", "conv1:\n  output: [0, 1]\n", "line 2", "conv1.output", "must be a mapping"},
    {"InputsAreList", "conv1:\n  inputs: [{min: 0, max: 1}]\n", "line 2", "conv1.inputs",
     "must be a mapping"},
    {"LayerTwice", "a: {output: {min: 0, max: 1}}\na: {output: {min: 0, max: 2}}\n", "line 2", "a",
     "is given twice"},
    {"OutputTwice", "a:\n  output: {min: 0, max: 1}\n  output: {min: 0, max: 1}\n", "line 3",
     "a.output", "is given twice"},
    {"KeyTwice", "a:\n  output: {min: 0, min: 0, max: 1}\n", "line 2", "a.output.min",
     "is given twice"},
    {"KeyIsList", "? [a, b]\n: {output: {min: 0, max: 1}}\n", "line 1", "statistics",
     "has a key that is no text"},
    {"Shape", "a:\n  output:\n    min: 0\n    max: 1\n    shape: 3x32\n", "line 5",
     "a.output.shape", "is '3x32', allowed are extents"},
    {"ShapeExtent", "a:\n  output:\n    min: 0\n    max: 1\n    shape: (3, x)\n", "line 5",
     "a.output.shape", "is '(3, x)'"},
    {"ShapeNeverEnds", "a:\n  output: {min: 0, max: 1, shape: (3, 4}\n", "line 2", "a.output.shape",
     "is '(3, 4'"},
    {"Count", "a:\n  output: {min: 0, max: 1, total_numel: 1.5}\n", "line 2",
     "a.output.total_numel", "must be a whole number from 0"},
    {"HistogramKey", "a:\n  output: {min: 0, max: 1, histogram: {bins: 3}}\n", "line 2",
     "a.output.histogram.bins", "known are low, high, counts"},
    {"HistogramLacksCounts", "a:\n  output: {min: 0, max: 1, histogram: {low: 0, high: 1}}\n",
     "line 2", "a.output.histogram.counts", "is missing"},
    {"HistogramCount",
     "a:\n  output: {min: 0, max: 1, histogram: {low: 0, high: 1, counts: [-1]}}\n", "line 2",
     "a.output.histogram.counts", "must be a whole number from 0"},
    {"HistogramRange",
     "a:\n  output: {min: 0, max: 1, histogram: {low: 2, high: 1, counts: [1]}}\n", "line 2",
     "a.output.histogram.low", "is 2, above high = 1"},
    {"Malformed", "conv1:\n  output: {min: 0\nconv2: ]\n", "line 3", "", "is no YAML"},
    {"Deep", "a: [[[[[[[[", "line", "", "is no YAML"},
};

class StatisticsRefusals : public testing::TestWithParam<Refusal> {};

TEST_P(StatisticsRefusals, NameTheLineAndTheField) {
  const Refusal& refusal = GetParam();
  try {
    parse_statistics(refusal.text, "stats.yaml");
    FAIL() << "was read";
  } catch (const InputError& error) {
    EXPECT_EQ(error.problem().file, "stats.yaml");
    if (refusal.where == std::string("line")) {
      EXPECT_THAT(error.problem().where, HasSubstr("line"));
    } else {
      EXPECT_EQ(error.problem().where, refusal.where);
    }
    EXPECT_EQ(error.problem().field, refusal.field);
    EXPECT_THAT(error.problem().problem, HasSubstr(refusal.problem));
    EXPECT_NE(error.problem().fix, "");
  }
}
INSTANTIATE_TEST_SUITE_P(All, StatisticsRefusals, testing::ValuesIn(kRefusals),
                         [](const auto& test) { return test.param.name; });

TEST(StatisticsYaml, MissingFileIsRefused) {
  EXPECT_THROW(read_statistics("no/such/stats.yaml"), InputError);
}

}  // namespace
}  // namespace widthwise
