// A small network in many configurations, layer by layer, against Distiller's, from
// conformance/distiller.
#include "models/fold.h"
#include "models/lowering.h"
#include "quant/float32_batch_norm.h"
#include "quant/module_names.h"
#include "quant/ptq_resolve.h"
#include "sim/distiller_runner.h"
#include "tests/conformance/distiller_support.h"

namespace widthwise {
namespace {

using namespace testing_support;

// The network of the golden file, as PyTorch exports it.
class GoldenNetwork {
 public:
  explicit GoldenNetwork(const Json& golden) : golden_(golden) {
    graph_.name = "golden";
    graph_.opset = 13;
    graph_.inputs = {{.name = "x", .shape = {GraphValue::kSymbolic, 3, 8, 8}}};
    graph_.outputs = {{.name = "fc", .shape = {}}};
    for (const auto& [name, id] : golden.at("params").items()) parameter(name, id);
    conv("conv1", "x", false);
    norm("bn1", "conv1");
    node("Relu", "relu1", {"bn1"});
    node("MaxPool", "pool", {"relu1"}, {{"kernel_shape", two()}, {"strides", two()}});
    conv("conv2", "pool", false);
    norm("bn2", "conv2");
    node("Relu", "relu2", {"bn2"});
    conv("conv3", "relu2", true);
    norm("bn3", "conv3");
    node("Add", "add", {"pool", "bn3"});  // the skip connection is the first operand
    node("Relu", "relu3", {"add"});
    node("AveragePool", "avgpool", {"relu3"}, {{"kernel_shape", two()}, {"strides", two()}});
    node("Flatten", "flatten", {"avgpool"});
    node("Gemm", "fc", {"flatten", "fc.weight", "fc.bias"}, {{"transB", int64_t{1}}});
  }
  Graph folded() const { return fold(fold_batch_norm_in_float32(graph_)); }

 private:
  static std::vector<int64_t> two() { return {2, 2}; }
  void parameter(const std::string& name, const Json& id) {
    const Json& a = golden_.at("arrays").at(id.get<std::string>());
    graph_.initializers.emplace(name,
                                Tensor::floats(a.at("shape").get<Shape>(), singles(a.at("data"))));
  }
  void node(const char* op, const std::string& name, std::vector<std::string> inputs,
            std::map<std::string, GraphAttribute> attributes = {}) {
    graph_.nodes.push_back({.name = "/" + name + "/" + op,
                            .op_type = op,
                            .inputs = std::move(inputs),
                            .outputs = {name},
                            .attributes = std::move(attributes)});
  }
  void conv(const std::string& name, const std::string& from, bool bias) {
    std::vector<std::string> inputs = {from, name + ".weight"};
    if (bias) inputs.push_back(name + ".bias");
    node("Conv", name, inputs, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  }
  void norm(const std::string& name, const std::string& from) {
    node("BatchNormalization", name,
         {from, name + ".weight", name + ".bias", name + ".running_mean", name + ".running_var"},
         {{"epsilon", single(golden_.at("bn_eps"))}});
  }

  const Json& golden_;
  Graph graph_;
};

NetworkStatistics network_statistics(const Json& stats) {
  NetworkStatistics all;
  for (const auto& [name, entry] : stats.items()) {
    LayerStatistics& layer = all[name];
    if (entry.contains("inputs")) {
      for (const auto& [index, record] : entry.at("inputs").items())
        layer.inputs[std::stoi(index)] = statistics_of(record);
    }
    layer.output = statistics_of(entry.at("output"));
  }
  return all;
}

class NetworkCase {
 public:
  NetworkCase(const Json& golden, const Json& c) : golden_(golden), c_(c) {
    const Graph folded = GoldenNetwork(golden).folded();
    FloatNetwork network = lower(folded, Clamps::kLayers);
    const auto names = module_names(folded);
    std::vector<Module> modules;
    for (const FloatLayer& layer : network.layers) {
      modules_.push_back(names.at(layer.name));
      modules.push_back({modules_.back(), module_type(layer)});
    }
    const PtqOptions options = options_of(c);
    const auto settings = resolve(options, modules, Compat::kDistiller04, "c.yaml").settings();
    const NetworkStatistics statistics = network_statistics(golden.at("stats"));
    // What the folded batch normalization wrote is the convolution's.
    NetworkStatistics folded_statistics = statistics;
    for (const char* i : {"1", "2", "3"})
      folded_statistics[std::string("conv") + i].output =
          statistics.at(std::string("bn") + i).output;
    network_ =
        quantize_as_distiller(std::move(network), modules_, settings,
                              options.dynamic ? nullptr : &folded_statistics, Compat::kDistiller04);
  }

  std::string difference() {
    const DistillerRunner runner(network_, 2);
    auto state = runner.make_state();
    std::string found;
    const auto x = singles(array(golden_.at("x")));
    const auto y = runner.run(x, 2, state, [&](const DistillerObservation& o) {
      if (!found.empty()) return;
      found = layer(o);
      if (!found.empty()) found = o.description.module + ": " + found;
    });
    if (!found.empty()) return found;
    const bool exact = network_.layers.back().kind != DistillerLayer::Kind::kFloat;
    return same_floats("y", {y.begin(), y.end()}, array(c_.at("y")), exact ? 0 : 1e-5);
  }

 private:
  const Json& array(const Json& id) const {
    return golden_.at("arrays").at(id.get<std::string>()).at("data");
  }

  static std::vector<float> floats(const std::vector<int32_t>& codes) {
    return {codes.begin(), codes.end()};
  }

  std::string quantization(const char* what, const Json& g, const char* scale,
                           const char* zero_point, const LinearQuantization& q) const {
    const auto scales = scales_of(q.scales), zero_points = zero_points_of(q.scales);
    // Statistics of tensors at hand are sums, whose last bits differ.
    if (auto d = same_floats(scale, scales, g.at(scale), network_.dynamic ? 2e-6 : 0); !d.empty())
      return what + (" " + d);
    return same_floats(zero_point, zero_points, g.at(zero_point));
  }

  std::string layer(const DistillerObservation& o) {
    if (!c_.at("layers").contains(o.description.module)) return "";
    const Json& g = c_.at("layers").at(o.description.module);
    const std::string type = g.at("type");
    using Kind = DistillerLayer::Kind;
    const Kind kind = o.description.kind;
    const bool suits = type == "QuantParamLayer"   ? kind == Kind::kProduct || g.contains("w_dq")
                       : type == "QuantEltwiseAdd" ? kind == Kind::kAdd
                       : type == "FakeQuant"       ? kind == Kind::kFake
                       : type == "identity"        ? kind == Kind::kIdentity
                                                   : kind == Kind::kFloat;
    if (!suits) return "is no " + type;
    if (g.contains("w_dq")) {
      const FloatLayer& real = network_.network.layers[o.layer];
      if (auto d = same_floats("w_dq", real.weights, array(g.at("w_dq")), 1e-6); !d.empty())
        return d;
      return same_floats("b_dq", real.bias, array(g.at("b_dq")), 1e-5);
    }
    if (type == "identity" || type.starts_with("float")) return "";
    for (size_t k = 0; k < g.at("inputs").size(); ++k) {
      const Json& in = g.at("inputs")[k];
      const DistillerValue& value = *o.inputs.at(k);
      if (in.contains("scale")) {
        if (auto d = quantization("input", in, "scale", "zero_point", value.quantization);
            !d.empty())
          return d;
        if (value.quantization.codes != CodeRange{single(in.at("q_min")), single(in.at("q_max"))})
          return "codes of the input";
      }
      if (in.contains("x_q")) {
        if (auto d = same_floats("x_q", floats(value.codes), array(in.at("x_q"))); !d.empty())
          return d;
      }
    }
    if (g.contains("w_q")) {
      if (auto d = quantization("weights", g, "w_scale", "w_zero_point",
                                o.description.weights.quantization);
          !d.empty())
        return d;
      if (auto d = same_floats("w_q", floats(o.description.weights.codes), array(g.at("w_q")));
          !d.empty())
        return d;
      if (auto d = same_floats("accum_scale", o.accumulator_scales, g.at("accum_scale"),
                               network_.dynamic ? 2e-6 : 0);
          !d.empty())
        return d;
      if (!g.at("b_q").is_null()) {
        if (auto d = same_floats("b_q", {o.bias.begin(), o.bias.end()}, g.at("b_q")); !d.empty())
          return d;
      }
    }
    if (g.contains("acc")) {
      if (auto d = same_floats("acc", {o.accumulators.begin(), o.accumulators.end()},
                               array(g.at("acc")));
          !d.empty())
        return d;
    }
    if (auto d = same_floats("requant_scale", o.requantize_ratios, g.at("requant_scale"),
                             network_.dynamic ? 4e-6 : 0);
        !d.empty())
      return d;
    if (auto d = quantization("output", g, "out_scale", "out_zero_point", o.ofmap.quantization);
        !d.empty())
      return d;
    if (o.ofmap.quantization.codes !=
        CodeRange{single(g.at("out_q_min")), single(g.at("out_q_max"))})
      return "codes of the output";
    return same_floats("y_q", floats(o.ofmap.codes), array(g.at("y_q")));
  }

  const Json &golden_, &c_;
  std::vector<std::string> modules_;
  DistillerNetwork network_;
};

TEST(DistillerGolden, Network) {
  WIDTHWISE_GOLDEN(golden, distiller_folder() / "network.json");
  GoldenTally tally("network");
  for (const Json& c : golden.at("cases"))
    tally.add(c.at("id"), NetworkCase(golden, c).difference());
}

}  // namespace
}  // namespace widthwise
