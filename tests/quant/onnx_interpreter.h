#pragma once
// A small ONNX interpreter with plain loops, for the operators of a QCDQ file: what ONNX says of
// each, in float32. Sums of products are taken in double and rounded to float32 once, so they are
// at least as close to the exact sum as any order of float32 additions. Integers are kept as
// doubles, which hold every int32.
#include <onnx/onnx_pb.h>

#include <cmath>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace widthwise::testing_support {

class OnnxInterpreter {
 public:
  struct Value {
    std::vector<int64_t> shape;
    std::vector<double> v;
    int type = onnx::TensorProto::FLOAT;
    int64_t elements() const {
      int64_t product = 1;
      for (const int64_t extent : shape) product *= extent;
      return product;
    }
  };
  // Sees every value after it was computed, and may replace it.
  std::function<void(const std::string& name, Value& value)> observe = [](const std::string&,
                                                                          Value&) {};

  explicit OnnxInterpreter(const onnx::ModelProto& model) : graph_(model.graph()) {
    for (const auto& t : graph_.initializer()) constants_[t.name()] = constant(t);
  }

  // One image [1, ...] -> the graph's output.
  Value run(const Value& image) {
    values_ = constants_;
    values_[graph_.input(0).name()] = image;
    for (const auto& node : graph_.node()) {
      const std::vector<Value> outputs = execute(node);
      for (int i = 0; i < node.output_size(); ++i) {
        Value& value = values_[node.output(i)] = outputs.at(static_cast<size_t>(i));
        observe(node.output(i), value);
      }
    }
    return values_.at(graph_.output(0).name());
  }

 private:
  using Node = onnx::NodeProto;

  static Value constant(const onnx::TensorProto& t) {
    Value value;
    value.type = t.data_type();
    value.shape = {t.dims().begin(), t.dims().end()};
    value.v.assign(t.float_data().begin(), t.float_data().end());
    value.v.insert(value.v.end(), t.int32_data().begin(), t.int32_data().end());
    value.v.insert(value.v.end(), t.int64_data().begin(), t.int64_data().end());
    if (std::ssize(value.v) != value.elements()) throw std::runtime_error("raw data: " + t.name());
    return value;
  }

  static const onnx::AttributeProto* attribute(const Node& node, const std::string& name) {
    for (const auto& a : node.attribute()) {
      if (a.name() == name) return &a;
    }
    return nullptr;
  }
  static int64_t integer(const Node& node, const std::string& name, int64_t otherwise) {
    const auto* a = attribute(node, name);
    return a == nullptr ? otherwise : a->i();
  }
  static std::vector<int64_t> integers(const Node& node, const std::string& name,
                                       std::vector<int64_t> otherwise) {
    const auto* a = attribute(node, name);
    if (a == nullptr) return otherwise;
    return {a->ints().begin(), a->ints().end()};
  }
  const Value& in(const Node& node, int i) const { return values_.at(node.input(i)); }
  static bool has(const Node& node, int i) {
    return i < node.input_size() && !node.input(i).empty();
  }

  std::vector<Value> execute(const Node& node) const {
    const std::string& op = node.op_type();
    if (op == "Split") return split(node);
    if (op == "QuantizeLinear") return {quantize(node)};
    if (op == "DequantizeLinear") return {dequantize(node)};
    if (op == "Clip") return {clip(node)};
    if (op == "Conv") return {conv(node)};
    if (op == "Gemm") return {gemm(node)};
    if (op == "MaxPool") return {max_pool(node)};
    if (op == "GlobalAveragePool") return {global_average(node)};
    if (op == "Concat") return {concat(node)};
    if (op == "Transpose") return {transpose(node)};
    Value x = in(node, 0);
    if (op == "Relu") {
      for (double& v : x.v) v = std::max(v, 0.0);
    } else if (op == "Add") {
      for (size_t i = 0; i < x.v.size(); ++i) x.v[i] = float(x.v[i]) + float(in(node, 1).v[i]);
    } else if (op == "Flatten") {
      x.shape = {x.shape[0], x.elements() / x.shape[0]};
    } else if (op == "Reshape") {
      reshape(node, x);
    } else {
      throw std::runtime_error("no rule for " + op);
    }
    return {x};
  }

  Value quantize(const Node& node) const {
    Value y = in(node, 0);
    const float scale = static_cast<float>(in(node, 1).v.at(0));
    y.type = in(node, 2).type;
    const bool is_signed = y.type == onnx::TensorProto::INT8;
    for (double& v : y.v) {
      const double code = std::nearbyint(static_cast<float>(v) / scale) + in(node, 2).v.at(0);
      v = std::min(std::max(code, is_signed ? -128.0 : 0.0), is_signed ? 127.0 : 255.0);
    }
    return y;
  }

  Value dequantize(const Node& node) const {
    Value y = in(node, 0);
    const Value& scale = in(node, 1);
    const int64_t axis = integer(node, "axis", 1);
    const bool one = scale.v.size() == 1 && scale.shape.empty();
    const int64_t channels = one ? 1 : y.shape.at(static_cast<size_t>(axis));
    const int64_t inner = y.elements() / channels;  // axis 0, or one scale
    if (!one && axis != 0) throw std::runtime_error("only axis 0");
    for (size_t i = 0; i < y.v.size(); ++i) {
      const size_t c = one ? 0 : i / static_cast<size_t>(inner);
      const double zero_point = has(node, 2) ? in(node, 2).v.at(c) : 0;
      y.v[i] = static_cast<float>(y.v[i] - zero_point) * static_cast<float>(scale.v[c]);
    }
    y.type = onnx::TensorProto::FLOAT;
    return y;
  }

  Value clip(const Node& node) const {
    Value y = in(node, 0);
    for (double& v : y.v) {
      if (has(node, 1)) v = std::max(v, in(node, 1).v.at(0));
      if (has(node, 2)) v = std::min(v, in(node, 2).v.at(0));
    }
    return y;
  }

  // Calls tap(kernel index, ifmap index in a plane) for the taps inside, per ofmap position.
  template <class Position, class Tap>
  static std::vector<int64_t> slide(const Node& node, const std::vector<int64_t>& in_shape,
                                    const std::vector<int64_t>& kernel, Position&& position,
                                    Tap&& tap) {
    const auto pads = integers(node, "pads", {0, 0, 0, 0}),
               steps = integers(node, "strides", {1, 1}),
               dilations = integers(node, "dilations", {1, 1});
    const auto extent = [&](size_t i) {
      return (in_shape[2 + i] + pads[i] + pads[2 + i] - (kernel[i] - 1) * dilations[i] - 1) /
                 steps[i] +
             1;
    };
    for (int64_t y = 0; y < extent(0); ++y) {
      for (int64_t x = 0; x < extent(1); ++x) {
        position();
        for (int64_t r = 0; r < kernel[0]; ++r) {
          for (int64_t c = 0; c < kernel[1]; ++c) {
            const int64_t row = y * steps[0] - pads[0] + r * dilations[0];
            const int64_t col = x * steps[1] - pads[1] + c * dilations[1];
            if (row < 0 || row >= in_shape[2] || col < 0 || col >= in_shape[3]) continue;
            tap(r * kernel[1] + c, row * in_shape[3] + col);
          }
        }
      }
    }
    return {extent(0), extent(1)};
  }

  Value conv(const Node& node) const {
    const Value &x = in(node, 0), &w = in(node, 1);
    const int64_t groups = integer(node, "group", 1), oc = w.shape[0], ic = w.shape[1];
    const int64_t taps = w.shape[2] * w.shape[3], plane = x.shape[2] * x.shape[3];
    Value y;
    for (int64_t o = 0; o < oc; ++o) {
      const int64_t first = o / (oc / groups) * ic;
      std::vector<double> sums;
      const auto extents = slide(
          node, x.shape, {w.shape[2], w.shape[3]}, [&] { sums.push_back(0); },
          [&](int64_t k, int64_t at) {
            for (int64_t i = 0; i < ic; ++i) {
              sums.back() += x.v[static_cast<size_t>((first + i) * plane + at)] *
                             w.v[static_cast<size_t>((o * ic + i) * taps + k)];
            }
          });
      const double bias = has(node, 2) ? in(node, 2).v[static_cast<size_t>(o)] : 0;
      for (const double sum : sums) y.v.push_back(static_cast<float>(sum + bias));
      y.shape = {1, oc, extents[0], extents[1]};
    }
    return y;
  }

  Value gemm(const Node& node) const {
    const Value &x = in(node, 0), &w = in(node, 1);
    if (integer(node, "transB", 0) != 1) throw std::runtime_error("only transB");
    Value y;
    y.shape = {1, w.shape[0]};
    for (int64_t o = 0; o < w.shape[0]; ++o) {
      double sum = has(node, 2) ? in(node, 2).v[static_cast<size_t>(o)] : 0;
      for (int64_t k = 0; k < w.shape[1]; ++k) {
        sum += x.v[static_cast<size_t>(k)] * w.v[static_cast<size_t>(o * w.shape[1] + k)];
      }
      y.v.push_back(static_cast<float>(sum));
    }
    return y;
  }

  Value max_pool(const Node& node) const {
    const Value& x = in(node, 0);
    Value y;
    for (int64_t c = 0; c < x.shape[1]; ++c) {
      const auto extents = slide(
          node, x.shape, integers(node, "kernel_shape", {}), [&] { y.v.push_back(-1e30); },
          [&](int64_t, int64_t at) {
            y.v.back() =
                std::max(y.v.back(), x.v[static_cast<size_t>(c * x.shape[2] * x.shape[3] + at)]);
          });
      y.shape = {1, x.shape[1], extents[0], extents[1]};
    }
    return y;
  }

  Value global_average(const Node& node) const {
    const Value& x = in(node, 0);
    const auto plane = static_cast<size_t>(x.shape[2] * x.shape[3]);
    Value y;
    y.shape = {1, x.shape[1], 1, 1};
    for (size_t c = 0; c < x.v.size() / plane; ++c) {
      double sum = 0;
      for (size_t i = 0; i < plane; ++i) sum += x.v[c * plane + i];
      y.v.push_back(static_cast<float>(sum / static_cast<double>(plane)));
    }
    return y;
  }

  void reshape(const Node& node, Value& x) const {
    const int64_t elements = x.elements();
    std::vector<int64_t> shape;
    int64_t known = 1;
    for (const double extent : in(node, 1).v) {
      const size_t at = shape.size();
      shape.push_back(extent == 0 ? x.shape[at] : static_cast<int64_t>(extent));
      if (shape.back() > 0) known *= shape.back();
    }
    for (int64_t& extent : shape) {
      if (extent < 0) extent = elements / known;
    }
    x.shape = shape;
  }

  Value concat(const Node& node) const {  // along the channels of one image: end to end
    if (integer(node, "axis", 0) != 1) throw std::runtime_error("only axis 1");
    Value y = in(node, 0);
    for (int i = 1; i < node.input_size(); ++i) {
      const Value& x = in(node, i);
      y.v.insert(y.v.end(), x.v.begin(), x.v.end());
      y.shape[1] += x.shape[1];
    }
    return y;
  }

  std::vector<Value> split(const Node& node) const {
    if (integer(node, "axis", 0) != 1) throw std::runtime_error("only axis 1");
    const Value& x = in(node, 0);
    std::vector<Value> parts;
    auto at = x.v.begin();
    for (int i = 0; i < node.output_size(); ++i) {
      Value part = x;
      part.shape[1] = has(node, 1) ? static_cast<int64_t>(in(node, 1).v[static_cast<size_t>(i)])
                                   : x.shape[1] / node.output_size();
      part.v.assign(at, at + part.elements());
      at += part.elements();
      parts.push_back(part);
    }
    return parts;
  }

  Value transpose(const Node& node) const {
    const Value& x = in(node, 0);
    const std::vector<int64_t> order = integers(node, "perm", {});
    Value y = x;
    std::vector<int64_t> strides(x.shape.size(), 1);
    for (size_t i = x.shape.size() - 1; i-- > 0;) strides[i] = strides[i + 1] * x.shape[i + 1];
    for (size_t i = 0; i < order.size(); ++i) {
      y.shape[i] = x.shape[static_cast<size_t>(order[i])];
    }
    for (int64_t to = 0; to < x.elements(); ++to) {
      int64_t rest = to, from = 0;
      for (size_t i = order.size(); i-- > 0;) {
        from += rest % y.shape[i] * strides[static_cast<size_t>(order[i])];
        rest /= y.shape[i];
      }
      y.v[static_cast<size_t>(to)] = x.v[static_cast<size_t>(from)];
    }
    return y;
  }

  const onnx::GraphProto& graph_;
  std::map<std::string, Value> constants_, values_;
};

}  // namespace widthwise::testing_support
