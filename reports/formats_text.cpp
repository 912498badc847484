#include "reports/formats_text.h"

#include <algorithm>

#include "core/error.h"
#include "reports/text_table.h"

namespace widthwise {
namespace {

std::string format_text(const QuantizedTensor& tensor) {
  return tensor.is_real ? "float" : tensor.quantization.format.name();
}

// "uint4", or "uint4, int8" where they differ.
std::string reads(const QuantizedNetwork& network, const QuantizedLayer& layer) {
  std::vector<std::string> all;
  for (const int ifmap : layer.ifmaps) {
    const std::string one = format_text(network.tensor(ifmap));
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
  }
  return list_names(all);
}

std::string weights(const QuantizedLayer& layer) {
  const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload);
  if (matmul == nullptr || matmul->unit_weights) return "-";
  if (layer.weights.empty()) return "float";
  return layer.weight_format.name() + (layer.weight_scales.size() > 1 ? " per channel" : "");
}

}  // namespace

std::string formats_text(const QuantizedNetwork& network) {
  TextTable table({"layer", "operator", "reads", "weights", "writes"});
  for (const QuantizedLayer& layer : network.layers)
    table.add({layer.name, layer.operator_type, reads(network, layer), weights(layer),
               format_text(network.tensor(layer.ofmap))});
  return table.text();
}

}  // namespace widthwise
