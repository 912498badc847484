#include "quant/trunk.h"

#include <algorithm>

namespace widthwise {

Trunk::Trunk(const FloatNetwork& real, const FakeQuantizedNetwork& fake, const ImageSource& source,
             int64_t images)
    : real_(real), fake_(fake), source_(source), images_(images), tensor_(real.input) {}

ImageSource Trunk::Values::source() const {
  return [this](int64_t first, int64_t count, std::span<float> to) {
    std::copy_n(all.begin() + first * elements, count * elements, to.begin());
  };
}

LayerInputs Trunk::before(size_t index, int ifmap) {
  advance(index);
  return inputs(real_.layers[index].inputs[0], ifmap);
}

LayerInputs Trunk::inputs(int real, int quantized) const {
  const bool kept = kept_real_.elements > 0;
  return {part_between(real_, tensor_, real),
          {part_between(fake_.network, tensor_, quantized), fake_.tensors},
          kept ? kept_real_.source() : source_,
          kept ? kept_.source() : source_};
}

// To the last such tensor before the layer, if memory allows.
void Trunk::advance(size_t index) {
  for (size_t i = index; i > position_; --i) {
    const int tensor = real_.layers[i - 1].output;
    const int64_t elements = real_.tensor(tensor).elements();
    if (elements * images_ > kMostKeptFloats || !leads_through(i, tensor)) continue;
    Values real{elements, std::vector<float>(static_cast<size_t>(elements * images_))},
        quantized = real;
    const LayerInputs way = inputs(tensor, tensor);
    PairRunner(way).run(0, images_, [&](int64_t first, int64_t, auto x, auto y) {
      std::copy(x.begin(), x.end(), real.all.begin() + first * elements);
      std::copy(y.begin(), y.end(), quantized.all.begin() + first * elements);
    });
    kept_real_ = std::move(real);
    kept_ = std::move(quantized);
    tensor_ = tensor;
    position_ = i;
    return;
  }
}

// Layers from `index` on read nothing else of what layers before it write.
bool Trunk::leads_through(size_t index, int tensor) const {
  std::vector<bool> later(real_.tensors.size());
  for (size_t i = index; i < real_.layers.size(); ++i) {
    for (const int input : real_.layers[i].inputs) {
      if (input != tensor && !later[static_cast<size_t>(input)]) return false;
    }
    later[static_cast<size_t>(real_.layers[i].output)] = true;
  }
  return true;
}

}  // namespace widthwise
