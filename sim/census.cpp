#include "sim/census.h"

#include <algorithm>
#include <limits>
#include <numeric>
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

template <class Channels, class Get>
int64_t least_of(const Channels& channels, Get&& get) {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const auto& channel : channels) least = std::min(least, get(channel));
  return least;
}
template <class Channels, class Get>
int64_t greatest_of(const Channels& channels, Get&& get) {
  int64_t greatest = std::numeric_limits<int64_t>::min();
  for (const auto& channel : channels) greatest = std::max(greatest, get(channel));
  return greatest;
}

}  // namespace

LayerCensus::LayerCensus(std::vector<int32_t> bias, const Accumulation& accumulation)
    : bias_(std::move(bias)),
      bias_mode_(accumulation.bias),
      has_inner_(accumulation.chains() > 1),
      per_channel_(bias_.size()) {
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

void LayerCensus::add_row(int64_t channel, int64_t count, const CensusRow<int32_t>& row,
                          const KernelTable& kernels) {
  Channel& to = per_channel_[static_cast<size_t>(channel)];
  to.outputs += count;
  CensusJob job;
  job.sums = row.sums;
  job.low = row.low;
  job.high = row.high;
  job.count = count;
  job.running = to.running.data();
  job.final = to.final.data();
  job.floors = to.floors.data();
  job.ceilings = to.ceilings.data();
  job.limits = static_cast<int64_t>(to.floors.size());
  job.outside = to.outside.data();
  kernels.census(job);
  to.least = std::min<int64_t>(to.least, job.least);
  to.greatest = std::max<int64_t>(to.greatest, job.greatest);
  if (has_inner_) add_inner(to, count, row);
}

void LayerCensus::add_image(const PrefixExtremes& image) {
  if (channels() == 0) return;
  const auto pixels = std::ssize(image.sums) / channels();
  for (int64_t channel = 0; channel < channels(); ++channel) {
    const auto row = [&](const std::vector<int64_t>& of) {
      return of.empty() ? nullptr : of.data() + channel * pixels;
    };
    add_row(channel, pixels,
            {.sums = row(image.sums),
             .low = row(image.low),
             .high = row(image.high),
             .inner_low = row(image.inner_low),
             .inner_high = row(image.inner_high)});
  }
}

void LayerCensus::add_row(int64_t channel, int64_t count, const CensusRow<int64_t>& row) {
  Channel& to = per_channel_[static_cast<size_t>(channel)];
  to.outputs += count;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t low = row.low[i], high = row.high[i];
    ++to.running[static_cast<size_t>(std::max(signed_bits(low), signed_bits(high)))];
    ++to.final[static_cast<size_t>(signed_bits(row.sums[i]))];
    to.least = std::min(to.least, low);
    to.greatest = std::max(to.greatest, high);
    for (size_t l = 0; l < to.limits.size(); ++l)
      to.outside[l] += low < to.limits[l].floor || high > to.limits[l].ceiling;
  }
  if (has_inner_) add_inner(to, count, row);
}

template <class Integer>
void LayerCensus::add_inner(Channel& to, int64_t count, const CensusRow<Integer>& row) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t low = row.low[i], high = row.high[i], inner_low = row.inner_low[i],
                  inner_high = row.inner_high[i];
    const auto inner =
        static_cast<size_t>(std::max(signed_bits(inner_low), signed_bits(inner_high)));
    if (to.running_by_inner.size() <= inner) {
      to.running_by_inner.resize(inner + 1, std::vector<int64_t>(kSlots));
      to.outside_by_inner.resize(inner + 1, std::vector<int64_t>(to.limits.size()));
    }
    ++to.running_by_inner[inner]
                         [static_cast<size_t>(std::max(signed_bits(low), signed_bits(high)))];
    for (size_t l = 0; l < to.limits.size(); ++l) {
      to.outside_by_inner[inner][l] += low < to.limits[l].floor || high > to.limits[l].ceiling;
    }
    to.inner_least = std::min(to.inner_least, inner_low);
    to.inner_greatest = std::max(to.inner_greatest, inner_high);
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
    to.all_outside += from.all_outside;
    to.least = std::min(to.least, from.least);
    to.greatest = std::max(to.greatest, from.greatest);
    add(to.running, from.running);
    add(to.final, from.final);
    add(to.outside, from.outside);
    to.inner_least = std::min(to.inner_least, from.inner_least);
    to.inner_greatest = std::max(to.inner_greatest, from.inner_greatest);
    const size_t inner = std::max(to.running_by_inner.size(), from.running_by_inner.size());
    to.running_by_inner.resize(inner, std::vector<int64_t>(kSlots));
    to.outside_by_inner.resize(inner, std::vector<int64_t>(to.limits.size()));
    for (size_t i = 0; i < from.running_by_inner.size(); ++i) {
      add(to.running_by_inner[i], from.running_by_inner[i]);
      add(to.outside_by_inner[i], from.outside_by_inner[i]);
    }
  }
}

int64_t LayerCensus::least() const {
  return least_of(per_channel_, [](const Channel& c) { return c.least; });
}
int64_t LayerCensus::greatest() const {
  return greatest_of(per_channel_, [](const Channel& c) { return c.greatest; });
}
int64_t LayerCensus::inner_least() const {
  return least_of(per_channel_, [](const Channel& c) { return c.inner_least; });
}
int64_t LayerCensus::inner_greatest() const {
  return greatest_of(per_channel_, [](const Channel& c) { return c.inner_greatest; });
}

int64_t LayerCensus::outputs() const {
  int64_t total = 0;
  for (const Channel& channel : per_channel_) total += channel.outputs;
  return total;
}

size_t LayerCensus::outside_index(const Channel& channel, int bits, OverflowPolicy policy) {
  const size_t first = policy == OverflowPolicy::kWrap ? 0 : channel.limits.size() / 2;
  return first + static_cast<size_t>(bits - kMinBits);
}

int64_t LayerCensus::hit(int bits, OverflowPolicy policy, int64_t channel) const {
  if (!is_wrap_or_saturate(policy)) throw std::logic_error("a census of another policy");
  const Channel& from = per_channel_[static_cast<size_t>(channel)];
  if (bits < bias_bits(channel))
    return from.all_outside + from.outside[outside_index(from, bits, policy)];
  return above(from.running, bits);
}

int64_t LayerCensus::hit(int bits, OverflowPolicy policy) const {
  return over_channels([&](int64_t c) { return hit(bits, policy, c); });
}

int64_t LayerCensus::inner_hit(int inner_bits, int64_t channel) const {
  if (!has_inner_) throw std::logic_error("a census without an inner chain");
  const auto& from = per_channel_[static_cast<size_t>(channel)].running_by_inner;
  int64_t count = 0;
  for (size_t inner = static_cast<size_t>(inner_bits) + 1; inner < from.size(); ++inner)
    count += std::accumulate(from[inner].begin(), from[inner].end(), int64_t{0});
  return count;
}

int64_t LayerCensus::inner_hit(int inner_bits) const {
  return over_channels([&](int64_t c) { return inner_hit(inner_bits, c); });
}

int64_t LayerCensus::hit(int inner_bits, int bits, OverflowPolicy policy, int64_t channel) const {
  if (!is_wrap_or_saturate(policy)) throw std::logic_error("a census of another policy");
  int64_t count = inner_hit(inner_bits, channel);
  const Channel& from = per_channel_[static_cast<size_t>(channel)];
  const size_t fits = std::min(static_cast<size_t>(inner_bits) + 1, from.running_by_inner.size());
  for (size_t inner = 0; inner < fits; ++inner) {
    count += bits < bias_bits(channel)
                 ? from.outside_by_inner[inner][outside_index(from, bits, policy)]
                 : above(from.running_by_inner[inner], bits);
  }
  return count;
}

int64_t LayerCensus::hit(int inner_bits, int bits, OverflowPolicy policy) const {
  return over_channels([&](int64_t c) { return hit(inner_bits, bits, policy, c); });
}

int64_t LayerCensus::final_misfit(int bits, int64_t channel) const {
  return above(per_channel_[static_cast<size_t>(channel)].final, bits);
}

int64_t LayerCensus::final_misfit(int bits) const {
  return over_channels([&](int64_t c) { return final_misfit(bits, c); });
}

int LayerCensus::observed_bits() const {
  if (outputs() == 0) return 0;
  // The bias itself must fit too: a fitted start changes the sums even when no addition overflows.
  int bits = kMinBits;
  for (int64_t c = 0; c < channels(); ++c) bits = std::max(bits, bias_bits(c));
  return std::max({bits, signed_bits(least()), signed_bits(greatest())});
}

int LayerCensus::observed_inner_bits() const {
  if (outputs() == 0 || !has_inner_) return 0;
  return std::max({kMinBits, signed_bits(inner_least()), signed_bits(inner_greatest())});
}

TileCensus::TileCensus(LayerCensus& census, int64_t channel, int64_t channels,
                       const ByteKernelTable& kernels)
    : census_(census), channel_(channel), channels_(channels), kernels_(kernels) {
  for (int64_t c = 0; c < kTileChannels; ++c) {
    least_[c] = INT32_MAX;
    greatest_[c] = INT32_MIN;
    exact_below_[c] = INT32_MIN;
    if (c >= channels) continue;
    const auto& from = census.per_channel_[static_cast<size_t>(channel + c)];
    if (from.outputs > 0) {
      least_[c] = within_int32(from.least);
      greatest_[c] = within_int32(from.greatest);
    }
    if (from.limits.empty()) continue;
    limits_ = true;
    // Extremes that lie 2^bits apart fit no `bits` wherever the start is: hit at all these widths.
    all_hit_[c] = int64_t{1} << (census.bias_bits(channel + c) - 1);
    exact_below_[c] = within_int32(all_hit_[c]);
  }
}

TileCensus::~TileCensus() { flush(); }

void TileCensus::add(int64_t count, const int32_t* sums, const int32_t* low, const int32_t* high) {
  if (pending_ + count > kPixels) flush();
  TileCensusJob job;
  job.sums = sums;
  job.low = low;
  job.high = high;
  job.count = count;
  job.running = running_ + pending_ * kTileChannels;
  job.final = final_ + pending_ * kTileChannels;
  job.least = least_;
  job.greatest = greatest_;
  kernels_.census(job);
  pending_ += count;
  if (!limits_) return;
  for (int64_t c = 0; c < channels_; ++c) {
    auto& to = census_.per_channel_[static_cast<size_t>(channel_ + c)];
    for (int64_t p = 0; p < count; ++p) {
      const int64_t least = low[p * kTileChannels + c], greatest = high[p * kTileChannels + c];
      if (greatest - least >= all_hit_[c]) {
        ++to.all_outside;
        continue;
      }
      for (size_t l = 0; l < to.limits.size(); ++l)
        to.outside[l] += least < to.limits[l].floor || greatest > to.limits[l].ceiling;
    }
  }
}

void TileCensus::flush() {
  if (pending_ == 0) return;
  alignas(64) uint8_t counts[kCensusWidths * kTileChannels];
  const auto count = [&](const uint8_t* widths, auto&& histogram) {
    CountWidthsJob job;
    job.widths = widths;
    job.count = pending_;
    job.counts = counts;
    kernels_.count_widths(job);
    for (int64_t c = 0; c < channels_; ++c) {
      std::vector<int64_t>& to = histogram(census_.per_channel_[static_cast<size_t>(channel_ + c)]);
      for (int width = job.first; width <= job.last; ++width)
        to[static_cast<size_t>(width)] += counts[width * kTileChannels + c];
    }
  };
  count(
      running_, [](auto& channel) -> auto& { return channel.running; });
  count(
      final_, [](auto& channel) -> auto& { return channel.final; });
  for (int64_t c = 0; c < channels_; ++c) {
    auto& to = census_.per_channel_[static_cast<size_t>(channel_ + c)];
    to.outputs += pending_;
    to.least = std::min<int64_t>(to.least, least_[c]);
    to.greatest = std::max<int64_t>(to.greatest, greatest_[c]);
  }
  pending_ = 0;
}

}  // namespace widthwise
