#include "sim/matmul_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "core/error.h"
#include "sim/matmul_path.h"
#include "sim/reference.h"
#include "sim/sum_sink.h"
#include "sim/vector_requantize.h"

namespace widthwise {
namespace {

constexpr int64_t kMostPanelPixels = 64;

// Requantizes panels as they come, and takes down what the mode observed.
class CodeSink : public PanelSink {
 public:
  CodeSink(const Window& window, const KernelTable& kernels,
           const std::vector<ChannelRequantizer>& requantizers, std::span<int32_t> ofmap)
      : window_(window), kernels_(kernels), requantizers_(requantizers), ofmap_(ofmap) {}

  LayerCensus* census = nullptr;
  OverflowCounts* counts = nullptr;
  const std::vector<int32_t>* exact = nullptr;  // [images, oc, pixels], with counts
  int wrap_bits = 0;  // > 0: the sums are exact and this is where they wrap

  void panel(int64_t channel, int64_t first, int64_t count, const PanelSums& panel) override {
    const int32_t* sums = panel.sums;
    if (census != nullptr) census->add_row(channel, count, census_row(panel), kernels_);
    if (counts != nullptr) count_panel(channel, first, count, sums, panel.counts);
    int32_t wrapped[kMostPanelPixels], codes[kMostPanelPixels];
    if (wrap_bits > 0 && wrap_bits < 32) {
      for (int64_t i = 0; i < kernels_.panel_pixels; ++i) {
        wrapped[i] = static_cast<int32_t>(static_cast<uint32_t>(sums[i]) << (32 - wrap_bits)) >>
                     (32 - wrap_bits);
      }
      sums = wrapped;
    }
    requantizers_[static_cast<size_t>(channel)].run(sums, kernels_.panel_pixels, codes);
    for_each_part(window_, channel, first, count, [&](int64_t from, int64_t to, int64_t length) {
      std::copy_n(codes + from, length, ofmap_.begin() + to);
    });
  }

 private:
  void count_panel(int64_t channel, int64_t first, int64_t count, const int32_t* sums,
                   const int32_t* overflows) {
    counts->outputs += count;
    if (overflows == nullptr) return;  // proven exact
    for (int64_t i = 0; i < count; ++i) {
      counts->additions_overflowed += overflows[i];
      counts->outputs_hit += overflows[i] != 0;
    }
    for_each_part(window_, channel, first, count, [&](int64_t from, int64_t to, int64_t length) {
      for (int64_t i = 0; i < length; ++i) {
        counts->outputs_wrong += sums[from + i] != (*exact)[static_cast<size_t>(to + i)];
      }
    });
  }

  const Window& window_;
  const KernelTable& kernels_;
  const std::vector<ChannelRequantizer>& requantizers_;
  std::span<int32_t> ofmap_;
};

// Requantizes tiles as they come.
class ByteSink : public TileSink {
 public:
  ByteSink(const TileRequantizer& requantizer, int wrap_bits, std::span<uint8_t> ofmap,
           int64_t channels)
      : requantizer_(requantizer), wrap_bits_(wrap_bits), ofmap_(ofmap), channels_(channels) {}

  void tile(int64_t channel, int64_t channels, int64_t pixel, int64_t count,
            const int32_t* sums) override {
    requantizer_.run(channel, channels, count, sums, wrap_bits_,
                     ofmap_.data() + pixel * channels_ + channel, channels_);
  }

 private:
  const TileRequantizer& requantizer_;
  int wrap_bits_;
  std::span<uint8_t> ofmap_;
  int64_t channels_;  // of the ofmap
};

class MatmulRunner : public LayerRunner {
 public:
  MatmulRunner(const QuantizedNetwork& network, const QuantizedLayer& layer,
               const Datapath& datapath, const RunOptions& options)
      : layer_(layer),
        workload_(std::get<MatmulWorkload>(layer.workload)),
        ifmap_(network.tensor(layer.ifmaps.at(0)).quantization),
        accumulation_(datapath.layer_accumulation(layer.name)),
        census_(options.census),
        count_(options.count) {
    check_length();
    if (options.outermost)
      accumulation_ = accumulation_.with_outermost(
          options.outermost->bits, options.outermost->overflow, options.outermost->saturated_bits);
    const KernelTable& kernels = kernels_of(options);
    kernels_ = &kernels;
    const TensorQuantization& ofmap = network.tensor(layer.ofmap).quantization;
    for (int64_t oc = 0; oc < workload_.window.ofmap_channels; ++oc) {
      requantizers_.emplace_back(layer_requantizer(layer, oc, ifmap_, ofmap, datapath.requantize),
                                 datapath.requantize, ofmap.zero_point, layer.q_min, layer.q_max,
                                 kernels);
    }
    if (census_) {
      check_census(accumulation_, "layer '" + layer_.name + "'");
      if (CodeTensor::fits_bytes(ofmap.format)) {
        path_.bytes = pack_bytes(layer, ifmap_, accumulation_, KernelMode::kCensus, kernels);
      }
      if (!path_.bytes) {
        path_.packed =
            PackedMatmul::pack(layer, ifmap_, accumulation_, KernelMode::kCensus, kernels);
      }
    } else {
      path_ = MatmulPath::choose(layer, ifmap_, accumulation_, count_,
                                 CodeTensor::fits_bytes(ofmap.format), kernels);
    }
    if (path_.bytes) {
      ofmap_offset_ = CodeTensor::byte_offset(ofmap.format);
      tile_requantizer_.emplace(requantizers_, ofmap.zero_point, layer.q_min, layer.q_max,
                                ofmap_offset_, *kernels.bytes);
    }
  }

  bool reads_weights() const override { return !path_.bytes && !path_.packed; }

  LayerRecord empty_record() const override {
    if (!census_) return {};
    return {.census = LayerCensus(layer_.bias, accumulation_), .counts = {}};
  }

  void run(const std::vector<const CodeTensor*>& ifmaps, CodeTensor& ofmap, int64_t images,
           Workspace& workspace, LayerRecord& record) const override {
    if (path_.bytes) return run_bytes(*ifmaps[0], ofmap, images, workspace, record);
    const auto codes = ifmaps[0]->planes(workspace.planes);
    const auto to = ofmap.write_planes(images * workload_.window.ofmap_elements());
    if (path_.packed) {
      run_packed(codes, to, images, workspace, record);
    } else {
      run_reference(codes, to, images, record);
    }
  }

 private:
  void run_bytes(const CodeTensor& ifmap, CodeTensor& ofmap, int64_t images, Workspace& workspace,
                 LayerRecord& record) const {
    const Window& w = workload_.window;
    const auto bytes = ifmap.bytes({images, w.ifmap_channels, w.ifmap_rows * w.ifmap_cols},
                                   CodeTensor::byte_offset(ifmap_.format), workspace.bytes);
    const auto to = ofmap.write_bytes({images, w.ofmap_channels, w.ofmap_pixels()}, ofmap_offset_);
    ByteSink sink(*tile_requantizer_, path_.wrap_bits, to, w.ofmap_channels);
    path_.bytes->run(bytes, images, workspace, sink, census_ ? &record.census : nullptr);
    if (count_) record.counts.outputs += images * w.ofmap_elements();  // proven exact
  }

  void run_packed(std::span<const int32_t> codes, std::span<int32_t> ofmap, int64_t images,
                  Workspace& workspace, LayerRecord& record) const {
    CodeSink sink(workload_.window, *kernels_, requantizers_, ofmap);
    if (census_) sink.census = &record.census;
    if (count_) sink.counts = &record.counts;
    sink.wrap_bits = path_.wrap_bits;
    std::optional<SumSink> exact;
    if (count_ && path_.exact) {
      exact.emplace(workload_.window, images);
      path_.exact->run(codes, images, workspace, *exact);
      sink.exact = &exact->sums;
    }
    path_.packed->run(codes, images, workspace, sink);
  }

  void check_length() const {
    if (workload_.reduction_length() <= kMostProducts) return;
    throw InputError({.file = "",
                      .where = "layer '" + layer_.name + "'",
                      .field = "reduction",
                      .problem = fmt::format("is {} products long, allowed {}",
                                             workload_.reduction_length(), kMostProducts),
                      .fix = "split the layer: longer sums are not exact in 64 bits"});
  }

  void run_reference(std::span<const int32_t> codes, std::span<int32_t> ofmap, int64_t images,
                     LayerRecord& record) const {
    const int64_t in = workload_.window.ifmap_elements(), out = workload_.window.ofmap_elements(),
                  pixels = workload_.window.ofmap_pixels();
    const Accumulation wide = exact_accumulation(accumulation_);
    for (int64_t image = 0; image < images; ++image) {
      const auto image_codes =
          codes.subspan(static_cast<size_t>(image * in), static_cast<size_t>(in));
      const auto sums_at = [&](const Accumulation& accumulation) {
        return reference_matmul(workload_, image_codes, ifmap_.zero_point, layer_.weights,
                                layer_.bias, accumulation, layer_.weight_zero_points);
      };
      const LayerSums sums = census_ ? sums_at(wide) : sums_at(accumulation_);
      if (census_) take_census(image_codes, record.census);
      const LayerSums exact = count_ ? sums_at(wide) : LayerSums{};
      for (int64_t i = 0; i < out; ++i) {
        const auto at = static_cast<size_t>(i);
        ofmap[static_cast<size_t>(image * out + i)] =
            requantizers_[static_cast<size_t>(i / pixels)](sums.accumulators[at]);
        if (!count_) continue;
        record.counts.additions_overflowed += sums.overflow_counts[at];
        record.counts.outputs_hit += sums.overflow_counts[at] != 0;
        record.counts.outputs_wrong += sums.accumulators[at] != exact.accumulators[at];
        ++record.counts.outputs;
      }
    }
  }

  // Extremes of the exact running sums, from the reference's definition.
  void take_census(std::span<const int32_t> codes, LayerCensus& census) const {
    census.add_image(reference_extremes(workload_, codes, ifmap_.zero_point, layer_.weights,
                                        layer_.bias, accumulation_, layer_.weight_zero_points));
  }

  const QuantizedLayer& layer_;
  const MatmulWorkload& workload_;
  TensorQuantization ifmap_;
  Accumulation accumulation_;
  bool census_, count_;
  const KernelTable* kernels_ = nullptr;
  std::vector<ChannelRequantizer> requantizers_;
  MatmulPath path_;
  std::optional<TileRequantizer> tile_requantizer_;  // with path_.bytes
  int32_t ofmap_offset_ = 0;
};

}  // namespace

void check_census(const Accumulation& accumulation, const std::string& where) {
  const auto refuse = [&](std::string field, std::string problem, std::string fix) {
    throw InputError({.file = "",
                      .where = where,
                      .field = std::move(field),
                      .problem = std::move(problem),
                      .fix = std::move(fix)});
  };
  if (!suits_census(accumulation)) {
    refuse("accumulation.stages",
           "are [" + accumulation.describe() +
               "], a census covers one or two chains, and trees before them",
           "describe such stages, or evaluate each width by itself");
  }
  for (size_t i = 0; i < accumulation.stages.size(); ++i) {
    const Stage& stage = accumulation.stages[i];
    if (stage.kind == Stage::Kind::kTree || is_wrap_or_saturate(stage.overflow)) continue;
    refuse(fmt::format("accumulation.stages[{}].overflow", i),
           fmt::format("is {}, a census covers wrap and saturate",
                       overflow_policy_name(stage.overflow)),
           "state one of them, or evaluate each width by itself");
  }
}

std::unique_ptr<LayerRunner> make_matmul_runner(const QuantizedNetwork& network,
                                                const QuantizedLayer& layer,
                                                const Datapath& datapath,
                                                const RunOptions& options) {
  return std::make_unique<MatmulRunner>(network, layer, datapath, options);
}

}  // namespace widthwise
