// Layers that stay in float: which tensors are real then, and that written files compute the same.
#include "quant/float_parts.h"

#include <algorithm>

#include "models/fuse.h"
#include "models/onnx_import.h"
#include "quant/fake_quantized.h"
#include "quant/onnx_writer.h"
#include "quant/tensor_bits.h"
#include "sim/graph_runner.h"
#include "sim/simulator.h"
#include "tests/quant/quant_support.h"
#include "tests/quant/random_network.h"

namespace widthwise {
namespace {

using namespace testing_support;
using testing::ElementsAre;
using testing::HasSubstr;

// x -> first -> max_pool -> middle -> move -> sum(move, first) -> last
FloatNetwork made() {
  FloatBuilder b({2, 3, 3});
  const int first = b.conv("first", 0, {1, 0, 0, 1}, {0.5F, 0}, 0);
  const int pooled = b.max_pool("pool", first);
  const int middle = b.conv("middle", pooled, {1, 2, 3, 4}, {});
  const int moved = b.move("move", {middle});
  const int sum = b.sum("sum", moved, first);
  b.conv("last", sum, {1, -1}, {});
  return b.network;
}

std::vector<bool> real_tensors(const std::set<std::string>& in_float) {
  QuantizationConfig config;
  config.float_activations = in_float;
  return float_parts(made(), config).tensors;
}

TEST(FloatParts, RealIsWhatFloatWritesAndNothingWantsAsCodes) {
  // x, first, pool, middle, move, sum, last
  EXPECT_THAT(real_tensors({}), ElementsAre(false, false, false, false, false, false, false));
  EXPECT_THAT(real_tensors({"first"}), ElementsAre(true, false, false, false, false, false, false));
  EXPECT_THAT(real_tensors({"last"}), ElementsAre(false, false, false, false, false, false, true));
  // The sum wants codes of `first`, which `middle` reads as codes, too.
  EXPECT_THAT(real_tensors({"first", "middle"}),
              ElementsAre(true, false, false, false, false, false, false));
  EXPECT_THAT(real_tensors({"first", "middle", "sum"}),
              ElementsAre(true, true, true, true, true, false, false));
  EXPECT_THAT(real_tensors({"middle", "sum", "last"}),
              ElementsAre(false, false, false, true, true, true, true));
}

TEST(FloatParts, AnOutputThatNothingComputesInFloatIsCodes) {
  FloatBuilder b({2, 3, 3});
  b.move("move", {b.max_pool("pool", 0)});
  EXPECT_THAT(float_parts(b.network, {}).tensors, ElementsAre(false, false, false));
}

TEST(FloatParts, RefusesWhatIsNoLayer) {
  for (const char* name : {"nothing", "pool", "move"}) {
    const auto error = input_error([&] { real_tensors({name}); });
    EXPECT_THAT(error, testing::AllOf(HasSubstr(std::string("'") + name + "' is none of"),
                                      HasSubstr("first, middle, sum, last")));
  }
  QuantizationConfig config;
  EXPECT_THAT(input_error([&] {
                config.float_weights = {"sum"};
                float_parts(made(), config);
              }),
              HasSubstr("float weights 'sum' is none of its layers that compute: first, middle"));
  config.float_activations = {"first", "middle", "sum", "last"};
  config.float_weights = {"first", "middle", "last"};
  EXPECT_THAT(input_error([&] { quantize(made(), some_statistics(made()), config); }),
              HasSubstr("nothing is quantized"));
}

TEST(FloatParts, NeedNoStatisticsOfRealTensors) {
  QuantizationConfig config;
  config.float_activations = config.float_weights = {"first"};
  Statistics statistics = some_statistics(made());
  statistics.erase("x");
  const QuantizedNetwork network = quantize(made(), statistics, config);
  EXPECT_TRUE(network.tensor(network.input).is_real);
  EXPECT_EQ(network.layers[0].in_float->weights, (std::vector<float>{1, 0, 0, 1}));
  EXPECT_EQ(network.layers[0].in_float->low, 0);
  EXPECT_TRUE(network.layers[0].weights.empty());
  EXPECT_FALSE(network.layers[2].in_float.has_value());
  EXPECT_THAT(input_error([&] { Simulator(network, Datapath{}); }), HasSubstr("layer 'first'"));
}

TEST(FloatParts, AreReadAtEightBitsUnlessStated) {
  QuantizationConfig config;
  config.ifmap.bits = 4;
  config.float_activations = {"last"};
  const auto bits = [&](int tensor) {  // x, first, pool, middle, move, sum, last
    const auto network = quantize(made(), some_statistics(made()), config);
    return network.tensor(tensor).quantization.format.bits;
  };
  EXPECT_EQ(bits(5), 8);
  EXPECT_EQ(bits(1), 4);
  config.layers["last"].ifmap = 5;
  EXPECT_EQ(bits(5), 5);
  config.float_activations = {"middle"};  // `pool` moves what `sum` reads, too, at any bits
  EXPECT_EQ(bits(1), 8);
  EXPECT_EQ(bits(5), 5);
}

TEST(FloatParts, WeightsAndActivationsByThemselves) {
  QuantizationConfig config;
  config.weight.bits = 3;
  config.per_channel = false;
  config.float_activations = {"first", "middle", "sum", "last"};
  const QuantizedNetwork weights = quantize(made(), {}, config);
  for (const QuantizedTensor& tensor : weights.tensors) EXPECT_TRUE(tensor.is_real) << tensor.name;
  EXPECT_EQ(weights.layers[2].weights, (std::vector<int32_t>{1, 2, 2, 3}));  // of 1, 2, 3, 4
  EXPECT_FLOAT_EQ(weights.layers[2].in_float->weights[1], 8 / 3.0F);
  config.float_activations = {};
  config.float_weights = {"first", "middle", "last"};
  const QuantizedNetwork activations = quantize(made(), some_statistics(made()), config);
  for (const QuantizedTensor& tensor : activations.tensors) EXPECT_FALSE(tensor.is_real);
  EXPECT_EQ(activations.layers[2].in_float->weights, (std::vector<float>{1, 2, 3, 4}));
  EXPECT_FALSE(activations.layers[4].in_float.has_value());  // the sum
}

TEST(FloatParts, EndsAreTheFirstAndTheLastWithWeights) {
  EXPECT_THAT(end_layers(made()), ElementsAre("first", "last"));
  FloatBuilder b({2, 3, 3});
  b.average("only pools", 0);
  EXPECT_TRUE(end_layers(b.network).empty());
}

int64_t count_nodes(const Graph& graph, const std::string& op) {
  return std::count_if(graph.nodes.begin(), graph.nodes.end(),
                       [&](const GraphNode& node) { return node.op_type == op; });
}

// Files of random networks with random layers in float, read again and run node by node, against
// the executor. A value next to a tie may become another code, which later layers pass on.
TEST(FloatParts, FilesComputeTheSame) {
  int compared = 0, equal = 0, with_float = 0, with_bias = 0, weights_only = 0,
      activations_only = 0;
  for (uint32_t seed = 1; seed <= 150; ++seed) {
    RandomNetwork random(104729 * seed, 2 + static_cast<int>(seed % 8));
    const FloatNetwork& real = random.model.network;
    const Statistics statistics = random.statistics(true);
    QuantizationConfig config = random.config();
    if (config.weights == Symmetry::kAsymmetric) config.per_channel = false;
    std::set<std::string> all;
    for (const FloatLayer& layer : real.layers) {
      if (keeps_quantization(layer)) continue;
      all.insert(layer.name);
      if (random.one_in(3)) config.float_activations.insert(layer.name);
      if (has_weights(layer) && random.one_in(3)) config.float_weights.insert(layer.name);
    }
    if (all.empty() || config.float_activations == all) continue;
    QuantizedNetwork network;
    try {
      network = quantize(real, statistics, config);
    } catch (const InputError& error) {
      continue;  // bits that readers disagree about
    }
    const Graph file = parse_graph(write_qcdq(random.model.graph, network), "net.onnx");
    const auto codes = [](const QuantizedTensor& tensor) { return !tensor.is_real; };
    EXPECT_EQ(count_nodes(file, "QuantizeLinear"),
              std::count_if(network.tensors.begin(), network.tensors.end(), codes))
        << seed;
    for (const QuantizedLayer& layer : network.layers) {
      with_float += layer.in_float.has_value();
      weights_only += layer.in_float && !layer.weights.empty();
      activations_only += layer.in_float && !layer.in_float->weights.empty() &&
                          !network.tensor(layer.ofmap).is_real && layer.weights.empty();
      with_bias += layer.in_float && !layer.in_float->bias.empty();
    }
    constexpr int kImages = 6;
    const std::vector<float> images = random.images(kImages);
    const FakeQuantizedNetwork fake = fake_quantized(network);
    FloatExecutor executor(fake.network, kImages, fake.tensors);
    const auto wanted = executor.run(images, kImages);
    Shape shape = network.tensor(network.input).shape;
    shape.insert(shape.begin(), kImages);
    const auto outputs = GraphRunner(fuse(file, FuseFor::kFile))
                             .run({{file.inputs[0].name, Tensor::floats(shape, images)}});
    const auto found = outputs.begin()->second.values<float>();
    ASSERT_EQ(found.size(), wanted.size()) << seed;
    float greatest = 1e-6F;
    for (const float value : wanted) greatest = std::max(greatest, std::abs(value));
    int own = 0;
    for (size_t i = 0; i < found.size(); ++i)
      own += std::abs(found[i] - wanted[i]) < 1e-4F * greatest;
    compared += static_cast<int>(found.size());
    equal += own;
  }
  EXPECT_GT(compared, 2000);
  EXPECT_GT(with_float, 50);
  EXPECT_GT(with_bias, 10);
  EXPECT_GT(weights_only, 10);
  EXPECT_GT(activations_only, 10);
  EXPECT_GT(equal, 0.97 * compared);
  std::cout << compared << " outputs compared, " << compared - equal << " differ at ties\n";
}

}  // namespace
}  // namespace widthwise
