#include "sim/matmul_path.h"

#include <algorithm>

#include "sim/layer_bounds.h"

namespace widthwise {
namespace {

const Stage& innermost_chain(const Accumulation& accumulation) {
  return *std::find_if(accumulation.stages.begin(), accumulation.stages.end(),
                       [](const Stage& s) { return s.kind == Stage::Kind::kChain; });
}

// Whether the outermost chain's wrapping alone decides, so that the order is free: what the others
// wrap away lies beyond its bits.
bool wraps_last(const Accumulation& accumulation) {
  return std::all_of(accumulation.stages.begin(), accumulation.stages.end(), [&](const Stage& s) {
    return s.kind == Stage::Kind::kTree ||
           (s.overflow == OverflowPolicy::kWrap && s.bits >= accumulation.outermost().bits);
  });
}

}  // namespace

MatmulPath MatmulPath::choose(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                              const Accumulation& accumulation, bool count, bool want_bytes,
                              const KernelTable& kernels) {
  const auto pack = [&](KernelMode mode) {
    return PackedMatmul::pack(layer, ifmap, accumulation, mode, kernels);
  };
  MatmulPath path;
  const Stage& chain = innermost_chain(accumulation);
  const bool safe = proven_safe(layer, ifmap, accumulation);
  if (safe || (!count && wraps_last(accumulation))) {
    if (want_bytes)
      path.bytes = pack_bytes(layer, ifmap, accumulation, KernelMode::kExact, kernels);
    if (!path.bytes) path.packed = pack(KernelMode::kExact);
    path.wrap_bits = safe ? 0 : accumulation.outermost().bits;
    return path;
  } else if (chain.overflow == OverflowPolicy::kSaturate) {
    if (want_bytes && !count) {
      path.bytes = pack_bytes(layer, ifmap, accumulation, KernelMode::kSaturate, kernels);
      if (path.bytes) return path;
    }
    path.packed = pack(count ? KernelMode::kSaturateCount : KernelMode::kSaturate);
  } else {
    path.packed = pack(KernelMode::kWrapCount);  // else only the last chain's wrapping would matter
  }
  if (!count) return path;
  path.exact = pack(KernelMode::kExact);
  if (!path.exact) path.packed.reset();
  return path;
}

Accumulation exact_accumulation(const Accumulation& accumulation) {
  return {.order = accumulation.order, .stages = {Stage{.bits = 62}}, .bias = accumulation.bias};
}

}  // namespace widthwise
