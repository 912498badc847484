#include "hwmodel/tiling.h"

#include <fmt/format.h>

#include "core/error.h"

namespace widthwise {
namespace {

constexpr int64_t kMaxCount = int64_t{1} << 52;  // room for 2^11 counts of one product in 63 bits

// Product of positive extents; 0 if one is not positive or the product is above kMaxCount.
int64_t bounded_product(std::initializer_list<int64_t> extents) {
  __int128 product = 1;
  for (const int64_t extent : extents) {
    if (extent <= 0) return 0;
    product *= extent;
    if (product > kMaxCount) return 0;
  }
  return static_cast<int64_t>(product);
}

}  // namespace

Tiling tile(const MatmulWorkload& workload, const Accelerator& accelerator) {
  const Window& w = workload.window;
  const bool whole = workload.groups > 0 && w.ifmap_channels % workload.groups == 0 &&
                     w.ofmap_channels % workload.groups == 0;
  if (!whole ||
      bounded_product({w.ofmap_channels, w.ofmap_rows, w.ofmap_cols, w.ifmap_channels,
                       w.kernel_rows, w.kernel_cols}) == 0 ||
      bounded_product({w.ifmap_channels, w.ifmap_rows, w.ifmap_cols}) == 0) {
    throw InputError(
        {.file = "",
         .where = "",
         .field = "workload",
         .problem = fmt::format(
             "of {} ifmap channels, {} ofmap channels, {} x {} pixels, {} x {} taps, {} groups "
             "cannot be counted, allowed positive extents, channels that are multiples of the "
             "groups, and up to 2^52 products",
             w.ifmap_channels, w.ofmap_channels, w.ofmap_rows, w.ofmap_cols, w.kernel_rows,
             w.kernel_cols, workload.groups),
         .fix = "check the layer's shape"});
  }
  if (accelerator.array.array_template == "systolic_ws") {
    throw InputError({.file = accelerator.file,
                      .where = "",
                      .field = "array.template",
                      .problem =
                          "is systolic_ws, whose memory traffic is not modelled yet, allowed "
                          "dot_tree, systolic_os",
                      .fix = "describe a dot_tree array, such as edge-int8"});
  }
  Tiling tiling{workload.groups,
                w.ofmap_pixels(),
                workload.group_ofmap_channels(),
                workload.reduction_length(),
                0,
                0};
  tiling.row_tiles = ceil_div(tiling.pixels, accelerator.array.rows);
  tiling.col_tiles = ceil_div(tiling.channels, accelerator.array.cols);
  return tiling;
}

}  // namespace widthwise
