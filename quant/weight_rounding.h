#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "quant/quantized_network.h"

namespace widthwise {

// Rounds weights so that the layer's output errs least, not each weight by itself: with e = the
// wanted weights less the real numbers of the codes, the output's mean squared error is e H e^T.
//   - One weight after the other is rounded, those with the greatest variance of ifmap first; what
//     it errs by is made up for by the weights still to come. (GPTQ, Frantar et al. 2022, after
//     Optimal Brain Surgeon; as Babai's nearest plane: H = U U^T with U upper triangular, and code
//     k is that of w_k + sum_{j<k} e_j U_jk / U_kk.)
//   - Then each code in turn is set to the best one beside all others, until none changes, at most
//     kSweeps times. (Coordinate descent: QuantEase, Behdin et al. 2023.)
class LeastErrorRounding {
 public:
  // hessian: [length, length], symmetric, positive semidefinite: the covariance of the layer's
  // ifmap values, or their second moments if the bias stays. `damping` times the mean of its
  // diagonal is added to it.
  LeastErrorRounding(std::span<const double> hessian, int64_t length, double damping = 0.01);

  // The weights w' that make E (w x - w' y)^2 + damping |w - w'|^2 least, of real numbers: what is
  // to be rounded when the quantized network's ifmap y is not the float network's x.
  // cross: [length of x, length of y], E x y^T.
  std::vector<double> compensated(std::span<const double> weights,
                                  std::span<const double> cross) const;

  std::vector<int32_t> round(std::span<const double> weights, const TensorQuantization& codes,
                             int32_t least_code) const;

  // e H e^T, damping included.
  double error(std::span<const double> weights, const TensorQuantization& codes,
               std::span<const int32_t> rounded) const;

 private:
  double& h(int64_t i, int64_t j) { return hessian_[static_cast<size_t>(i * length_ + j)]; }
  double h(int64_t i, int64_t j) const { return hessian_[static_cast<size_t>(i * length_ + j)]; }
  double u(int64_t i, int64_t j) const { return upper_[static_cast<size_t>(i * length_ + j)]; }
  void factorize();

  int64_t length_;
  double damping_ = 0;           // as added
  std::vector<int64_t> order_;   // of rounding
  std::vector<double> hessian_;  // in that order, damped
  std::vector<double> upper_;    // U
};

}  // namespace widthwise
