#pragma once
#include <algorithm>
#include <random>

#include "tests/models/onnx_builder.h"

namespace widthwise {

// A tensor of any integer type, as the bytes of a file.
inline void store_codes(onnx::TensorProto& tensor, ElementType type, const Shape& shape,
                        const std::vector<int64_t>& values) {
  // Numbers of onnx.proto; 4 bits are newer than the installed library.
  constexpr int kNumbers[] = {1, 11, 2, 3, 4, 5, 12, 6, 13, 7, 9, 21, 22, 25, 26};
  tensor.set_data_type(kNumbers[static_cast<size_t>(type)]);
  for (const int64_t extent : shape) tensor.add_dims(extent);
  std::string bytes;
  if (type == ElementType::kInt4 || type == ElementType::kUint4) {
    for (size_t i = 0; i < values.size(); i += 2) {
      const int64_t second = i + 1 < values.size() ? values[i + 1] : 0;
      bytes += static_cast<char>((values[i] & 15) | (second & 15) << 4);
    }
  } else {
    for (const int64_t value : values)
      bytes.append(reinterpret_cast<const char*>(&value), static_cast<size_t>(element_bytes(type)));
  }
  tensor.set_raw_data(bytes);
}

// Quantization of a value: one scale and zero point, or one per channel along `axis`.
struct Scales {
  std::vector<float> scales = {0.05F};
  std::vector<int64_t> zero_points = {0};  // empty: the input is left out
  ElementType type = ElementType::kUint8;
  int64_t axis = 1;
};
inline Scales per_tensor(float scale, int64_t zero_point, ElementType type = ElementType::kUint8) {
  return {.scales = {scale}, .zero_points = {zero_point}, .type = type};
}

// Small quantized networks by hand: the pairs of nodes and constants that QDQ files are made of.
class QuantizedBuilder : public OnnxBuilder {
 public:
  explicit QuantizedBuilder(const Shape& input, int opset = 21) : OnnxBuilder(input, opset) {}

  void input(const std::string& name, const Shape& shape, ElementType type = ElementType::kFloat) {
    auto& info = *graph().add_input();
    value(info, name, shape);
    set_type(info, type);
  }
  void input_type(ElementType type) { set_type(*graph().mutable_input(0), type); }  // of "x"
  void output(const std::string& name, ElementType type = ElementType::kFloat) {
    auto& info = *graph().add_output();
    value(info, name, {});
    info.mutable_type()->mutable_tensor_type()->clear_shape();
    set_type(info, type);
  }

  std::string codes(const std::string& name, ElementType type, const Shape& shape,
                    const std::vector<int64_t>& values) {
    auto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    store_codes(tensor, type, shape, values);
    return name;
  }
  std::vector<int64_t> random_codes(const Shape& shape, IntegerFormat format) {
    std::vector<int64_t> values(static_cast<size_t>(shape_elements(shape)));
    for (int64_t& v : values)
      v = std::uniform_int_distribution<int64_t>(format.min(), format.max())(random_);
    return values;
  }

  std::string quantize(const std::string& real, const std::string& codes, const Scales& q) {
    pair("QuantizeLinear", real, codes, q);
    return codes;
  }
  std::string dequantize(const std::string& codes, const std::string& real, const Scales& q) {
    pair("DequantizeLinear", codes, real, q);
    return real;
  }
  // QuantizeLinear, [Clip of codes], DequantizeLinear: `real` is rounded to its codes.
  std::string fake_quantize(const std::string& from, const std::string& real, const Scales& q,
                            std::pair<int64_t, int64_t> clip = {0, 0}) {
    std::string codes = quantize(from, real + "_q", q);
    if (clip.first != clip.second) codes = clip_codes(codes, real + "_c", q.type, clip);
    return dequantize(codes, real, q);
  }
  std::string clip_codes(const std::string& from, const std::string& to, ElementType type,
                         std::pair<int64_t, int64_t> clip) {
    codes(to + "_low", type, {}, {clip.first});
    codes(to + "_high", type, {}, {clip.second});
    node("Clip", {from, to + "_low", to + "_high"}, {to}).set_name(to + "_clip");
    return to;
  }
  // A dequantized constant of random codes.
  std::string weight(const std::string& name, const Shape& shape, const Scales& q) {
    codes(name + "_q", q.type, shape, random_codes(shape, *integer_format(q.type)));
    return dequantize(name + "_q", name, q);
  }
  // A dequantized int32 bias of integers below 1000 at scales ifmap * weight.
  std::string bias(const std::string& name, int64_t channels, float ifmap, const Scales& w,
                   float factor = 1) {
    std::vector<int64_t> values = random_codes({channels}, {10, true});
    codes(name + "_q", ElementType::kInt32, {channels}, values);
    Scales own{.scales = {}, .zero_points = {}, .type = ElementType::kInt32, .axis = 0};
    for (const float scale : w.scales) own.scales.push_back(ifmap * scale * factor);
    return dequantize(name + "_q", name, own);
  }

 private:
  static void set_type(onnx::ValueInfoProto& info, ElementType type) {
    onnx::TensorProto scratch;
    store_codes(scratch, type, {}, {});
    info.mutable_type()->mutable_tensor_type()->set_elem_type(scratch.data_type());
  }
  void pair(const char* op, const std::string& from, const std::string& to, const Scales& q) {
    const auto count = static_cast<int64_t>(q.scales.size());
    const Shape shape = count == 1 ? Shape{} : Shape{count};
    floats(to + "_scale", shape, q.scales);
    std::vector<std::string> inputs = {from, to + "_scale"};
    if (!q.zero_points.empty()) inputs.push_back(codes(to + "_zero", q.type, shape, q.zero_points));
    auto& made = node(op, inputs, {to});
    made.set_name(to + "_" + op);
    if (count != 1) set(made, "axis", q.axis);
  }

  std::mt19937 random_{7};
};

}  // namespace widthwise
