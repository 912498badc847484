// Whole quantized networks against ONNX Runtime and QONNX's executor, and P-bit accumulators of
// their multiply-accumulate layers against independent simulators: every folder of onnxruntime/,
// qonnx-ops/ and qonnx-models/ below WIDTHWISE_CONFORMANCE that holds a model, with all data sets.
#include "tests/conformance/model_folders.h"

namespace widthwise {
namespace {

using namespace testing_support;

std::string reason(const InputError& error) {
  const std::string& problem = error.problem().problem;
  return fmt::format("{}: {} {}", error.problem().where, error.problem().field,
                     problem.substr(0, problem.find(';')));
}

int64_t largest_element(const Tensor& tensor) {
  int64_t best = 0;
  for (int64_t i = 1; i < tensor.elements(); ++i) {
    if (tensor.real(i) > tensor.real(best)) best = i;
  }
  return best;
}

TEST(QuantizedModels, OnnxRuntime) {
  const std::vector<ModelCase> all = model_cases(conformance_folder() / "onnxruntime");
  if (all.empty())
    GTEST_SKIP() << "skipped: no models below " << (conformance_folder() / "onnxruntime").string();
  int64_t exact = 0;
  AccumulatorCounts accumulators;
  for (const ModelCase& c : all) {
    SCOPED_TRACE(c.name);
    const Graph graph = fuse(load_graph(c.model));
    const GraphRunner runner(graph);
    bool all_exact = true;
    for (const fs::path& data_set : c.data_sets) {
      const auto inputs = named_inputs(graph, numbered(data_set, "input"));
      const auto found = runner.run(inputs);
      const std::vector<Tensor> wanted = numbered(data_set, "output");
      ASSERT_EQ(wanted.size(), graph.outputs.size());
      for (size_t i = 0; i < wanted.size(); ++i) {
        const Difference d = difference(found.at(graph.outputs[i].name), wanted[i]);
        EXPECT_EQ(d.different, 0) << "of " << d.elements << ", by " << d.largest << " at most";
        all_exact = all_exact && d.different == 0;
      }
      if (fs::exists(c.meta)) compare_accumulators(c, data_set, graph, inputs, accumulators);
    }
    exact += all_exact;
  }
  fmt::print(
      "onnxruntime: {} models found, {} exact, 0 refused; {} accumulator tensors found, {} "
      "exact with their overflow counts\n",
      all.size(), exact, accumulators.found, accumulators.exact);
}

TEST(QuantizedModels, QonnxOperators) {
  const std::vector<ModelCase> all = model_cases(conformance_folder() / "qonnx-ops");
  if (all.empty())
    GTEST_SKIP() << "skipped: no models below " << (conformance_folder() / "qonnx-ops").string();
  int64_t exact = 0;
  for (const ModelCase& c : all) {
    SCOPED_TRACE(c.name);
    const Graph graph = fuse(load_graph(c.model));
    bool all_exact = true;
    for (const fs::path& data_set : c.data_sets) {
      const auto found = GraphRunner(graph).run(named_inputs(graph, numbered(data_set, "input")));
      const std::vector<Tensor> wanted = numbered(data_set, "output");
      for (size_t i = 0; i < wanted.size(); ++i) {
        const Difference d = difference(found.at(graph.outputs[i].name), wanted[i]);
        EXPECT_EQ(d.different, 0) << "of " << d.elements << ", by " << d.largest << " at most";
        all_exact = all_exact && d.different == 0;
      }
    }
    exact += all_exact;
  }
  fmt::print("qonnx-ops: {} found, {} exact, 0 refused\n", all.size(), exact);
}

// QONNX's executor sums products of real numbers in float32. Here the sums of codes are exact and
// are scaled once, so the real numbers differ in their last bits.
TEST(QuantizedModels, QonnxNetworks) {
  const std::vector<ModelCase> all = model_cases(conformance_folder() / "qonnx-models");
  if (all.empty())
    GTEST_SKIP() << "skipped: no models below " << (conformance_folder() / "qonnx-models").string();
  constexpr double kTolerance = 2e-6;  // of the greatest output: a few units of float32
  int64_t runs = 0, exact = 0, refused = 0;
  for (const ModelCase& c : all) {
    SCOPED_TRACE(c.name);
    try {
      const Graph graph = fuse(load_graph(c.model));
      const GraphRunner runner(graph);
      for (const fs::path& data_set : c.data_sets) {
        ++runs;
        std::vector<std::string> macs;
        GraphRunner::Observers observers;
        observers.mac = [&](const MacObservation& seen) { macs.push_back(seen.node.name); };
        const auto outputs =
            runner.run(named_inputs(graph, numbered(data_set, "input")), observers);
        const Tensor wanted = numbered(data_set, "output").at(0);
        const Tensor& found = outputs.at(graph.outputs.at(0).name);
        const Difference d = difference(found, wanted);
        exact += d.different == 0;
        fmt::print(
            "  {} {}: {} integer layers, {} of {} outputs differ, by {:.3g} of the greatest\n",
            c.name, data_set.filename().string(), macs.size(), d.different, d.elements, d.relative);
        EXPECT_EQ(largest_element(found), largest_element(wanted));
        EXPECT_LE(d.relative, kTolerance);
      }
    } catch (const InputError& error) {
      refused += std::ssize(c.data_sets);
      ADD_FAILURE() << "refused: " << reason(error);
    }
  }
  fmt::print(
      "qonnx-models: {} runs found, {} bit for bit, {} within {} of the greatest output, {} "
      "refused\n",
      runs + refused, exact, runs - exact, kTolerance, refused);
}

}  // namespace
}  // namespace widthwise
