#include "sim/packed_matmul.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "sim/reference.h"

namespace widthwise {
namespace {

bool is_fitted(KernelMode mode) {
  return mode != KernelMode::kExact && mode != KernelMode::kCensus;
}

// The policy that a fitted mode's inner loop has.
OverflowPolicy policy_of(KernelMode mode) {
  return mode == KernelMode::kWrapCount ? OverflowPolicy::kWrap : OverflowPolicy::kSaturate;
}

// A list of stages as the kernels have it.
struct KernelStages {
  int64_t lanes = 1;      // products summed exactly for one addition to the innermost chain
  Stage innermost;        // chain
  int64_t additions = 0;  // to it before it hands on its sum
  std::vector<OuterStage> outer;
};

// Nothing where there are none. No length need be more than `count` products.
std::optional<KernelStages> kernel_stages(const Accumulation& accumulation, int64_t count) {
  KernelStages all;
  auto stage = accumulation.stages.begin();
  for (; stage->kind == Stage::Kind::kTree; ++stage)
    all.lanes = std::min(all.lanes * std::min(stage->length, count), count);
  all.innermost = *stage;
  all.additions = stage->length == Stage::kAll ? count : std::min(stage->length, count);
  while (++stage != accumulation.stages.end()) {
    all.outer.push_back({.length = stage->length == Stage::kAll
                                       ? std::numeric_limits<int64_t>::max()
                                       : stage->length,
                         .is_fitted = stage->kind == Stage::Kind::kChain,
                         .saturates = stage->overflow == OverflowPolicy::kSaturate,
                         .bits = std::min(stage->bits, 32)});
  }
  const bool known =
      std::all_of(accumulation.stages.begin(), accumulation.stages.end(), [](const Stage& s) {
        return s.kind == Stage::Kind::kTree || is_wrap_or_saturate(s.overflow);
      });
  if (!known || std::ssize(all.outer) > kMostOuterStages) return std::nullopt;
  return all;
}

// The largest magnitude of (ifmap code - zero point).
int64_t magnitude(const TensorQuantization& ifmap) {
  return std::max(std::abs(ifmap.format.min() - ifmap.zero_point),
                  std::abs(ifmap.format.max() - ifmap.zero_point));
}

}  // namespace

int64_t sum_limit(const QuantizedLayer& layer, const TensorQuantization& ifmap) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const int64_t length = workload.reduction_length(), ifmap_magnitude = magnitude(ifmap);
  int64_t limit = 0;
  for (int64_t oc = 0; oc < workload.window.ofmap_channels; ++oc) {
    int64_t sum = 0;
    for (int64_t k = 0; k < length; ++k) {
      sum += std::abs(layer.weights[static_cast<size_t>(oc * length + k)] -
                      layer.weight_zero_point(oc));
      if (sum > kInt32Limit) return kInt32Limit;
    }
    limit = std::max(
        limit, sum * ifmap_magnitude + std::abs(int64_t{layer.bias[static_cast<size_t>(oc)]}));
  }
  return std::min(limit, kInt32Limit);
}

bool has_one_fitted_chain(const Accumulation& accumulation) {
  const auto& stages = accumulation.stages;
  return stages.size() == 1 || (stages.size() == 2 && stages[0].kind == Stage::Kind::kTree);
}

bool suits_census(const Accumulation& accumulation) {
  const auto& stages = accumulation.stages;
  const auto first = std::find_if(stages.begin(), stages.end(),
                                  [](const Stage& s) { return s.kind == Stage::Kind::kChain; });
  return stages.end() - first <= 2 && std::all_of(first, stages.end(), [](const Stage& s) {
           return s.kind == Stage::Kind::kChain;
         });
}

std::optional<PackedMatmul> PackedMatmul::pack(const QuantizedLayer& layer,
                                               const TensorQuantization& ifmap,
                                               const Accumulation& accumulation, KernelMode mode,
                                               const KernelTable& kernels) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const Window& w = workload.window;
  const Stage& chain = accumulation.outermost();
  const int64_t count = workload.reduction_length();
  KernelStages stages{.lanes = count, .innermost = {}, .additions = count, .outer = {}};
  if (mode != KernelMode::kExact) {
    const auto found = kernel_stages(accumulation, count);
    if (!found) return std::nullopt;
    if (is_fitted(mode) && found->innermost.overflow != policy_of(mode)) return std::nullopt;
    if (mode == KernelMode::kCensus && !suits_census(accumulation)) return std::nullopt;
    stages = *found;
  }
  if (magnitude(ifmap) > std::numeric_limits<int16_t>::max()) return std::nullopt;
  // Fitting makes no magnitude larger, so this holds for fitted sums as well.
  if (sum_limit(layer, ifmap) >= kInt32Limit) return std::nullopt;

  PackedMatmul packed;
  packed.workload_ = workload;
  packed.mode_ = mode;
  packed.kernels_ = &kernels;
  packed.zero_point_ = ifmap.zero_point;
  packed.bits_ = is_fitted(mode) ? std::min(stages.innermost.bits, 32) : 32;
  packed.additions_per_sum_ = stages.additions;
  packed.outer_ = stages.outer;
  packed.padded_rows_ =
      std::max(w.pad_top + w.ifmap_rows + w.pad_bottom,
               (w.ofmap_rows - 1) * w.stride_rows + (w.kernel_rows - 1) * w.dilation_rows + 1);
  packed.padded_cols_ =
      std::max(w.pad_left + w.ifmap_cols + w.pad_right,
               (w.ofmap_cols - 1) * w.stride_cols + (w.kernel_cols - 1) * w.dilation_cols + 1);

  const std::vector<Tap> taps = reduction_taps(workload, accumulation);
  const int64_t group = stages.lanes;  // products per addition
  std::vector<int64_t> slots;          // tap of each half of a step, -1: none
  for (int64_t begin = 0; begin < count; begin += group) {
    const int64_t end = std::min(begin + group, count);
    for (int64_t k = begin; k < end; ++k) slots.push_back(k);
    if (slots.size() % 2 != 0) slots.push_back(-1);
  }
  packed.steps_ = static_cast<int64_t>(slots.size()) / 2;
  packed.steps_per_fit_ = (std::min(group, count) + 1) / 2;
  for (const int64_t slot : slots) {
    if (slot < 0) {
      packed.tap_offsets_.push_back(-1);
      continue;
    }
    const Tap& tap = taps[static_cast<size_t>(slot)];
    packed.tap_offsets_.push_back((tap.channel * packed.padded_rows_ + tap.row * w.dilation_rows) *
                                      packed.padded_cols_ +
                                  tap.col * w.dilation_cols);
  }
  for (int64_t oc = 0; oc < w.ofmap_channels; ++oc) {
    for (const int64_t slot : slots) {
      int32_t weight = 0;
      if (slot >= 0) {
        const Tap& tap = taps[static_cast<size_t>(slot)];
        const int64_t at = workload.weight_index(oc, tap.channel, tap.row, tap.col);
        weight = layer.weights[static_cast<size_t>(at)] - layer.weight_zero_point(oc);
      }
      if (weight != static_cast<int16_t>(weight)) return std::nullopt;
      packed.weights_.push_back(static_cast<int16_t>(weight));
    }
    const int32_t bias = layer.bias[static_cast<size_t>(oc)];
    const bool preload = accumulation.bias == BiasMode::kPreload;
    const int64_t start = is_fitted(mode) ? fit(bias, chain.bits, chain.overflow) : bias;
    packed.start_.push_back(preload ? static_cast<int32_t>(start) : 0);
    if (!preload) packed.last_.push_back(bias);
  }
  return packed;
}

void PackedMatmul::pad(std::span<const int32_t> codes, int64_t images,
                       std::vector<int16_t>& padded) const {
  const Window& w = workload_.window;
  const int64_t planes = images * w.ifmap_channels;
  padded.assign(static_cast<size_t>(planes * padded_rows_ * padded_cols_ + 2 * kVectorSlack), 0);
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t row = 0; row < w.ifmap_rows; ++row) {
      const int32_t* from = codes.data() + (plane * w.ifmap_rows + row) * w.ifmap_cols;
      int16_t* to =
          padded.data() + (plane * padded_rows_ + row + w.pad_top) * padded_cols_ + w.pad_left;
      for (int64_t col = 0; col < w.ifmap_cols; ++col)
        to[col] = static_cast<int16_t>(from[col] - zero_point_);
    }
  }
}

// Runs that cover the pixels [first, end), which count over images, then rows, then columns.
int64_t PackedMatmul::add_runs(int64_t first_pixel, int64_t end_pixel,
                               std::vector<PixelRun>& runs) const {
  const Window& w = workload_.window;
  const int64_t image_elements = w.ifmap_channels * padded_rows_ * padded_cols_;
  runs.clear();
  for (int64_t pixel = first_pixel; pixel < end_pixel;) {
    const int64_t image = pixel / w.ofmap_pixels(), inside = pixel % w.ofmap_pixels();
    const int64_t row = inside / w.ofmap_cols, col = inside % w.ofmap_cols;
    PixelRun run;
    run.source = image * image_elements + row * w.stride_rows * padded_cols_ + col * w.stride_cols;
    run.stride = w.stride_cols;
    run.length = std::min(w.ofmap_cols - col, end_pixel - pixel);
    if (w.ofmap_pixels() == 1) {  // fully connected: the images are the pixels
      run.stride = image_elements;
      run.length = end_pixel - pixel;
    }
    pixel += run.length;
    PixelRun* previous = runs.empty() ? nullptr : &runs.back();
    if (previous != nullptr && previous->stride == run.stride &&
        previous->source + previous->length * previous->stride == run.source) {
      previous->length += run.length;
    } else {
      runs.push_back(run);
    }
  }
  return static_cast<int64_t>(runs.size());
}

void PackedMatmul::run(std::span<const int32_t> codes, int64_t images, Workspace& workspace,
                       PanelSink& sink) const {
  const Window& w = workload_.window;
  const int64_t panel = kernels_->panel_pixels, pixels = w.ofmap_pixels() * images;
  const int64_t channels = workload_.group_ofmap_channels();
  const int64_t group_elements = workload_.group_ifmap_channels() * padded_rows_ * padded_cols_;
  const auto block = static_cast<size_t>(channels * panel);
  pad(codes, images, workspace.padded);
  workspace.patch.resize(static_cast<size_t>((steps_ * panel + kVectorSlack) * 2));
  for (auto* values : {&workspace.sums, &workspace.low, &workspace.high, &workspace.inner_low,
                       &workspace.inner_high, &workspace.counts})
    values->resize(block);

  const bool census = mode_ == KernelMode::kCensus;
  const bool counts = mode_ == KernelMode::kSaturateCount || mode_ == KernelMode::kWrapCount;
  PatchJob patch{.source = nullptr,
                 .runs = nullptr,
                 .run_count = 0,
                 .tap_offsets = tap_offsets_.data(),
                 .steps = steps_,
                 .patch = workspace.patch.data()};
  PanelJob job{.weights = nullptr,
               .patch = workspace.patch.data(),
               .start = nullptr,
               .last = nullptr,
               .channels = channels,
               .steps = steps_,
               .steps_per_fit = steps_per_fit_,
               .bits = bits_,
               .additions_per_sum = additions_per_sum_,
               .outer = outer_.data(),
               .outer_count = std::ssize(outer_),
               .sums = workspace.sums.data(),
               .low = workspace.low.data(),
               .high = workspace.high.data(),
               .inner_low = workspace.inner_low.data(),
               .inner_high = workspace.inner_high.data(),
               .counts = workspace.counts.data()};
  for (int64_t first = 0; first < pixels; first += panel) {
    const int64_t end = std::min(first + panel, pixels);
    patch.run_count = add_runs(first, end, workspace.runs);
    patch.runs = workspace.runs.data();
    for (int64_t group = 0; group < workload_.groups; ++group) {
      patch.source = workspace.padded.data() + group * group_elements;
      kernels_->make_patch(patch);
      const int64_t oc = group * channels;
      job.weights = weights_.data() + oc * steps_ * 2;
      job.start = start_.data() + oc;
      job.last = last_.empty() ? nullptr : last_.data() + oc;
      kernels_->run(mode_, job);
      for (int64_t c = 0; c < channels; ++c) {
        const auto made = [&](bool is_made, const int32_t* values) {
          return is_made ? values + c * panel : nullptr;
        };
        sink.panel(oc + c, first, end - first,
                   {.sums = made(true, job.sums),
                    .low = made(census, job.low),
                    .high = made(census, job.high),
                    .inner_low = made(census && !outer_.empty(), job.inner_low),
                    .inner_high = made(census && !outer_.empty(), job.inner_high),
                    .counts = made(counts, job.counts)});
      }
    }
  }
}

}  // namespace widthwise
