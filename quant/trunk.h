#pragma once
#include <cstdint>
#include <vector>

#include "quant/layer_moments.h"

namespace widthwise {

// Values of one network that are kept: half a gigabyte in the two of them, a whole one while new
// values are made of the last.
inline constexpr int64_t kMostKeptFloats = int64_t{1} << 26;

// Where layers get their ifmaps from: the images, or what the two networks made of them at a tensor
// that every way through the network leads through, whose values are kept if they are no more than
// kMostKeptFloats. So the time to come to all layers grows with their number, not with its square.
class Trunk {
 public:
  // All must outlive it; the quantized network has the float one's tensors first.
  Trunk(const FloatNetwork& real, const FakeQuantizedNetwork& fake, const ImageSource& source,
        int64_t images);

  // What layer `index` of the float network reads there, and in the quantized one as tensor
  // `ifmap`; valid until the next call. Everything before that layer has its final weights.
  LayerInputs before(size_t index, int ifmap);

 private:
  struct Values {
    int64_t elements = 0;  // of one image; 0: nothing is kept
    std::vector<float> all;
    ImageSource source() const;
  };
  LayerInputs inputs(int real, int quantized) const;
  void advance(size_t index);
  bool leads_through(size_t index, int tensor) const;

  const FloatNetwork& real_;
  const FakeQuantizedNetwork& fake_;
  const ImageSource& source_;
  int64_t images_;
  int tensor_;           // where layers start from
  size_t position_ = 0;  // the first layer behind it
  Values kept_real_, kept_;
};

}  // namespace widthwise
