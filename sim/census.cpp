#include "sim/census.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "core/integer_format.h"

namespace widthwise {
namespace {

template <class Int>
int width_of(Int low, Int high) {
  using Unsigned = std::make_unsigned_t<Int>;
  const auto magnitude = [](Int value) {
    return static_cast<Unsigned>(value < 0 ? ~value : value);
  };
  return 1 +
         static_cast<int>(std::bit_width(static_cast<Unsigned>(magnitude(low) | magnitude(high))));
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
    for (auto& hits : channel.fitted_bias_hits) hits.assign(static_cast<size_t>(bias_bits(c)), 0);
  }
}

int LayerCensus::bias_bits(int64_t channel) const {
  return bias_mode_ == BiasMode::kPreload ? signed_bits(bias_[static_cast<size_t>(channel)]) : 0;
}

template <class Int>
void LayerCensus::add_row(int64_t channel, int64_t count, const Int* sums, const Int* low,
                          const Int* high) {
  Channel& to = per_channel_[static_cast<size_t>(channel)];
  to.outputs += count;
  Int least = std::numeric_limits<Int>::max(), greatest = std::numeric_limits<Int>::min();
  for (int64_t i = 0; i < count; ++i) {
    ++to.running[static_cast<size_t>(width_of(low[i], high[i]))];
    ++to.final[static_cast<size_t>(width_of(sums[i], sums[i]))];
    least = std::min(least, low[i]);
    greatest = std::max(greatest, high[i]);
  }
  least_ = std::min<int64_t>(least_, least);
  greatest_ = std::max<int64_t>(greatest_, greatest);
  const int64_t bias = bias_[static_cast<size_t>(channel)];
  for (int bits = kMinBits; bits < bias_bits(channel); ++bits) {
    for (const OverflowPolicy policy : {OverflowPolicy::kWrap, OverflowPolicy::kSaturate}) {
      const int64_t moved =
          fit(bias, bits, policy) - bias;  // what fitting the start adds to every sum
      const int64_t floor = -(int64_t{1} << (bits - 1)) - moved,
                    ceiling = (int64_t{1} << (bits - 1)) - 1 - moved;
      int64_t hits = 0;
      for (int64_t i = 0; i < count; ++i) hits += low[i] < floor || high[i] > ceiling;
      to.fitted_bias_hits[static_cast<size_t>(policy)][static_cast<size_t>(bits)] += hits;
    }
  }
}
template void LayerCensus::add_row(int64_t, int64_t, const int32_t*, const int32_t*,
                                   const int32_t*);
template void LayerCensus::add_row(int64_t, int64_t, const int64_t*, const int64_t*,
                                   const int64_t*);

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
    for (size_t policy = 0; policy < 2; ++policy)
      add(to.fitted_bias_hits[policy], from.fitted_bias_hits[policy]);
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
  const Channel& from = per_channel_[static_cast<size_t>(channel)];
  if (bits < bias_bits(channel))
    return from.fitted_bias_hits[static_cast<size_t>(policy)][static_cast<size_t>(bits)];
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
  return std::max(bits, width_of(least_, greatest_));
}

}  // namespace widthwise
