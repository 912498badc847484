#include "models/float_reference.h"

#include <algorithm>

#include "models/constant_folding.h"
#include "models/operator.h"
#include "models/shape_inference.h"
#include "models/sliding_window.h"

namespace widthwise {
namespace {

struct LayerReference {
  const FloatLayer& layer;
  std::vector<const Values*> inputs;

  Values operator()(const MatmulWorkload& matmul) const {
    const Window& w = matmul.window;
    return sweep(w, [&](int64_t oc, int64_t row, int64_t col) {
      double sum = layer.bias.empty() ? 0 : double{layer.bias[static_cast<size_t>(oc)]};
      const int64_t first = oc / matmul.group_ofmap_channels() * matmul.group_ifmap_channels();
      for (int64_t ic = 0; ic < matmul.group_ifmap_channels(); ++ic) {
        const double* image = inputs[0]->data() + (first + ic) * w.ifmap_rows * w.ifmap_cols;
        const float* kernel = layer.weights.data() + oc * matmul.reduction_length() +
                              ic * w.kernel_rows * w.kernel_cols;
        for_each_tap(w, row, col,
                     [&](int64_t k, int64_t i) { sum += image[i] * double{kernel[k]}; });
      }
      return sum;
    });
  }
  Values operator()(const MaxPoolWorkload& pool) const {
    const Window& w = pool.window;
    return sweep(w, [&](int64_t c, int64_t row, int64_t col) {
      const double* image = inputs[0]->data() + c * w.ifmap_rows * w.ifmap_cols;
      double largest = -std::numeric_limits<double>::infinity();
      for_each_tap(w, row, col, [&](int64_t, int64_t i) { largest = std::max(largest, image[i]); });
      return largest;
    });
  }
  Values operator()(const ElementwiseWorkload& elementwise) const {
    Values ofmap = *inputs[0];
    if (elementwise.kind == ElementwiseWorkload::Kind::kClamp) return ofmap;
    for (size_t i = 0; i < ofmap.size(); ++i) ofmap[i] += (*inputs[1])[i];
    return ofmap;
  }
  Values operator()(const MoveWorkload& move) const {
    Values all, ofmap;
    for (const Values* input : inputs) all.insert(all.end(), input->begin(), input->end());
    for (const int64_t i : move.source) ofmap.push_back(all[static_cast<size_t>(i)]);
    return ofmap;
  }

  template <class Pixel>
  static Values sweep(const Window& w, const Pixel& pixel) {
    Values ofmap;
    for (int64_t c = 0; c < w.ofmap_channels; ++c) {
      for (int64_t row = 0; row < w.ofmap_rows; ++row) {
        for (int64_t col = 0; col < w.ofmap_cols; ++col) ofmap.push_back(pixel(c, row, col));
      }
    }
    return ofmap;
  }
};

}  // namespace

std::vector<Values> run_float_reference(const FloatNetwork& network, const Values& image) {
  std::vector<Values> tensors(network.tensors.size());
  tensors[static_cast<size_t>(network.input)] = image;
  for (const FloatLayer& layer : network.layers) {
    LayerReference reference{layer, {}};
    for (const int i : layer.inputs) reference.inputs.push_back(&tensors[static_cast<size_t>(i)]);
    Values ofmap = std::visit(reference, layer.workload);
    for (double& value : ofmap) value = std::clamp(value, double{layer.low}, double{layer.high});
    tensors[static_cast<size_t>(layer.output)] = std::move(ofmap);
  }
  return tensors;
}

std::map<std::string, Values> run_graph_reference(Graph graph, const Values& image) {
  fold_constants(graph, {});
  std::map<std::string, Tensor> values;
  for (const auto& [name, tensor] : graph.initializers) {
    values[name] = tensor.type() == ElementType::kFloat
                       ? Tensor(ElementType::kDouble, tensor.shape(), tensor.reals())
                       : tensor;
  }
  // A fixed batch is filled with copies of the image, of which the first one counts.
  const std::string& input = graph.inputs.at(0).name;
  const Shape shape = input_shapes(graph).at(input);
  Values batch;
  for (int64_t i = 0; i < shape[0]; ++i) batch.insert(batch.end(), image.begin(), image.end());
  values[input] = Tensor(ElementType::kDouble, shape, batch);
  std::map<std::string, Values> result = {{input, image}};
  for (const GraphNode& node : graph.nodes) {
    std::vector<const Tensor*> inputs;
    for (const std::string& value : node.inputs)
      inputs.push_back(value.empty() ? nullptr : &values.at(value));
    const auto outputs = evaluate_node(NodeView(graph, node, std::move(inputs)));
    for (size_t i = 0; i < node.outputs.size() && i < outputs.size(); ++i) {
      values[node.outputs[i]] = outputs[i];
      result[node.outputs[i]] = outputs[i].reals();
      result[node.outputs[i]].resize(static_cast<size_t>(outputs[i].elements() / shape[0]));
    }
  }
  return result;
}

}  // namespace widthwise
