// Included by the kernel_<isa>.cpp files after they define, in namespace WIDTHWISE_ISA_NAMESPACE:
//   Vec (int32 lanes), kLanes, kChannels, kVectors (register block),
//   zero set load store add sub min max shift_left shift_right not_equal_ones pair_add
//   bit_or bit_and load_unsigned16 (kLanes int16, zero-extended)
// Only plain pointers and loops: nothing of the standard library may be instantiated with this
// instruction set and then be shared with code that must run without it.

namespace widthwise::WIDTHWISE_ISA_NAMESPACE {

constexpr int64_t kPanelPixels = kLanes * kVectors;

// One fitted addition: `sum` is the exact result.
template <KernelMode kMode>
inline Vec fit_sum(Vec sum, Vec low, Vec high, int shift, Vec& count) {
  if constexpr (kMode == KernelMode::kSaturate || kMode == KernelMode::kSaturateCount) {
    const Vec fitted = min(max(sum, low), high);
    if constexpr (kMode == KernelMode::kSaturateCount)
      count = sub(count, not_equal_ones(fitted, sum));
    return fitted;
  } else if constexpr (kMode == KernelMode::kWrapCount) {
    const Vec fitted = shift_right(shift_left(sum, shift), shift);
    count = sub(count, not_equal_ones(fitted, sum));
    return fitted;
  } else {
    return sum;
  }
}

template <int kCount>
using Block = Vec[kCount][kVectors];  // output channels and pixels

// Adds the products of steps [step, end). weights: [kCount][job.steps] pairs.
template <int kCount>
[[gnu::always_inline]] inline void add_products(const PanelJob& job,
                                                const int32_t* const (&weights)[kCount],
                                                int64_t step, int64_t end, Block<kCount>& sum) {
  const auto* patch = reinterpret_cast<const int32_t*>(job.patch);  // pairs
  for (; step < end; ++step) {
    Vec x[kVectors];
    for (int v = 0; v < kVectors; ++v) x[v] = load(patch + step * kPanelPixels + v * kLanes);
    for (int c = 0; c < kCount; ++c) {
      const Vec w = set(weights[c][step]);
      for (int v = 0; v < kVectors; ++v) sum[c][v] = pair_add(sum[c][v], x[v], w);
    }
  }
}

// Rails of `bits` bits, 2..32.
inline Vec low_rail(int bits) { return set(static_cast<int32_t>(-(int64_t{1} << (bits - 1)))); }
inline Vec high_rail(int bits) { return set(static_cast<int32_t>((int64_t{1} << (bits - 1)) - 1)); }

// kCount output channels from `first` on, all pixels of the panel. Census: `count` is not used, and
// low and high follow the running sum; the fitted modes use them as the two rails.
template <KernelMode kMode, int kCount>
inline void run_block(const PanelJob& job, int64_t first) {
  constexpr bool kCensus = kMode == KernelMode::kCensus;
  constexpr bool kCounts = kMode == KernelMode::kSaturateCount || kMode == KernelMode::kWrapCount;
  Block<kCount> sum, count, least, greatest;
  const int32_t* weights[kCount];  // pairs
  const Vec rail_low = low_rail(job.bits), rail_high = high_rail(job.bits);
  const int shift = 32 - job.bits;
  for (int c = 0; c < kCount; ++c) {
    weights[c] = reinterpret_cast<const int32_t*>(job.weights) + (first + c) * job.steps;
    for (int v = 0; v < kVectors; ++v) {
      sum[c][v] = set(job.start[first + c]);
      count[c][v] = zero();
      least[c][v] = set(INT32_MAX);
      greatest[c][v] = set(INT32_MIN);
    }
  }
  const auto close = [&]() {  // the end of one addition
    for (int c = 0; c < kCount; ++c) {
      for (int v = 0; v < kVectors; ++v) {
        if constexpr (kCensus) {
          least[c][v] = min(least[c][v], sum[c][v]);
          greatest[c][v] = max(greatest[c][v], sum[c][v]);
        } else {
          sum[c][v] = fit_sum<kMode>(sum[c][v], rail_low, rail_high, shift, count[c][v]);
        }
      }
    }
  };
  int64_t step = 0;
  while (step < job.steps) {
    const int64_t end = step + job.steps_per_fit < job.steps ? step + job.steps_per_fit : job.steps;
    add_products(job, weights, step, end, sum);
    step = end;
    if constexpr (kMode != KernelMode::kExact) close();
  }
  if (job.last != nullptr) {
    for (int c = 0; c < kCount; ++c) {
      for (int v = 0; v < kVectors; ++v) sum[c][v] = add(sum[c][v], set(job.last[first + c]));
    }
    if constexpr (kMode != KernelMode::kExact) close();
  }
  for (int c = 0; c < kCount; ++c) {
    for (int v = 0; v < kVectors; ++v) {
      const int64_t at = (first + c) * kPanelPixels + v * kLanes;
      store(job.sums + at, sum[c][v]);
      if constexpr (kCounts) store(job.counts + at, count[c][v]);
      if constexpr (kCensus) {
        store(job.low + at, least[c][v]);
        store(job.high + at, greatest[c][v]);
      }
    }
  }
}

// The same where stages lie around the innermost chain: it begins at 0, and hands on its sum after
// additions_per_sum additions. kMode is its own; a census has one stage around it.
template <KernelMode kMode, int kCount>
class NestedBlock {
 public:
  NestedBlock(const PanelJob& job, int64_t first) : job_(job), first_(first) {
    for (int c = 0; c < kCount; ++c)
      weights_[c] = reinterpret_cast<const int32_t*>(job.weights) + (first + c) * job.steps;
    fill(count_, zero());
    for (int64_t stage = 0; stage < job.outer_count; ++stage) {
      fill(outer_[stage], zero());
      additions_[stage] = 0;
    }
    each([&](int c, int v) { outer_[job_.outer_count - 1][c][v] = set(job.start[first + c]); });
    for (Watch* watch : {&inner_watch_, &outer_watch_}) {
      fill(watch->least, set(INT32_MAX));
      fill(watch->greatest, set(INT32_MIN));
    }
  }

  void run() {
    int64_t step = 0;
    while (step < job_.steps) {
      const int64_t left = job_.steps - step, length = job_.additions_per_sum * job_.steps_per_fit;
      const int64_t end = step + (length < left ? length : left);
      Block<kCount> sum;
      add_chain(sum, step, end);
      hand_on(sum);
      step = end;
    }
    for (int64_t stage = 0; stage + 1 < job_.outer_count; ++stage) {  // what is left, as it is
      if (additions_[stage] > 0) add_to(stage + 1, outer_[stage]);
    }
    if (job_.last != nullptr) {
      Block<kCount> addend;
      each([&](int c, int v) { addend[c][v] = set(job_.last[first_ + c]); });
      add_to(job_.outer_count - 1, addend);
    }
    store_all(outer_[job_.outer_count - 1], job_.sums);
    if constexpr (kCounts) store_all(count_, job_.counts);
    if constexpr (kCensus) {
      store_all(outer_watch_.least, job_.low);
      store_all(outer_watch_.greatest, job_.high);
      store_all(inner_watch_.least, job_.inner_low);
      store_all(inner_watch_.greatest, job_.inner_high);
    }
  }

 private:
  static constexpr bool kCensus = kMode == KernelMode::kCensus;
  static constexpr bool kCounts =
      kMode == KernelMode::kSaturateCount || kMode == KernelMode::kWrapCount;
  struct Watch {
    Block<kCount> least, greatest;
  };

  template <class Visit>
  static void each(Visit&& visit) {
    for (int c = 0; c < kCount; ++c) {
      for (int v = 0; v < kVectors; ++v) visit(c, v);
    }
  }
  static void fill(Block<kCount>& block, Vec value) {
    each([&](int c, int v) { block[c][v] = value; });
  }
  void store_all(const Block<kCount>& from, int32_t* to) const {
    each([&](int c, int v) { store(to + (first_ + c) * kPanelPixels + v * kLanes, from[c][v]); });
  }
  static void observe(Watch& watch, const Block<kCount>& sum) {
    each([&](int c, int v) {
      watch.least[c][v] = min(watch.least[c][v], sum[c][v]);
      watch.greatest[c][v] = max(watch.greatest[c][v], sum[c][v]);
    });
  }
  template <KernelMode kFit>
  void fit_all(Block<kCount>& sum, int bits) {
    const Vec low = low_rail(bits), high = high_rail(bits);
    each([&](int c, int v) {
      sum[c][v] = fit_sum<kFit>(sum[c][v], low, high, 32 - bits, count_[c][v]);
    });
  }

  // The innermost chain over steps [step, end). Its state is local, so that it stays in registers.
  void add_chain(Block<kCount>& to, int64_t step, int64_t end) {
    Block<kCount> sum, count;
    Watch watch;
    const auto copy = [](Block<kCount>& into, const Block<kCount>& from) {
      each([&](int c, int v) { into[c][v] = from[c][v]; });
    };
    fill(sum, zero());
    copy(count, count_);
    copy(watch.least, inner_watch_.least);
    copy(watch.greatest, inner_watch_.greatest);
    const Vec low = low_rail(job_.bits), high = high_rail(job_.bits);
    const int shift = 32 - job_.bits;
    while (step < end) {
      const int64_t next = step + job_.steps_per_fit < end ? step + job_.steps_per_fit : end;
      add_products(job_, weights_, step, next, sum);
      step = next;
      if constexpr (kCensus) {
        observe(watch, sum);
      } else {
        each([&](int c, int v) {
          sum[c][v] = fit_sum<kMode>(sum[c][v], low, high, shift, count[c][v]);
        });
      }
    }
    copy(to, sum);
    copy(count_, count);
    copy(inner_watch_.least, watch.least);
    copy(inner_watch_.greatest, watch.greatest);
  }

  // The innermost chain's sum goes outwards, as far as stages are complete.
  void hand_on(Block<kCount>& sum) {
    Block<kCount>* addend = &sum;
    for (int64_t stage = 0; stage < job_.outer_count; ++stage) {
      if (stage > 0) additions_[stage - 1] = 0;
      add_to(stage, *addend);
      if (stage > 0) fill(*addend, zero());
      if (additions_[stage] < job_.outer[stage].length) return;
      addend = &outer_[stage];
    }
  }

  void add_to(int64_t stage, const Block<kCount>& addend) {
    const OuterStage& own = job_.outer[stage];
    Block<kCount>& sum = outer_[stage];
    ++additions_[stage];
    each([&](int c, int v) { sum[c][v] = add(sum[c][v], addend[c][v]); });
    if constexpr (kCensus) {
      observe(outer_watch_, sum);
    } else if (own.is_fitted && own.saturates) {
      fit_all<KernelMode::kSaturateCount>(sum, own.bits);
    } else if (own.is_fitted) {
      fit_all<KernelMode::kWrapCount>(sum, own.bits);
    }
  }

  const PanelJob& job_;
  int64_t first_;
  const int32_t* weights_[kCount];  // pairs
  Block<kCount> count_;
  Block<kCount> outer_[kMostOuterStages];  // running sums
  int64_t additions_[kMostOuterStages];
  Watch inner_watch_, outer_watch_;
};

template <KernelMode kMode, int kCount>
inline void run_channels(const PanelJob& job, int64_t first) {
  if constexpr (kMode != KernelMode::kExact) {
    if (job.outer_count > 0) return NestedBlock<kMode, kCount>(job, first).run();
  }
  run_block<kMode, kCount>(job, first);
}

template <KernelMode kMode>
void run_panel(const PanelJob& job) {
  int64_t channel = 0;
  for (; channel + kChannels <= job.channels; channel += kChannels)
    run_channels<kMode, kChannels>(job, channel);
  for (; channel < job.channels; ++channel) run_channels<kMode, 1>(job, channel);
}

void run(KernelMode mode, const PanelJob& job) {
  switch (mode) {
    case KernelMode::kExact:
      return run_panel<KernelMode::kExact>(job);
    case KernelMode::kSaturate:
      return run_panel<KernelMode::kSaturate>(job);
    case KernelMode::kSaturateCount:
      return run_panel<KernelMode::kSaturateCount>(job);
    case KernelMode::kWrapCount:
      return run_panel<KernelMode::kWrapCount>(job);
    case KernelMode::kCensus:
      return run_panel<KernelMode::kCensus>(job);
  }
}

// kLanes pixels of two taps as pairs; reads and writes whole vectors, past the run's end too.
template <bool kSecond>
inline void interleave(const int16_t* first, const int16_t* second, int64_t length, int64_t stride,
                       int32_t* out) {
  const auto pair = [](Vec low, Vec high) { return bit_or(low, shift_left(high, 16)); };
  if (stride == 1) {
    for (int64_t i = 0; i < length; i += kLanes) {
      const Vec low = load_unsigned16(first + i);
      store(out + i, kSecond ? pair(low, load_unsigned16(second + i)) : low);
    }
  } else if (stride == 2) {  // every other int16 is the low half of an int32
    const auto low_half = [](const int16_t* from) {
      return bit_and(load(reinterpret_cast<const int32_t*>(from)), set(0xFFFF));
    };
    for (int64_t i = 0; i < length; i += kLanes) {
      const Vec low = low_half(first + 2 * i);
      store(out + i, kSecond ? pair(low, low_half(second + 2 * i)) : low);
    }
  } else {
    for (int64_t i = 0; i < length; ++i) {
      const auto low = static_cast<uint32_t>(static_cast<uint16_t>(first[i * stride]));
      const auto high =
          kSecond ? static_cast<uint32_t>(static_cast<uint16_t>(second[i * stride])) : 0;
      out[i] = static_cast<int32_t>(low | high << 16);
    }
  }
}

void make_patch(const PatchJob& job) {
  auto* out = reinterpret_cast<int32_t*>(job.patch);
  for (int64_t step = 0; step < job.steps; ++step) {
    const int64_t a = job.tap_offsets[2 * step], b = job.tap_offsets[2 * step + 1];
    int32_t* to = out + step * kPanelPixels;
    for (int64_t r = 0; r < job.run_count; ++r) {
      const PixelRun& run = job.runs[r];
      const int16_t* source = job.source + run.source;
      if (b >= 0) {
        interleave<true>(source + a, source + b, run.length, run.stride, to);
      } else {
        interleave<false>(source + a, nullptr, run.length, run.stride, to);
      }
      to += run.length;
    }
  }
}

// The limits are integers, so limiting before the rounding gives what limiting after it gives.
inline int32_t round_limited(float value, float low, float high) {
  value = value > low ? value : low;  // NaN is the least
  value = value < high ? value : high;
  return static_cast<int32_t>(__builtin_rintf(value));
}
inline int32_t shift_limited(int64_t value, int shift, int64_t low, int64_t high) {
  value >>= shift;
  value = value < low ? low : value;
  value = value > high ? high : value;
  return static_cast<int32_t>(value);
}

void requantize(const RequantizeJob& given) {
  const RequantizeJob job = given;  // a copy of its own, which no store to the codes can change
  const int32_t low = job.q_min - job.zero_point, high = job.q_max - job.zero_point;
  if (job.use_float) {
    const auto low_real = static_cast<float>(low), high_real = static_cast<float>(high);
    for (int64_t i = 0; i < job.count; ++i) {
      const float value = static_cast<float>(job.sums[i]) * job.float_multiplier;
      job.codes[i] = round_limited(value, low_real, high_real) + job.zero_point;
    }
    return;
  }
  for (int64_t i = 0; i < job.count; ++i) {
    const int64_t value = job.sums[i] * job.multiplier + job.rounding_addend;
    job.codes[i] = shift_limited(value, job.shift, low, high) + job.zero_point;
  }
}

template <bool kSecond>
inline void elementwise_loop(const ElementwiseJob& given) {
  const ElementwiseJob job = given;  // as in requantize()
  const int32_t low = job.q_min - job.zero_point, high = job.q_max - job.zero_point;
  const auto low_real = static_cast<float>(low), high_real = static_cast<float>(high);
  if (job.use_float && kSecond) {
    const float ra = job.first_scale / job.ofmap_scale, rb = job.second_scale / job.ofmap_scale;
    const float constant = static_cast<float>(job.zero_point) -
                           __builtin_fmaf(ra, static_cast<float>(job.first_zero_point),
                                          rb * static_cast<float>(job.second_zero_point));
    const auto least = static_cast<float>(job.q_min), greatest = static_cast<float>(job.q_max);
    for (int64_t i = 0; i < job.count; ++i) {
      const float value =
          __builtin_fmaf(static_cast<float>(job.first[i]), ra,
                         __builtin_fmaf(static_cast<float>(job.second[i]), rb, constant));
      job.codes[i] = round_limited(value, least, greatest);
    }
    return;
  }
  if (job.use_float) {
    for (int64_t i = 0; i < job.count; ++i) {
      const float value = static_cast<float>(job.first[i] - job.first_zero_point) * job.first_scale;
      job.codes[i] = round_limited(value / job.ofmap_scale, low_real, high_real) + job.zero_point;
    }
    return;
  }
  for (int64_t i = 0; i < job.count; ++i) {
    int64_t value =
        (job.first[i] - job.first_zero_point) * job.first_multiplier + job.rounding_addend;
    if (kSecond) value += (job.second[i] - job.second_zero_point) * job.second_multiplier;
    job.codes[i] = shift_limited(value, job.shift, low, high) + job.zero_point;
  }
}

void elementwise(const ElementwiseJob& job) {
  if (job.second != nullptr) {
    elementwise_loop<true>(job);
  } else {
    elementwise_loop<false>(job);
  }
}

// Width of the narrowest two's-complement integer that holds both.
inline int width_of(int32_t low, int32_t high) {
  const auto magnitude = static_cast<uint32_t>((low ^ (low >> 31)) | (high ^ (high >> 31)));
  return magnitude == 0 ? 1 : 33 - __builtin_clz(magnitude);
}

void census(CensusJob& job) {
  int32_t least = job.least, greatest = job.greatest;
  for (int64_t i = 0; i < job.count; ++i) {
    ++job.running[width_of(job.low[i], job.high[i])];
    ++job.final[width_of(job.sums[i], job.sums[i])];
    least = job.low[i] < least ? job.low[i] : least;
    greatest = job.high[i] > greatest ? job.high[i] : greatest;
  }
  job.least = least;
  job.greatest = greatest;
}

}  // namespace widthwise::WIDTHWISE_ISA_NAMESPACE
