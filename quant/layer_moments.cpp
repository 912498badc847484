#include "quant/layer_moments.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "models/float_product.h"
#include "quant/batch_slots.h"

namespace widthwise {
namespace {

constexpr int64_t kMostPixels = 256;          // per image
constexpr int64_t kMostRowFloats = 16 << 20;  // of one network's samples of one round
constexpr int64_t kRoundImages = kBatchSlots * kBatchImages;

class MomentSums {
 public:
  MomentSums(const MatmulWorkload& workload, bool covariances)
      : workload_(workload), covariances_(covariances) {
    const Window& w = workload.window;
    groups_ = workload.groups;
    length_ = workload.reduction_length();
    width_ = groups_ * length_;
    pixels_ = std::min({w.ofmap_pixels(), kMostPixels,
                        std::max<int64_t>(kMostRowFloats / (kRoundImages * width_), 1)});
    for (Side* side : {&real_, &quantized_}) {
      side->sums.resize(static_cast<size_t>(width_));
      side->slot_sums.resize(static_cast<size_t>(kRoundImages * width_));
      if (covariances) side->rows.resize(static_cast<size_t>(kRoundImages * pixels_ * width_));
    }
    if (covariances) {
      products_.resize(static_cast<size_t>(width_ * length_));
      cross_.resize(static_cast<size_t>(width_ * length_));
    }
  }

  // Image `slot` of the round: its values in the two networks.
  void take(int64_t slot, int64_t image, const float* real, const float* quantized) {
    std::vector<int64_t> chosen(static_cast<size_t>(workload_.window.ofmap_pixels()));
    std::iota(chosen.begin(), chosen.end(), 0);
    if (std::ssize(chosen) > pixels_) {
      std::mt19937 random(static_cast<uint32_t>(image));
      for (int64_t i = 0; i < pixels_; ++i) {
        const auto left = static_cast<uint32_t>(std::ssize(chosen) - i);
        std::swap(chosen[static_cast<size_t>(i)], chosen[static_cast<size_t>(i + random() % left)]);
      }
    }
    chosen.resize(static_cast<size_t>(pixels_));
    take(real_, slot, chosen, real);
    take(quantized_, slot, chosen, quantized);
  }

  // Adds the round's samples.
  void add(int64_t images) {
    const int64_t rows = images * pixels_;
    add(real_, images);
    add(quantized_, images);
    samples_ += rows;
    if (!covariances_) return;
    constexpr int64_t kTile = 64;  // rows of a product that a thread makes at a time
    const int64_t tiles = (length_ + kTile - 1) / kTile;
    tbb::parallel_for(int64_t{0}, groups_ * tiles, [&](int64_t task) {
      const int64_t group = task / tiles, first = task % tiles * kTile;
      const int64_t count = std::min(kTile, length_ - first), column = group * length_;
      std::vector<float> product(static_cast<size_t>(count * length_));
      for (const bool cross : {false, true}) {
        transposed_product((cross ? real_ : quantized_).rows.data() + column + first,
                           quantized_.rows.data() + column, rows, width_, count, length_,
                           product.data());
        double* to = (cross ? cross_ : products_).data() + (column + first) * length_;
        for (size_t i = 0; i < product.size(); ++i) to[i] += static_cast<double>(product[i]);
      }
    });
  }

  LayerMoments result() const {
    LayerMoments m;
    m.groups = groups_;
    m.length = length_;
    m.samples = samples_;
    const auto n = static_cast<double>(samples_);
    const std::vector<double> real_rest = rest_of(real_, m.real_mean),
                              rest = rest_of(quantized_, m.mean);
    const auto centred = [&](const std::vector<double>& products, const std::vector<double>& left) {
      std::vector<double> out(products.size());
      const auto length = static_cast<size_t>(length_);
      for (size_t row = 0; row < left.size() && !out.empty(); ++row) {
        const size_t first = row / length * length;
        for (size_t col = 0; col < length; ++col)
          out[row * length + col] =
              products[row * length + col] / n - left[row] * rest[first + col];
      }
      return out;
    };
    m.covariance = centred(products_, rest);
    m.cross_covariance = centred(cross_, real_rest);
    return m;
  }

 private:
  // Of one of the two networks.
  struct Side {
    std::vector<float> shift;       // means of the first round; empty: not known, or not needed
    std::vector<float> rows;        // [images of a round * pixels, groups * length]; or empty
    std::vector<double> slot_sums;  // [images of a round, groups * length], about the shift
    std::vector<double> sums;
  };

  void take(Side& side, int64_t slot, const std::vector<int64_t>& pixels, const float* ifmap) {
    std::vector<float> scratch(side.rows.empty() ? static_cast<size_t>(width_) : 0);
    double* sums = side.slot_sums.data() + slot * width_;
    std::fill(sums, sums + width_, 0);
    for (int64_t p = 0; p < pixels_; ++p) {
      float* row =
          side.rows.empty() ? scratch.data() : side.rows.data() + (slot * pixels_ + p) * width_;
      gather(ifmap, pixels[static_cast<size_t>(p)], row);
      if (!side.shift.empty()) subtract(side, row);
      for (int64_t i = 0; i < width_; ++i) sums[i] += static_cast<double>(row[i]);
    }
  }

  // So that a small spread about a great mean is not lost in float32's products.
  void subtract(const Side& side, float* row) const {
    for (int64_t i = 0; i < width_; ++i) row[i] -= side.shift[static_cast<size_t>(i)];
  }

  void add(Side& side, int64_t images) {
    const auto rows = static_cast<double>(images * pixels_);
    std::vector<double> round(static_cast<size_t>(width_));
    for (int64_t slot = 0; slot < images; ++slot) {
      for (int64_t i = 0; i < width_; ++i)
        round[static_cast<size_t>(i)] += side.slot_sums[static_cast<size_t>(slot * width_ + i)];
    }
    if (covariances_ && side.shift.empty()) {
      for (double& sum : round) {
        side.shift.push_back(static_cast<float>(sum / rows));
        sum -= rows * static_cast<double>(side.shift.back());
      }
      tbb::parallel_for(int64_t{0}, images * pixels_,
                        [&](int64_t row) { subtract(side, side.rows.data() + row * width_); });
    }
    for (size_t i = 0; i < round.size(); ++i) side.sums[i] += round[i];
  }

  // Means about the shift; `mean` are the means.
  std::vector<double> rest_of(const Side& side, std::vector<double>& mean) const {
    std::vector<double> rest;
    for (size_t i = 0; i < side.sums.size(); ++i) {
      rest.push_back(side.sums[i] / static_cast<double>(samples_));
      mean.push_back(rest.back() + (side.shift.empty() ? 0 : static_cast<double>(side.shift[i])));
    }
    return rest;
  }

  void gather(const float* ifmap, int64_t pixel, float* row) const {
    const Window& w = workload_.window;
    const int64_t top = pixel / w.ofmap_cols * w.stride_rows - w.pad_top,
                  left = pixel % w.ofmap_cols * w.stride_cols - w.pad_left;
    for (int64_t c = 0; c < w.ifmap_channels; ++c) {
      for (int64_t i = 0; i < w.kernel_rows; ++i) {
        const int64_t y = top + i * w.dilation_rows;
        const bool row_inside = y >= 0 && y < w.ifmap_rows;
        const float* from = ifmap + (c * w.ifmap_rows + y) * w.ifmap_cols + left;
        for (int64_t j = 0; j < w.kernel_cols; ++j) {
          const int64_t x = j * w.dilation_cols;
          const bool inside = row_inside && left + x >= 0 && left + x < w.ifmap_cols;
          *row++ = inside ? from[x] : 0;
        }
      }
    }
  }

  const MatmulWorkload& workload_;
  bool covariances_;
  int64_t groups_ = 1, length_ = 0, width_ = 0, pixels_ = 0, samples_ = 0;
  Side real_, quantized_;
  std::vector<double> products_, cross_;
};

}  // namespace

FloatNetwork part_between(const FloatNetwork& network, int from, int to) {
  std::vector<bool> needed(network.tensors.size());
  needed[static_cast<size_t>(to)] = true;
  FloatNetwork part;
  part.name = network.name;
  part.tensors = network.tensors;
  part.input = from;
  part.output = to;
  for (auto layer = network.layers.rbegin(); layer != network.layers.rend(); ++layer) {
    if (layer->output == from || !needed[static_cast<size_t>(layer->output)]) continue;
    for (const int input : layer->inputs) needed[static_cast<size_t>(input)] = true;
    part.layers.push_back(*layer);
  }
  std::reverse(part.layers.begin(), part.layers.end());
  return part;
}

PairRunner::PairRunner(const LayerInputs& inputs)
    : inputs_(inputs),
      real_([&inputs] { return FloatExecutor(inputs.real, kBatchImages); }),
      quantized_([&inputs] {
        return FloatExecutor(inputs.quantized.network, kBatchImages, inputs.quantized.tensors);
      }) {}

void PairRunner::run(int64_t first, int64_t count, const Visit& visit) {
  const auto elements = [](const FloatNetwork& n) { return n.tensor(n.input).elements(); };
  tbb::parallel_for(int64_t{0}, (count + kBatchImages - 1) / kBatchImages, [&](int64_t batch) {
    const int64_t begin = first + batch * kBatchImages,
                  n = std::min<int64_t>(kBatchImages, first + count - begin);
    // Both are read first: a source may wait for work of its own, and run another batch meanwhile.
    std::vector<float> real(static_cast<size_t>(n * elements(inputs_.real))),
        quantized(real.size());
    inputs_.real_source(begin, n, real);
    inputs_.source(begin, n, quantized);
    visit(begin, n, real_.local().run(real, static_cast<int>(n)),
          quantized_.local().run(quantized, static_cast<int>(n)));
  });
}

LayerMoments layer_moments(const MatmulWorkload& workload, const LayerInputs& inputs,
                           int64_t images, bool covariances) {
  MomentSums sums(workload, covariances);
  PairRunner runner(inputs);
  const int64_t elements = workload.window.ifmap_elements();
  for (int64_t round = 0; round < images; round += kRoundImages) {
    const int64_t count = std::min(kRoundImages, images - round);
    runner.run(round, count, [&](int64_t first, int64_t n, auto x, auto y) {
      for (int64_t i = 0; i < n; ++i)
        sums.take(first - round + i, first + i, x.data() + i * elements, y.data() + i * elements);
    });
    sums.add(count);
  }
  return sums.result();
}

}  // namespace widthwise
