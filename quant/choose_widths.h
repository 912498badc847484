#pragma once
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "core/progress.h"
#include "quant/calibrate.h"
#include "quant/quantize.h"

namespace widthwise {

// What a layer costs at these widths, in whatever unit the budget has; it must not grow as widths
// shrink.
using LayerCost = std::function<double(const FloatLayer& layer, int ifmap_bits, int weight_bits)>;
// Multiply-accumulates times the product of the bits.
double bit_operations(const FloatLayer& layer, int ifmap_bits, int weight_bits);

// Either or both.
struct WidthBudget {
  std::optional<double> points_lost;  // of top-1 on the judged images, against FP32; >= 0
  std::optional<double> cost;         // of all matmuls together
};

struct WidthChoice {
  // The first images, which the network that was judged is calibrated and rounded on.
  int64_t rounded_images = 0;
  std::map<std::string, QuantizationConfig::LayerBits> layers;  // of every matmul with weights
  double cost = 0;
  double float_percent = 0, percent = 0;  // top-1 on the judged images
  double divergence = 0;                  // of class probabilities from FP32's, on these
};

// Chooses the bits of each layer's ifmap and weights, from the widest of `widths` downward.
//   1. Sensitivities: each operand of each layer alone at each width, rounded to the nearest, all
//      others at the widest: the Kullback-Leibler divergence of its class probabilities from
//      FP32's, over 128 images at most.
//   2. Greedy: one step down after the other, always the one with the least divergence added per
//      cost saved; divergences are taken to add up.
//   3. Trials: networks quantized as `config` says (rounding and bias correction included) on the
//      first half of the images and judged on the other half. The points budget: the longest run of
//      these steps that loses no more, found by bisection, which takes the loss to grow with the
//      run. The cost budget: the shortest run that costs no more.
//   4. Either is compared with the widest uniform networks that cost no more: one width, the same
//      with the widest at both ends, and the best pair of a width for ifmaps and one for weights.
//      The points budget takes the cheapest of those that keep the points, the cost budget the one
//      with the least divergence from FP32, of these and of the uniform ones with single operands
//      widened to what it leaves.
// With both budgets, an InputError says if they exclude each other; so does a cost below that of
// the least widths, before any work, and a loss of points at the widest.
// config.elementwise_bits is taken as 8 if it is empty. Layers that config names in
// `layers`, `float_activations` or `float_weights` stay, and cost nothing.
WidthChoice choose_widths(const FloatNetwork& network, const ImageSource& source,
                          std::span<const int32_t> labels, const QuantizationConfig& config,
                          const WidthBudget& budget, const LayerCost& cost, Progress& progress,
                          std::vector<int> widths = {8, 6, 5, 4, 3, 2});

}  // namespace widthwise
