#include "quant/equalize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "quant/tensor_bits.h"

namespace widthwise {
namespace {

struct Pair {
  FloatLayer *writer, *reader;
};

// Scales of a channel's values pass it as they are.
bool passes_scales(const FloatLayer& layer) {
  const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload);
  return std::holds_alternative<MaxPoolWorkload>(layer.workload) ||
         (matmul != nullptr && matmul->unit_weights &&
          matmul->groups == matmul->window.ifmap_channels && layer.bias.empty());
}

bool limited_by_relu_only(const FloatLayer& layer) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return layer.high == kInfinity && (layer.low == 0 || layer.low == -kInfinity);
}

std::vector<Pair> pairs_of(FloatNetwork& network) {
  const auto all_readers = readers_of(network);
  std::vector<Pair> pairs;
  for (FloatLayer& writer : network.layers) {
    if (!has_weights(writer)) continue;
    FloatLayer* layer = &writer;
    while (limited_by_relu_only(*layer)) {
      const auto& readers = all_readers[static_cast<size_t>(layer->output)];
      if (readers.size() != 1 || readers[0] == network.layers.size()) break;
      layer = &network.layers[readers[0]];
      if (has_weights(*layer)) {
        const auto &from = std::get<MatmulWorkload>(writer.workload),
                   &to = std::get<MatmulWorkload>(layer->workload);
        if (from.window.ofmap_channels == to.window.ifmap_channels)
          pairs.push_back({&writer, layer});
        break;
      }
      if (!passes_scales(*layer)) break;
    }
  }
  return pairs;
}

// The reader's weights for an ifmap channel, one by one.
template <class Visit>
void for_channel(FloatLayer& reader, int64_t channel, const Visit& visit) {
  const auto& m = std::get<MatmulWorkload>(reader.workload);
  const int64_t group = channel / m.group_ifmap_channels(),
                taps = m.window.kernel_rows * m.window.kernel_cols;
  for (int64_t oc = group * m.group_ofmap_channels(); oc < (group + 1) * m.group_ofmap_channels();
       ++oc) {
    const int64_t first = m.weight_index(oc, channel % m.group_ifmap_channels(), 0, 0);
    for (int64_t i = 0; i < taps; ++i) visit(reader.weights[static_cast<size_t>(first + i)]);
  }
}

// A channel below this part of its tensor's greatest weight stays: it has next to nothing to gain,
// and its bias would outgrow all others.
constexpr float kLeastPart = 1.0F / 256;

float magnitude(const std::vector<float>& weights) {
  float most = 0;
  for (const float w : weights) most = std::max(most, std::abs(w));
  return most;
}

// The greatest change of a scale.
double equalize_pair(const Pair& pair) {
  const auto& from = std::get<MatmulWorkload>(pair.writer->workload);
  const int64_t length = from.reduction_length();
  const float least_written = magnitude(pair.writer->weights) * kLeastPart,
              least_read = magnitude(pair.reader->weights) * kLeastPart;
  double greatest = 0;
  for (int64_t channel = 0; channel < from.window.ofmap_channels; ++channel) {
    const auto own =
        std::span(pair.writer->weights)
            .subspan(static_cast<size_t>(channel * length), static_cast<size_t>(length));
    float written = 0, read = 0;
    for (const float w : own) written = std::max(written, std::abs(w));
    for_channel(*pair.reader, channel, [&](float& w) { read = std::max(read, std::abs(w)); });
    if (!(written > least_written && read > least_read)) continue;
    const float scale = std::sqrt(written / read);
    if (!std::isnormal(scale)) continue;
    for (float& w : own) w /= scale;
    if (!pair.writer->bias.empty()) pair.writer->bias[static_cast<size_t>(channel)] /= scale;
    for_channel(*pair.reader, channel, [&](float& w) { w *= scale; });
    greatest = std::max(greatest, std::abs(std::log(static_cast<double>(scale))));
  }
  return greatest;
}

}  // namespace

int64_t equalize(FloatNetwork& network) {
  constexpr int kMostPasses = 50;
  constexpr double kEnough = 0.01;
  const std::vector<Pair> pairs = pairs_of(network);
  for (int pass = 0; pass < kMostPasses; ++pass) {
    double greatest = 0;
    for (const Pair& pair : pairs) greatest = std::max(greatest, equalize_pair(pair));
    if (greatest < kEnough) break;
  }
  return std::ssize(pairs);
}

}  // namespace widthwise
