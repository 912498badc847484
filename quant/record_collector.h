#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "quant/linear_quantization.h"
#include "quant/statistics.h"

namespace widthwise {

// First pass over some samples of one tensor. Sums are in double, in an order that depends on the
// numbers of values and samples only.
struct TensorSums {
  int64_t samples = 0, elements = 0;
  double min = std::numeric_limits<double>::infinity(), max = -min;
  double sum = 0;  // of all elements; not finite where one of them is not
  double sum_of_minima = 0, sum_of_maxima = 0;  // of the samples' own

  TensorSums() = default;
  TensorSums(std::span<const float> values, int64_t samples);  // [samples, ...]
  TensorSums& operator+=(const TensorSums& next);              // the samples that follow
};

// Second pass: of x - mean, and counts over [min, max] in equal bins.
struct TensorDeviations {
  double sum_of_squares = 0, sum_of_absolutes = 0;
  std::vector<int64_t> counts;
};

// One tensor's record, n elements in all, by the definitions of
//                   kNone           kDistiller03           kDistiller04
// avg_min, avg_max  over samples    over batch averages    running: the past weighs by its
//                                                          elements, a batch by its samples
// mean              over elements   over batch means       over elements
// std               sqrt(sum / n)   sqrt(sum / (n - 1))    sqrt(sum / n)
// b                 sum / n         none                   sum / n
// (std: sums of (x - mean)^2; b: of |x - mean|).
// Where a sample is one element, the least and greatest of its batch stand for the samples' own
// minima and maxima (in kDistiller04 with the weight of one sample). `shape` is the first batch's.
// Source: data_loggers/collector.py of Distiller.
class RecordCollector {
 public:
  explicit RecordCollector(Compat compat, int histogram_bins = 0);

  void add_batch(const TensorSums& batch);                           // in the batches' order
  TensorDeviations deviations(std::span<const float> values) const;  // once all batches are added
  void add_deviations(const TensorDeviations& next);                 // in the order of the samples
  // std, b and the histogram once the deviations of all samples are added.
  TensorStatistics record(std::vector<int64_t> sample_shape) const;

 private:
  Compat compat_;
  int bins_;
  int64_t batches_ = 0, first_samples_ = 0;
  TensorSums all_;
  double avg_min_ = 0, avg_max_ = 0, mean_ = 0;
  bool second_pass_ = false;
  TensorDeviations deviations_;
};

}  // namespace widthwise
