#include <fmt/format.h>

#include <algorithm>

#include "models/evaluation.h"
#include "models/onnx_tensor.h"
#include "models/operator.h"

namespace widthwise {
namespace {

std::vector<Shape> infer_shape(const NodeView& node) { return {node.shape(0)}; }

// The low bits of a code, as a code of the type.
template <class To>
To low_bits(int64_t value, IntegerFormat format) {
  const int unused = 64 - format.bits;
  const auto shifted = static_cast<uint64_t>(value) << unused;
  return format.is_signed ? static_cast<To>(static_cast<int64_t>(shifted) >> unused)
                          : static_cast<To>(shifted >> unused);
}

template <class To, class From>
To convert(From value, ElementType type) {
  if (type == ElementType::kBool) return static_cast<To>(value != From{0});
  if constexpr (std::is_floating_point_v<To>) return static_cast<To>(value);
  if constexpr (std::is_floating_point_v<From>) {
    const IntegerFormat format = *integer_format(type);
    if (format.bits >= 8) return truncated<To>(static_cast<double>(value));
    return low_bits<To>(truncated<int64_t>(static_cast<double>(value)), format);
  }
  return low_bits<To>(static_cast<int64_t>(value), *integer_format(type));
}

ElementType target(const NodeView& node) {
  if (node.node().op_type == "CastLike") return node.tensor(1, "target_type").type();
  if (!node.has("to")) node.refuse("to", "is missing", "state the element type");
  const int64_t to = node.integer("to", 0);
  return element_type_of(static_cast<int>(std::clamp<int64_t>(to, 0, 1000)), node.graph().file,
                         fmt::format("node '{}' ({}), to", node.node().name, node.node().op_type));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const Tensor& input = node.tensor(0, "input");
  const ElementType type = target(node);
  if (type == input.type()) return {input};
  Tensor result = node.output(type, input.shape());
  visit_type(input.type(), [&](auto from_stored) {
    using From = decltype(from_stored);
    const auto from = input.values<From>();
    visit_type(type, [&](auto to_stored) {
      using To = decltype(to_stored);
      const auto to = result.write<To>();
      for (size_t i = 0; i < to.size(); ++i) to[i] = convert<To>(from[i], type);
    });
  });
  return {result};
}

}  // namespace

// Cast, CastLike. Integers keep their low bits. Real numbers go toward zero to integers of 8 bits
// and more, limited to their range (ONNX leaves that open; NaN gives 0), and keep their low bits in
// 4 and 2 bits, as in the standard's tests. bool is whether a number is not 0. `saturate` and
// `round_mode` are about 8-bit floats, which are not known here. Source: ONNX operators, opsets 6,
// 9, 13, 15, 19, 21, 23, 24, 25.
extern const Operator kCast, kCastLike;
const Operator kCast{"Cast", {"round_mode", "saturate", "to"}, 1, 1, infer_shape, evaluate};
const Operator kCastLike{"CastLike", {"round_mode", "saturate"}, 2, 2, infer_shape, evaluate};

}  // namespace widthwise
