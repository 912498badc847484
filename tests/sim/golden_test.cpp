// Networks of our own, committed under tests/golden with ONNX Runtime's outputs: integers must be
// equal, real numbers that leave through DequantizeLinear too, other real numbers within float32's
// sums. tests/oracle makes them.
#include "tests/conformance/model_folders.h"

namespace widthwise {
namespace {

using namespace testing_support;

bool is_exact(const ModelCase& c, AccumulatorCounts& accumulators) {
  constexpr double kTolerance = 1e-5;  // of the greatest output, for float operators
  const Graph graph = fuse(load_graph(c.model));
  const GraphRunner runner(graph);
  bool all_exact = true;
  for (const fs::path& data_set : c.data_sets) {
    const auto inputs = named_inputs(graph, numbered(data_set, "input"));
    const auto found = runner.run(inputs);
    const std::vector<Tensor> wanted = numbered(data_set, "output");
    EXPECT_EQ(wanted.size(), graph.outputs.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      const Difference d = difference(found.at(graph.outputs[i].name), wanted[i]);
      EXPECT_LE(d.relative, is_real(wanted[i].type()) ? kTolerance : 0.0)
          << d.different << " of " << d.elements << " differ, by " << d.largest;
      all_exact = all_exact && d.different == 0;
    }
    compare_accumulators(c, data_set, graph, inputs, accumulators);
  }
  return all_exact;
}

TEST(Golden, EveryNetworkAndEveryAccumulator) {
  const std::vector<ModelCase> all = model_cases(fs::path(WIDTHWISE_TREE) / "tests" / "golden");
  ASSERT_GT(all.size(), 0u);
  int64_t exact = 0;
  AccumulatorCounts accumulators;
  for (const ModelCase& c : all) {
    SCOPED_TRACE(c.name);
    try {
      exact += is_exact(c, accumulators);
    } catch (const InputError& error) {
      ADD_FAILURE() << error.what();
    }
  }
  fmt::print("golden: {} networks found, {} bit for bit; {} accumulator tensors, {} exact\n",
             all.size(), exact, accumulators.found, accumulators.exact);
  EXPECT_GT(accumulators.found, 0);
}

}  // namespace
}  // namespace widthwise
