#include "models/model.h"

#include "models/fold.h"
#include "models/lowering.h"
#include "models/onnx_import.h"

namespace widthwise {

Model load_network(const std::filesystem::path& path) {
  Model model;
  model.graph = fold(load_graph(path));
  model.network = lower(model.graph);
  return model;
}

}  // namespace widthwise
