#include "quant/record_collector.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace widthwise {
namespace {

constexpr size_t kLanes = 8;  // sums side by side, which the compiler turns into vectors

template <class T>
using Lanes = std::array<T, kLanes>;

double total(const Lanes<double>& lanes) {
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

TensorSums::TensorSums(std::span<const float> values, int64_t samples_)
    : samples(samples_), elements(std::ssize(values)) {
  const size_t each = values.size() / static_cast<size_t>(samples);
  Lanes<double> sums{};
  float least_of_all = std::numeric_limits<float>::infinity(), greatest_of_all = -least_of_all;
  for (int64_t sample = 0; sample < samples; ++sample) {
    const float* x = values.data() + static_cast<size_t>(sample) * each;
    Lanes<float> low, high;
    low.fill(x[0]);
    high.fill(x[0]);
    size_t i = 0;
    for (; i + kLanes <= each; i += kLanes) {
      for (size_t k = 0; k < kLanes; ++k) {
        low[k] = x[i + k] < low[k] ? x[i + k] : low[k];
        high[k] = x[i + k] > high[k] ? x[i + k] : high[k];
        sums[k] += static_cast<double>(x[i + k]);
      }
    }
    for (; i < each; ++i) {
      low[0] = std::min(low[0], x[i]);
      high[0] = std::max(high[0], x[i]);
      sums[0] += static_cast<double>(x[i]);
    }
    const float least = *std::min_element(low.begin(), low.end());
    const float greatest = *std::max_element(high.begin(), high.end());
    sum_of_minima += static_cast<double>(least);
    sum_of_maxima += static_cast<double>(greatest);
    least_of_all = std::min(least_of_all, least);
    greatest_of_all = std::max(greatest_of_all, greatest);
  }
  min = static_cast<double>(least_of_all);
  max = static_cast<double>(greatest_of_all);
  sum = total(sums);
}

TensorSums& TensorSums::operator+=(const TensorSums& next) {
  samples += next.samples;
  elements += next.elements;
  min = std::min(min, next.min);
  max = std::max(max, next.max);
  sum += next.sum;
  sum_of_minima += next.sum_of_minima;
  sum_of_maxima += next.sum_of_maxima;
  return *this;
}

RecordCollector::RecordCollector(Compat compat, int histogram_bins)
    : compat_(compat), bins_(histogram_bins) {
  deviations_.counts.resize(static_cast<size_t>(bins_));
}

void RecordCollector::add_batch(const TensorSums& batch) {
  const bool single = batch.samples == batch.elements;
  const auto samples = static_cast<double>(batch.samples),
             elements = static_cast<double>(batch.elements);
  const double low = single ? batch.min : batch.sum_of_minima / samples,
               high = single ? batch.max : batch.sum_of_maxima / samples;
  double past = static_cast<double>(all_.samples), weight = samples;
  double mean_past = static_cast<double>(all_.elements), mean_weight = elements;
  if (compat_ == Compat::kDistiller04) {
    past = mean_past;
    weight = single ? 1 : samples;
  } else if (compat_ == Compat::kDistiller03) {
    past = mean_past = static_cast<double>(batches_);
    weight = mean_weight = 1;
  }
  avg_min_ = (past * avg_min_ + weight * low) / (past + weight);
  avg_max_ = (past * avg_max_ + weight * high) / (past + weight);
  mean_ = (mean_past * mean_ + mean_weight * (batch.sum / elements)) / (mean_past + mean_weight);
  if (batches_++ == 0) first_samples_ = batch.samples;
  all_ += batch;
}

TensorDeviations RecordCollector::deviations(std::span<const float> values) const {
  Lanes<double> squares{}, absolutes{};
  const float* x = values.data();
  const double mean = mean_;
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t k = 0; k < kLanes; ++k) {
      const double d = static_cast<double>(x[i + k]) - mean;
      squares[k] += d * d;
      absolutes[k] += std::abs(d);
    }
  }
  for (; i < values.size(); ++i) {
    const double d = static_cast<double>(x[i]) - mean;
    squares[0] += d * d;
    absolutes[0] += std::abs(d);
  }
  TensorDeviations result{total(squares), total(absolutes),
                          std::vector<int64_t>(static_cast<size_t>(bins_))};
  if (bins_ == 0) return result;
  const double width = all_.max - all_.min;
  const double per_unit = width > 0 ? bins_ / width : 0, low = all_.min, last = bins_ - 1;
  for (const float value : values) {
    const double bin = std::clamp((static_cast<double>(value) - low) * per_unit, 0.0, last);
    ++result.counts[static_cast<size_t>(static_cast<int32_t>(bin))];
  }
  return result;
}

void RecordCollector::add_deviations(const TensorDeviations& next) {
  second_pass_ = true;
  deviations_.sum_of_squares += next.sum_of_squares;
  deviations_.sum_of_absolutes += next.sum_of_absolutes;
  for (size_t i = 0; i < next.counts.size(); ++i) deviations_.counts[i] += next.counts[i];
}

TensorStatistics RecordCollector::record(std::vector<int64_t> sample_shape) const {
  TensorStatistics s;
  s.min = all_.min;
  s.max = all_.max;
  s.images = all_.samples;
  s.avg_min = avg_min_;
  s.avg_max = avg_max_;
  s.mean = mean_;
  s.shape = std::move(sample_shape);
  s.shape.insert(s.shape.begin(), first_samples_);
  s.total_numel = all_.elements;
  if (!second_pass_) return s;
  const bool old = compat_ == Compat::kDistiller03;
  const auto n = static_cast<double>(all_.elements);
  s.std = std::sqrt(deviations_.sum_of_squares / (old ? std::max(n - 1, 1.0) : n));
  if (!old) s.b = deviations_.sum_of_absolutes / n;
  if (bins_ > 0) s.histogram = Histogram{all_.min, all_.max, deviations_.counts};
  return s;
}

}  // namespace widthwise
