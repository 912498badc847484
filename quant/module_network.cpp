#include "quant/module_network.h"

#include "models/fold.h"
#include "models/lowering.h"
#include "quant/float32_batch_norm.h"
#include "quant/module_names.h"

namespace widthwise {

Graph fold_for(Graph graph, Compat compat) {
  return fold(compat == Compat::kNone ? std::move(graph)
                                      : fold_batch_norm_in_float32(std::move(graph)));
}

ModuleNetwork module_network(const Graph& folded) {
  ModuleNetwork result{.network = lower(folded, Clamps::kLayers), .modules = {}};
  // A node of several layers names the first; the others are its own, numbered.
  const auto names = module_names(folded);
  for (const FloatLayer& layer : result.network.layers) {
    const auto found = names.find(layer.name);
    result.modules.push_back(found != names.end() ? found->second : layer.name);
  }
  return result;
}

}  // namespace widthwise
