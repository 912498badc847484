#include "sim/census.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "core/integer_format.h"

namespace widthwise {
namespace {

int32_t within_int32(int64_t value) {
  return static_cast<int32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX));
}

// Of a histogram whose widest entry is at most `widest`.
int64_t above(const std::vector<int64_t>& histogram, int bits, int widest) {
  int64_t count = 0;
  for (int width = bits + 1; width <= widest; ++width)
    count += histogram[static_cast<size_t>(width)];
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

FittedHits fitted_hits(int64_t bias, int64_t low, int64_t high) {
  const auto width = [](int64_t value) {
    return static_cast<int>(std::bit_width(static_cast<uint64_t>(value)));
  };
  low = std::min(low, bias);
  high = std::max(high, bias);
  FittedHits hits;
  const int differ = low < 0 && high >= 0 ? 64 : width(low ^ high);
  // The number in (low, high] with most zeros at its end: 0, or the only odd multiple of
  // 2^(differ - 1). Those of smaller powers lie on both sides of it, as far as there is room.
  const int64_t middle =
      differ == 64 ? 0 : (differ == 0 ? high : high >> (differ - 1) << (differ - 1));
  hits.wrap_up_to = width(std::max<int64_t>(high - middle, middle - low - 1));
  hits.wrap_also = differ == 64 ? 0 : differ;
  const bool crosses = bias < 0 ? low < bias : high > bias;
  hits.saturate_up_to = crosses ? FittedHits::kEvery : std::max(0, width(high - low) - 1);
  return hits;
}

LayerCensus::LayerCensus(std::vector<int32_t> bias, const Accumulation& accumulation)
    : bias_(std::move(bias)),
      bias_mode_(accumulation.bias),
      has_inner_(accumulation.chains() > 1),
      per_channel_(bias_.size()) {
  for (int64_t c = 0; c < channels(); ++c) {
    Channel& channel = per_channel_[static_cast<size_t>(c)];
    channel.final.assign(kSlots, 0);
    channel.all = no_hits(c);
  }
}

LayerCensus::Hits LayerCensus::no_hits(int64_t channel) const {
  Hits none;
  none.running.assign(kSlots, 0);
  if (!has_fitted_start(channel)) return none;
  for (auto* hits : {&none.wrap_up_to, &none.wrap_also, &none.saturate_up_to})
    hits->assign(kSlots, 0);
  return none;
}

int LayerCensus::bias_bits(int64_t channel) const {
  return bias_mode_ == BiasMode::kPreload ? signed_bits(bias_[static_cast<size_t>(channel)]) : 0;
}

void LayerCensus::add_fitted(Hits& to, int64_t channel, int64_t low, int64_t high) const {
  const FittedHits hits = fitted_hits(bias_[static_cast<size_t>(channel)], low, high);
  ++to.wrap_up_to[static_cast<size_t>(hits.wrap_up_to)];
  ++to.wrap_also[static_cast<size_t>(hits.wrap_also)];
  ++to.saturate_up_to[static_cast<size_t>(hits.saturate_up_to)];
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
  job.running = to.all.running.data();
  job.final = to.final.data();
  kernels.census(job);
  to.least = std::min<int64_t>(to.least, job.least);
  to.greatest = std::max<int64_t>(to.greatest, job.greatest);
  if (has_fitted_start(channel)) {
    for (int64_t i = 0; i < count; ++i) add_fitted(to.all, channel, row.low[i], row.high[i]);
  }
  if (has_inner_) add_inner(channel, count, row);
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
    ++to.all.running[static_cast<size_t>(std::max(signed_bits(low), signed_bits(high)))];
    ++to.final[static_cast<size_t>(signed_bits(row.sums[i]))];
    to.least = std::min(to.least, low);
    to.greatest = std::max(to.greatest, high);
    if (has_fitted_start(channel)) add_fitted(to.all, channel, low, high);
  }
  if (has_inner_) add_inner(channel, count, row);
}

template <class Integer>
void LayerCensus::add_inner(int64_t channel, int64_t count, const CensusRow<Integer>& row) {
  Channel& to = per_channel_[static_cast<size_t>(channel)];
  for (int64_t i = 0; i < count; ++i) {
    const int64_t low = row.low[i], high = row.high[i], inner_low = row.inner_low[i],
                  inner_high = row.inner_high[i];
    const auto inner =
        static_cast<size_t>(std::max(signed_bits(inner_low), signed_bits(inner_high)));
    if (to.by_inner.size() <= inner) to.by_inner.resize(inner + 1, no_hits(channel));
    Hits& hits = to.by_inner[inner];
    ++hits.running[static_cast<size_t>(std::max(signed_bits(low), signed_bits(high)))];
    if (has_fitted_start(channel)) add_fitted(hits, channel, low, high);
    to.inner_least = std::min(to.inner_least, inner_low);
    to.inner_greatest = std::max(to.inner_greatest, inner_high);
  }
}

void LayerCensus::merge(const LayerCensus& other) {
  if (channels() == 0)
    *this = other;
  else
    add_all(other);
}

void LayerCensus::add_all(const LayerCensus& other) {
  const auto add = [](std::vector<int64_t>& to, const std::vector<int64_t>& from) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  };
  const auto add_hits = [&](Hits& to, const Hits& from) {
    add(to.running, from.running);
    add(to.wrap_up_to, from.wrap_up_to);
    add(to.wrap_also, from.wrap_also);
    add(to.saturate_up_to, from.saturate_up_to);
  };
  for (int64_t c = 0; c < channels(); ++c) {
    Channel& to = per_channel_[static_cast<size_t>(c)];
    const Channel& from = other.per_channel_[static_cast<size_t>(c)];
    to.outputs += from.outputs;
    to.least = std::min(to.least, from.least);
    to.greatest = std::max(to.greatest, from.greatest);
    add(to.final, from.final);
    add_hits(to.all, from.all);
    to.inner_least = std::min(to.inner_least, from.inner_least);
    to.inner_greatest = std::max(to.inner_greatest, from.inner_greatest);
    if (to.by_inner.size() < from.by_inner.size())
      to.by_inner.resize(from.by_inner.size(), no_hits(c));
    for (size_t inner = 0; inner < from.by_inner.size(); ++inner)
      add_hits(to.by_inner[inner], from.by_inner[inner]);
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

int LayerCensus::widest(int64_t channel) const {
  const Channel& from = per_channel_[static_cast<size_t>(channel)];
  return from.outputs == 0 ? 0 : std::max(signed_bits(from.least), signed_bits(from.greatest));
}

int64_t LayerCensus::hit(const Hits& from, int bits, OverflowPolicy policy, int64_t channel) const {
  if (!is_wrap_or_saturate(policy)) throw std::logic_error("a census of another policy");
  if (bits >= bias_bits(channel)) return above(from.running, bits, widest(channel));
  if (policy == OverflowPolicy::kSaturate)
    return above(from.saturate_up_to, bits - 1, FittedHits::kEvery);
  return above(from.wrap_up_to, bits - 1, FittedHits::kEvery) +
         from.wrap_also[static_cast<size_t>(bits)];
}

LayerCensus::ByWidth LayerCensus::hits(OverflowPolicy policy, int64_t channel) const {
  if (!is_wrap_or_saturate(policy)) throw std::logic_error("a census of another policy");
  const Hits& from = per_channel_[static_cast<size_t>(channel)].all;
  ByWidth made{};
  const int fitted = std::min(bias_bits(channel), kMaxBits + 1);  // below: with a fitted start
  int64_t count = above(from.running, kMaxBits, widest(channel));
  for (int bits = kMaxBits; bits >= std::max(fitted, kMinBits); --bits) {
    made[static_cast<size_t>(bits)] = count;
    count += from.running[static_cast<size_t>(bits)];
  }
  for (int bits = kMinBits; bits < fitted; ++bits)
    made[static_cast<size_t>(bits)] = hit(from, bits, policy, channel);
  return made;
}

int64_t LayerCensus::hit(int bits, OverflowPolicy policy, int64_t channel) const {
  return hit(per_channel_[static_cast<size_t>(channel)].all, bits, policy, channel);
}

int64_t LayerCensus::hit(int bits, OverflowPolicy policy) const {
  return over_channels([&](int64_t c) { return hit(bits, policy, c); });
}

int64_t LayerCensus::inner_hit(int inner_bits, int64_t channel) const {
  if (!has_inner_) throw std::logic_error("a census without an inner chain");
  const auto& from = per_channel_[static_cast<size_t>(channel)].by_inner;
  int64_t count = 0;
  for (size_t inner = static_cast<size_t>(inner_bits) + 1; inner < from.size(); ++inner)
    count += std::accumulate(from[inner].running.begin(), from[inner].running.end(), int64_t{0});
  return count;
}

int64_t LayerCensus::inner_hit(int inner_bits) const {
  return over_channels([&](int64_t c) { return inner_hit(inner_bits, c); });
}

int64_t LayerCensus::hit(int inner_bits, int bits, OverflowPolicy policy, int64_t channel) const {
  int64_t count = inner_hit(inner_bits, channel);
  const auto& from = per_channel_[static_cast<size_t>(channel)].by_inner;
  const size_t fits = std::min(static_cast<size_t>(inner_bits) + 1, from.size());
  for (size_t inner = 0; inner < fits; ++inner) count += hit(from[inner], bits, policy, channel);
  return count;
}

int64_t LayerCensus::hit(int inner_bits, int bits, OverflowPolicy policy) const {
  return over_channels([&](int64_t c) { return hit(inner_bits, bits, policy, c); });
}

int64_t LayerCensus::final_misfit(int bits, int64_t channel) const {
  return above(per_channel_[static_cast<size_t>(channel)].final, bits, widest(channel));
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
    bias_[c] = free_from_[c] = 0;
    if (c >= channels) continue;
    const auto& from = census.per_channel_[static_cast<size_t>(channel + c)];
    if (from.outputs > 0) {
      least_[c] = within_int32(from.least);
      greatest_[c] = within_int32(from.greatest);
    }
    if (!census.has_fitted_start(channel + c)) continue;
    starts_ = {.bias = bias_, .free_from = free_from_};
    bias_[c] = census.bias_[static_cast<size_t>(channel + c)];
    free_from_[c] = within_int32(int64_t{1} << (census.bias_bits(channel + c) - 2));
  }
}

TileCensus::~TileCensus() { flush(); }

void TileCensus::add(int64_t count, const int32_t* sums, const int32_t* low, const int32_t* high) {
  if (pending_ + count > kPixels) flush();
  const int64_t at = pending_ * kTileChannels;
  kernels_.census({.sums = sums,
                   .low = low,
                   .high = high,
                   .count = count,
                   .running = running_ + at,
                   .final = final_ + at,
                   .least = least_,
                   .greatest = greatest_,
                   .starts = starts_,
                   .wrap_up_to = wrap_up_to_ + at,
                   .wrap_also = wrap_also_ + at,
                   .saturate_up_to = saturate_up_to_ + at});
  pending_ += count;
}

void TileCensus::flush() {
  if (pending_ == 0) return;
  const auto channel = [&](int64_t c) -> LayerCensus::Channel& {
    return census_.per_channel_[static_cast<size_t>(channel_ + c)];
  };
  alignas(64) uint8_t counts[kCensusWidths * kTileChannels];
  const auto count = [&](const uint8_t* widths, auto&& histogram) {
    CountWidthsJob job;
    job.widths = widths;
    job.count = pending_;
    job.counts = counts;
    kernels_.count_widths(job);
    for (int64_t c = 0; c < channels_; ++c) {
      std::vector<int64_t>& to = histogram(channel(c));
      if (to.empty()) continue;
      for (int width = job.first; width <= job.last; ++width)
        to[static_cast<size_t>(width)] += counts[width * kTileChannels + c];
    }
  };
  using Channel = LayerCensus::Channel;
  using Histogram = std::vector<int64_t>;
  count(running_, [](Channel& c) -> Histogram& { return c.all.running; });
  count(final_, [](Channel& c) -> Histogram& { return c.final; });
  if (starts_.bias != nullptr) {
    count(wrap_up_to_, [](Channel& c) -> Histogram& { return c.all.wrap_up_to; });
    count(wrap_also_, [](Channel& c) -> Histogram& { return c.all.wrap_also; });
    count(saturate_up_to_, [](Channel& c) -> Histogram& { return c.all.saturate_up_to; });
  }
  for (int64_t c = 0; c < channels_; ++c) {
    Channel& to = channel(c);
    to.outputs += pending_;
    to.least = std::min<int64_t>(to.least, least_[c]);
    to.greatest = std::max<int64_t>(to.greatest, greatest_[c]);
  }
  pending_ = 0;
}

}  // namespace widthwise
