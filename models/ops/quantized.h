#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/requantizer.h"
#include "models/integer_matmul.h"
#include "models/operator.h"

namespace widthwise {

// What the operators on integer codes share. Everything here reads bound inputs.

// Returns a scale; refuses zero, negative, denormal, infinite ones and NaN.
float checked_scale(const NodeView& node, const std::string& what, float scale);
// Input i: float scales, checked, in the order of its elements; exactly one.
std::vector<float> read_scales(const NodeView& node, size_t i, const char* what);
float read_scale(const NodeView& node, size_t i, const char* what);

// Input i: zero points of the element type `type`; zeros (the number of elements is 0, or the one
// is 0) if it is left out.
std::vector<int32_t> read_zero_points(const NodeView& node, size_t i, const char* what,
                                      ElementType type);
int32_t read_zero_point(const NodeView& node, size_t i, const char* what, ElementType type);

// Format of an operand's codes; refuses real numbers, truth values and more than 16 bits.
IntegerFormat operand_format(const NodeView& node, size_t i, const char* what);
std::vector<int32_t> codes_of(const Tensor& tensor);
Tensor code_tensor(const NodeView& node, ElementType type, const Shape& shape,
                   const std::vector<int32_t>& codes);
// Sums as int32, as which they are stored: modulo 2^32.
Tensor int32_tensor(const NodeView& node, const Shape& shape, std::span<const int64_t> sums);

// One int32 per output channel; empty if input i is left out.
std::vector<int32_t> read_bias(const NodeView& node, size_t i, int64_t channels);

// Quantization of an output: its type is the zero point's (input zero_point), else `otherwise`.
// The attributes q_min and q_max narrow the type's range: a clamp that follows, or fewer bits.
struct OutputCodes {
  ElementType type = ElementType::kUint8;
  bool is_signed = false;  // the stated bits, else the type
  float scale = 1;
  int32_t zero_point = 0, q_min = 0, q_max = 255;
};
OutputCodes read_output_codes(const NodeView& node, size_t scale, size_t zero_point,
                              ElementType otherwise);

// The attribute code_offset: int8 codes and zero points are computed with as uint8 ones, that much
// higher, which is how ONNX Runtime sees some of them; it shows where a zero point is added in
// float32. 0 for other types, and where it is not given.
int32_t code_offset(const NodeView& node, ElementType type);
// Moves a quantization up by an offset.
OutputCodes moved_up(OutputCodes output, int32_t offset);

// An operand with one scale and one zero point.
struct OperandCodes {
  const Tensor& tensor;
  IntegerFormat format;
  float scale;
  int32_t zero_point;
};
OperandCodes read_operand_codes(const NodeView& node, size_t tensor, size_t scale,
                                size_t zero_point, const char* what);

// rint(value), ties to even, limited to [low, high]; NaN becomes low.
int32_t rounded_code(float value, int32_t low, int32_t high);

// The requantizer of one output channel; refuses ratios that its arithmetic does not have.
Requantizer make_requantizer(const NodeView& node, const RequantizeConfig& config,
                             float ifmap_scale, float weight_scale, const OutputCodes& output);
// The same of a mean of codes.
Requantizer make_requantizer(const NodeView& node, const RequantizeConfig& config,
                             const Requantizer::Mean& mean, const OutputCodes& output);
ElementwiseRequantizer make_requantizer(const NodeView& node, const RequantizeConfig& config,
                                        const std::vector<OperandCodes>& operands,
                                        const OutputCodes& output);
inline constexpr RequantizeConfig kOnnxRuntimeArithmetic{.kind = RequantizeConfig::Kind::kFloat32};

// Sums of all matmuls, laid end to end, each [images, oc, rows, cols]. Exact for K products of
// 16-bit operands while K < 2^28.
std::vector<int64_t> exact_sums(const IntegerMatmul& matmul);
std::vector<int64_t> exact_sums(const std::vector<IntegerMatmul>& matmuls);
// evaluate() of an operator with a MacOperator.
std::vector<Tensor> evaluate_mac(const NodeView& node, const MacOperator& mac);

// Convolution of input 0 [N, C, axes...] with input `weight` [M, C / group, kernel...].
Shape convolution_shape(const NodeView& node, size_t weight);  // of the ofmap
IntegerMatmul convolution_matmul(const NodeView& node, size_t weight, int32_t ifmap_zero_point,
                                 std::vector<int32_t> weight_zero_points,
                                 std::vector<int32_t> bias);

}  // namespace widthwise
