#include "quant/collector.h"

namespace widthwise {

NetworkStatistics collect_statistics(const FloatNetwork& network,
                                     const std::vector<std::string>& modules,
                                     const ImageSource& source, int64_t images,
                                     const CollectorOptions& options, Progress& progress) {
  std::vector<bool> recorded(network.tensors.size());
  for (const FloatLayer& layer : network.layers) {
    if (only_moves(layer)) continue;
    for (const int tensor : layer.inputs) recorded[static_cast<size_t>(tensor)] = true;
    recorded[static_cast<size_t>(layer.output)] = true;
  }
  const std::vector<RecordCollector> records =
      collect_tensors(network, modules, recorded, source, images, options, progress);
  NetworkStatistics statistics;
  const auto record = [&](int tensor) {
    return records[static_cast<size_t>(tensor)].record(network.tensor(tensor).shape);
  };
  int position = 0;
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const FloatLayer& layer = network.layers[i];
    if (only_moves(layer)) continue;
    LayerStatistics& s = statistics[modules[i]];
    for (size_t k = 0; k < layer.inputs.size(); ++k)
      s.inputs[static_cast<int>(k)] = record(layer.inputs[k]);
    s.output = record(layer.output);
    s.position = position++;
  }
  return statistics;
}

}  // namespace widthwise
