#include <fmt/format.h>

#include <algorithm>

#include "models/evaluation.h"
#include "models/operator.h"
#include "models/sliding_window.h"

namespace widthwise {
namespace {

void check_weight(const NodeView& node) {
  const Shape &ifmap = node.shape(0), &weight = node.shape(1);
  const int64_t groups = node.integer("group", 1);
  if (ifmap.size() < 3 || weight.size() != ifmap.size())
    node.refuse("weight",
                fmt::format("has the shape {} for an ifmap of {}; needed are [N, C, axes...] and "
                            "[C, M / group, kernel...]",
                            shape_text(weight), shape_text(ifmap)),
                "export the network again");
  if (groups < 1 || groups > kMaxTensorElements || weight[0] != ifmap[1] ||
      ifmap[1] % groups != 0 || weight[1] < 1)
    node.refuse("group",
                fmt::format("is {} for {} channels and a weight of {}; allowed are divisors of the "
                            "channels with weight [C, M / group, ...]",
                            groups, ifmap[1], shape_text(weight)),
                "export the network again");
  const std::vector<int64_t> kernel(weight.begin() + 2, weight.end());
  if (node.integers("kernel_shape", kernel) != kernel)
    node.refuse("kernel_shape",
                fmt::format("differs from the weight's shape {}", shape_text(weight)),
                "leave it out, or correct it");
  for (const int64_t extent : kernel) {
    if (extent < 1 || extent > kMaxWindowExtent)
      node.refuse("weight", fmt::format("has the shape {}", shape_text(weight)),
                  "use a kernel of one tap or more");
  }
  if (node.has_input(2) && node.shape(2) != Shape{weight[1] * groups})
    node.refuse(
        "bias",
        fmt::format("has the shape {}, needed [{}]", shape_text(node.shape(2)), weight[1] * groups),
        "export the network again");
}

// The convolution whose ifmap is this node's ofmap: its window steps over this node's ifmap.
//   ofmap extent = stride * (extent - 1) + output_padding + dilation * (kernel - 1) + 1 - pads
// If output_shape or auto_pad decide the extent, the pads follow from it; an odd one goes to the
// end for SAME_UPPER, else to the begin.
SlidingWindow window(const NodeView& node) {
  check_weight(node);
  const Shape &ifmap = node.shape(0), &weight = node.shape(1);
  const size_t rank = ifmap.size() - 2;
  const auto strides = read_window_list(node, "strides", rank, 1, 1),
             dilations = read_window_list(node, "dilations", rank, 1, 1),
             added = read_window_list(node, "output_padding", rank, 0, 0),
             pads = read_window_list(node, "pads", 2 * rank, 0, 0);
  const std::string mode = node.text("auto_pad", "NOTSET");
  const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER", shaped = node.has("output_shape");
  if (!same && mode != "VALID" && mode != "NOTSET")
    node.refuse("auto_pad",
                fmt::format("is {}, allowed NOTSET, VALID, SAME_UPPER, SAME_LOWER", mode),
                "state the pads");
  if (mode != "NOTSET" && std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; }))
    node.refuse("pads", fmt::format("are given although auto_pad is {}", mode), "keep one of them");
  auto wanted = read_window_list(node, "output_shape",
                                 shaped ? node.integers("output_shape", {}).size() : 0, 0, 1);
  if (wanted.size() == rank + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);  // [N, M, ...]
  if (shaped && wanted.size() != rank)
    node.refuse("output_shape", fmt::format("has {} entries, needed {}", wanted.size(), rank),
                "give one extent per spatial axis");
  SlidingWindow w;
  for (size_t i = 0; i < rank; ++i) {
    SlidingWindow::Axis axis{.extent = 0,
                             .kernel = weight[2 + i],
                             .stride = strides[i],
                             .dilation = dilations[i],
                             .begin = pads[i],
                             .end = pads[rank + i],
                             .ofmap = ifmap[2 + i]};
    const int64_t full = axis.stride * (axis.ofmap - 1) + added[i] + axis.span();
    if (shaped || same) {
      axis.extent = shaped ? wanted[i] : axis.ofmap * axis.stride;
      const int64_t total = std::max<int64_t>(full - axis.extent, 0);
      axis.begin = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
      axis.end = total - axis.begin;
    } else {
      axis.extent = full - axis.begin - axis.end;
    }
    if (axis.ofmap < 1 || axis.extent < 1)
      node.refuse("ofmap", fmt::format("has the extent {} along spatial axis {}", axis.extent, i),
                  "use smaller pads or a larger input");
    w.axes.push_back(axis);
  }
  return w;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  const SlidingWindow w = window(node);
  Shape shape = {node.shape(0)[0], node.shape(1)[1] * node.integer("group", 1)};
  for (const SlidingWindow::Axis& axis : w.axes) shape.push_back(axis.extent);
  return {shape};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const SlidingWindow w = window(node);
  const Tensor &ifmap = node.tensor(0, "ifmap"), &weight = node.tensor(1, "weight");
  require_one_type(node, ifmap, weight);
  Tensor ofmap = node.output(ifmap.type(), infer_shape(node)[0]);
  const int64_t images = ifmap.shape()[0], group_out = weight.shape()[1],
                channels = ofmap.shape()[1], group_in = ifmap.shape()[1] / node.integer("group", 1);
  const int64_t in_pixels = w.ofmap_pixels(), out_pixels = w.ifmap_pixels(), kernel = w.taps();
  const auto bias = node.has_input(2) ? node.tensor(2, "bias").reals() : std::vector<double>();
  visit_real(node, ifmap, [&](auto stored) {
    using T = decltype(stored);
    const auto x = ifmap.values<T>(), k = weight.values<T>();
    const auto y = ofmap.write<T>();
    std::vector<double> sums(static_cast<size_t>(channels * out_pixels));  // of one image
    for (int64_t image = 0; image < images; ++image) {
      for (int64_t oc = 0; oc < channels; ++oc) {
        const double start = bias.empty() ? 0 : bias[static_cast<size_t>(oc)];
        std::fill_n(sums.begin() + oc * out_pixels, out_pixels, start);
      }
      for_each_pixel(w, [&](int64_t pixel, const std::vector<WindowTap>& taps, int64_t) {
        for (int64_t oc = 0; oc < channels; ++oc) {
          double* to = sums.data() + oc * out_pixels;
          for (int64_t i = 0; i < group_in; ++i) {
            const int64_t ic = oc / group_out * group_in + i;
            const auto value = static_cast<double>(
                x[static_cast<size_t>((image * ifmap.shape()[1] + ic) * in_pixels + pixel)]);
            const T* by = k.data() + (ic * group_out + oc % group_out) * kernel;
            for (const WindowTap& tap : taps)
              to[tap.ifmap] += value * static_cast<double>(by[tap.kernel]);
          }
        }
      });
      T* to = y.data() + image * channels * out_pixels;
      for (const double sum : sums) *to++ = static_cast<T>(sum);
    }
  });
  return {ofmap};
}

}  // namespace

// ConvTranspose: ifmap [N, C, axes...], weight [C, M / group, kernel...], optional bias [M] ->
// ofmap [N, M, axes...]: every element of the ifmap adds the kernel, scaled by it, to the ofmap.
// Source: ONNX operator, opsets 1, 11, 22.
extern const Operator kConvTranspose;
const Operator kConvTranspose{"ConvTranspose",
                              {"auto_pad", "dilations", "group", "kernel_shape", "output_padding",
                               "output_shape", "pads", "strides"},
                              2,
                              3,
                              infer_shape,
                              evaluate};

}  // namespace widthwise
