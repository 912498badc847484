#include "models/model.h"

#include "core/error.h"
#include "models/fold.h"
#include "models/lowering.h"
#include "models/onnx_import.h"

namespace widthwise {

Model load_network(const std::filesystem::path& path) { return network_of(load_graph(path)); }

Model network_of(const Graph& graph) {
  Model model;
  model.graph = fold(graph);
  model.network = lower(model.graph);
  return model;
}

std::optional<FloatNetwork> layers_if_any(const Graph& graph) {
  try {
    return lower(fold(graph));
  } catch (const InputError&) {
    return std::nullopt;
  }
}

}  // namespace widthwise
