#include "models/node_view.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "core/error.h"

namespace widthwise {

void NodeView::refuse(const std::string& field, const std::string& problem,
                      const std::string& fix) const {
  throw InputError({.file = graph_.file,
                    .where = fmt::format("node '{}' ({})", node_.name, node_.op_type),
                    .field = field,
                    .problem = problem,
                    .fix = fix});
}

int64_t NodeView::batch() const {
  return graph_.inputs.empty() || graph_.inputs[0].shape.empty() ? GraphValue::kSymbolic
                                                                 : graph_.inputs[0].shape[0];
}

bool NodeView::has_activation() const {
  for (size_t i = 0; i < input_count(); ++i) {
    if (has_input(i) && constant(i) == nullptr) return true;
  }
  return false;
}

const Tensor* NodeView::constant(size_t i) const {
  if (!has_input(i)) return nullptr;
  if (bound_) return i < inputs_.size() ? inputs_[i] : nullptr;
  const auto found = graph_.initializers.find(node_.inputs[i]);
  return found == graph_.initializers.end() ? nullptr : &found->second;
}

std::string NodeView::input_name(size_t i) const {
  return has_input(i) ? fmt::format("input '{}'", node_.inputs[i]) : fmt::format("input {}", i);
}

const Shape& NodeView::shape(size_t i) const {
  if (bound_ && shapes_ != nullptr && has_input(i)) {
    const auto found = shapes_->find(node_.inputs[i]);
    if (found != shapes_->end()) return found->second;
  }
  if (const Tensor* tensor = constant(i)) return tensor->shape();
  if (!has_input(i) || bound_)
    refuse(input_name(i), "is missing", "the file is incomplete: export the network again");
  const auto found = shapes_->find(node_.inputs[i]);
  if (found == shapes_->end())
    refuse(input_name(i), "has no known shape", "run onnx.shape_inference on the network");
  return found->second;
}

const Tensor& NodeView::tensor(size_t i, const char* what) const {
  if (const Tensor* value = constant(i)) return *value;
  refuse(input_name(i),
         fmt::format("({}) is {}, allowed is a constant", what,
                     has_input(i) ? "not constant" : "missing"),
         "export with fixed shapes and constant folding (do_constant_folding=True)");
}

const Shape& NodeView::activation(size_t i, const char* what) const {
  if (!has_input(i))
    refuse(fmt::format("input {}", i), fmt::format("({}) is missing", what),
           "the file is incomplete: export the network again");
  if (one_image() && constant(i) != nullptr) {
    refuse(input_name(i),
           fmt::format("({}) is a constant, allowed is a value that depends on the input", what),
           "exchange the operands, or let the exporter fold constants");
  }
  return shape(i);
}

const Tensor& NodeView::float_constant(size_t i, const char* what) const {
  const Tensor* tensor = constant(i);
  if (tensor == nullptr || tensor->type() != ElementType::kFloat) {
    refuse(input_name(i),
           fmt::format("({}) is {}, allowed is a constant of type float", what,
                       tensor != nullptr ? element_type_name(tensor->type())
                       : has_input(i)    ? "not constant"
                                         : "missing"),
           "export the network for inference, with its weights as initializers");
  }
  for (const float value : tensor->values<float>()) {
    if (!std::isfinite(value))
      refuse(input_name(i), fmt::format("({}) holds {}, allowed are finite values", what, value),
             "check the training, or replace the value");
  }
  return *tensor;
}

std::vector<int64_t> NodeView::integer_constant(size_t i, const char* what) const {
  const Tensor* tensor = constant(i);
  const bool fits =
      tensor != nullptr && tensor->rank() <= 1 &&
      (tensor->type() == ElementType::kInt64 || tensor->type() == ElementType::kInt32);
  if (!fits) {
    refuse(input_name(i), fmt::format("({}) must be a constant list of int64", what),
           "export with fixed shapes and constant folding (do_constant_folding=True)");
  }
  return tensor->integers();
}

Tensor NodeView::output(ElementType type, const Shape& shape) const {
  if (shape_elements(shape) < 0) {
    refuse("output",
           fmt::format("has the shape {}, allowed are at most {} elements", shape_text(shape),
                       kMaxTensorElements),
           "use a smaller input or batch");
  }
  return {type, shape};
}

template <class T>
T NodeView::attribute(const std::string& name, T otherwise, const char* kind) const {
  const auto found = node_.attributes.find(name);
  if (found == node_.attributes.end()) return otherwise;
  if (const T* value = std::get_if<T>(&found->second)) return *value;
  refuse(name, fmt::format("must be {}", kind), "export the network again");
}

int64_t NodeView::integer(const std::string& name, int64_t otherwise) const {
  return attribute<int64_t>(name, otherwise, "an integer");
}

float NodeView::real(const std::string& name, float otherwise) const {
  const float value = attribute<float>(name, otherwise, "a number");
  if (std::isnan(value)) refuse(name, "is NaN", "give a number");
  return value;
}

std::string NodeView::text(const std::string& name, const std::string& otherwise) const {
  return attribute<std::string>(name, otherwise, "a string");
}

std::vector<int64_t> NodeView::integers(const std::string& name,
                                        std::vector<int64_t> otherwise) const {
  return attribute<std::vector<int64_t>>(name, std::move(otherwise), "a list of integers");
}

size_t NodeView::axis(const std::string& field, int64_t value, size_t rank) const {
  const auto extent = static_cast<int64_t>(rank);
  if (value < -extent || value >= extent) {
    refuse(field, fmt::format("is {}, allowed {}..{}", value, -extent, extent - 1),
           "name an axis that the input has");
  }
  return static_cast<size_t>(value < 0 ? value + extent : value);
}

void NodeView::require(const std::string& name, int64_t allowed, const std::string& fix) const {
  const int64_t value = integer(name, allowed);
  if (value != allowed) refuse(name, fmt::format("is {}, allowed {}", value, allowed), fix);
}

void NodeView::require_not_batch(const std::string& field, size_t axis) const {
  if (axis == 0 && one_image())
    refuse(field, "is 0, the batch; images of a batch are independent",
           "use another axis: the first one is the batch");
}

}  // namespace widthwise
