#include <fmt/format.h>

#include <algorithm>

#include "models/ops/quantized.h"
#include "models/sliding_window.h"

namespace widthwise {
namespace {

enum Input { kX, kXScale, kXZeroPoint, kYScale, kYZeroPoint };

bool global(const NodeView& node) { return node.node().op_type == "QLinearGlobalAveragePool"; }
bool counts_pads(const NodeView& node) { return node.integer("count_include_pad", 0) != 0; }

SlidingWindow window(const NodeView& node) {
  node.require("channels_last", 0, "transpose to [N, C, ...]");
  const Shape& ifmap = node.shape(kX);
  Shape kernel = node.integers("kernel_shape", {});
  if (global(node))
    kernel.assign(ifmap.begin() + std::min<int64_t>(2, std::ssize(ifmap)), ifmap.end());
  if (shape_elements(kernel) < 0)
    node.refuse("kernel_shape", fmt::format("is {}, too large", shape_text(kernel)), "correct it");
  return read_sliding_window(node, kernel);
}

// Whether the mean is taken of the integer sum: ONNX Runtime takes a window over the whole image
// without pads as a global one, too.
bool sums_integers(const NodeView& node) {
  const auto axes = window(node).axes;
  return global(node) || std::all_of(axes.begin(), axes.end(), [](const SlidingWindow::Axis& a) {
           return a.kernel == a.extent && a.begin == 0 && a.end == 0;
         });
}

std::vector<Shape> infer_shape(const NodeView& node) {
  const SlidingWindow w = window(node);  // checks the rank
  return {window_ofmap_shape(node, w, node.shape(kX)[1])};
}

OperandCodes operand(const NodeView& node) {
  return read_operand_codes(node, kX, kXScale, kXZeroPoint, "x");
}
OutputCodes output(const NodeView& node) {
  return read_output_codes(node, kYScale, kYZeroPoint, node.tensor(kX, "x").type());
}

// On a datapath every window must divide by the same number.
void require_one_count(const NodeView& node, const SlidingWindow& w) {
  for (const SlidingWindow::Axis& a : w.axes) {
    const bool beyond = (a.ofmap - 1) * a.stride + a.span() > a.begin + a.extent + a.end;
    if ((a.begin + a.end != 0 || beyond) && !counts_pads(node)) {
      node.refuse("pads", "with count_include_pad=0 divide border pixels by less than the others",
                  "allowed are windows inside the ifmap, or count_include_pad=1");
    }
  }
}

std::vector<IntegerMatmul> matmuls(const NodeView& node) {
  const SlidingWindow sliding = window(node);
  const OperandCodes x = operand(node);
  const Window w = workload_window(node, sliding, node.shape(kX)[1]);
  require_one_count(node, sliding);
  IntegerMatmul matmul;
  matmul.workload = {.window = w, .groups = w.ifmap_channels, .unit_weights = true};
  matmul.images = node.shape(kX)[0];
  matmul.ifmap_format = x.format;
  matmul.weight_format = {1, false};
  matmul.ifmap = codes_of(x.tensor);
  matmul.ifmap_zero_point = x.zero_point;
  const int64_t weights = shape_elements({w.ofmap_channels, sliding.taps()});
  if (weights < 0) node.refuse("kernel_shape", "is too large for the channels", "correct it");
  matmul.weights.assign(static_cast<size_t>(weights), 1);
  return {matmul};
}

// Calls visit(element of the ofmap, taps inside the ifmap, how many count, first element of the
// plane).
template <class Visit>
void for_each_output(const NodeView& node, const SlidingWindow& w, const Visit& visit) {
  const Shape& shape = node.shape(kX);
  const bool pads = counts_pads(node);
  for_each_pixel(w, [&](int64_t pixel, const std::vector<WindowTap>& taps, int64_t padded) {
    const int64_t count = pads ? padded : std::ssize(taps);
    for (int64_t plane = 0; plane < shape[0] * shape[1]; ++plane)
      visit(static_cast<size_t>(plane * w.ofmap_pixels() + pixel), taps, count,
            plane * w.ifmap_pixels());
  });
}

// As ONNX Runtime: real numbers in float32, summed row by row, divided, and the zero point added
// before the rounding. Where a datapath's sum overflowed, its mean is taken instead.
std::vector<int32_t> float_averages(const NodeView& node, std::span<const int64_t> sums,
                                    const Requantizer& mean) {
  const SlidingWindow w = window(node);
  const OperandCodes x = operand(node);
  const int32_t up = code_offset(node, output(node).type);
  const OutputCodes y = moved_up(output(node), up);
  const std::vector<int32_t> ifmap = codes_of(x.tensor);
  std::vector<int32_t> codes(static_cast<size_t>(shape_elements(infer_shape(node)[0])));
  for_each_output(
      node, w, [&](size_t to, const std::vector<WindowTap>& taps, int64_t count, int64_t first) {
        float sum = 0;
        int64_t exact = 0;
        for (const WindowTap& tap : taps) {
          const int32_t code = ifmap[static_cast<size_t>(first + tap.ifmap)] - x.zero_point;
          sum += x.scale * static_cast<float>(code);
          exact += code;
        }
        if (!sums.empty() && sums[to] != exact) {
          codes[to] = mean(sums[to]);
          return;
        }
        const float average = count == 0 ? 0 : sum / static_cast<float>(count);
        const float code = average / y.scale + static_cast<float>(y.zero_point);
        codes[to] = rounded_code(code, y.q_min, y.q_max) - up;
      });
  return codes;
}

std::vector<Tensor> finish(const NodeView& node, std::span<const int64_t> sums,
                           const RequantizeConfig& config) {
  const Shape shape = infer_shape(node)[0];
  const OperandCodes x = operand(node);
  const OutputCodes y = output(node);
  const Requantizer mean = make_requantizer(
      node, config, Requantizer::Mean{x.scale, x.zero_point, window(node).taps()}, y);
  if (config.kind == RequantizeConfig::Kind::kFloat32 && !sums_integers(node))
    return {code_tensor(node, y.type, shape, float_averages(node, sums, mean))};
  std::vector<int32_t> codes;
  codes.reserve(sums.size());
  for (const int64_t sum : sums) codes.push_back(mean(sum));
  return {code_tensor(node, y.type, shape, codes)};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  if (!sums_integers(node)) return finish(node, {}, kOnnxRuntimeArithmetic);
  const SlidingWindow w = window(node);
  const OperandCodes x = operand(node);
  const std::vector<int32_t> ifmap = codes_of(x.tensor);
  std::vector<int64_t> sums(static_cast<size_t>(shape_elements(infer_shape(node)[0])));
  for_each_output(node, w,
                  [&](size_t to, const std::vector<WindowTap>& taps, int64_t, int64_t first) {
                    for (const WindowTap& tap : taps)
                      sums[to] += ifmap[static_cast<size_t>(first + tap.ifmap)] - x.zero_point;
                  });
  return finish(node, sums, kOnnxRuntimeArithmetic);
}

constexpr MacOperator kMac{matmuls, finish, true};

}  // namespace

// QLinearAveragePool, QLinearGlobalAveragePool: averages of codes; padded taps count for
// count_include_pad only. In ONNX Runtime the former computes in float32 from the elements, which
// finish() does too, the latter (and a window over the whole image) from the integer sum. On a
// datapath both are sums with weights of 1, requantized as Requantizer::Mean says; with float32,
// the former where the sum overflowed only. code_offset, q_min and q_max are no part of them.
// Source: ONNX Runtime's com.microsoft operators, version 1.
extern const Operator kQLinearAveragePool, kQLinearGlobalAveragePool;
const Operator kQLinearAveragePool{
    "QLinearAveragePool",
    {"auto_pad", "ceil_mode", "channels_last", "code_offset", "count_include_pad", "kernel_shape",
     "pads", "q_max", "q_min", "strides"},
    4,
    5,
    infer_shape,
    evaluate,
    nullptr,
    &kMac,
    kMicrosoftDomain};
const Operator kQLinearGlobalAveragePool{"QLinearGlobalAveragePool",
                                         {"channels_last", "code_offset", "q_max", "q_min"},
                                         4,
                                         5,
                                         infer_shape,
                                         evaluate,
                                         nullptr,
                                         &kMac,
                                         kMicrosoftDomain};

}  // namespace widthwise
