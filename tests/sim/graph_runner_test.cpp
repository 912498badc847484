#include "sim/graph_runner.h"

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include <set>

#include "models/fuse.h"
#include "sim/evaluate.h"
#include "sim/kernel.h"
#include "tests/models/compare.h"
#include "tests/models/quantized_builder.h"
#include "tests/models/run_nodes.h"
#include "tests/sim/random_layer.h"

namespace widthwise {
namespace {

using namespace testing_support;
using testing::AllOf;
using testing::HasSubstr;

constexpr ElementType u8 = ElementType::kUint8, s8 = ElementType::kInt8;
constexpr int64_t kOpen = GraphValue::kSymbolic;

// Sums and counts of one node.
struct Sums {
  std::vector<int64_t> values, overflow_counts;
  OverflowCounts counts;
};
void expect_same(const OverflowCounts& found, const OverflowCounts& wanted,
                 const std::string& what) {
  EXPECT_EQ(found.additions_overflowed, wanted.additions_overflowed) << what;
  EXPECT_EQ(found.outputs, wanted.outputs) << what;
  EXPECT_EQ(found.outputs_hit, wanted.outputs_hit) << what;
  EXPECT_EQ(found.outputs_wrong, wanted.outputs_wrong) << what;
}

// The obvious execution on a datapath: every product by reference_matmul, one image after the
// other, everything else by the operators' definitions.
struct PlainGraph {
  NamedTensors values;
  std::map<std::string, Sums> sums;  // by node

  PlainGraph(const Graph& graph, const Datapath& datapath, NamedTensors inputs)
      : values(std::move(inputs)) {
    for (const auto& [name, tensor] : graph.initializers) values[name] = tensor;
    for (const GraphNode& node : graph.nodes) {
      std::vector<const Tensor*> bound;
      for (const std::string& value : node.inputs)
        bound.push_back(value.empty() ? nullptr : &values.at(value));
      const NodeView view(graph, node, bound);
      const Operator& op = checked_operator(view);
      std::vector<Tensor> outputs;
      if (op.mac != nullptr) {
        Sums& own = sums[node.name];
        for (const IntegerMatmul& matmul : op.mac->matmuls(view))
          reduce_images(matmul, datapath, own);
        outputs = op.mac->finish(view, own.values, datapath.requantize);
      } else {
        outputs = op.requantize != nullptr ? op.requantize(view, datapath.requantize)
                                           : evaluate_node(view);
      }
      for (size_t i = 0; i < node.outputs.size(); ++i) values[node.outputs[i]] = outputs.at(i);
    }
  }

 private:
  static void reduce_images(const IntegerMatmul& matmul, const Datapath& datapath, Sums& own) {
    const auto elements = static_cast<size_t>(matmul.workload.window.ifmap_elements());
    std::vector<int32_t> bias = matmul.bias;
    bias.resize(static_cast<size_t>(matmul.workload.window.ofmap_channels));
    Accumulation wide = chain(60, OverflowPolicy::kWrap, datapath.accumulation.bias);
    wide.order = datapath.accumulation.order;
    for (int64_t image = 0; image < matmul.images; ++image) {
      const auto codes =
          std::span(matmul.ifmap).subspan(static_cast<size_t>(image) * elements, elements);
      const auto run = [&](const Accumulation& accumulation) {
        return reference_matmul(matmul.workload, codes, matmul.ifmap_zero_point, matmul.weights,
                                bias, accumulation, matmul.weight_zero_points);
      };
      const LayerSums sums = run(datapath.accumulation), exact = run(wide);
      for (size_t i = 0; i < sums.accumulators.size(); ++i) {
        own.values.push_back(sums.accumulators[i]);
        own.overflow_counts.push_back(sums.overflow_counts[i]);
        own.counts.additions_overflowed += sums.overflow_counts[i];
        own.counts.outputs_hit += sums.overflow_counts[i] != 0;
        own.counts.outputs_wrong += sums.accumulators[i] != exact.accumulators[i];
        ++own.counts.outputs;
      }
    }
  }
};

// Every kind of product: convolutions (per channel, depthwise with zero points), a pool, an
// addition, a Gemm, and one MatMul whose result is real. Scales are powers of two.
Graph all_products(const Shape& input) {
  QuantizedBuilder b(input);
  const Scales in = per_tensor(1.0F / 64, 100), mid = per_tensor(0.5F, 110);
  b.fake_quantize("x", "xd", in);
  const Scales w{.scales = {1.0F / 128, 1.0F / 64, 1.0F / 256, 1.0F / 128},
                 .zero_points = {0, 0, 0, 0},
                 .type = s8,
                 .axis = 0};
  b.weight("w", {4, 3, 3, 3}, w);
  auto& conv = b.node("Conv", {"xd", "w", b.bias("wb", 4, in.scales[0], w)}, {"c"});
  conv.set_name("conv");
  set(conv, "pads", std::vector<int64_t>{1, 1, 1, 1});
  b.node("Relu", {"c"}, {"r"});
  b.fake_quantize("r", "rd", mid);
  b.weight("v", {4, 1, 3, 3}, per_tensor(1.0F / 16, 9, ElementType::kUint4));
  auto& depthwise = b.node("Conv", {"rd", "v"}, {"d"});
  depthwise.set_name("depthwise");
  set(depthwise, "group", int64_t{4});
  set(depthwise, "pads", std::vector<int64_t>{1, 1, 1, 1});
  b.fake_quantize("d", "dd", mid);
  b.node("Add", {"rd", "dd"}, {"s"}).set_name("add");
  b.fake_quantize("s", "sd", per_tensor(1, 100));
  b.node("GlobalAveragePool", {"sd"}, {"g"}).set_name("pool");
  b.fake_quantize("g", "gd", mid);
  b.node("Flatten", {"gd"}, {"f"});
  b.weight("u", {4, 5}, per_tensor(1.0F / 128, 0, s8));
  b.node("Gemm", {"f", "u", b.bias("ub", 5, 0.5F, per_tensor(1.0F / 128, 0))}, {"m"})
      .set_name("gemm");
  b.fake_quantize("m", "md", per_tensor(0.5F, 128));
  b.weight("t", {5, 3}, per_tensor(1.0F / 128, 0, s8));
  b.node("MatMul", {"md", "t"}, {"z"}).set_name("real");
  b.quantize("md", "y", per_tensor(0.5F, 128));
  b.output("z");
  b.output("y", u8);
  return fuse(b.parse(), FuseFor::kDatapath);
}

Datapath datapath_of(const Accumulation& accumulation) {
  Datapath datapath;
  datapath.ifmap = {9, true};
  datapath.weight = {9, true};
  datapath.accumulation = accumulation;
  return datapath;
}

Tensor images(Shape shape, int64_t batch, unsigned seed) {
  shape[0] = batch;
  std::vector<float> values = random_values(shape_elements(shape), seed);
  for (float& value : values) value *= 2.4F;
  return Tensor::floats(shape, values);
}

// Layers, sums under an observer and the plain execution give the same codes, sums and counts.
void expect_all_ways_agree(const Graph& graph, const Datapath& datapath, const Tensor& x,
                           const KernelTable& kernels, bool overflows) {
  const PlainGraph plain(graph, datapath, {{"x", x}});
  int64_t overflowed = 0;
  for (const bool count : {true, false}) {
    const GraphRunner runner(graph, {.datapath = &datapath, .count = count, .kernels = &kernels});
    std::map<std::string, OverflowCounts> counts;
    GraphRunner::Observers only_counts, all;
    only_counts.record = [&](const GraphNode& node, const LayerRecord& seen) {
      counts[node.name].merge(seen.counts);
    };
    std::set<std::string> seen_nodes;
    all.mac = [&](const MacObservation& seen) {
      const std::string& name = seen.node.name;
      const Sums& wanted = plain.sums.at(name);
      seen_nodes.insert(name);
      EXPECT_EQ(shape_elements(seen.shape), std::ssize(seen.sums)) << name;
      EXPECT_EQ(std::vector(seen.sums.begin(), seen.sums.end()), wanted.values) << name;
      if (!count) return;
      EXPECT_EQ(std::vector(seen.overflow_counts.begin(), seen.overflow_counts.end()),
                wanted.overflow_counts)
          << name;
      expect_same(seen.counts, wanted.counts, name);
    };
    std::map<std::string, Tensor> codes;
    all.value = [&](const std::string& value, const Tensor& tensor) { codes[value] = tensor; };
    const auto fast = runner.run({{"x", x}}, only_counts), slow = runner.run({{"x", x}}, all);
    EXPECT_EQ(seen_nodes.size(), plain.sums.size());
    for (const GraphValue& output : graph.outputs) {
      EXPECT_EQ(fast.at(output.name), plain.values.at(output.name)) << output.name << ": layers";
      EXPECT_EQ(slow.at(output.name), plain.values.at(output.name)) << output.name << ": sums";
    }
    for (const auto& [value, tensor] : codes) EXPECT_EQ(tensor, plain.values.at(value)) << value;
    for (const auto& [name, sums] : plain.sums) {
      ASSERT_TRUE(counts.contains(name)) << name;
      if (count) expect_same(counts.at(name), sums.counts, name + ": layers");
      overflowed += sums.counts.additions_overflowed;
    }
  }
  EXPECT_EQ(overflowed > 0, overflows) << datapath.accumulation.describe();
}

struct PathCase {
  const char* name;
  std::vector<Stage> stages;
  bool overflows = true;
};
void PrintTo(const PathCase& one, std::ostream* out) { *out << one.name; }
constexpr auto kTree = Stage::Kind::kTree, kChain = Stage::Kind::kChain;
constexpr auto kWrap = OverflowPolicy::kWrap, kSaturate = OverflowPolicy::kSaturate;

class GraphPaths : public testing::TestWithParam<PathCase> {};

TEST_P(GraphPaths, AgreeOnEveryInstructionSet) {
  const Shape shape = {kOpen, 3, 5, 4};
  const Graph graph = all_products(shape);
  for (const BiasMode bias : {BiasMode::kPreload, BiasMode::kLast}) {
    Accumulation accumulation = chain(32, kWrap, bias);
    accumulation.stages = GetParam().stages;
    for (const KernelTable* kernels : supported_kernels()) {
      SCOPED_TRACE(kernels->name);
      expect_all_ways_agree(graph, datapath_of(accumulation), images(shape, 3, 5), *kernels,
                            GetParam().overflows);
    }
  }
}

const PathCase kPaths[] = {
    {"Wide", {{.bits = 32, .overflow = kWrap}}, false},
    {"Wrap12", {{.bits = 12, .overflow = kWrap}}},
    {"Saturate12", {{.bits = 12, .overflow = kSaturate}}},
    {"TreeWrap", {{.kind = kTree, .length = 4}, {.bits = 13, .overflow = kWrap}}},
    {"TreeSaturate", {{.kind = kTree, .length = 7}, {.bits = 13, .overflow = kSaturate}}},
    {"ChainInAWiderChain",
     {{.kind = kChain, .length = 5, .bits = 12, .overflow = kWrap},
      {.bits = 20, .overflow = kSaturate}}},
    {"SaturatingChainInAWiderChain",
     {{.kind = kChain, .length = 16, .bits = 12, .overflow = kSaturate},
      {.bits = 24, .overflow = kWrap}}},
    {"TreeInChainInChain",
     {{.kind = kTree, .length = 2},
      {.kind = kChain, .length = 4, .bits = 13, .overflow = kWrap},
      {.bits = 14, .overflow = kWrap}}},
    {"SaturateZero", {{.bits = 12, .overflow = OverflowPolicy::kSaturateZero}}},
    {"SaturateSymmetric", {{.bits = 12, .overflow = OverflowPolicy::kSaturateSymmetric}}},
    {"WrapSaturatedBits",
     {{.bits = 12, .overflow = OverflowPolicy::kWrapSaturatedBits, .saturated_bits = 2}}},
    {"WrapSignMagnitude", {{.bits = 12, .overflow = OverflowPolicy::kWrapSignMagnitude}}}};
INSTANTIATE_TEST_SUITE_P(Stages, GraphPaths, testing::ValuesIn(kPaths),
                         [](const auto& test) { return test.param.name; });

// One node is narrow, all before it are exact: what it counts is what the census says of it.
TEST(GraphRunner, TheCensusOfANodeIsWhatARunOfEachWidthCounts) {
  const Shape shape = {kOpen, 3, 5, 4};
  const Graph graph = all_products(shape);
  const Tensor x = images(shape, 3, 5);
  const Accumulation wide{.stages = {Stage{.bits = 32}}};
  const Datapath exact = datapath_of(wide);
  for (const KernelTable* kernels : supported_kernels()) {
    const GraphRunner runner(graph, {.datapath = &exact, .census = true, .kernels = kernels});
    std::map<std::string, LayerCensus> layers, sums;
    GraphRunner::Observers alone, with_sums;
    alone.record = [&](const GraphNode& node, const LayerRecord& record) {
      layers[node.name] = record.census;
    };
    with_sums.record = [&](const GraphNode& node, const LayerRecord& record) {
      sums[node.name] = record.census;
    };
    with_sums.mac = [](const MacObservation&) {};
    EXPECT_EQ(runner.run({{"x", x}}, alone), runner.run({{"x", x}}, with_sums));
    const PlainGraph plain(graph, exact, {{"x", x}});
    EXPECT_EQ(layers.size(), plain.sums.size());
    int64_t hits = 0;
    for (const auto& [name, census] : layers) {
      for (const OverflowPolicy policy : {kWrap, kSaturate}) {
        for (int bits = 6; bits <= 20; bits += 2) {
          Datapath narrow = exact;
          narrow.layers[name].accumulation = wide.with_outermost(bits, policy);
          const GraphRunner counting(graph, {.datapath = &narrow, .count = true});
          int64_t hit = -1;
          GraphRunner::Observers observers;
          observers.record = [&, own = name](const GraphNode& node, const LayerRecord& record) {
            if (node.name == own) hit = record.counts.outputs_hit;
          };
          counting.run({{"x", x}}, observers);
          EXPECT_EQ(census.hit(bits, policy), hit) << name << " @ " << bits;
          EXPECT_EQ(sums.at(name).hit(bits, policy), hit) << name << " @ " << bits;
          hits += hit;
        }
      }
      EXPECT_EQ(sums.at(name).least(), census.least()) << name;
      EXPECT_EQ(sums.at(name).greatest(), census.greatest()) << name;
    }
    EXPECT_GT(hits, 0);
  }
}

TEST(GraphRunner, EveryRequantizer) {
  using Kind = RequantizeConfig::Kind;
  const Shape shape = {kOpen, 3, 5, 4};
  const Graph graph = all_products(shape);
  // The mean over 20 pixels has a scale that is no power of two.
  QuantizedBuilder b(shape);
  b.fake_quantize("x", "xd", per_tensor(1.0F / 64, 100));
  b.node("Conv", {"xd", b.weight("w", {4, 3, 3, 3}, per_tensor(1.0F / 128, 0, s8))}, {"c"})
      .set_name("conv");
  b.quantize("c", "y", per_tensor(0.5F, 110));
  b.output("y", u8);
  const Graph powers = fuse(b.parse(), FuseFor::kDatapath);
  for (const Kind kind :
       {Kind::kFloat32, Kind::kMultiplierShift, Kind::kGemmlowp, Kind::kPowerOfTwo}) {
    for (const Rounding rounding : {Rounding::kHalfUp, Rounding::kHalfEven, Rounding::kFloor}) {
      Datapath datapath = datapath_of(chain(14, kSaturate));
      datapath.requantize = {.kind = kind, .multiplier_bits = 12, .rounding = rounding};
      SCOPED_TRACE(requantize_kind_name(kind));
      expect_all_ways_agree(kind == Kind::kPowerOfTwo ? powers : graph, datapath,
                            images(shape, 2, 9), default_kernels(), true);
    }
  }
}

TEST(GraphRunner, ARequantizerThatTheScalesDoNotSuitNamesTheNode) {
  const Graph graph = all_products({kOpen, 3, 5, 4});
  Datapath datapath = datapath_of(chain(20, kWrap));
  datapath.requantize.kind = RequantizeConfig::Kind::kPowerOfTwo;
  const GraphRunner runner(graph, {.datapath = &datapath});
  EXPECT_THAT(input_error([&] {
                runner.run({{"x", images({1, 3, 5, 4}, 1, 1)}});
              }),
              AllOf(HasSubstr("test.onnx: node 'pool'"), HasSubstr("power of two")));
}

TEST(GraphRunner, WithoutADatapathSumsAreExact) {
  const Shape shape = {kOpen, 3, 5, 4};
  const Graph graph = all_products(shape);
  const Tensor x = images(shape, 3, 2);
  const NamedTensors wanted = run_nodes(graph, {{"x", x}});
  for (const bool count : {false, true}) {
    for (const KernelTable* kernels : supported_kernels()) {
      const GraphRunner runner(graph, {.count = count, .kernels = kernels});
      GraphRunner::Observers observers;
      int64_t outputs = 0;
      observers.mac = [&](const MacObservation& seen) {
        outputs += seen.counts.outputs;
        EXPECT_EQ(seen.counts.additions_overflowed, 0);
      };
      for (const auto& results : {runner.run({{"x", x}}), runner.run({{"x", x}}, observers)}) {
        EXPECT_EQ(results.at("y"), wanted.at("y"));
        EXPECT_EQ(results.at("z"), wanted.at("z"));
      }
      EXPECT_EQ(outputs > 0, count);
    }
  }
}

TEST(GraphRunner, Batches) {
  const Shape shape = {kOpen, 3, 5, 4};
  const Graph graph = all_products(shape);
  const Datapath datapath = datapath_of(chain(12, kSaturate));
  const GraphRunner runner(graph, {.datapath = &datapath});
  constexpr int64_t kMost = 33;
  const Tensor all = images(shape, kMost, 4);
  const Tensor wanted = runner.run({{"x", all}}).at("y");
  for (const int64_t batch : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32}) {
    Shape own = shape;
    own[0] = batch;
    const auto bytes = static_cast<size_t>(batch * 60) * sizeof(float);
    const Tensor x(ElementType::kFloat, own, all.bytes().substr(0, bytes));
    const Tensor y = runner.run({{"x", x}}).at("y");
    EXPECT_EQ(y.bytes(), wanted.bytes().substr(0, y.bytes().size())) << batch;
    EXPECT_EQ(y.shape(), (Shape{batch, 5}));
  }
  EXPECT_EQ(runner.run({{"x", images(shape, 0, 4)}}).at("y").shape(), (Shape{0, 5}));
}

// Open extents: the layers of the first size do not suit the second.
TEST(GraphRunner, TwoImageSizesInTurn) {
  const Graph graph = all_products({kOpen, 3, kOpen, kOpen});
  const Datapath datapath = datapath_of(chain(12, kWrap));
  const GraphRunner runner(graph, {.datapath = &datapath, .count = true});
  for (const Shape& shape : {Shape{2, 3, 5, 4}, Shape{1, 3, 8, 3}, Shape{2, 3, 5, 4}}) {
    const Tensor x = images(shape, shape[0], 6);
    const PlainGraph plain(graph, datapath, {{"x", x}});
    GraphRunner::Observers observers;
    observers.mac = [](const MacObservation&) {};
    EXPECT_EQ(runner.run({{"x", x}}).at("y"), plain.values.at("y")) << shape_text(shape);
    EXPECT_EQ(runner.run({{"x", x}}, observers).at("y"), plain.values.at("y"));
  }
}

TEST(GraphRunner, ManyThreadsAtOnce) {
  const Shape shape = {kOpen, 3, 5, 4};
  const Graph graph = all_products(shape);
  const Datapath datapath = datapath_of(chain(12, kSaturate));
  const Tensor x = images(shape, 2, 3);
  const Tensor wanted = PlainGraph(graph, datapath, {{"x", x}}).values.at("y");
  const GraphRunner runner(graph, {.datapath = &datapath, .count = true});
  std::vector<Tensor> found(64);
  tbb::parallel_for(size_t{0}, found.size(), [&](size_t i) {
    GraphRunner::Observers observers;
    if (i % 2 == 0) observers.mac = [](const MacObservation&) {};
    found[i] = runner.run({{"x", x}}, observers).at("y");
  });
  for (const Tensor& y : found) EXPECT_EQ(y, wanted);
}

// Weights in int8 whose codes have 4 bits run on a 4-bit datapath, seen or not.
Graph narrow_weights(std::vector<int64_t> codes) {
  QuantizedBuilder b({kOpen, 4});
  b.fake_quantize("x", "xd", per_tensor(1.0F / 4, 3), {0, 15});
  b.codes("w_q", s8, {4, 1}, codes);
  b.dequantize("w_q", "w", per_tensor(1.0F / 8, 0, s8));
  b.node("MatMul", {"xd", "w"}, {"m"}).set_name("fc");
  b.quantize("m", "y", per_tensor(0.5F, 100));
  b.output("y", u8);
  return fuse(b.parse());
}

TEST(GraphRunner, OperandsAreJudgedByTheirCodes) {
  Datapath datapath;
  datapath.ifmap = {4, false};
  datapath.weight = {4, true};
  datapath.accumulation = chain(16, kWrap);
  const Tensor x = Tensor::floats({1, 4}, {0, 1, 2, -1});
  GraphRunner::Observers observers;
  observers.mac = [](const MacObservation&) {};
  const Graph fits = narrow_weights({-8, 7, 1, 0}), wide = narrow_weights({-8, 7, 8, 0});
  const GraphRunner good(fits, {.datapath = &datapath}), bad(wide, {.datapath = &datapath});
  EXPECT_EQ(good.run({{"x", x}}).at("y"), good.run({{"x", x}}, observers).at("y"));
  for (const auto& seen : {GraphRunner::Observers{}, observers}) {
    EXPECT_THAT(input_error([&] {
                  bad.run({{"x", x}}, seen);
                }),
                AllOf(HasSubstr("test.onnx: node 'fc' (QLinearMatMul): weight is a code of 8"),
                      HasSubstr("the datapath takes int4"), HasSubstr("datapath.layers")));
  }
  datapath.layers["fc"].weight_bits = 5;
  EXPECT_NO_THROW(bad.run({{"x", x}}));
  datapath.ifmap = {3, false};
  for (const auto& seen : {GraphRunner::Observers{}, observers}) {
    const GraphRunner again(fits, {.datapath = &datapath});
    EXPECT_THAT(
        input_error([&] {
          again.run({{"x", x}}, seen);
        }),
        AllOf(HasSubstr("node 'fc'"), HasSubstr("ifmap is uint4, the datapath takes uint3")));
  }
}

TEST(GraphRunner, InputsThatAreMissingOrDoNotFit) {
  QuantizedBuilder b({kOpen, 4});
  b.input("z", {2, 3}, s8);
  b.input("unused", {7});
  b.node("Relu", {"x"});
  b.node("Identity", {"z"}, {"w"});
  b.output("y");
  b.output("w", s8);
  const Graph graph = b.parse();
  const GraphRunner runner(graph);
  const Tensor x = Tensor::floats({5, 4}, std::vector<float>(20, 1));
  const Tensor z(s8, {2, 3});
  EXPECT_EQ(runner.run({{"x", x}, {"z", z}}).at("y"), x);
  EXPECT_NO_THROW(runner.run({{"x", x}, {"z", z}, {"more", z}}));
  const auto refused = [&](const GraphRunner::Tensors& inputs) {
    return input_error([&] { runner.run(inputs); });
  };
  EXPECT_THAT(refused({{"x", x}}), HasSubstr("test.onnx: input 'z': is not given"));
  EXPECT_THAT(refused({{"x", x}, {"z", x}}),
              HasSubstr("input 'z': type is float, the network reads int8"));
  EXPECT_THAT(refused({{"x", x}, {"z", z.reshaped({3, 2})}}),
              HasSubstr("input 'z': shape is [3, 2], the network reads [2, 3]"));
  EXPECT_THAT(refused({{"x", x.reshaped({20})}, {"z", z}}),
              HasSubstr("input 'x': shape is [20], the network reads [N, 4]"));
}

TEST(GraphRunner, UnknownOperatorsAreRefusedBeforeAnyWork) {
  QuantizedBuilder b({1, 4});
  b.node("Relu", {"x"}, {"r"});
  b.node("Frobnicate", {"r"}).set_name("odd");
  b.output("y");
  const Graph graph = b.parse();
  EXPECT_THAT(input_error([&] { const GraphRunner runner(graph); }),
              HasSubstr("node 'odd' (Frobnicate): operator is not supported"));
}

// Random inputs of a network; label i % 5, or none.
class MadeSet : public DataSet {
 public:
  MadeSet(int64_t count, bool labels)
      : DataSet("made", count, 60, made_labels(labels ? count : 0)) {}
  void read(int64_t first, int64_t count, std::span<float> values) const override {
    for (int64_t i = 0; i < count; ++i) {
      const std::vector<float> own = random_values(60, static_cast<unsigned>(first + i));
      for (int64_t k = 0; k < 60; ++k)
        values[static_cast<size_t>(i * 60 + k)] = 2.4F * own[static_cast<size_t>(k)];
    }
  }

 private:
  static std::vector<int32_t> made_labels(int64_t count) {
    std::vector<int32_t> labels;
    for (int64_t i = 0; i < count; ++i) labels.push_back(static_cast<int32_t>(i % 5));
    return labels;
  }
};

Graph one_output(int64_t batch) {
  Graph graph = all_products({batch, 3, 5, 4});
  graph.outputs.erase(graph.outputs.begin());
  return graph;
}

void expect_same(const Evaluation& found, const Evaluation& wanted) {
  EXPECT_EQ(found.images, wanted.images);
  EXPECT_EQ(found.predictions, wanted.predictions);
  EXPECT_EQ(found.top1_correct, wanted.top1_correct);
  EXPECT_EQ(found.top5_correct, wanted.top5_correct);
  EXPECT_EQ(found.mean_loss, wanted.mean_loss);
  ASSERT_EQ(found.records.size(), wanted.records.size());
  for (size_t i = 0; i < found.records.size(); ++i)
    expect_same(found.records[i].counts, wanted.records[i].counts, std::to_string(i));
}

// Neither the threads nor how the images are cut into batches show in the result.
TEST(EvaluateGraph, ThreadsAndBatches) {
  const Datapath datapath = datapath_of(chain(12, kSaturate));
  const MadeSet data(37, true);
  std::optional<Evaluation> wanted;
  for (const int threads : {1, 2}) {
    const tbb::global_control control(tbb::global_control::max_allowed_parallelism,
                                      static_cast<size_t>(threads));
    for (const int64_t batch : {kOpen, int64_t{1}, int64_t{8}, int64_t{37}, int64_t{50}}) {
      const Graph graph = one_output(batch);
      const GraphRunner runner(graph, {.datapath = &datapath, .count = true});
      std::vector<float> outputs(37 * 5);
      const Evaluation found =
          evaluate_graph(runner, data, Progress::none(),
                         [&](int64_t first, int64_t count, std::span<const float> values) {
                           ASSERT_EQ(std::ssize(values), count * 5);
                           std::copy(values.begin(), values.end(), outputs.begin() + first * 5);
                         });
      if (!wanted) wanted = found;
      SCOPED_TRACE(batch);
      expect_same(found, *wanted);
      for (size_t i = 0; i < 37; ++i)
        EXPECT_EQ(std::max_element(&outputs[i * 5], &outputs[i * 5] + 5) - &outputs[i * 5],
                  found.predictions[i]);
    }
  }
  ASSERT_EQ(wanted->records.size(), 5U);  // and the MatMul whose result nobody reads
  EXPECT_EQ(wanted->records[0].counts.outputs, 37 * 80);
  EXPECT_GT(wanted->records[0].counts.outputs_hit, 0);
}

TEST(EvaluateGraph, WithoutLabelsThePredictionsAreTheSame) {
  const Graph graph = one_output(kOpen);
  const GraphRunner runner(graph);
  const Evaluation with = evaluate_graph(runner, MadeSet(20, true), Progress::none()),
                   without = evaluate_graph(runner, MadeSet(20, false), Progress::none());
  EXPECT_EQ(without.predictions, with.predictions);
  EXPECT_EQ(without.images, 20);
}

// The loss of an output of codes is that of the real numbers that they stand for.
TEST(EvaluateGraph, LossOfCodes) {
  Evaluation found[2];
  for (const bool codes : {false, true}) {
    QuantizedBuilder b({kOpen, 3, 5, 4});
    b.fake_quantize("x", "xd", per_tensor(1.0F / 64, 100));
    b.node("Conv", {"xd", b.weight("w", {5, 3, 5, 4}, per_tensor(1.0F / 128, 0, s8))}, {"c"});
    b.quantize("c", "q", per_tensor(0.125F, 130));
    b.node("Flatten", {"q"}, {codes ? "y" : "f"});
    if (!codes) b.dequantize("f", "y", per_tensor(0.125F, 130));
    b.output("y", codes ? u8 : ElementType::kFloat);
    const Graph graph = fuse(b.parse());
    found[codes] = evaluate_graph(GraphRunner(graph), MadeSet(20, true), Progress::none());
  }
  EXPECT_EQ(found[0].predictions, found[1].predictions);
  EXPECT_NEAR(found[0].mean_loss, found[1].mean_loss, 1e-5 * found[0].mean_loss);
  EXPECT_GT(found[0].mean_loss, 0);
}

TEST(EvaluateGraph, NetworksThatNoDataSetFits) {
  const auto refused = [](QuantizedBuilder& b) {
    const Graph graph = b.parse();
    return input_error([&] { network_ends(graph); });
  };
  QuantizedBuilder two({kOpen, 4});
  two.input("z", {kOpen, 4});
  two.node("Add", {"x", "z"});
  two.output("y");
  EXPECT_THAT(refused(two), HasSubstr("graph: has 2 inputs, a data set gives one"));
  QuantizedBuilder codes({kOpen, 4});
  codes.input_type(u8);
  codes.dequantize("x", "y", {});
  codes.output("y");
  EXPECT_THAT(refused(codes), HasSubstr("input 'x': is uint8 [N, 4]"));
  QuantizedBuilder turned({kOpen, 4});
  set(turned.node("Transpose", {"x"}), "perm", std::vector<int64_t>{1, 0});
  turned.output("y");
  EXPECT_THAT(refused(turned), HasSubstr("output 'y': has the shape [4, 1]"));
  QuantizedBuilder constant({kOpen, 4});
  constant.node("Relu", {"x"}, {"r"});
  constant.floats("y", {1, 3}, {1, 2, 3});
  constant.output("y");
  EXPECT_THAT(refused(constant), HasSubstr("output 'y': does not depend on the input"));
}

// The mean over the batch of one image is that image; of sixteen it is not.
TEST(EvaluateGraph, AnOutputWithoutTheBatch) {
  QuantizedBuilder b({kOpen, 3, 5, 4}, 13);
  auto& mean = b.node("ReduceMean", {"x"});
  set(mean, "axes", std::vector<int64_t>{0});
  set(mean, "keepdims", int64_t{1});
  b.output("y");
  const Graph graph = b.parse();
  const GraphRunner runner(graph);
  EXPECT_THAT(input_error([&] { evaluate_graph(runner, MadeSet(20, true), Progress::none()); }),
              AllOf(HasSubstr("output 'y': shape is [1, 3, 5, 4] for a batch of"),
                    HasSubstr("60 per image")));
}

}  // namespace
}  // namespace widthwise
