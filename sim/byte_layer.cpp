#include "sim/byte_layer.h"

#include "sim/byte_depthwise.h"
#include "sim/byte_matmul.h"
#include "sim/byte_saturate.h"
#include "sim/code_tensor.h"

namespace widthwise {

std::shared_ptr<const ByteLayer> pack_bytes(const QuantizedLayer& layer,
                                            const TensorQuantization& ifmap,
                                            const Accumulation& accumulation, KernelMode mode,
                                            const KernelTable& kernels) {
  if (auto packed = ByteDepthwise::pack(layer, ifmap, accumulation, mode, kernels))
    return std::make_shared<ByteDepthwise>(*std::move(packed));
  if (mode == KernelMode::kSaturate) {
    if (auto packed = ByteSaturate::pack(layer, ifmap, accumulation, kernels))
      return std::make_shared<ByteSaturate>(*std::move(packed));
  }
  if (auto packed = ByteMatmul::pack(layer, ifmap, accumulation, mode, kernels))
    return std::make_shared<ByteMatmul>(*std::move(packed));
  return nullptr;
}

bool suits_bytes(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                 const Accumulation& accumulation, KernelMode mode, const KernelTable& kernels,
                 int64_t limit, int64_t sum_factor) {
  const Stage& chain = accumulation.outermost();
  const bool saturates = mode == KernelMode::kSaturate;
  if (kernels.bytes == nullptr || !CodeTensor::fits_bytes(ifmap.format)) return false;
  if (mode != KernelMode::kExact) {
    if (!saturates && mode != KernelMode::kCensus) return false;
    if (!has_one_fitted_chain(accumulation)) return false;
  }
  const int64_t largest = sum_limit(layer, ifmap);
  if (largest >= kInt32Limit || largest * sum_factor >= limit) return false;
  return !saturates || (chain.overflow == OverflowPolicy::kSaturate &&
                        largest + (int64_t{1} << (chain.bits - 1)) < limit);
}

}  // namespace widthwise
