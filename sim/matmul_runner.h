#pragma once
#include <vector>

#include "core/requantizer.h"
#include "sim/layer_runner.h"

namespace widthwise {

// Sums of one channel to codes: the kernel's loop where it has one, else the scalar reference.
class ChannelRequantizer {
 public:
  ChannelRequantizer(const RequantizeConfig& config, float ifmap_scale, float weight_scale,
                     const TensorQuantization& ofmap, int32_t q_min, int32_t q_max,
                     const KernelTable& kernels);
  void run(const int32_t* sums, int64_t count, int32_t* codes) const;
  int32_t operator()(int64_t sum) const { return reference_(sum); }

 private:
  Requantizer reference_;
  const KernelTable* kernels_;
  bool fast_ = false;
  RequantizeJob job_;
};

std::unique_ptr<LayerRunner> make_matmul_runner(const QuantizedNetwork& network,
                                                const QuantizedLayer& layer,
                                                const Datapath& datapath,
                                                const RunOptions& options);

}  // namespace widthwise
