#include "models/ops/quantized.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "models/sliding_window.h"

namespace widthwise {
namespace {

const Tensor& one_element(const NodeView& node, size_t i, const char* what) {
  const Tensor& tensor = node.tensor(i, what);
  if (tensor.elements() != 1 || tensor.rank() > 1)
    node.refuse(what,
                fmt::format("has the shape {}, allowed is one value", shape_text(tensor.shape())),
                "use one value for the whole tensor");
  return tensor;
}

int64_t checked_bound(const NodeView& node, const char* name, int64_t otherwise,
                      IntegerFormat format) {
  const int64_t bound = node.integer(name, otherwise);
  if (!format.holds(bound))
    node.refuse(name, fmt::format("is {}, allowed {}..{}", bound, format.min(), format.max()),
                "stay within the output's type");
  return bound;
}

}  // namespace

float checked_scale(const NodeView& node, const std::string& what, float scale) {
  if (!std::isnormal(scale) || scale < 0) {
    node.refuse(what, fmt::format("is {}, allowed are normal positive numbers", scale),
                "calibrate again; a constant tensor can have scale 1");
  }
  return scale;
}

std::vector<float> read_scales(const NodeView& node, size_t i, const char* what) {
  const Tensor& tensor = node.tensor(i, what);
  if (tensor.type() != ElementType::kFloat)
    node.refuse(what, fmt::format("is of type {}, allowed float", element_type_name(tensor.type())),
                "store scales as float32");
  const auto values = tensor.values<float>();
  for (const float value : values) checked_scale(node, what, value);
  return {values.begin(), values.end()};
}

float read_scale(const NodeView& node, size_t i, const char* what) {
  one_element(node, i, what);
  return read_scales(node, i, what)[0];
}

std::vector<int32_t> read_zero_points(const NodeView& node, size_t i, const char* what,
                                      ElementType type) {
  if (!node.has_input(i)) return {};
  const Tensor& tensor = node.tensor(i, what);
  if (tensor.type() != type) {
    node.refuse(what,
                fmt::format("is of type {}, needed {}", element_type_name(tensor.type()),
                            element_type_name(type)),
                "give zero points the type of their codes");
  }
  return codes_of(tensor);
}

int32_t read_zero_point(const NodeView& node, size_t i, const char* what, ElementType type) {
  if (!node.has_input(i)) return 0;
  one_element(node, i, what);
  return read_zero_points(node, i, what, type)[0];
}

IntegerFormat operand_format(const NodeView& node, size_t i, const char* what) {
  const ElementType type = node.tensor(i, what).type();
  const auto format = integer_format(type);
  if (!format || format->bits > 16 || type == ElementType::kBool) {
    node.refuse(what,
                fmt::format("is of type {}, allowed are integers of 2, 4, 8 and 16 bits",
                            element_type_name(type)),
                "quantize it to one of these");
  }
  return *format;
}

std::vector<int32_t> codes_of(const Tensor& tensor) {
  return visit_type(tensor.type(), [&](auto stored) {
    const auto values = tensor.values<decltype(stored)>();
    std::vector<int32_t> codes(values.size());
    for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<int32_t>(values[i]);
    return codes;
  });
}

Tensor code_tensor(const NodeView& node, ElementType type, const Shape& shape,
                   const std::vector<int32_t>& codes) {
  Tensor tensor = node.output(type, shape);
  visit_type(type, [&](auto stored) {
    using T = decltype(stored);
    const auto to = tensor.write<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = static_cast<T>(codes[i]);
  });
  return tensor;
}

Tensor int32_tensor(const NodeView& node, const Shape& shape, std::span<const int64_t> sums) {
  Tensor tensor = node.output(ElementType::kInt32, shape);
  const auto to = tensor.write<int32_t>();
  for (size_t i = 0; i < to.size(); ++i)
    to[i] = static_cast<int32_t>(static_cast<uint32_t>(sums[i]));
  return tensor;
}

std::vector<int32_t> read_bias(const NodeView& node, size_t i, int64_t channels) {
  if (!node.has_input(i)) return {};
  const Tensor& bias = node.tensor(i, "bias");
  if (bias.type() != ElementType::kInt32 || node.shape(i) != Shape{channels}) {
    node.refuse("bias",
                fmt::format("is {} of type {}, needed [{}] of int32", shape_text(node.shape(i)),
                            element_type_name(bias.type()), channels),
                "give one int32 per output channel");
  }
  return codes_of(bias);
}

OutputCodes read_output_codes(const NodeView& node, size_t scale, size_t zero_point,
                              ElementType otherwise) {
  OutputCodes output;
  output.type = otherwise;
  if (node.has_input(zero_point)) {
    operand_format(node, zero_point, "y_zero_point");
    output.type = node.tensor(zero_point, "y_zero_point").type();
  }
  const IntegerFormat format = *integer_format(output.type);
  const auto stated = node.graph().formats.find(node.node().outputs[0]);
  output.is_signed =
      stated != node.graph().formats.end() ? stated->second.is_signed : format.is_signed;
  output.scale = read_scale(node, scale, "y_scale");
  output.zero_point = read_zero_point(node, zero_point, "y_zero_point", output.type);
  output.q_min = static_cast<int32_t>(checked_bound(node, "q_min", format.min(), format));
  output.q_max = static_cast<int32_t>(checked_bound(node, "q_max", format.max(), format));
  if (output.q_min > output.q_max)
    node.refuse("q_min", fmt::format("is {}, above q_max {}", output.q_min, output.q_max),
                "exchange them");
  return output;
}

int32_t code_offset(const NodeView& node, ElementType type) {
  const int64_t offset = node.integer("code_offset", 0);
  if (offset != 0 && offset != 128)
    node.refuse("code_offset", fmt::format("is {}, allowed 0, 128", offset), "leave it out");
  return type == ElementType::kInt8 ? static_cast<int32_t>(offset) : 0;
}

OutputCodes moved_up(OutputCodes output, int32_t offset) {
  output.zero_point += offset;
  output.q_min += offset;
  output.q_max += offset;
  return output;
}

int32_t rounded_code(float value, int32_t low, int32_t high) {
  const auto least = static_cast<float>(low), greatest = static_cast<float>(high);
  value = value > least ? value : least;
  value = value < greatest ? value : greatest;
  return static_cast<int32_t>(std::nearbyint(value));
}

OperandCodes read_operand_codes(const NodeView& node, size_t tensor, size_t scale,
                                size_t zero_point, const char* what) {
  const IntegerFormat format = operand_format(node, tensor, what);
  const Tensor& codes = node.tensor(tensor, what);
  const std::string name = what;
  return {codes, format, read_scale(node, scale, (name + "_scale").c_str()),
          read_zero_point(node, zero_point, (name + "_zero_point").c_str(), codes.type())};
}

namespace {

[[noreturn]] void refuse_ratio(const NodeView& node) {
  node.refuse("scales",
              "have a ratio that is no power of two, as power_of_two requantization needs",
              "use another requantization, or quantize with scales that are powers of two");
}

}  // namespace

Requantizer make_requantizer(const NodeView& node, const RequantizeConfig& config,
                             float ifmap_scale, float weight_scale, const OutputCodes& output) {
  try {
    return {config,       ifmap_scale,  weight_scale,    output.scale, output.zero_point,
            output.q_min, output.q_max, output.is_signed};
  } catch (const std::invalid_argument&) {
    refuse_ratio(node);
  }
}

Requantizer make_requantizer(const NodeView& node, const RequantizeConfig& config,
                             const Requantizer::Mean& mean, const OutputCodes& output) {
  try {
    return {config,       mean,         output.scale,    output.zero_point,
            output.q_min, output.q_max, output.is_signed};
  } catch (const std::invalid_argument&) {
    refuse_ratio(node);
  }
}

ElementwiseRequantizer make_requantizer(const NodeView& node, const RequantizeConfig& config,
                                        const std::vector<OperandCodes>& operands,
                                        const OutputCodes& output) {
  std::vector<ElementwiseRequantizer::Operand> plain;
  for (const OperandCodes& operand : operands)
    plain.push_back({operand.scale, operand.zero_point, operand.format.bits});
  try {
    return {config, plain, output.scale, output.zero_point, output.q_min, output.q_max};
  } catch (const std::invalid_argument&) {
    refuse_ratio(node);
  }
}

std::vector<int64_t> exact_sums(const IntegerMatmul& matmul) {
  const Window& w = matmul.workload.window;
  const int64_t group_in = matmul.workload.group_ifmap_channels(),
                group_out = matmul.workload.group_ofmap_channels(),
                ifmap_pixels = w.ifmap_rows * w.ifmap_cols, taps = w.kernel_rows * w.kernel_cols;
  std::vector<int64_t> sums(static_cast<size_t>(matmul.sums()));
  std::vector<WindowTap> inside;
  const auto pixel_sums = [&](int64_t image, int64_t pixel) {
    for (int64_t oc = 0; oc < w.ofmap_channels; ++oc) {
      const auto& zero_points = matmul.weight_zero_points;
      const int64_t zero_point =
          zero_points.empty() ? 0 : zero_points[zero_points.size() == 1 ? 0 : size_t(oc)];
      int64_t sum = matmul.bias.empty() ? 0 : matmul.bias[static_cast<size_t>(oc)];
      for (int64_t ic = 0; ic < group_in; ++ic) {
        const int64_t plane = image * w.ifmap_channels + oc / group_out * group_in + ic;
        const int32_t* codes = matmul.ifmap.data() + plane * ifmap_pixels;
        const int32_t* weights = matmul.weights.data() + (oc * group_in + ic) * taps;
        for (const WindowTap& tap : inside) {
          sum += (int64_t{codes[tap.ifmap]} - matmul.ifmap_zero_point) *
                 (weights[tap.kernel] - zero_point);
        }
      }
      sums[static_cast<size_t>((image * w.ofmap_channels + oc) * w.ofmap_pixels() + pixel)] = sum;
    }
  };
  for (int64_t pixel = 0; pixel < w.ofmap_pixels(); ++pixel) {
    inside.clear();
    for_each_tap(w, pixel / w.ofmap_cols, pixel % w.ofmap_cols, [&](int64_t kernel, int64_t ifmap) {
      inside.push_back({kernel, ifmap});
    });
    for (int64_t image = 0; image < matmul.images; ++image) pixel_sums(image, pixel);
  }
  return sums;
}

std::vector<int64_t> exact_sums(const std::vector<IntegerMatmul>& matmuls) {
  std::vector<int64_t> all;
  for (const IntegerMatmul& matmul : matmuls) {
    const std::vector<int64_t> sums = exact_sums(matmul);
    all.insert(all.end(), sums.begin(), sums.end());
  }
  return all;
}

std::vector<Tensor> evaluate_mac(const NodeView& node, const MacOperator& mac) {
  return mac.finish(node, exact_sums(mac.matmuls(node)), kOnnxRuntimeArithmetic);
}

Shape convolution_shape(const NodeView& node, size_t weight) {
  const SlidingWindow window = read_convolution_window(node, weight);  // checks the ranks
  return window_ofmap_shape(node, window, node.shape(weight)[0]);
}

IntegerMatmul convolution_matmul(const NodeView& node, size_t weight, int32_t ifmap_zero_point,
                                 std::vector<int32_t> weight_zero_points,
                                 std::vector<int32_t> bias) {
  const int64_t channels = node.shape(weight)[0];
  if (weight_zero_points.size() > 1 && std::ssize(weight_zero_points) != channels) {
    node.refuse("w_zero_point",
                fmt::format("has {} values, allowed 1 or {}", weight_zero_points.size(), channels),
                "give one per output channel");
  }
  IntegerMatmul matmul;
  matmul.workload = {.window = workload_window(node, read_convolution_window(node, weight), channels),
                     .groups = node.integer("group", 1)};
  matmul.images = node.shape(0)[0];
  matmul.ifmap_format = operand_format(node, 0, "x");
  matmul.weight_format = operand_format(node, weight, "w");
  matmul.ifmap = codes_of(node.tensor(0, "x"));
  matmul.ifmap_zero_point = ifmap_zero_point;
  matmul.weights = codes_of(node.tensor(weight, "w"));
  matmul.weight_zero_points = std::move(weight_zero_points);
  matmul.bias = std::move(bias);
  return matmul;
}

}  // namespace widthwise
