#include "sim/matmul_path.h"

#include <algorithm>

#include "sim/layer_bounds.h"

namespace widthwise {
namespace {

bool only_chain_is_outermost(const Accumulation& accumulation) {
  return std::count_if(accumulation.stages.begin(), accumulation.stages.end(),
                       [](const Stage& s) { return s.kind == Stage::Kind::kChain; }) == 1;
}

}  // namespace

MatmulPath MatmulPath::choose(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                              const Accumulation& accumulation, bool count, bool want_bytes,
                              const KernelTable& kernels) {
  const auto pack = [&](KernelMode mode) {
    return PackedMatmul::pack(layer, ifmap, accumulation, mode, kernels);
  };
  MatmulPath path;
  const Stage& chain = accumulation.outermost();
  const bool safe = proven_safe(layer, ifmap, accumulation);
  const bool wraps_last = chain.overflow == OverflowPolicy::kWrap && !count &&
                          only_chain_is_outermost(accumulation);  // the order is free
  if (safe || wraps_last) {
    if (want_bytes)
      path.bytes = pack_bytes(layer, ifmap, accumulation, KernelMode::kExact, kernels);
    if (!path.bytes) path.packed = pack(KernelMode::kExact);
    path.wrap_bits = safe ? 0 : chain.bits;
    return path;
  } else if (chain.overflow == OverflowPolicy::kSaturate) {
    if (want_bytes && !count) {
      path.bytes = pack_bytes(layer, ifmap, accumulation, KernelMode::kSaturate, kernels);
      if (path.bytes) return path;
    }
    path.packed = pack(count ? KernelMode::kSaturateCount : KernelMode::kSaturate);
  } else if (chain.overflow != OverflowPolicy::kWrap) {
    return path;  // no kernel has it
  } else if (count) {
    path.packed = pack(KernelMode::kWrapCount);
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
