#include "quant/weight_rounding.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace widthwise {
namespace {

constexpr int kSweeps = 8;

double real_of(int32_t code, const TensorQuantization& q) {
  return static_cast<double>(q.scale) * (code - q.zero_point);
}

int32_t code_of(double value, const TensorQuantization& q, int32_t least_code) {
  double code = std::nearbyint(value / static_cast<double>(q.scale)) + q.zero_point;
  if (std::isnan(code)) code = q.zero_point;
  return static_cast<int32_t>(
      std::clamp(code, static_cast<double>(least_code), static_cast<double>(q.format.max())));
}

}  // namespace

LeastErrorRounding::LeastErrorRounding(std::span<const double> hessian, int64_t length,
                                       double damping)
    : length_(length), order_(static_cast<size_t>(length)) {
  const auto given = [&](int64_t i, int64_t j) {
    return hessian[static_cast<size_t>(i * length + j)];
  };
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(),
                   [&](int64_t a, int64_t b) { return given(a, a) > given(b, b); });
  double trace = 0;
  for (int64_t i = 0; i < length; ++i) trace += given(i, i);
  damping_ = damping * trace / static_cast<double>(length);
  if (!(damping_ > 0)) damping_ = 1;  // the ifmap is constant: each weight by itself
  hessian_.resize(hessian.size());
  for (int64_t i = 0; i < length; ++i) {
    for (int64_t j = 0; j < length; ++j) {
      h(i, j) = given(order_[static_cast<size_t>(i)], order_[static_cast<size_t>(j)]);
    }
    h(i, i) += damping_;
  }
  factorize();
}

// From the last column on: U_kk = sqrt(H_kk - sum_{j>k} U_kj^2), and the column above it.
void LeastErrorRounding::factorize() {
  upper_ = hessian_;
  constexpr int64_t kSerial = 64;  // shorter columns are not worth a thread
  for (int64_t k = length_ - 1; k >= 0; --k) {
    double* row_k = upper_.data() + k * length_;
    const auto tail = [&](const double* row) {
      double sum = 0;
      for (int64_t j = k + 1; j < length_; ++j) sum += row[j] * row_k[j];
      return sum;
    };
    row_k[k] =
        std::sqrt(std::max(row_k[k] - tail(row_k), damping_));  // what it is, exactly, or more
    const auto above = [&](int64_t i) {
      double* row = upper_.data() + i * length_;
      row[k] = (row[k] - tail(row)) / row_k[k];
    };
    if (k < kSerial) {
      for (int64_t i = 0; i < k; ++i) above(i);
    } else {
      tbb::parallel_for(tbb::blocked_range<int64_t>(0, k, kSerial), [&](const auto& range) {
        for (int64_t i = range.begin(); i < range.end(); ++i) above(i);
      });
    }
    for (int64_t j = 0; j < k; ++j) row_k[j] = 0;
  }
}

std::vector<double> LeastErrorRounding::compensated(std::span<const double> weights,
                                                    std::span<const double> cross) const {
  // H w' = cross^T w + damping w, by U z = ... and U^T w' = z.
  std::vector<double> right(static_cast<size_t>(length_), 0);
  for (int64_t i = 0; i < length_; ++i) {
    const double w = weights[static_cast<size_t>(i)];
    for (int64_t j = 0; j < length_; ++j)
      right[static_cast<size_t>(j)] += w * cross[static_cast<size_t>(i * length_ + j)];
  }
  std::vector<double> z(right.size());
  for (int64_t i = length_ - 1; i >= 0; --i) {
    const auto from = static_cast<size_t>(order_[static_cast<size_t>(i)]);
    double sum = right[from] + damping_ * weights[from];
    for (int64_t j = i + 1; j < length_; ++j) sum -= u(i, j) * z[static_cast<size_t>(j)];
    z[static_cast<size_t>(i)] = sum / u(i, i);
  }
  std::vector<double> out(right.size());
  for (int64_t i = 0; i < length_; ++i) {
    const double value = z[static_cast<size_t>(i)] / u(i, i);
    out[static_cast<size_t>(order_[static_cast<size_t>(i)])] = value;
    for (int64_t j = i + 1; j < length_; ++j) z[static_cast<size_t>(j)] -= u(i, j) * value;
  }
  return out;
}

std::vector<int32_t> LeastErrorRounding::round(std::span<const double> weights,
                                               const TensorQuantization& q,
                                               int32_t least_code) const {
  const auto length = static_cast<size_t>(length_);
  std::vector<double> w(length), e(length), pending(length, 0);
  std::vector<int32_t> codes(length);
  for (size_t k = 0; k < length; ++k) w[k] = weights[static_cast<size_t>(order_[k])];
  for (size_t k = 0; k < length; ++k) {
    const double* row = upper_.data() + k * length;
    codes[k] = code_of(w[k] + pending[k] / row[k], q, least_code);
    e[k] = w[k] - real_of(codes[k], q);
    for (size_t j = k + 1; j < length; ++j) pending[j] += e[k] * row[j];
  }
  std::vector<double> slope(length, 0);  // H e
  const auto add = [&](size_t k, double change) {
    const double* row = hessian_.data() + k * length;
    for (size_t j = 0; j < length; ++j) slope[j] += row[j] * change;
  };
  for (size_t k = 0; k < length; ++k) add(k, e[k]);
  bool changed = true;
  for (int sweep = 0; sweep < kSweeps && changed; ++sweep) {
    changed = false;
    for (size_t k = 0; k < length; ++k) {
      const double diagonal = hessian_[k * length + k];
      const int32_t code = code_of(w[k] - e[k] + slope[k] / diagonal, q, least_code);
      if (code == codes[k]) continue;
      const double change = real_of(codes[k], q) - real_of(code, q);
      if (change * (2 * slope[k] + change * diagonal) >= 0) continue;  // a tie
      codes[k] = code;
      e[k] += change;
      add(k, change);
      changed = true;
    }
  }
  std::vector<int32_t> out(length);
  for (size_t k = 0; k < length; ++k) out[static_cast<size_t>(order_[k])] = codes[k];
  return out;
}

double LeastErrorRounding::error(std::span<const double> weights, const TensorQuantization& q,
                                 std::span<const int32_t> rounded) const {
  std::vector<double> e;
  for (const int64_t from : order_) {
    const auto i = static_cast<size_t>(from);
    e.push_back(weights[i] - real_of(rounded[i], q));
  }
  double sum = 0;
  for (int64_t i = 0; i < length_; ++i) {
    for (int64_t j = 0; j < length_; ++j)
      sum += e[static_cast<size_t>(i)] * h(i, j) * e[static_cast<size_t>(j)];
  }
  return sum;
}

}  // namespace widthwise
