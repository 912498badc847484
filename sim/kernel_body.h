// Included by the kernel_<isa>.cpp files after they define, in namespace WIDTHWISE_ISA_NAMESPACE:
//   Vec (int32 lanes), kLanes, kChannels, kVectors (register block),
//   zero set load store add sub min max shift_left shift_right not_equal_ones pair_add
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

// kCount output channels from `first` on, all pixels of the panel. Census: `count` is not used, and
// low and high follow the running sum; the fitted modes use them as the two rails.
template <KernelMode kMode, int kCount>
inline void run_block(const PanelJob& job, int64_t first) {
  constexpr bool kCensus = kMode == KernelMode::kCensus;
  constexpr bool kCounts = kMode == KernelMode::kSaturateCount || kMode == KernelMode::kWrapCount;
  Vec sum[kCount][kVectors], count[kCount][kVectors], least[kCount][kVectors],
      greatest[kCount][kVectors];
  const int32_t* weights[kCount];  // pairs
  const Vec rail_low = set(kMode == KernelMode::kExact || kCensus ? 0 : -(1 << (job.bits - 1)));
  const Vec rail_high = set(kMode == KernelMode::kExact || kCensus ? 0 : (1 << (job.bits - 1)) - 1);
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
  const auto* patch = reinterpret_cast<const int32_t*>(job.patch);  // pairs
  int64_t step = 0;
  while (step < job.steps) {
    const int64_t end = step + job.steps_per_fit < job.steps ? step + job.steps_per_fit : job.steps;
    for (; step < end; ++step) {
      Vec x[kVectors];
      for (int v = 0; v < kVectors; ++v) x[v] = load(patch + step * kPanelPixels + v * kLanes);
      for (int c = 0; c < kCount; ++c) {
        const Vec w = set(weights[c][step]);
        for (int v = 0; v < kVectors; ++v) sum[c][v] = pair_add(sum[c][v], x[v], w);
      }
    }
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

template <KernelMode kMode>
void run_panel(const PanelJob& job) {
  int64_t channel = 0;
  for (; channel + kChannels <= job.channels; channel += kChannels)
    run_block<kMode, kChannels>(job, channel);
  for (; channel < job.channels; ++channel) run_block<kMode, 1>(job, channel);
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

// Two taps, interleaved; a tap that is absent gives zeros.
template <bool kFirst, bool kSecond>
inline void interleave(const int16_t* first, const int16_t* second, int64_t length, int64_t stride,
                       int16_t* out) {
  if (stride == 1) {
    for (int64_t i = 0; i < length; ++i) {
      out[2 * i] = kFirst ? first[i] : int16_t{0};
      out[2 * i + 1] = kSecond ? second[i] : int16_t{0};
    }
    return;
  }
  for (int64_t i = 0; i < length; ++i) {
    out[2 * i] = kFirst ? first[i * stride] : int16_t{0};
    out[2 * i + 1] = kSecond ? second[i * stride] : int16_t{0};
  }
}

void make_patch(const PatchJob& job) {
  for (int64_t step = 0; step < job.steps; ++step) {
    const int64_t a = job.tap_offsets[2 * step], b = job.tap_offsets[2 * step + 1];
    int16_t* out = job.patch + step * 2 * kPanelPixels;
    int16_t* const end = out + 2 * kPanelPixels;
    for (int64_t r = 0; r < job.run_count; ++r) {
      const PixelRun& run = job.runs[r];
      const int16_t* source = job.source + run.source;
      if (b >= 0) {
        interleave<true, true>(source + a, source + b, run.length, run.stride, out);
      } else {
        interleave<true, false>(source + a, nullptr, run.length, run.stride, out);
      }
      out += 2 * run.length;
    }
    for (; out < end; ++out) *out = 0;
  }
}

void requantize(const RequantizeJob& job) {
  if (job.use_float) {
    // The limits are integers, so limiting before the rounding gives what limiting after it gives.
    const float low = static_cast<float>(job.q_min - job.zero_point),
                high = static_cast<float>(job.q_max - job.zero_point);
    for (int64_t i = 0; i < job.count; ++i) {
      float value = static_cast<float>(job.sums[i]) * job.float_multiplier;
      value = value < low ? low : value;
      value = value > high ? high : value;
      job.codes[i] = static_cast<int32_t>(__builtin_rintf(value)) + job.zero_point;
    }
    return;
  }
  const int64_t low = job.q_min - job.zero_point, high = job.q_max - job.zero_point;
  for (int64_t i = 0; i < job.count; ++i) {
    int64_t value = (job.sums[i] * job.multiplier + job.rounding_addend) >> job.shift;
    value = value < low ? low : value;
    value = value > high ? high : value;
    job.codes[i] = static_cast<int32_t>(value) + job.zero_point;
  }
}

}  // namespace widthwise::WIDTHWISE_ISA_NAMESPACE
