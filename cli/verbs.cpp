#include "cli/verbs.h"

#include <fmt/format.h>

#include "cli/bench.h"
#include "cli/run_info.h"
#include "codegen/generate.h"
#include "core/files.h"
#include "models/fuse.h"
#include "models/lowering.h"
#include "models/onnx_import.h"
#include "quant/quantized_import.h"
#include "reports/graph_report.h"
#include "reports/layer_report.h"
#include "reports/text_table.h"

namespace widthwise {
namespace {

Json layers_json(const FloatNetwork& network) {
  Json layers = Json::array();
  for (const FloatLayer& layer : network.layers) {
    Json inputs = Json::array();
    for (const int input : layer.inputs) inputs.push_back(network.tensor(input).shape);
    Json json = {{"name", layer.name},
                 {"operator", layer.operator_type},
                 {"ifmap_shapes", inputs},
                 {"ofmap_shape", network.tensor(layer.output).shape}};
    if (const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload)) {
      json["groups"] = matmul->groups;
      json["k"] = matmul->reduction_length();
      json["macs"] = matmul->macs();
      json["parameters"] = matmul->unit_weights ? 0 : layer.weights.size() + layer.bias.size();
    }
    layers.push_back(json);
  }
  return layers;
}

std::string inspect_layers(const FloatNetwork& network, bool json) {
  const Json result = {{"network", network.name},
                       {"parameters", network_parameters(network)},
                       {"macs", network_macs(network)},
                       {"layers", layers_json(network)}};
  if (json) return json_text(result);
  TextTable table({"layer", "operator", "ifmap", "ofmap", "groups", "K", "MACs", "parameters"});
  for (const Json& layer : result["layers"]) {
    table.add({layer["name"], layer["operator"], extents_text(layer["ifmap_shapes"][0]),
               extents_text(layer["ofmap_shape"]), integer_text(layer, "groups"),
               integer_text(layer, "k"), integer_text(layer, "macs"),
               integer_text(layer, "parameters")});
  }
  return fmt::format("{}: {} parameters (batch normalization folded), {} MACs per image\n{}",
                     network.name, network_parameters(network), network_macs(network),
                     table.text());
}

std::string inspect_graph(const Graph& graph, bool json) {
  const Json layers = graph_report(graph);
  if (!json) return graph_report_text(graph, layers);
  return json_text({{"network", graph.name},
                    {"parameters", report_total(layers, "parameters")},
                    {"macs", report_total(layers, "macs")},
                    {"layers", layers}});
}

}  // namespace

std::string inspect(const std::string& model, bool json) {
  const Graph graph = load_graph(model_path(model));
  const Graph fused = fuse(graph, FuseFor::kDatapath);
  if (is_quantized(fused)) return inspect_graph(fused, json);
  const std::optional<FloatNetwork> network = layers_if_any(graph);
  return network ? inspect_layers(*network, json) : inspect_graph(fused, json);
}

std::string generate(const std::string& accelerator, const std::filesystem::path& out,
                     const std::string& command) {
  const Accelerator described = accelerator_of(accelerator);
  StagedFolder folder(out, kManifestFile);
  GenerateOptions options;
  options.command = command;
  const GeneratedArray array = generate_array(described, folder.path(), options);
  folder.commit();
  return fmt::format("{}: {}, latency {} cycles; {} files in {}/\n", array.module,
                     array.parameters.describe(), array.latency_cycles, array.files.size(),
                     out.string());
}

}  // namespace widthwise
