#include "models/float_layout.h"

#include <algorithm>

namespace widthwise {
namespace {

bool has_window(const FloatLayer& layer) {
  return std::holds_alternative<MatmulWorkload>(layer.workload) ||
         std::holds_alternative<MaxPoolWorkload>(layer.workload);
}

}  // namespace

void NativeLayout::to_native(const float* plain, float* native) const {
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t p = 0; p < pixels; ++p) native[p * channels + c] = plain[c * pixels + p];
  }
}

void NativeLayout::to_plain(const float* native, float* plain) const {
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t p = 0; p < pixels; ++p) plain[c * pixels + p] = native[p * channels + c];
  }
}

std::vector<NativeLayout> native_layouts(const FloatNetwork& network) {
  // A window over four axes and more (a per-channel factor) needs the first axis as the channel,
  // and element-wise layers need equal layouts, so one such layer decides for all.
  bool first_axis = false;
  for (const FloatLayer& layer : network.layers) {
    if (!has_window(layer)) continue;
    first_axis = first_axis || network.tensor(layer.inputs[0]).shape.size() > 3 ||
                 network.tensor(layer.output).shape.size() > 3;
  }
  std::vector<NativeLayout> layouts;
  for (const FloatTensor& tensor : network.tensors) {
    const size_t rank = tensor.shape.size();
    NativeLayout layout{.channels = tensor.shape[0], .pixels = 1};
    if (rank > 3 && !first_axis) {
      layout.channels = tensor.elements() / (tensor.shape[rank - 1] * tensor.shape[rank - 2]);
    }
    layout.pixels = tensor.elements() / layout.channels;
    layouts.push_back(layout);
  }
  return layouts;
}

std::vector<MoveRun> native_runs(const MoveWorkload& move, const std::vector<NativeLayout>& inputs,
                                 const NativeLayout& output) {
  std::vector<MoveRun> runs;
  for (int64_t p = 0; p < output.pixels; ++p) {
    for (int64_t c = 0; c < output.channels; ++c) {
      int64_t source = move.source[static_cast<size_t>(c * output.pixels + p)];
      size_t input = 0;
      while (source >= move.input_elements[input]) source -= move.input_elements[input++];
      const int64_t from = inputs[input].native_index(source), to = p * output.channels + c;
      MoveRun* last = runs.empty() ? nullptr : &runs.back();
      if (last != nullptr && last->input == input && last->from + last->length == from) {
        ++last->length;
      } else {
        runs.push_back({input, from, to, 1});
      }
    }
  }
  return runs;
}

BufferPlan plan_buffers(const FloatNetwork& network) {
  std::vector<size_t> last_reader(network.tensors.size(), 0);
  for (size_t i = 0; i < network.layers.size(); ++i) {
    last_reader[static_cast<size_t>(network.layers[i].output)] = i;  // if nobody reads it
    for (const int tensor : network.layers[i].inputs) last_reader[static_cast<size_t>(tensor)] = i;
  }
  last_reader[static_cast<size_t>(network.output)] = network.layers.size();
  BufferPlan plan{std::vector<int>(network.tensors.size(), -1), {}};
  std::vector<int> free;
  const auto take = [&](int tensor) {
    const int64_t elements = network.tensor(tensor).elements();
    // The smallest free buffer that holds it, else the largest free one, which grows.
    const auto better = [&](int a, int b) {
      const int64_t ea = plan.elements[static_cast<size_t>(a)];
      const int64_t eb = plan.elements[static_cast<size_t>(b)];
      if ((ea >= elements) != (eb >= elements)) return ea >= elements;
      return ea >= elements ? ea < eb : ea > eb;
    };
    const auto best = std::min_element(free.begin(), free.end(), better);
    int buffer = static_cast<int>(plan.elements.size());
    if (best == free.end()) {
      plan.elements.push_back(elements);
    } else {
      buffer = *best;
      free.erase(best);
      int64_t& held = plan.elements[static_cast<size_t>(buffer)];
      held = std::max(held, elements);
    }
    plan.of_tensor[static_cast<size_t>(tensor)] = buffer;
  };
  take(network.input);
  for (size_t i = 0; i < network.layers.size(); ++i) {
    take(network.layers[i].output);
    for (size_t t = 0; t < network.tensors.size(); ++t) {
      if (plan.of_tensor[t] >= 0 && last_reader[t] == i) free.push_back(plan.of_tensor[t]);
    }
  }
  return plan;
}

}  // namespace widthwise
