#include "sim/vector_requantize.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/overflow.h"

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

// The greatest sum whose code is the least one or below, and the least sum whose code is the
// greatest one or above; the ends of int32 where there are none.
std::pair<int32_t, int32_t> limits_of_sums(const RequantizeJob& job) {
  const auto scaled = [&](int64_t sum) {
    return (sum * job.multiplier + job.rounding_addend) >> job.shift;
  };
  // The first sum in [INT32_MIN, INT32_MAX + 1] from which on `holds`.
  const auto first = [](auto&& holds) {
    int64_t low = INT32_MIN, high = int64_t{INT32_MAX} + 1;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (holds(middle)) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  };
  const int64_t least =
      first([&](int64_t sum) { return scaled(sum) > job.q_min - job.zero_point; }) - 1;
  const int64_t greatest =
      first([&](int64_t sum) { return scaled(sum) >= job.q_max - job.zero_point; });
  return {static_cast<int32_t>(std::max<int64_t>(least, INT32_MIN)),
          static_cast<int32_t>(std::min<int64_t>(greatest, INT32_MAX))};
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

TileRequantizer::TileRequantizer(std::span<const ChannelRequantizer> channels, int32_t zero_point,
                                 int32_t q_min, int32_t q_max, int32_t offset,
                                 const ByteKernelTable& kernels)
    : channels_(channels), kernels_(&kernels) {
  job_.zero_point = zero_point;
  job_.q_min = q_min;
  job_.q_max = q_max;
  job_.offset = offset;
  fast_ = true;
  const size_t whole = (channels.size() + kLaneChannels - 1) / kLaneChannels * kLaneChannels;
  float_multipliers_.resize(whole);
  for (auto* values : {&least_sums_, &greatest_sums_}) values->resize(whole);
  for (auto* values : {&multipliers_, &rounding_addends_, &shifts_}) values->resize(whole);
  for (size_t c = 0; c < channels.size(); ++c) {
    const RequantizeJob* job = channels[c].job();
    if (job == nullptr || job->use_float != channels[0].job()->use_float) {
      fast_ = false;
      return;
    }
    job_.use_float = job->use_float;
    float_multipliers_[c] = job->float_multiplier;
    if (job->use_float) continue;
    const size_t lane = c % kLaneChannels;
    const size_t at = c - lane + lane / 2 + lane % 2 * (kLaneChannels / 2);
    multipliers_[at] = job->multiplier;
    rounding_addends_[at] = job->rounding_addend;
    shifts_[at] = job->shift;
    std::tie(least_sums_[c], greatest_sums_[c]) = limits_of_sums(*job);
    // A ratio of at most a half leaves room for rounding and zero point.
    job_.limit_sums = job_.limit_sums || job->multiplier > int64_t{1} << (job->shift - 1);
  }
}

void TileRequantizer::run(int64_t channel, int64_t channels, int64_t count, const int32_t* sums,
                          int wrap_bits, uint8_t* to, int64_t stride) const {
  if (!fast_) {
    for (int64_t p = 0; p < count; ++p) {
      for (int64_t c = 0; c < channels; ++c) {
        int64_t sum = sums[p * kTileChannels + c];
        if (wrap_bits > 0) sum = fit(sum, wrap_bits, OverflowPolicy::kWrap);
        to[p * stride + c] =
            static_cast<uint8_t>(channels_[static_cast<size_t>(channel + c)](sum) + job_.offset);
      }
    }
    return;
  }
  ByteRequantizeJob job = job_;
  job.sums = sums;
  job.count = count;
  job.channels = channels;
  job.wrap_bits = wrap_bits < 32 ? wrap_bits : 0;
  job.float_multipliers = float_multipliers_.data() + channel;
  job.multipliers = multipliers_.data() + channel;
  job.rounding_addends = rounding_addends_.data() + channel;
  job.shifts = shifts_.data() + channel;
  job.least_sums = least_sums_.data() + channel;
  job.greatest_sums = greatest_sums_.data() + channel;
  job.bytes = to;
  job.stride = stride;
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
