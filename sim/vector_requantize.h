#pragma once
#include <cstdint>
#include <vector>

#include "core/requantizer.h"
#include "quant/quantized_network.h"
#include "sim/kernel.h"

namespace widthwise {

// The requantizers over rows: the kernel's loop where it has one (float32; multiplier and shift
// rounded half up or down), else the scalar reference. Both give the same codes.

// Sums of one output channel.
class ChannelRequantizer {
 public:
  // All but the first are what `reference` was made of.
  ChannelRequantizer(Requantizer reference, const RequantizeConfig& config, int32_t zero_point,
                     int32_t q_min, int32_t q_max, const KernelTable& kernels);
  void run(const int32_t* sums, int64_t count, int32_t* codes) const;
  int32_t operator()(int64_t sum) const { return reference_(sum); }

 private:
  Requantizer reference_;
  const KernelTable* kernels_;
  bool fast_ = false;
  RequantizeJob job_;
};

// Codes of one tensor, or the sum of two.
class RowRequantizer {
 public:
  RowRequantizer(const RequantizeConfig& config, const std::vector<TensorQuantization>& operands,
                 const TensorQuantization& ofmap, int32_t q_min, int32_t q_max,
                 const KernelTable& kernels);
  void run(const int32_t* first, const int32_t* second, int64_t count, int32_t* codes) const;

 private:
  ElementwiseRequantizer reference_;
  const KernelTable* kernels_;
  bool fast_ = false;
  ElementwiseJob job_;
};

}  // namespace widthwise
