#pragma once
#include <cstdint>
#include <vector>

#include "core/accumulation.h"
#include "models/integer_matmul.h"
#include "sim/layer_runner.h"
#include "sim/matmul_path.h"
#include "sim/reference.h"

namespace widthwise {

// Sums of one IntegerMatmul, [images, oc, rows, cols].
struct IntegerSums {
  std::vector<int64_t> values;
  std::vector<int64_t> overflow_counts;  // additions that did not fit; empty if not asked for
  LayerRecord record;                    // what was asked for
};

// A layer with its weights, biases (0 where there are none) and zero points, without scales.
QuantizedLayer layer_of(const IntegerMatmul& matmul);

// Accumulates an IntegerMatmul on a datapath: the weights are packed once, and it runs on any
// number of images of the same workload, zero points and bias. Thread-safe.
class IntegerAccumulator {
 public:
  enum class Record { kNothing, kCounts, kCensus };
  // A census has exact sums; see RunOptions.
  IntegerAccumulator(const IntegerMatmul& matmul, const Accumulation& accumulation, Record record,
                     const KernelTable& kernels);
  // Exact sums, whatever their width.
  IntegerAccumulator(const IntegerMatmul& matmul, const KernelTable& kernels);

  IntegerSums run(const IntegerMatmul& matmul, Workspace& workspace) const;
  // Whether it was made for this workload and format: networks may run on several image sizes.
  bool suits(const IntegerMatmul& matmul) const {
    return std::get<MatmulWorkload>(layer_.workload) == matmul.workload &&
           ifmap_.format == matmul.ifmap_format;
  }

 private:
  // function(workload, codes of an image, ...) of the reference.
  template <class Function>
  auto reference(Function&& function, const IntegerMatmul& matmul, int64_t image,
                 const Accumulation& accumulation) const;
  void run_reference(const IntegerMatmul& matmul, IntegerSums& result) const;
  void run_packed(const IntegerMatmul& matmul, Workspace& workspace, IntegerSums& result) const;
  static void count(const std::vector<int64_t>& exact, IntegerSums& result);

  QuantizedLayer layer_;
  TensorQuantization ifmap_;
  Accumulation accumulation_;
  Record record_ = Record::kNothing;
  const KernelTable& kernels_;
  MatmulPath path_;
};

}  // namespace widthwise
