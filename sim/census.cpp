#include "sim/census.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "core/integer_format.h"

namespace widthwise {
namespace {

int32_t within_int32(int64_t value) {
  return static_cast<int32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX));
}

int64_t above(const std::vector<int64_t>& histogram, int bits) {
  int64_t count = 0;
  for (size_t width = static_cast<size_t>(bits) + 1; width < histogram.size(); ++width)
    count += histogram[width];
  return count;
}

}  // namespace

LayerCensus::LayerCensus(std::vector<int32_t> bias, BiasMode bias_mode)
    : bias_(std::move(bias)),
      bias_mode_(bias_mode),
      per_channel_(bias_.size()),
      least_(std::numeric_limits<int64_t>::max()),
      greatest_(std::numeric_limits<int64_t>::min()) {
  for (int64_t c = 0; c < channels(); ++c) {
    Channel& channel = per_channel_[static_cast<size_t>(c)];
    channel.running.assign(kSlots, 0);
    channel.final.assign(kSlots, 0);
    const int64_t start = bias_[static_cast<size_t>(c)];
    for (const OverflowPolicy policy : {OverflowPolicy::kWrap, OverflowPolicy::kSaturate}) {
      for (int bits = kMinBits; bits < bias_bits(c); ++bits) {
        const int64_t moved =
            fit(start, bits, policy) - start;  // by fitting the start, in every sum
        const int64_t half = int64_t{1} << (bits - 1);
        channel.limits.push_back({-half - moved, half - 1 - moved});
        channel.floors.push_back(within_int32(channel.limits.back().floor));
        channel.ceilings.push_back(within_int32(channel.limits.back().ceiling));
      }
    }
    channel.outside.assign(channel.limits.size(), 0);
  }
}

int LayerCensus::bias_bits(int64_t channel) const {
  return bias_mode_ == BiasMode::kPreload ? signed_bits(bias_[static_cast<size_t>(channel)]) : 0;
}

void LayerCensus::add_row(int64_t channel, int64_t count, const int32_t* sums, const int32_t* low,
                          const int32_t* high, const KernelTable& kernels) {
  Channel& to = per_channel_[static_cast<size_t>(channel)];
  to.outputs += count;
  CensusJob job;
  job.sums = sums;
  job.low = low;
  job.high = high;
  job.count = count;
  job.running = to.running.data();
  job.final = to.final.data();
  job.floors = to.floors.data();
  job.ceilings = to.ceilings.data();
  job.limits = static_cast<int64_t>(to.floors.size());
  job.outside = to.outside.data();
  kernels.census(job);
  least_ = std::min<int64_t>(least_, job.least);
  greatest_ = std::max<int64_t>(greatest_, job.greatest);
}

void LayerCensus::add_row(int64_t channel, int64_t count, const int64_t* sums, const int64_t* low,
                          const int64_t* high) {
  Channel& to = per_channel_[static_cast<size_t>(channel)];
  to.outputs += count;
  for (int64_t i = 0; i < count; ++i) {
    ++to.running[static_cast<size_t>(std::max(signed_bits(low[i]), signed_bits(high[i])))];
    ++to.final[static_cast<size_t>(signed_bits(sums[i]))];
    least_ = std::min(least_, low[i]);
    greatest_ = std::max(greatest_, high[i]);
    for (size_t l = 0; l < to.limits.size(); ++l) {
      to.outside[l] += low[i] < to.limits[l].floor || high[i] > to.limits[l].ceiling;
    }
  }
}

void LayerCensus::merge(const LayerCensus& other) {
  const auto add = [](std::vector<int64_t>& to, const std::vector<int64_t>& from) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  };
  for (size_t c = 0; c < per_channel_.size(); ++c) {
    Channel& to = per_channel_[c];
    const Channel& from = other.per_channel_[c];
    to.outputs += from.outputs;
    add(to.running, from.running);
    add(to.final, from.final);
    add(to.outside, from.outside);
  }
  least_ = std::min(least_, other.least_);
  greatest_ = std::max(greatest_, other.greatest_);
}

int64_t LayerCensus::outputs() const {
  int64_t total = 0;
  for (const Channel& channel : per_channel_) total += channel.outputs;
  return total;
}

int64_t LayerCensus::hit(int bits, OverflowPolicy policy, int64_t channel) const {
  if (!is_wrap_or_saturate(policy)) throw std::logic_error("a census of another policy");
  const Channel& from = per_channel_[static_cast<size_t>(channel)];
  if (bits < bias_bits(channel)) {
    const size_t first = policy == OverflowPolicy::kWrap ? 0 : from.outside.size() / 2;
    return from.outside[first + static_cast<size_t>(bits - kMinBits)];
  }
  return above(from.running, bits);
}

int64_t LayerCensus::hit(int bits, OverflowPolicy policy) const {
  int64_t total = 0;
  for (int64_t c = 0; c < channels(); ++c) total += hit(bits, policy, c);
  return total;
}

int64_t LayerCensus::final_misfit(int bits, int64_t channel) const {
  return above(per_channel_[static_cast<size_t>(channel)].final, bits);
}

int64_t LayerCensus::final_misfit(int bits) const {
  int64_t total = 0;
  for (int64_t c = 0; c < channels(); ++c) total += final_misfit(bits, c);
  return total;
}

int LayerCensus::observed_bits() const {
  if (outputs() == 0) return 0;
  // The bias itself must fit too: a fitted start changes the sums even when no addition overflows.
  int bits = kMinBits;
  for (int64_t c = 0; c < channels(); ++c) bits = std::max(bits, bias_bits(c));
  return std::max({bits, signed_bits(least_), signed_bits(greatest_)});
}

}  // namespace widthwise
