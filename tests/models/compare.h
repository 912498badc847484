#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

#include "core/error.h"
#include "models/float_executor.h"
#include "models/float_reference.h"
#include "models/fold.h"
#include "models/lowering.h"

namespace widthwise {

// Float32 sums of K products against sums in double: the error is about K * 2^-24 of the largest
// term; K is below 2000 in the tests, so 2e-4 of the tensor's largest value is wide enough, and no
// wrong tap is that small.
constexpr double kTolerance = 2e-4;

inline std::vector<float> random_values(int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = std::uniform_real_distribution<float>(-1, 1)(engine);
  return values;
}

template <class Found>
void expect_near(const Found& found, const Values& wanted, const std::string& what) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  double largest = 1e-3;
  for (const double v : wanted) largest = std::max(largest, std::abs(v));
  for (size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(found[i]), wanted[i], kTolerance * largest)
        << what << ", element " << i;
  }
}

// Three images through the operators' definitions on the graph as it was read, through the scalar
// layers of the folded one, and through oneDNN: all must agree. Returns the folded network.
inline FloatNetwork expect_all_agree(const Graph& graph) {
  const Graph folded = fold(graph);
  const FloatNetwork network = lower(folded);
  const int64_t elements = network.tensor(network.input).elements();
  constexpr int kImages = 3;
  const std::vector<float> images = random_values(kImages * elements, 7);
  FloatExecutor executor(network, kImages);
  std::vector<std::vector<float>> seen(network.tensors.size());
  executor.run(images, kImages, [&](int tensor, std::span<const float> values) {
    seen[static_cast<size_t>(tensor)] = {values.begin(), values.end()};
  });
  for (int n = 0; n < kImages; ++n) {
    const Values image(images.begin() + n * elements, images.begin() + (n + 1) * elements);
    const auto wanted = run_graph_reference(graph, image);
    const auto scalar = run_float_reference(network, image);
    for (size_t t = 0; t < network.tensors.size(); ++t) {
      const std::string& name = network.tensors[t].name;
      const int64_t size = network.tensors[t].elements();
      EXPECT_EQ(static_cast<int64_t>(seen[t].size()), kImages * size) << name << " was not seen";
      if (wanted.contains(name)) expect_near(scalar[t], wanted.at(name), "layers: " + name);
      const std::vector<float> own(seen[t].begin() + n * size, seen[t].begin() + (n + 1) * size);
      expect_near(own, scalar[t], "oneDNN: " + name);
    }
    EXPECT_TRUE(wanted.contains(network.tensor(network.output).name));
  }
  return network;
}

// The message of the InputError that `action` throws; fails if it throws none or another one.
template <class Action>
std::string input_error(const Action& action) {
  try {
    action();
  } catch (const InputError& error) {
    EXPECT_FALSE(error.problem().fix.empty()) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no InputError";
  return "";
}

}  // namespace widthwise
