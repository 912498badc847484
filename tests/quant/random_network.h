#pragma once
// Small float networks at random, of every operator that becomes a layer, with random statistics
// and quantization; all from one seed.
#include <algorithm>
#include <optional>
#include <random>

#include "core/error.h"
#include "models/fold.h"
#include "models/lowering.h"
#include "models/model.h"
#include "models/shape_inference.h"
#include "quant/calibrate.h"
#include "quant/quantize.h"
#include "tests/models/onnx_builder.h"

namespace widthwise::testing_support {

class RandomNetwork {
 public:
  RandomNetwork(uint32_t seed, int nodes) : random_(seed), builder_(input_shape(), opset()) {
    values_.push_back("x");
    shapes_["x"] = read_shape();
    for (int i = 0; i < nodes || values_.size() < 2; ++i) try_node();
    model.graph = fold(parsed(values_.back()));
    model.graph.name = "random";
    model.network = lower(model.graph);
  }

  Model model;

  // Of some images near the input's range, as calibration finds them.
  std::vector<float> images(int64_t count) {
    const FloatTensor& input = model.network.tensor(model.network.input);
    std::vector<float> values(static_cast<size_t>(count * input.elements()));
    for (float& v : values) v = real(-1.2F, 1.2F);
    return values;
  }

  // Calibrated on few images, so that codes spread over their range and some are cut off; or made
  // up, so that limits lie outside ranges and ranges are empty.
  Statistics statistics(bool calibrated) {
    Statistics found;
    if (calibrated) {
      const std::vector<float> some = images(4);
      const int64_t elements = model.network.tensor(model.network.input).elements();
      const ImageSource source = [&](int64_t first, int64_t n, std::span<float> to) {
        std::copy_n(some.begin() + first * elements, n * elements, to.begin());
      };
      return calibrate(model.network, source, 4, Progress::none());
    }
    for (const FloatTensor& tensor : model.network.tensors) {
      const float scale = std::exp2(real(-6, 4));
      found[tensor.name] = {one_in(4) ? 0 : real(-scale, 0.2F * scale), scale, 1};
      if (one_in(20)) found[tensor.name] = {0, 0, 1};
    }
    return found;
  }

  QuantizationConfig config() {
    QuantizationConfig c;
    c.ifmap = {any(2, 8), one_in(3)};
    c.weight = {any(2, 8), !one_in(5)};
    c.output_bits = one_in(2) ? 8 : any(2, 8);
    c.weights = !c.weight.is_signed || one_in(3) ? Symmetry::kAsymmetric : Symmetry::kSymmetric;
    c.activations = c.ifmap.is_signed && one_in(2) ? Symmetry::kSymmetric : Symmetry::kAsymmetric;
    c.per_channel = c.weights == Symmetry::kSymmetric ? !one_in(3) : one_in(5);
    c.power_of_two_scales = one_in(4);
    if (one_in(3)) c.elementwise_bits = any(2, 8);
    if (one_in(3)) c.first_last_bits = any(2, 8);
    if (c.first_last_bits && !c.elementwise_bits) c.elementwise_bits = 8;
    c.unsigned_activations = one_in(3);
    for (const FloatLayer& layer : model.network.layers) {
      if (!std::holds_alternative<MatmulWorkload>(layer.workload) || !one_in(8)) continue;
      c.layers[layer.name].weight = any(2, 8);
    }
    return c;
  }

  bool one_in(int n) { return random_() % static_cast<uint32_t>(n) == 0; }
  int any(int64_t low, int64_t high) {
    return static_cast<int>(
        low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1)));
  }

 private:
  float real(float low, float high) {
    return low + (high - low) * static_cast<float>(random_() % 65536) / 65536;
  }

  Shape input_shape() {
    input_ = {GraphValue::kSymbolic, any(1, 6)};
    if (!one_in(6)) input_.push_back(any(1, 7));
    if (input_.size() > 2 && !one_in(4)) input_.push_back(any(1, 7));
    return input_;
  }
  int opset() { return any(13, 18); }
  Shape read_shape() {
    Shape shape = input_;
    shape[0] = 1;
    return shape;
  }

  Graph parsed(const std::string& output) {
    onnx::ModelProto copy = builder_.model();
    OnnxBuilder::value(*copy.mutable_graph()->add_output(), output, {});
    return parse_graph(copy.SerializeAsString(), "random.onnx");
  }

  // A node that is refused is taken back.
  void try_node() {
    const onnx::ModelProto before = builder_.model();
    const std::string value = one_in(4) ? values_[random_() % values_.size()] : values_.back();
    const std::string name = "v" + std::to_string(++made_);
    add_node(value, name);
    const int node_count = builder_.graph().node_size();
    try {
      std::vector<std::string> outputs;
      const auto& last = builder_.graph().node(node_count - 1);
      for (const auto& output : last.output()) {
        lower(fold(parsed(output)));
        outputs.push_back(output);
      }
      const ValueShapes shapes = infer_image_shapes(parsed(outputs.back()));
      for (const std::string& output : outputs) {
        const Shape& shape = shapes.at(output);
        if (shape_elements(shape) > 2000 || shape.size() < 2) throw std::length_error("large");
        shapes_[output] = shape;
        values_.push_back(output);
      }
    } catch (const InputError&) {
      builder_.model() = before;
    } catch (const std::length_error&) {
      builder_.model() = before;
    }
  }

  std::string constant(const Shape& shape, float scale) {
    std::vector<float> values(static_cast<size_t>(shape_elements(shape)));
    for (float& v : values) v = one_in(12) ? 0 : real(-scale, scale);
    const std::string name = "c" + std::to_string(++made_);
    builder_.floats(name, shape, values);
    return name;
  }
  std::string integers(const std::vector<int64_t>& values) {
    const std::string name = "i" + std::to_string(++made_);
    builder_.integers(name, values);
    return name;
  }
  std::string scalar(float value) {
    const std::string name = "s" + std::to_string(++made_);
    builder_.floats(name, {}, {value});
    return name;
  }
  onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs) {
    auto& made = builder_.node(op, inputs, outputs);
    made.set_name(op + std::to_string(builder_.graph().node_size()));
    return made;
  }

  void add_node(const std::string& x, const std::string& y) {
    const Shape& shape = shapes_.at(x);
    switch (any(0, 17)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return shape.size() == 2 ? product(x, y, shape) : convolution(x, y, shape);
      case 4:
        return limit(x, y);
      case 5:
        return per_channel(x, y, shape);
      case 6:
        return normalization(x, y, shape);
      case 7:
      case 8:
        node("Add", {x, of_shape(shape, x)}, {y});
        return;
      case 9:
        return pool(x, y, shape, one_in(2) ? "MaxPool" : "AveragePool");
      case 10:
        node(one_in(4) ? "GlobalMaxPool" : "GlobalAveragePool", {x}, {y});
        return;
      case 11:
        set(node("Concat", {x, one_in(4) ? x : values_[random_() % values_.size()]}, {y}), "axis",
            int64_t{any(1, std::ssize(shape) - 1)});
        return;
      case 12:
        return split(x, y, shape);
      case 13:
        return slice(x, y, shape);
      case 14:
        return transpose(x, y, shape);
      case 15:
        return reshape(x, y, shape);
      case 16:
        node("Flatten", {x}, {y});
        return;
      default:
        return row_product(x, y, shape);
    }
  }

  std::string of_shape(const Shape& shape, const std::string& otherwise) {
    std::vector<std::string> same;
    for (const std::string& value : values_) {
      if (shapes_.at(value) == shape) same.push_back(value);
    }
    return same.empty() ? otherwise : same[random_() % same.size()];
  }

  void convolution(const std::string& x, const std::string& y, const Shape& shape) {
    const int64_t channels = shape[1];
    int64_t groups = one_in(3) ? channels : any(1, 3);
    if (channels % groups != 0) groups = 1;
    Shape weight = {groups * any(1, groups > 2 ? 2 : 4), channels / groups};
    std::vector<int64_t> kernel, strides, dilations, pads;
    for (size_t i = 2; i < shape.size(); ++i) {
      kernel.push_back(any(1, 3));
      strides.push_back(one_in(3) ? 2 : 1);
      dilations.push_back(one_in(5) ? 2 : 1);
    }
    for (size_t i = 2; i < 2 * shape.size() - 2; ++i) pads.push_back(any(0, 1));
    weight.insert(weight.end(), kernel.begin(), kernel.end());
    std::vector<std::string> inputs = {x, constant(weight, 1)};
    if (!one_in(3)) inputs.push_back(constant({weight[0]}, 0.5F));
    auto& conv = node("Conv", inputs, {y});
    set(conv, "group", groups);
    if (!one_in(3)) set(conv, "strides", strides);
    if (one_in(3)) set(conv, "dilations", dilations);
    if (one_in(5)) {
      set(conv, "auto_pad", one_in(2) ? "SAME_UPPER" : "SAME_LOWER");
    } else if (!one_in(3)) {
      set(conv, "pads", pads);
    }
  }

  void product(const std::string& x, const std::string& y, const Shape& shape) {
    const int64_t outputs = any(1, 6);
    if (one_in(3)) {
      node("MatMul", {x, constant({shape[1], outputs}, 1)}, {y});
      return;
    }
    const bool transposed = one_in(2);
    std::vector<std::string> inputs = {
        x, constant(transposed ? Shape{outputs, shape[1]} : Shape{shape[1], outputs}, 1)};
    if (!one_in(3)) inputs.push_back(constant({outputs}, 0.5F));
    auto& gemm = node("Gemm", inputs, {y});
    set(gemm, "transB", int64_t{transposed});
    if (one_in(4)) set(gemm, "alpha", 0.5F);
    if (one_in(4)) set(gemm, "beta", 2.0F);
  }

  void row_product(const std::string& x, const std::string& y, const Shape& shape) {
    node("MatMul", {x, constant({shape.back(), any(1, 5)}, 1)}, {y});
  }

  void limit(const std::string& x, const std::string& y) {
    if (one_in(2)) {
      node("Relu", {x}, {y});
    } else if (one_in(2)) {
      node("Clip", {x, scalar(0), scalar(6)}, {y});
    } else {
      const float low = real(-2, 1);
      std::vector<std::string> inputs = {x, scalar(low)};
      if (one_in(4)) inputs[1] = "";
      if (!one_in(4)) inputs.push_back(scalar(low + real(0, 2)));
      node("Clip", inputs, {y});
    }
  }

  void per_channel(const std::string& x, const std::string& y, const Shape& shape) {
    Shape one(shape.size() - 1, 1);
    one[0] = shape[1];
    if (one_in(4)) one = {};
    const std::string c = constant(one, 1);
    const char* kOps[] = {"Add", "Add", "Sub", "Mul", "Div"};
    const std::string op = kOps[random_() % std::size(kOps)];
    const bool first = one_in(4);
    node(op, first ? std::vector<std::string>{c, x} : std::vector<std::string>{x, c}, {y});
  }

  void normalization(const std::string& x, const std::string& y, const Shape& shape) {
    const Shape channels = {shape[1]};
    std::vector<float> variance;
    for (int64_t c = 0; c < shape[1]; ++c) variance.push_back(real(0.2F, 2));
    const std::string v = "n" + std::to_string(++made_);
    builder_.floats(v, channels, variance);
    node("BatchNormalization",
         {x, constant(channels, 1), constant(channels, 1), constant(channels, 1), v}, {y});
  }

  void pool(const std::string& x, const std::string& y, const Shape& shape, const std::string& op) {
    std::vector<int64_t> kernel, strides, pads, dilations;
    for (size_t i = 2; i < shape.size(); ++i) {
      kernel.push_back(any(1, 3));
      strides.push_back(any(1, 2));
      dilations.push_back(any(1, 2));
    }
    for (size_t i = 0; i < 2 * kernel.size(); ++i)  // below the kernel, as ONNX Runtime wants them
      pads.push_back(any(0, std::min<int64_t>(1, kernel[i % kernel.size()] - 1)));
    auto& made = node(op, {x}, {y});
    set(made, "kernel_shape", kernel);
    if (!one_in(3)) set(made, "strides", strides);
    if (one_in(2)) set(made, "pads", pads);
    if (op == "MaxPool" && one_in(4)) set(made, "dilations", dilations);
    if (one_in(5)) set(made, "ceil_mode", int64_t{1});
    if (op == "AveragePool" && !one_in(4)) set(made, "count_include_pad", int64_t{1});
  }

  void split(const std::string& x, const std::string& y, const Shape& shape) {
    const auto axis = static_cast<size_t>(any(1, std::ssize(shape) - 1));
    const int64_t first = any(1, std::max<int64_t>(1, shape[axis] - 1));
    auto& made = node("Split", {x, integers({first, shape[axis] - first})}, {y, y + "_second"});
    set(made, "axis", static_cast<int64_t>(axis));
  }

  void slice(const std::string& x, const std::string& y, const Shape& shape) {
    const auto axis = static_cast<size_t>(any(1, std::ssize(shape) - 1));
    const int64_t start = any(0, shape[axis] - 1);
    node("Slice",
         {x, integers({start}), integers({any(start + 1, shape[axis])}),
          integers({static_cast<int64_t>(axis)}), integers({one_in(4) ? 2 : 1})},
         {y});
  }

  void transpose(const std::string& x, const std::string& y, const Shape& shape) {
    std::vector<int64_t> order;
    for (size_t i = 0; i < shape.size(); ++i) order.push_back(static_cast<int64_t>(i));
    std::shuffle(order.begin() + 1, order.end(), random_);
    set(node("Transpose", {x}, {y}), "perm", order);
  }

  // Two axes merged, an axis cut in two, or an axis of 1 added.
  void reshape(const std::string& x, const std::string& y, const Shape& shape) {
    Shape to = shape;
    const auto axis = static_cast<size_t>(any(1, std::ssize(shape) - 1));
    if (one_in(3)) {
      to.insert(to.begin() + static_cast<std::ptrdiff_t>(axis), 1);
    } else if (axis + 1 < to.size()) {
      to[axis] *= to[axis + 1];
      to.erase(to.begin() + static_cast<std::ptrdiff_t>(axis) + 1);
    } else if (to[axis] % 2 == 0) {
      to[axis] /= 2;
      to.insert(to.begin() + static_cast<std::ptrdiff_t>(axis), 2);
    }
    // As exporters write the batch.
    to[0] = one_in(3) ? 0 : one_in(2) ? -1 : 1;
    if (to[0] != -1 && one_in(3)) to.back() = -1;
    node("Reshape", {x, integers(to)}, {y});
  }

  std::mt19937 random_;
  Shape input_;
  OnnxBuilder builder_;
  std::vector<std::string> values_;
  std::map<std::string, Shape> shapes_;
  int made_ = 0;
};

}  // namespace widthwise::testing_support
