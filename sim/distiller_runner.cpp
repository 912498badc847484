#include "sim/distiller_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/error.h"
#include "models/sliding_window.h"
#include "sim/kernel.h"

namespace widthwise {

using Kind = DistillerLayer::Kind;

// A product's weights, packed, and its bias.
struct DistillerRunner::Product {
  std::unique_ptr<IntegerAccumulator> accumulator;
  IntegerMatmul matmul;  // without weights
  std::optional<BaseBias> base_bias;
  // Static ranges; else of each batch.
  std::vector<float> accumulator_scales, requantize_ratios;
  std::vector<int64_t> bias;
};

namespace {

const Window& window_of(const FloatLayer& layer) {
  if (const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload)) return matmul->window;
  return std::get<MaxPoolWorkload>(layer.workload).window;
}

// visit(channel, ofmap pixel, taps inside the ifmap as indices into the channel's plane).
template <class Visit>
void for_each_window(const Window& w, const Visit& visit) {
  std::vector<int64_t> taps;
  for (int64_t row = 0; row < w.ofmap_rows; ++row) {
    for (int64_t col = 0; col < w.ofmap_cols; ++col) {
      taps.clear();
      for_each_tap(w, row, col, [&](int64_t, int64_t pixel) { taps.push_back(pixel); });
      for (int64_t channel = 0; channel < w.ofmap_channels; ++channel)
        visit(channel, row * w.ofmap_cols + col, taps);
    }
  }
}

bool is_mean(const FloatLayer& layer) {
  const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload);
  return matmul != nullptr && matmul->unit_weights && layer.bias.empty() &&
         matmul->groups == matmul->window.ofmap_channels;
}

}  // namespace

// One batch on its way through the layers.
class DistillerRunner::Run {
 public:
  Run(const DistillerRunner& runner, State& state, int64_t images, const Observer& observer)
      : runner_(runner),
        network_(runner.network_),
        state_(state),
        images_(images),
        observer_(observer) {}

  void layer(size_t i) {
    index_ = i;
    const DistillerLayer& description = network_.layers[i];
    const FloatLayer& real = network_.network.layers[i];
    DistillerValue& ofmap = value(real.output);
    ofmap.is_quantized = false;
    observed_ = {};
    if (description.kind == Kind::kIdentity) {
      ofmap = value(real.inputs[0]);
      return;
    }
    if (description.kind == Kind::kFloat || description.kind == Kind::kMove) {
      run_float(real, real_inputs(real), ofmap);
    } else if (description.kind == Kind::kFake) {
      run_fake(description, real, ofmap);
    } else {
      run_integers(description, real, ofmap);
    }
    if (!observer_) return;
    observer_({.layer = i,
               .description = description,
               .inputs = observed_.inputs,
               .accumulator_scales = observed_.accumulator_scales,
               .requantize_ratios = observed_.requantize_ratios,
               .bias = observed_.bias,
               .accumulators = observed_.accumulators,
               .ofmap = ofmap});
  }

  // What a value stands for.
  const std::vector<float>& real_of(DistillerValue& from) const {
    if (!from.is_quantized) return from.real;
    const LinearScale& scale = from.quantization.scales[0];
    from.real.resize(from.codes.size());
    for (size_t i = 0; i < from.codes.size(); ++i) {
      const float shifted = static_cast<float>(from.codes[i]) + scale.zero_point;
      from.real[i] = shifted / scale.scale;
    }
    return from.real;
  }

 private:
  struct Observed {
    std::vector<const DistillerValue*> inputs;
    std::vector<float> accumulator_scales, requantize_ratios;
    std::vector<int64_t> bias;
    std::span<const int32_t> accumulators;
  };

  DistillerValue& value(int tensor) { return state_.values[static_cast<size_t>(tensor)]; }
  ClippingCounts& counts() { return state_.counts[index_]; }
  int64_t elements(int tensor) const { return network_.network.tensor(tensor).elements(); }

  std::vector<const std::vector<float>*> real_inputs(const FloatLayer& real) {
    std::vector<const std::vector<float>*> inputs;
    for (const int tensor : real.inputs) inputs.push_back(&real_of(value(tensor)));
    return inputs;
  }

  static void quantize(const std::vector<float>& from, const LinearQuantization& quantization,
                       DistillerValue& to, int64_t& clipped) {
    to.is_quantized = true;
    to.quantization = quantization;
    to.codes.resize(from.size());
    const Clipped both = quantize_row(from, quantization.scales[0], quantization, to.codes.data());
    clipped += both.low + both.high;
  }

  LinearQuantization range_of_batch(const ActivationSettings& settings,
                                    const std::vector<float>& values) const {
    try {
      return activation_quantization(settings, values, images_);
    } catch (const std::invalid_argument& error) {
      throw InputError({.file = "",
                        .where = "layer '" + network_.layers[index_].module + "'",
                        .field = fmt::format("values of a batch of {}", images_),
                        .problem = error.what(),
                        .fix = "look at the data, or take static ranges: --qe-stats-file"});
    }
  }

  // Input k with its own quantization, or with the layer's fallback.
  DistillerValue& quantized_input(const DistillerLayer& layer, const FloatLayer& real, size_t k,
                                  DistillerValue& scratch) {
    DistillerValue& given = value(real.inputs[k]);
    const bool always = network_.compat == Compat::kDistiller03;
    if (given.is_quantized && !always) return given;
    const std::vector<float>& values = real_of(given);
    const DistillerLayer::Input& input = layer.inputs[k];
    const ActivationSettings& settings = input.settings;
    quantize(values, input.quantization ? *input.quantization : range_of_batch(settings, values),
             scratch, counts().inputs_clipped);
    counts().inputs += std::ssize(values);
    return scratch;
  }

  void run_fake(const DistillerLayer& layer, const FloatLayer& real, DistillerValue& ofmap) {
    std::vector<const std::vector<float>*> inputs;
    std::vector<DistillerValue> scratch(real.inputs.size());
    for (size_t k = 0; k < real.inputs.size(); ++k) {
      DistillerValue& given = value(real.inputs[k]);
      DistillerValue& used = given.is_quantized || !layer.quantize_inputs
                                 ? given
                                 : quantized_input(layer, real, k, scratch[k]);
      inputs.push_back(&real_of(used));
      observed_.inputs.push_back(&used);
    }
    kept_ = std::move(scratch);
    run_float(real, inputs, ofmap);
    if (layer.relu) {
      for (float& x : ofmap.real) x = std::max(x, 0.0F);
    }
    const LinearQuantization q =
        layer.ofmap ? *layer.ofmap : range_of_batch(layer.activations, ofmap.real);
    observed_.requantize_ratios = {q.scales[0].scale};
    ofmap.is_quantized = true;
    ofmap.quantization = q;
    ofmap.codes.resize(ofmap.real.size());
    const Clipped clipped = quantize_row(ofmap.real, q.scales[0], q, ofmap.codes.data());
    counts().outputs += std::ssize(ofmap.real);
    counts().clipped_low += clipped.low;
    counts().clipped_high += clipped.high;
  }

  void run_integers(const DistillerLayer& layer, const FloatLayer& real, DistillerValue& ofmap) {
    kept_.assign(real.inputs.size(), {});
    std::vector<const DistillerValue*> inputs;
    for (size_t k = 0; k < real.inputs.size(); ++k)
      inputs.push_back(&quantized_input(layer, real, k, kept_[k]));
    observed_.inputs = inputs;
    if (layer.kind == Kind::kProduct) return run_product(layer, *inputs[0], ofmap);
    run_rescaled(layer, real, inputs, ofmap);
  }

  void run_product(const DistillerLayer& layer, const DistillerValue& ifmap,
                   DistillerValue& ofmap) {
    const Product& product = *runner_.products_[index_];
    const Window& window = product.matmul.workload.window;
    IntegerMatmul matmul = product.matmul;
    matmul.images = images_;
    const LinearScale& in = ifmap.quantization.scales[0];
    const auto shift = static_cast<int32_t>(in.zero_point);
    matmul.ifmap.resize(ifmap.codes.size());
    for (size_t i = 0; i < ifmap.codes.size(); ++i) matmul.ifmap[i] = ifmap.codes[i] + shift;
    const std::vector<int64_t> sums = product.accumulator->run(matmul, state_.workspace).values;

    observed_.accumulator_scales = product.accumulator_scales;
    observed_.bias = product.bias;
    if (product.accumulator_scales.empty()) {
      observed_.accumulator_scales = accumulator_scales(
          in, layer.weights.quantization, layer.activations.approximate_bits, network_.compat);
      if (product.base_bias)
        observed_.bias =
            dynamic_bias(*product.base_bias, observed_.accumulator_scales, layer.accumulator_bits,
                         layer.activations.approximate_bits, network_.compat);
    }
    fit(layer, sums, window);
    const auto scale_of = [&](size_t channel) {
      const auto& scales = observed_.accumulator_scales;
      return scales.size() == 1 ? scales[0] : scales[channel];
    };
    const auto pixels = static_cast<size_t>(window.ofmap_pixels());
    const auto channels = static_cast<size_t>(window.ofmap_channels);
    LinearQuantization q;
    if (layer.ofmap) {
      q = *layer.ofmap;
    } else {
      ofmap.real.resize(accumulators_.size());
      for (size_t i = 0; i < accumulators_.size(); ++i)
        ofmap.real[i] = linear_dequantize(static_cast<float>(accumulators_[i]),
                                          {scale_of(i / pixels % channels), 0});
      q = range_of_batch(layer.activations, ofmap.real);
    }
    observed_.requantize_ratios = product.requantize_ratios;
    if (observed_.requantize_ratios.empty()) {
      for (const float scale : observed_.accumulator_scales)
        observed_.requantize_ratios.push_back(
            requantize_ratio(q.scales[0].scale, scale, layer.activations.approximate_bits));
    }
    give(q, ofmap, accumulators_.size());
    const auto& ratios = observed_.requantize_ratios;
    for (size_t row = 0; row * pixels < accumulators_.size(); ++row) {
      const float ratio = ratios.size() == 1 ? ratios[0] : ratios[row % channels];
      requantize_row(std::span(accumulators_).subspan(row * pixels, pixels), ratio, q.scales[0], q,
                     ofmap.codes.data() + row * pixels, counts());
    }
  }

  // Sums and bias into accumulators, clamped once.
  void fit(const DistillerLayer& layer, const std::vector<int64_t>& sums, const Window& window) {
    const int64_t high = (int64_t{1} << (layer.accumulator_bits - 1)) - 1, low = -high - 1;
    const int64_t floor = layer.relu ? 0 : low;
    accumulators_.resize(sums.size());
    const auto pixels = static_cast<size_t>(window.ofmap_pixels());
    const auto channels = static_cast<size_t>(window.ofmap_channels);
    for (size_t row = 0; row * pixels < sums.size(); ++row) {
      const int64_t bias = observed_.bias.empty() ? 0 : observed_.bias[row % channels];
      int64_t saturated = 0;
      for (size_t i = row * pixels; i < (row + 1) * pixels; ++i) {
        const int64_t sum = sums[i] + bias;
        saturated += (sum < low) | (sum > high);
        accumulators_[i] =
            static_cast<int32_t>(std::max(std::min(std::max(sum, low), high), floor));
      }
      counts().accumulators_saturated += saturated;
    }
    observed_.accumulators = accumulators_;
  }

  static void give(const LinearQuantization& q, DistillerValue& ofmap, size_t count) {
    ofmap.is_quantized = true;
    ofmap.quantization = q;
    ofmap.codes.resize(count);
  }

  // Additions and concatenations: operands in units of the result.
  void run_rescaled(const DistillerLayer& layer, const FloatLayer& real,
                    const std::vector<const DistillerValue*>& inputs, DistillerValue& ofmap) {
    const LinearQuantization& q = *layer.ofmap;
    const bool concat = layer.kind == Kind::kConcat,
               at_once = concat && network_.compat == Compat::kDistiller03;
    std::vector<std::vector<float>> operands;
    for (const DistillerValue* input : inputs) {
      const LinearScale& scale = input->quantization.scales[0];
      const float ratio = operand_ratio(q.scales[0].scale, scale.scale,
                                        layer.activations.approximate_bits, network_.compat);
      std::vector<float>& to = operands.emplace_back(input->codes.size());
      if (!at_once) {
        rescale_row(input->codes, scale, ratio, to.data());
        continue;
      }
      for (size_t i = 0; i < to.size(); ++i)
        to[i] = concatenated_operand(static_cast<float>(input->codes[i]), scale, ratio, q.scales[0],
                                     q.codes);
    }
    std::vector<float> sums = concat ? gathered(real, operands) : operands[0];
    for (size_t k = 1; !concat && k < operands.size(); ++k) {
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += operands[k][i];
    }
    // Clamped to 32 bits, of which float32's greatest is 2^31 - 128.
    constexpr float kLeast = -2147483648.0F, kGreatest = 2147483520.0F;
    const float floor = layer.relu ? 0 : kLeast;
    accumulators_.resize(sums.size());
    for (size_t i = 0; i < sums.size(); ++i)
      accumulators_[i] = static_cast<int32_t>(std::min(std::max(sums[i], floor), kGreatest));
    observed_.accumulators = accumulators_;
    observed_.requantize_ratios = {1};
    give(q, ofmap, sums.size());
    if (at_once) {
      std::copy(accumulators_.begin(), accumulators_.end(), ofmap.codes.begin());
      counts().outputs += std::ssize(sums);
      return;
    }
    requantize_row(accumulators_, 1, q.scales[0], q, ofmap.codes.data(), counts());
  }

  // A data movement's inputs, image by image.
  template <class Values>
  std::vector<float> gathered(const FloatLayer& real, const Values& inputs) const {
    const auto& move = std::get<MoveWorkload>(real.workload);
    std::vector<const float*> first;
    for (const auto& input : inputs) {
      if constexpr (std::is_pointer_v<std::decay_t<decltype(input)>>) {
        first.push_back(input->data());
      } else {
        first.push_back(input.data());
      }
    }
    std::vector<float> to;
    to.reserve(move.source.size() * static_cast<size_t>(images_));
    for (int64_t image = 0; image < images_; ++image) {
      for (int64_t source : move.source) {
        size_t k = 0;
        while (source >= move.input_elements[k]) source -= move.input_elements[k++];
        to.push_back(first[k][image * move.input_elements[k] + source]);
      }
    }
    return to;
  }

  void run_float(const FloatLayer& real, const std::vector<const std::vector<float>*>& inputs,
                 DistillerValue& ofmap) {
    ofmap.real.resize(static_cast<size_t>(images_ * elements(real.output)));
    if (std::holds_alternative<MoveWorkload>(real.workload)) {
      ofmap.real = gathered(real, inputs);
    } else if (std::holds_alternative<MaxPoolWorkload>(real.workload) || is_mean(real)) {
      pool(real, *inputs[0], ofmap.real);
    } else if (std::holds_alternative<MatmulWorkload>(real.workload)) {
      return product(real, *inputs[0], ofmap.real);  // with its limits
    } else {
      ofmap.real = *inputs[0];
      for (size_t k = 1; k < inputs.size(); ++k) {
        for (size_t i = 0; i < ofmap.real.size(); ++i) ofmap.real[i] += (*inputs[k])[i];
      }
    }
    if (std::isinf(real.low) && std::isinf(real.high)) return;
    for (float& x : ofmap.real) x = std::min(std::max(x, real.low), real.high);
  }

  // Maximum, or mean of float32's sum in order, of the taps inside the ifmap.
  void pool(const FloatLayer& real, const std::vector<float>& from, std::vector<float>& to) const {
    const Window& w = window_of(real);
    const bool mean = is_mean(real);
    const float taps_all = mean ? std::nearbyint(1 / real.weights.at(0)) : 1;
    const int64_t plane = w.ifmap_rows * w.ifmap_cols;
    for_each_window(w, [&](int64_t channel, int64_t pixel, const std::vector<int64_t>& taps) {
      for (int64_t image = 0; image < images_; ++image) {
        const float* x = from.data() + (image * w.ifmap_channels + channel) * plane;
        float result = mean ? 0 : -INFINITY;
        for (const int64_t tap : taps) result = mean ? result + x[tap] : std::max(result, x[tap]);
        to[static_cast<size_t>((image * w.ofmap_channels + channel) * w.ofmap_pixels() + pixel)] =
            mean ? result / taps_all : result;
      }
    });
  }

  void product(const FloatLayer& real, const std::vector<float>& from, std::vector<float>& to) {
    auto& executor = state_.executors[index_];
    if (!executor) executor_network(real);
    if (!executor || executor->max_batch() < images_)  // an executor always computes all of its own
      executor =
          std::make_unique<FloatExecutor>(state_.networks[index_], static_cast<int>(images_));
    const auto result = executor->run(from, static_cast<int>(images_));
    to.assign(result.begin(), result.end());
  }

  void executor_network(const FloatLayer& real) {
    FloatNetwork& one = state_.networks[index_];
    one.tensors = {network_.network.tensor(real.inputs[0]), network_.network.tensor(real.output)};
    one.layers = {real};
    one.layers[0].inputs = {0};
    one.layers[0].output = 1;
    one.input = 0;
    one.output = 1;
  }

  const DistillerRunner& runner_;
  const DistillerNetwork& network_;
  State& state_;
  int64_t images_;
  const Observer& observer_;
  size_t index_ = 0;
  Observed observed_;
  std::vector<DistillerValue> kept_;
  std::vector<int32_t> accumulators_;
};

DistillerRunner::DistillerRunner(const DistillerNetwork& network, int64_t batch)
    : network_(network), batch_(batch), products_(network.layers.size()) {
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const DistillerLayer& layer = network.layers[i];
    if (layer.kind != Kind::kProduct) continue;
    const FloatLayer& real = network.network.layers[i];
    auto product = std::make_unique<Product>();
    const LinearQuantization& w = layer.weights.quantization;
    // Operands with their zero points added, so that a padded tap is 0.
    IntegerMatmul matmul;
    matmul.workload = std::get<MatmulWorkload>(real.workload);
    matmul.weights = layer.weights.codes;
    const size_t each = matmul.weights.size() / w.scales.size();
    for (size_t k = 0; k < matmul.weights.size(); ++k)
      matmul.weights[k] += static_cast<int32_t>(w.at(k / each).zero_point);
    const int ifmap_bits = ifmap_bits_of(i);
    matmul.ifmap_format = {.bits = ifmap_bits + 1, .is_signed = true};
    matmul.weight_format = {.bits = w.bits + 1, .is_signed = true};
    product->accumulator = std::make_unique<IntegerAccumulator>(matmul, default_kernels());
    matmul.weights.clear();
    product->matmul = std::move(matmul);
    if (network.dynamic && !real.bias.empty()) {
      product->base_bias = dynamic_base_bias(real.bias, layer.accumulator_bits, layer.bits_weights,
                                             layer.mode_weights, network.compat);
    }
    products_[i] = std::move(product);
  }
  if (!network.dynamic) fix_scales();
}

DistillerRunner::~DistillerRunner() = default;

DistillerRunner::State DistillerRunner::make_state() const {
  State state;
  state.values.resize(network_.network.tensors.size());
  state.counts.resize(network_.layers.size());
  return state;
}

std::span<const float> DistillerRunner::run(std::span<const float> images, int64_t n, State& state,
                                            const Observer& observer) const {
  const FloatNetwork& network = network_.network;
  if (n < 1 || n > batch_ || std::ssize(images) != n * network.tensor(network.input).elements()) {
    throw std::logic_error(
        fmt::format("DistillerRunner: {} values for {} images", images.size(), n));
  }
  DistillerValue& input = state.values[static_cast<size_t>(network.input)];
  input.is_quantized = false;
  input.real.assign(images.begin(), images.end());
  Run run(*this, state, n, observer);
  for (size_t i = 0; i < network_.layers.size(); ++i) run.layer(i);
  return run.real_of(state.values[static_cast<size_t>(network.output)]);
}

// The widest that the layer can read: what its ifmap's writer gives, or its own fallback.
int DistillerRunner::ifmap_bits_of(size_t layer) const {
  const FloatNetwork& network = network_.network;
  int tensor = network.layers[layer].inputs[0];
  int bits = network_.layers[layer].inputs[0].settings.bits;
  for (size_t i = layer; i-- > 0;) {
    if (network.layers[i].output != tensor) continue;
    const DistillerLayer& writer = network_.layers[i];
    if (writer.kind == Kind::kIdentity) {
      tensor = network.layers[i].inputs[0];
      continue;
    }
    if (writer.kind != Kind::kFloat && writer.kind != Kind::kMove)
      bits = std::max(bits, writer.activations.bits);
    break;
  }
  return bits;
}

// With static ranges all scales are known.
void DistillerRunner::fix_scales() {
  for (size_t i = 0; i < network_.layers.size(); ++i) {
    if (products_[i] == nullptr) continue;
    const DistillerLayer& layer = network_.layers[i];
    Product& product = *products_[i];
    const auto approximate = layer.activations.approximate_bits;
    product.accumulator_scales = accumulator_scales(
        layer.ifmap->scales[0], layer.weights.quantization, approximate, network_.compat);
    product.bias = static_bias(network_.network.layers[i].bias, product.accumulator_scales,
                               layer.accumulator_bits, network_.compat);
    for (const float scale : product.accumulator_scales)
      product.requantize_ratios.push_back(
          requantize_ratio(layer.ofmap->scales[0].scale, scale, approximate));
  }
}

}  // namespace widthwise
