#include "models/graph_editor.h"

#include <cmath>

namespace widthwise {

void GraphEditor::keep(GraphNode node) {
  for (const std::string& value : node.outputs) writers_[value] = kept_.size();
  kept_.emplace_back(std::move(node));
}

const GraphNode* GraphEditor::writer(const std::string& value) const {
  const auto found = writers_.find(value);
  if (found == writers_.end() || !kept_[found->second]) return nullptr;
  return &*kept_[found->second];
}

const GraphNode* GraphEditor::only_reader_of(const std::string& value) const {
  const auto readers = readers_.find(value);
  const bool alone = readers == readers_.end() || readers->second <= 1;
  if (!alone || is_output(value)) return nullptr;
  const GraphNode* node = writer(value);
  return node != nullptr && node->outputs.size() == 1 ? node : nullptr;
}

GraphNode& GraphEditor::writer_to_change(const std::string& value) {
  return *kept_[writers_.at(value)];
}

void GraphEditor::take_back(const std::string& value) {
  const size_t at = writers_.at(value);
  const GraphNode node = *kept_[at];
  for (const std::string& output : node.outputs) writers_.erase(output);
  kept_[at].reset();
}

void GraphEditor::rename_output(const std::string& from, const std::string& to) {
  const size_t at = writers_.at(from);
  for (std::string& output : kept_[at]->outputs) {
    if (output == from) output = to;
  }
  writers_.erase(from);
  writers_[to] = at;
}

void GraphEditor::finish() {
  graph_.nodes.clear();
  for (auto& node : kept_) {
    if (node) graph_.nodes.push_back(std::move(*node));
  }
  kept_.clear();
}

void GraphEditor::replace(const std::string& value, const std::string& other) {
  replaced_[value] = other;
  readers_[other] += readers_[value] - 1;
}

void GraphEditor::apply_replacements(GraphNode& node) const {
  for (std::string& value : node.inputs) {
    for (auto found = replaced_.find(value); found != replaced_.end();
         found = replaced_.find(value))
      value = found->second;
  }
}

const Tensor* GraphEditor::constant(const std::string& value) const {
  const auto found = graph_.initializers.find(value);
  return found == graph_.initializers.end() ? nullptr : &found->second;
}

std::string GraphEditor::new_value(const std::string& wanted) { return names_.take(wanted); }

std::string GraphEditor::add_constant(const std::string& wanted, Tensor tensor) {
  std::string name = new_value(wanted);
  graph_.initializers.emplace(name, std::move(tensor));
  return name;
}

std::optional<Dequantized> GraphEditor::dequantized(const std::string& value) const {
  const GraphNode* node = writer(value);
  if (node == nullptr || node->op_type != "DequantizeLinear" || node->domain == kQonnxDomain ||
      node->inputs.size() < 2 || node->attributes.contains("block_size"))
    return std::nullopt;
  Dequantized d{.codes = node->inputs[0], .scale = node->inputs[1], .zero_point = ""};
  if (node->inputs.size() > 2) d.zero_point = node->inputs[2];
  d.scale_tensor = constant(d.scale);
  if (d.scale_tensor == nullptr || d.scale_tensor->type() != ElementType::kFloat ||
      d.scale_tensor->rank() > 1)
    return std::nullopt;
  if (!d.zero_point.empty()) {
    d.zero_point_tensor = constant(d.zero_point);
    if (d.zero_point_tensor == nullptr || is_real(d.zero_point_tensor->type()) ||
        d.zero_point_tensor->elements() != d.scale_tensor->elements())
      return std::nullopt;
  }
  if (const auto axis = node->attributes.find("axis"); axis != node->attributes.end()) {
    const auto* number = std::get_if<int64_t>(&axis->second);
    if (number == nullptr) return std::nullopt;
    d.axis = *number;
  }
  return d;
}

std::optional<CodeQuantization> GraphEditor::quantization(const GraphNode& node) const {
  if (node.domain != kOnnxDomain || node.inputs.size() < 3 ||
      node.attributes.contains("block_size"))
    return std::nullopt;
  const Tensor *scale = constant(node.inputs[1]), *zero_point = constant(node.inputs[2]);
  if (scale == nullptr || scale->elements() != 1 || scale->type() != ElementType::kFloat ||
      zero_point == nullptr || zero_point->elements() != 1)
    return std::nullopt;
  const auto format = integer_format(zero_point->type());
  if (!format || format->bits > 16) return std::nullopt;
  const CodeQuantization q{.scale = node.inputs[1],
                           .zero_point = node.inputs[2],
                           .scale_value = scale->values<float>()[0],
                           .zero_point_value = zero_point->integer(0),
                           .type = zero_point->type()};
  return std::isnormal(q.scale_value) && q.scale_value > 0 ? std::optional(q) : std::nullopt;
}

void GraphEditor::copy_format(const std::string& from, const std::string& to) {
  const auto found = graph_.formats.find(from);
  if (found != graph_.formats.end()) graph_.formats[to] = found->second;
}

}  // namespace widthwise
