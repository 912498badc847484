#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "models/evaluation.h"
#include "models/movement.h"
#include "models/ops/axes.h"

namespace widthwise {
namespace {

// One axis of the resized tensor. `length` is extent * scale, which need not be an integer.
struct Axis {
  int64_t from = 1, to = 1;
  double scale = 1, length = 1;
  double roi_begin = 0, roi_end = 1;  // in parts of the axis; tf_crop_and_resize
};

struct Settings {
  std::string mode = "nearest", coordinates = "half_pixel", rounding = "round_prefer_floor";
  double cubic = -0.75, extrapolation = 0;
  bool exclude_outside = false;
  bool legacy = false;  // before opset 11: Upsample, Resize without the settings
};

template <class Names>
void require_one_of(const NodeView& node, const std::string& field, const std::string& value,
                    const Names& names) {
  if (std::find(names.begin(), names.end(), value) != names.end()) return;
  std::string known;
  for (const char* name : names) known += (known.empty() ? "" : ", ") + std::string(name);
  node.refuse(field, fmt::format("is {}, allowed {}", value, known), "export with one of them");
}

Settings settings(const NodeView& node) {
  Settings s;
  s.mode = node.text("mode", "nearest");
  s.legacy = node.node().op_type == "Upsample" || node.opset() < 11;
  using Names = std::vector<const char*>;
  if (s.legacy) {
    if (s.mode == "bilinear") s.mode = "linear";
    s.coordinates = "asymmetric";
    require_one_of(node, "mode", s.mode, Names{"nearest", "linear"});
    return s;
  }
  s.coordinates = node.text("coordinate_transformation_mode", s.coordinates);
  s.rounding = node.text("nearest_mode", s.rounding);
  s.cubic = static_cast<double>(node.real("cubic_coeff_a", -0.75f));
  s.extrapolation = static_cast<double>(node.real("extrapolation_value", 0));
  s.exclude_outside = node.integer("exclude_outside", 0) != 0;
  require_one_of(node, "mode", s.mode, Names{"nearest", "linear", "cubic"});
  require_one_of(node, "nearest_mode", s.rounding,
                 Names{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  require_one_of(node, "coordinate_transformation_mode", s.coordinates,
                 Names{"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                       "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"});
  node.require("antialias", 0, "resize without antialiasing");
  return s;
}

// Scales as an attribute (Upsample-7) or as the input `i`; nothing if there are none.
std::optional<std::vector<double>> stated_scales(const NodeView& node, size_t i) {
  if (node.node().op_type == "Upsample" && node.opset() < 9) {
    const auto found = node.node().attributes.find("scales");
    if (found == node.node().attributes.end()) return std::nullopt;
    const auto* values = std::get_if<std::vector<float>>(&found->second);
    if (values == nullptr) node.refuse("scales", "must be a list of numbers", "correct it");
    return std::vector<double>(values->begin(), values->end());
  }
  if (!node.has_input(i)) return std::nullopt;
  const Tensor& tensor = node.tensor(i, "scales");
  if (tensor.type() != ElementType::kFloat) node.refuse("scales", "must be float", "correct them");
  if (tensor.elements() == 0) return std::nullopt;
  return tensor.reals();
}

int64_t rounded_extent(double value) { return static_cast<int64_t>(std::floor(value + 0.5)); }

// `sizes` of the axes, with the scales that keep_aspect_ratio_policy makes of them.
void apply_sizes(const NodeView& node, const std::vector<int64_t>& sizes,
                 const std::vector<size_t>& which, std::vector<Axis>& axes) {
  const std::string policy = node.text("keep_aspect_ratio_policy", "stretch");
  require_one_of(node, "keep_aspect_ratio_policy", policy,
                 std::vector<const char*>{"stretch", "not_larger", "not_smaller"});
  std::optional<double> common;
  for (size_t i = 0; i < which.size(); ++i) {
    Axis& axis = axes[which[i]];
    const bool whole_batch =
        which[i] == 0 && node.one_image() && node.batch() > 0 && sizes[i] == node.batch();
    axis.to = whole_batch ? 1 : sizes[i];
    if (axis.to < 0 || axis.to > kMaxTensorElements || (axis.from == 0 && axis.to != 0))
      node.refuse("sizes", fmt::format("hold {} for an extent of {}", axis.to, axis.from),
                  "correct them");
    axis.scale = axis.from == 0 ? 1 : static_cast<double>(axis.to) / static_cast<double>(axis.from);
    axis.length = static_cast<double>(axis.to);
    if (!common || (policy == "not_larger" ? axis.scale < *common : axis.scale > *common))
      common = axis.scale;
  }
  if (policy == "stretch") return;
  for (const size_t i : which) {
    axes[i].scale = *common;
    axes[i].length = static_cast<double>(axes[i].from) * *common;
    axes[i].to = rounded_extent(std::min(axes[i].length, 1e15));
  }
}

void apply_scales(const NodeView& node, const std::vector<double>& scales,
                  const std::vector<size_t>& which, std::vector<Axis>& axes) {
  for (size_t i = 0; i < which.size(); ++i) {
    Axis& axis = axes[which[i]];
    axis.scale = scales[i];
    axis.length = static_cast<double>(axis.from) * axis.scale;
    if (!(axis.scale > 0) || !(axis.length <= static_cast<double>(kMaxTensorElements)))
      node.refuse("scales", fmt::format("hold {}, allowed are positive numbers", axis.scale),
                  "correct them");
    axis.to = static_cast<int64_t>(std::floor(axis.length));
  }
}

void apply_roi(const NodeView& node, const std::vector<size_t>& which, std::vector<Axis>& axes) {
  const std::vector<double> roi =
      node.has_input(1) ? node.tensor(1, "roi").reals() : std::vector<double>();
  if (roi.size() != 2 * which.size())
    node.refuse("roi", fmt::format("has {} entries, needed {}", roi.size(), 2 * which.size()),
                "give two per axis: all begins, then all ends");
  for (size_t i = 0; i < which.size(); ++i) {
    axes[which[i]].roi_begin = roi[i];
    axes[which[i]].roi_end = roi[i + which.size()];
  }
}

std::vector<Axis> read_axes(const NodeView& node) {
  const Shape& from = node.shape(0);
  std::vector<Axis> axes(from.size());
  std::vector<size_t> which;
  for (size_t i = 0; i < from.size(); ++i)
    axes[i] = {.from = from[i], .to = from[i], .length = static_cast<double>(from[i])};
  for (const int64_t axis : node.integers("axes", identity_source(std::ssize(from)))) {
    which.push_back(node.axis("axes", axis, from.size()));
    if (std::count(which.begin(), which.end(), which.back()) > 1)
      node.refuse("axes", "name an axis twice", "name it once");
  }
  const Settings s = settings(node);
  std::vector<int64_t> sizes;
  if (!s.legacy && node.has_input(3)) sizes = node.integer_constant(3, "sizes");
  const auto scales = stated_scales(node, s.legacy ? 1 : 2);
  if (scales.has_value() == !sizes.empty() && !which.empty())
    node.refuse("scales, sizes", scales ? "are both given" : "are both missing",
                "give one of them");
  if ((scales ? scales->size() : sizes.size()) != which.size())
    node.refuse(scales ? "scales" : "sizes",
                fmt::format("have {} entries, needed {}", scales ? scales->size() : sizes.size(),
                            which.size()),
                "give one per axis");
  if (scales) {
    apply_scales(node, *scales, which, axes);
  } else {
    apply_sizes(node, sizes, which, axes);
  }
  if (s.coordinates == "tf_crop_and_resize") apply_roi(node, which, axes);
  return axes;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  const std::vector<Axis> axes = read_axes(node);
  Shape shape;
  for (size_t i = 0; i < axes.size(); ++i) {
    shape.push_back(axes[i].to);
    if (axes[i].to != axes[i].from) node.require_not_batch("axes", i);
    if (axes[i].to < 0 || (axes[i].from == 0 && axes[i].to != 0))
      node.refuse("ofmap", fmt::format("has the extent {}", axes[i].to), "use other scales");
  }
  return {shape};
}

// Where element `x` of the resized axis lies in the input.
double coordinate(const Axis& a, const std::string& mode, int64_t x) {
  const auto at = static_cast<double>(x);
  const double last = static_cast<double>(a.from) - 1;
  if (mode == "asymmetric") return at / a.scale;
  if (mode == "align_corners") return a.length == 1 ? 0 : at * last / (a.length - 1);
  if (mode == "tf_half_pixel_for_nn") return (at + 0.5) / a.scale;
  if (mode == "tf_crop_and_resize") {
    const double width = (a.roi_end - a.roi_begin) * last;
    const double inside = a.length == 1 ? width / 2 : at * width / (a.length - 1);
    return a.roi_begin * last + inside;
  }
  if (mode == "pytorch_half_pixel" && a.length == 1) return -0.5;
  const double centre = (at + 0.5) / a.scale - 0.5;
  if (mode != "half_pixel_symmetric") return centre;
  return centre + static_cast<double>(a.from) / 2 * (1 - static_cast<double>(a.to) / a.length);
}

double rounded(double x, const Settings& s, bool smaller) {
  if (s.legacy) return smaller ? std::ceil(x) : std::floor(x);
  if (s.rounding == "floor") return std::floor(x);
  if (s.rounding == "ceil") return std::ceil(x);
  return s.rounding == "round_prefer_floor" ? std::ceil(x - 0.5) : std::floor(x + 0.5);
}

struct Tap {
  int64_t from;
  double weight;
};

// The elements that make element x of the resized axis; none: the extrapolation value.
std::vector<Tap> taps(const Axis& a, const Settings& s, int64_t x) {
  if (a.from == a.to && a.scale == 1 && s.coordinates != "tf_crop_and_resize") return {{x, 1}};
  const double at = coordinate(a, s.coordinates, x), last = static_cast<double>(a.from) - 1;
  if (s.coordinates == "tf_crop_and_resize" && !(at >= 0 && at <= last)) return {};
  const auto clamped = [&](double i) {
    return std::isnan(i) ? 0 : static_cast<int64_t>(std::clamp(i, 0.0, last));
  };
  if (s.mode == "nearest") return {{clamped(rounded(at, s, a.scale < 1)), 1}};
  const double left = std::floor(at), t = at - left;
  std::vector<std::pair<double, double>> weighted = {{left, 1 - t}, {left + 1, t}};
  if (s.mode == "cubic") {  // Keys, with the parameter a
    const double p = s.cubic, r = 1 - t;
    const auto near = [&](double d) { return ((p + 2) * d - (p + 3)) * d * d + 1; };
    const auto far = [&](double d) { return ((p * d - 5 * p) * d + 8 * p) * d - 4 * p; };
    weighted = {
        {left - 1, far(t + 1)}, {left, near(t)}, {left + 1, near(r)}, {left + 2, far(r + 1)}};
  }
  double sum = 0;
  for (auto& [i, weight] : weighted) {
    if (s.exclude_outside && (i < 0 || i > last)) weight = 0;
    sum += weight;
  }
  std::vector<Tap> result;
  for (const auto& [i, weight] : weighted)
    result.push_back({clamped(i), s.exclude_outside ? weight / sum : weight});
  return result;
}

constexpr int64_t kMaxInterpolated = int64_t{1} << 20;  // the longest interpolated axis

// One axis after the other.
std::vector<double> interpolate(const NodeView& node, std::vector<double> values) {
  const std::vector<Axis> axes = read_axes(node);
  const Settings s = settings(node);
  Shape shape = node.shape(0);
  std::vector<bool> outside(values.size(), false);
  for (size_t i = 0; i < axes.size(); ++i) {
    const AxisSplit split = split_at(shape, i);
    shape[i] = axes[i].to;
    if (shape_elements(shape) < 0 || axes[i].to > kMaxInterpolated)
      node.refuse("sizes", fmt::format("lead to the shape {}", shape_text(shape)),
                  "resize by smaller scales");
    std::vector<std::vector<Tap>> of;
    for (int64_t x = 0; x < axes[i].to; ++x) of.push_back(taps(axes[i], s, x));
    std::vector<double> finer;
    std::vector<bool> now_outside;
    finer.reserve(static_cast<size_t>(shape_elements(shape)));
    for (int64_t o = 0; o < split.outer; ++o) {
      for (const auto& own : of) {
        for (int64_t in = 0; in < split.inner; ++in) {
          double sum = own.empty() ? s.extrapolation : 0;
          bool is_outside = own.empty();
          for (const Tap& tap : own) {
            const auto at = static_cast<size_t>((o * split.extent + tap.from) * split.inner + in);
            sum += values[at] * tap.weight;
            is_outside = is_outside || outside[at];
          }
          finer.push_back(is_outside ? s.extrapolation : sum);
          now_outside.push_back(is_outside);
        }
      }
    }
    values = std::move(finer);
    outside = std::move(now_outside);
  }
  return values;
}

// Nearest without extrapolation.
Sources sources(const NodeView& node) {
  const Settings s = settings(node);
  const std::vector<Axis> axes = read_axes(node);
  const auto strides = row_major_strides(node.shape(0));
  if (shape_elements(infer_shape(node)[0]) == 0) return {{}};
  std::vector<int64_t> source = {0};
  for (size_t i = 0; i < axes.size(); ++i) {
    std::vector<int64_t> finer;
    std::vector<int64_t> from;
    for (int64_t x = 0; x < axes[i].to; ++x) from.push_back(taps(axes[i], s, x)[0].from);
    for (const int64_t base : source) {
      for (const int64_t at : from) finer.push_back(base + at * strides[i]);
    }
    source = std::move(finer);
  }
  return {source};
}

bool moves_only(const NodeView& node) {
  const Settings s = settings(node);
  return s.mode == "nearest" && s.coordinates != "tf_crop_and_resize";
}

void lower(const NodeView& node, LayerBuilder& builder) {
  if (!moves_only(node))
    node.refuse("mode", "is not nearest, which alone has a layer",
                "run the network instead of quantizing it, or resize by nearest");
  lower_movement(node, builder, 1, sources(node));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const Tensor& data = node.tensor(0, "X");
  const Shape shape = infer_shape(node)[0];
  if (moves_only(node)) return move_tensors(node, 1, sources(node), {shape});
  require_number(node, data);
  const std::vector<double> values = interpolate(node, data.reals());
  Tensor result = node.output(data.type(), shape);
  visit_type(data.type(), [&](auto stored) {
    using T = decltype(stored);
    const auto to = result.write<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = truncated<T>(values[i]);
  });
  return {result};
}

}  // namespace

// Resize: nearest, linear and cubic interpolation along any axes, in double; integers toward zero.
// Upsample (and Resize in opset 10): nearest (toward the begin; downwards toward the end) and
// linear, asymmetric. As a layer: nearest. Source: ONNX operators, Resize opsets 10, 11, 13, 18,
// 19; Upsample 7, 9.
extern const Operator kResize, kUpsample;
const Operator kResize{
    "Resize",
    {"antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside",
     "extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode"},
    1,
    4,
    infer_shape,
    evaluate,
    lower};
const Operator kUpsample{"Upsample", {"mode", "scales"}, 1, 2, infer_shape, evaluate, lower};

}  // namespace widthwise
