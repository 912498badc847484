#include <thread>

#include "models/float_executor.h"
#include "models/float_layout.h"
#include "tests/models/compare.h"
#include "tests/models/onnx_builder.h"

namespace widthwise {
namespace {

constexpr int64_t kN = GraphValue::kSymbolic;

// Convolutions, a residual addition, a channel shuffle and a classifier.
FloatNetwork small_network() {
  OnnxBuilder model({kN, 3, 9, 7});
  model.random("w1", {8, 3, 3, 3});
  model.random("w2", {8, 8, 1, 1});
  model.random("w3", {504, 5});
  model.integers("split", {-1, 2, 4, 9, 7});
  model.integers("join", {-1, 8, 9, 7});
  set(model.node("Conv", {"x", "w1"}, {"a"}), "pads", {1, 1, 1, 1});
  model.node("Relu", {"a"}, {"b"});
  model.node("Conv", {"b", "w2"}, {"c"});
  model.node("Add", {"b", "c"}, {"d"});
  model.node("Reshape", {"d", "split"}, {"e"});
  set(model.node("Transpose", {"e"}, {"f"}), "perm", {0, 2, 1, 3, 4});
  model.node("Reshape", {"f", "join"}, {"g"});
  model.node("Flatten", {"g"}, {"h"});
  model.node("MatMul", {"h", "w3"});
  return lower(fold(model.parse()));
}

std::vector<float> outputs(const FloatNetwork& network, const std::vector<float>& images,
                           int max_batch) {
  FloatExecutor executor(network, max_batch);
  const auto elements = network.tensor(network.input).elements();
  const auto count = static_cast<int64_t>(images.size()) / elements;
  std::vector<float> all;
  for (int64_t first = 0; first < count; first += max_batch) {
    const int64_t n = std::min<int64_t>(max_batch, count - first);
    const auto logits = executor.run(
        {images.data() + first * elements, static_cast<size_t>(n * elements)}, static_cast<int>(n));
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

TEST(FloatExecutor, EveryBatchSizeGivesTheSameLogits) {
  const FloatNetwork network = small_network();
  const auto images = random_values(17 * network.tensor(network.input).elements(), 5);
  const auto one = outputs(network, images, 1);
  ASSERT_EQ(one.size(), 17u * 5u);
  for (const int batch : {2, 3, 8, 17, 32}) {
    const auto many = outputs(network, images, batch);
    expect_near(many, Values(one.begin(), one.end()), "batch " + std::to_string(batch));
  }
}

TEST(FloatExecutor, AgreesWithTheScalarLayers) {
  const FloatNetwork network = small_network();
  const auto images = random_values(network.tensor(network.input).elements(), 6);
  const auto wanted = run_float_reference(network, Values(images.begin(), images.end()));
  expect_near(outputs(network, images, 4), wanted[static_cast<size_t>(network.output)], "logits");
}

TEST(FloatExecutor, OneExecutorPerThreadGivesTheSameBits) {
  const FloatNetwork network = small_network();
  const auto images = random_values(64 * network.tensor(network.input).elements(), 8);
  const auto wanted = outputs(network, images, 8);
  std::vector<std::vector<float>> found(4);
  std::vector<std::thread> threads;
  for (auto& result : found) {
    threads.emplace_back([&] { result = outputs(network, images, 8); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& result : found) EXPECT_EQ(result, wanted);
}

TEST(FloatExecutor, RunsAfterAMoveAndRefusesWrongSizes) {
  const FloatNetwork network = small_network();
  FloatExecutor first(network, 2);
  FloatExecutor executor = std::move(first);
  const auto images = random_values(2 * network.tensor(network.input).elements(), 9);
  EXPECT_EQ(executor.run(images, 2).size(), 10u);
  EXPECT_THROW(executor.run(images, 1), std::logic_error);
  EXPECT_THROW(executor.run(images, 3), std::logic_error);
  EXPECT_THROW(FloatExecutor(network, 0), std::logic_error);
}

TEST(BufferPlan, ReusesBuffersAndNeverOverwritesAValueThatIsRead) {
  const FloatNetwork network = small_network();
  const BufferPlan plan = plan_buffers(network);
  EXPECT_LE(plan.elements.size(), 3u) << "input, output and a residual live at once";
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const int written = plan.of_tensor[static_cast<size_t>(network.layers[i].output)];
    for (size_t later = i; later < network.layers.size(); ++later) {
      for (const int read : network.layers[later].inputs) {
        bool before = read == network.input;
        for (size_t k = 0; k < i; ++k) before = before || network.layers[k].output == read;
        if (before) {
          EXPECT_NE(plan.of_tensor[static_cast<size_t>(read)], written);
        }
      }
    }
  }
}

}  // namespace
}  // namespace widthwise
