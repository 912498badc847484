#include "sim/vector_requantize.h"

namespace widthwise {
namespace {

bool is_shift(RequantizeConfig::Kind kind) {
  return kind == RequantizeConfig::Kind::kMultiplierShift ||
         kind == RequantizeConfig::Kind::kPowerOfTwo;
}

// Half up and floor are an addend before the shift; the others look at the sign or at ties.
bool has_addend(Rounding rounding) {
  return rounding == Rounding::kHalfUp || rounding == Rounding::kFloor;
}
int64_t rounding_addend(Rounding rounding, int shift) {
  return rounding == Rounding::kHalfUp ? int64_t{1} << (shift - 1) : 0;
}

std::vector<ElementwiseRequantizer::Operand> operands_of(
    const std::vector<TensorQuantization>& quantizations) {
  std::vector<ElementwiseRequantizer::Operand> operands;
  for (const TensorQuantization& q : quantizations) {
    operands.push_back({q.scale, q.zero_point, q.format.bits});
  }
  return operands;
}

}  // namespace

ChannelRequantizer::ChannelRequantizer(Requantizer reference, const RequantizeConfig& config,
                                       int32_t zero_point, int32_t q_min, int32_t q_max,
                                       const KernelTable& kernels)
    : reference_(reference), kernels_(&kernels) {
  job_.zero_point = zero_point;
  job_.q_min = q_min;
  job_.q_max = q_max;
  if (config.kind == RequantizeConfig::Kind::kFloat32) {
    fast_ = job_.use_float = true;
    job_.float_multiplier = reference_.float_multiplier();
  } else if (is_shift(config.kind)) {
    // |sum| < 2^31 and multiplier < 2^31, so the product and half a unit fit 64 bits.
    const FixedMultiplier& fixed = reference_.fixed();
    fast_ = has_addend(config.rounding) && fixed.shift >= 1 && fixed.shift <= 62;
    job_.multiplier = fixed.multiplier;
    job_.shift = fixed.shift;
    if (fast_) job_.rounding_addend = rounding_addend(config.rounding, fixed.shift);
  }
}

void ChannelRequantizer::run(const int32_t* sums, int64_t count, int32_t* codes) const {
  if (!fast_) {
    for (int64_t i = 0; i < count; ++i) codes[i] = reference_(sums[i]);
    return;
  }
  RequantizeJob job = job_;
  job.sums = sums;
  job.count = count;
  job.codes = codes;
  kernels_->requantize(job);
}

RowRequantizer::RowRequantizer(const RequantizeConfig& config,
                               const std::vector<TensorQuantization>& operands,
                               const TensorQuantization& ofmap, int32_t q_min, int32_t q_max,
                               const KernelTable& kernels)
    : reference_(config, operands_of(operands), ofmap.scale, ofmap.zero_point, q_min, q_max),
      kernels_(&kernels) {
  job_.zero_point = ofmap.zero_point;
  job_.q_min = q_min;
  job_.q_max = q_max;
  job_.ofmap_scale = ofmap.scale;
  job_.first_scale = operands[0].scale;
  job_.first_zero_point = operands[0].zero_point;
  if (operands.size() == 2) {
    job_.second_scale = operands[1].scale;
    job_.second_zero_point = operands[1].zero_point;
  }
  if (config.kind == RequantizeConfig::Kind::kFloat32) {
    fast_ = job_.use_float = true;
  } else if (is_shift(config.kind)) {
    // |code - zero point| < 2^17 and a multiplier below 2^40 fit 64 bits with room for the addend.
    const int shift = reference_.shift();
    fast_ = has_addend(config.rounding) && shift >= 1 && shift <= 56;
    for (const int64_t multiplier : reference_.multipliers())
      fast_ = fast_ && multiplier < int64_t{1} << 40;
    job_.first_multiplier = reference_.multipliers()[0];
    if (operands.size() == 2) job_.second_multiplier = reference_.multipliers()[1];
    job_.shift = shift;
    if (fast_) job_.rounding_addend = rounding_addend(config.rounding, shift);
  }
}

void RowRequantizer::run(const int32_t* first, const int32_t* second, int64_t count,
                         int32_t* codes) const {
  if (!fast_) {
    for (int64_t i = 0; i < count; ++i) {
      codes[i] = second == nullptr ? reference_(first[i]) : reference_(first[i], second[i]);
    }
    return;
  }
  ElementwiseJob job = job_;
  job.first = first;
  job.second = second;
  job.count = count;
  job.codes = codes;
  kernels_->elementwise(job);
}

}  // namespace widthwise
