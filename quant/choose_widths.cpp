#include "quant/choose_widths.h"

#include <fmt/format.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/error.h"
#include "quant/batch_slots.h"
#include "quant/equalize.h"
#include "quant/fake_quantized.h"
#include "quant/float_parts.h"
#include "quant/quantize_calibrated.h"
#include "quant/tensor_bits.h"

namespace widthwise {
namespace {

[[noreturn]] void refuse(const std::string& field, const std::string& problem,
                         const std::string& fix) {
  throw InputError({.file = "", .where = "budget", .field = field, .problem = problem, .fix = fix});
}

std::vector<double> log_softmax(std::span<const float> logits) {
  const double most = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - most);
  std::vector<double> out;
  for (const float x : logits) out.push_back(static_cast<double>(x) - most - std::log(sum));
  return out;
}

constexpr int64_t kSensitivityImages = 128;

class Search {
 public:
  Search(const FloatNetwork& network, const ImageSource& source, std::span<const int32_t> labels,
         const QuantizationConfig& config, const WidthBudget& budget, const LayerCost& cost,
         Progress& progress, std::vector<int> widths)
      : network_(network),
        source_(source),
        labels_(labels),
        config_(config),
        budget_(budget),
        cost_(cost),
        progress_(progress),
        widths_(std::move(widths)),
        rounded_((std::ssize(labels) + 1) / 2) {
    std::sort(widths_.rbegin(), widths_.rend());
    if (!config_.elementwise_bits) config_.elementwise_bits = 8;
    for (const FloatLayer& layer : network.layers) {
      if (!has_weights(layer) || config.layers.contains(layer.name) ||
          config.float_activations.contains(layer.name) ||
          config.float_weights.contains(layer.name))
        continue;
      for (const bool weight : {false, true}) operands_.push_back({&layer, weight, {}});
    }
  }

  WidthChoice run() {
    check_cost();
    real_ = logits(network_, {}, rounded_, std::ssize(labels_));
    float_percent_ = percent(real_);
    measure();
    const std::vector<size_t> steps = greedy();
    const Trial best = budget_.points_lost ? cheapest_within(steps) : *best_within(steps, 0);
    return {.rounded_images = rounded_,
            .layers = best.layers,
            .cost = best.cost,
            .float_percent = float_percent_,
            .percent = best.percent,
            .divergence = best.divergence};
  }

 private:
  struct Operand {
    const FloatLayer* layer;
    bool is_weight;
    std::vector<double> divergence;  // at each width, the other operands at the widest
  };
  using Layers = std::map<std::string, QuantizationConfig::LayerBits>;
  // A network that was rounded on the first images and judged on the others.
  struct Trial {
    Layers layers;
    double cost = 0, percent = 0, divergence = 0;
  };

  // Of images [first, end).
  std::vector<float> logits(const FloatNetwork& network, const std::vector<FakeQuantization>& fake,
                            int64_t first, int64_t end) const {
    const int64_t in = network.tensor(network.input).elements(),
                  classes = network.tensor(network.output).elements();
    std::vector<float> out(static_cast<size_t>((end - first) * classes));
    tbb::enumerable_thread_specific<FloatExecutor> executors(
        [&] { return FloatExecutor(network, kBatchImages, fake); });
    tbb::parallel_for(
        int64_t{0}, (end - first + kBatchImages - 1) / kBatchImages, [&](int64_t batch) {
          const int64_t from = first + batch * kBatchImages,
                        n = std::min<int64_t>(kBatchImages, end - from);
          std::vector<float> values(static_cast<size_t>(n * in));
          source_(from, n, values);
          const auto found = executors.local().run(values, static_cast<int>(n));
          std::copy(found.begin(), found.end(), out.begin() + (from - first) * classes);
        });
    return out;
  }
  std::vector<float> logits(const QuantizedNetwork& network, int64_t first, int64_t end) const {
    const FakeQuantizedNetwork fake = fake_quantized(network);
    return logits(fake.network, fake.tensors, first, end);
  }

  // Top-1 of the judged images, whose logits these are.
  double percent(std::span<const float> found) const {
    const auto judged = labels_.subspan(static_cast<size_t>(rounded_));
    const size_t classes = found.size() / judged.size();
    double correct = 0;
    for (size_t i = 0; i < judged.size(); ++i) {
      const auto own = found.subspan(i * classes, classes);
      correct += std::max_element(own.begin(), own.end()) - own.begin() == judged[i];
    }
    return 100 * correct / static_cast<double>(judged.size());
  }

  // Mean Kullback-Leibler divergence of class probabilities.
  static double divergence(std::span<const float> real, std::span<const float> found,
                           size_t images) {
    const size_t classes = found.size() / images;
    double sum = 0;
    for (size_t i = 0; i < images; ++i) {
      const auto p = log_softmax(real.subspan(i * classes, classes)),
                 q = log_softmax(found.subspan(i * classes, classes));
      for (size_t c = 0; c < classes; ++c) sum += std::exp(p[c]) * (p[c] - q[c]);
    }
    return sum / static_cast<double>(images);
  }

  QuantizationConfig with(const Layers& layers) const {
    QuantizationConfig config = config_;
    config.layers.insert(layers.begin(), layers.end());
    return config;
  }

  Layers uniform(int ifmap, int weight) const {
    Layers layers;
    for (const Operand& operand : operands_)
      layers[operand.layer->name] = {.ifmap = ifmap, .weight = weight};
    return layers;
  }
  Layers widest() const { return uniform(widths_[0], widths_[0]); }

  static void set(Layers& layers, const Operand& operand, int bits) {
    auto& own = layers.at(operand.layer->name);
    (operand.is_weight ? own.weight : own.ifmap) = bits;
  }

  Trial tried(const Layers& layers) const {
    const std::vector<float> found =
        logits(quantize_calibrated(network_, source_, rounded_, with(layers), Progress::none()),
               rounded_, std::ssize(labels_));
    progress_.advance(1);
    return {.layers = layers,
            .cost = cost_of(layers),
            .percent = percent(found),
            .divergence = divergence(real_, found, labels_.size() - static_cast<size_t>(rounded_))};
  }

  void measure() {
    FloatNetwork network = network_;
    if (config_.equalization) equalize(network);
    const Statistics statistics =
        calibrate(network, source_, rounded_, Progress::none(), Detail::kHistograms);
    const int64_t images = std::min(rounded_, kSensitivityImages);
    const std::vector<float> real = logits(network_, {}, 0, images);
    const auto at = [&](const Layers& layers) {
      double found = 0;
      // What waits for its batches begins no other operand, whose network would take memory, too.
      tbb::this_task_arena::isolate([&] {
        found = divergence(real, logits(quantize(network, statistics, with(layers)), 0, images),
                           static_cast<size_t>(images));
      });
      return found;
    };
    const double least = at(widest());
    progress_.begin("sensitivities", std::ssize(operands_), "operands");
    tbb::parallel_for(size_t{0}, operands_.size(), [&](size_t i) {
      Operand& operand = operands_[i];
      operand.divergence.push_back(least);
      for (size_t w = 1; w < widths_.size(); ++w) {
        Layers layers = widest();
        set(layers, operand, widths_[w]);
        operand.divergence.push_back(std::max(at(layers), operand.divergence.back()));
      }
      progress_.advance(1);
    });
    progress_.end();
  }

  double layer_cost(const Layers& layers, const FloatLayer& layer) const {
    const auto& own = layers.at(layer.name);
    return cost_(layer, *own.ifmap, *own.weight);
  }

  // Operands in the order in which they go a step down.
  std::vector<size_t> greedy() const {
    std::vector<size_t> steps, level(operands_.size(), 0);
    Layers layers = widest();
    while (true) {
      double least = std::numeric_limits<double>::infinity();
      size_t best = operands_.size();
      for (size_t i = 0; i < operands_.size(); ++i) {
        const Operand& operand = operands_[i];
        if (level[i] + 1 == widths_.size()) continue;
        const double before = layer_cost(layers, *operand.layer);
        set(layers, operand, widths_[level[i] + 1]);
        const double saved = before - layer_cost(layers, *operand.layer);
        set(layers, operand, widths_[level[i]]);
        const double added = operand.divergence[level[i] + 1] - operand.divergence[level[i]];
        const double price = saved > 0 ? added / saved : std::numeric_limits<double>::max();
        if (price < least) {
          least = price;
          best = i;
        }
      }
      if (best == operands_.size()) return steps;
      set(layers, operands_[best], widths_[++level[best]]);
      steps.push_back(best);
    }
  }

  Layers layers_after(const std::vector<size_t>& steps, size_t count) const {
    Layers layers = widest();
    std::vector<size_t> level(operands_.size(), 0);
    for (size_t i = 0; i < count; ++i) set(layers, operands_[steps[i]], widths_[++level[steps[i]]]);
    return layers;
  }

  double cost_of(const Layers& layers) const {
    double sum = 0;
    for (const Operand& operand : operands_) {
      if (!operand.is_weight) sum += layer_cost(layers, *operand.layer);
    }
    return sum;
  }

  // Before any work.
  void check_cost() const {
    const double least = cost_of(uniform(widths_.back(), widths_.back()));
    if (budget_.cost && *budget_.cost < least)
      refuse("cost",
             fmt::format("is {:.6g}, below {:.6g} of {} bits everywhere", *budget_.cost, least,
                         widths_.back()),
             "allow a higher cost");
  }

  // Which of the widths an operand has.
  size_t level_of(const Layers& layers, const Operand& operand) const {
    const auto& own = layers.at(operand.layer->name);
    const int bits = operand.is_weight ? *own.weight : *own.ifmap;
    return static_cast<size_t>(std::find(widths_.begin(), widths_.end(), bits) - widths_.begin());
  }

  // The sum of what each operand adds by itself.
  double added_divergence(const Layers& layers) const {
    double sum = 0;
    for (const Operand& operand : operands_)
      sum += operand.divergence[level_of(layers, operand)] - operand.divergence[0];
    return sum;
  }

  // The widest networks that cost no more: of one width, the same but for the widest at both ends,
  // and of all with one width for ifmaps and one for weights that with the least divergence.
  std::vector<Layers> uniform_within(double cost) const {
    std::vector<Layers> found;
    const auto add = [&](const Layers& layers) {
      if (std::find(found.begin(), found.end(), layers) == found.end()) found.push_back(layers);
    };
    const std::set<std::string> ends = end_layers(network_);
    Layers least;
    for (const bool wide_ends : {false, true}) {
      bool first = true;
      for (const int ifmap : widths_) {
        for (const int weight : widths_) {
          Layers layers = uniform(ifmap, weight);
          for (const std::string& name : ends) {
            if (wide_ends && layers.contains(name))
              layers[name] = {.ifmap = widths_[0], .weight = widths_[0]};
          }
          if (cost_of(layers) > cost) continue;
          if (ifmap == weight && first) {
            add(layers);
            first = false;
          }
          if (least.empty() || added_divergence(layers) < added_divergence(least)) least = layers;
        }
      }
    }
    if (!least.empty()) add(least);
    return found;
  }

  // The same with operands a step wider, as far as the cost allows: always the one that saves the
  // most divergence per cost.
  Layers widened(Layers layers, double cost) const {
    while (true) {
      double most = 0;
      Layers best;
      for (const Operand& operand : operands_) {
        const size_t level = level_of(layers, operand);
        if (level == 0) continue;
        Layers wider = layers;
        set(wider, operand, widths_[level - 1]);
        if (cost_of(wider) > cost) continue;
        const double price =
            std::max(layer_cost(wider, *operand.layer) - layer_cost(layers, *operand.layer), 1e-12);
        const double saved = (operand.divergence[level] - operand.divergence[level - 1]) / price;
        if (saved <= most) continue;
        most = saved;
        best = wider;
      }
      if (best.empty()) return layers;
      layers = best;
    }
  }

  // The shortest run of steps within the cost, or a uniform network, or one of these widened: the
  // one with the least divergence. Nothing: none has these top-1 percents.
  std::optional<Trial> best_within(const std::vector<size_t>& steps, double least_percent) const {
    size_t count = 0;
    while (count < steps.size() && cost_of(layers_after(steps, count)) > *budget_.cost) ++count;
    std::vector<Layers> candidates = {layers_after(steps, count)};
    for (const Layers& layers : uniform_within(*budget_.cost)) {
      for (const Layers& one : {layers, widened(layers, *budget_.cost)}) {
        if (std::find(candidates.begin(), candidates.end(), one) == candidates.end())
          candidates.push_back(one);
      }
    }
    progress_.begin("trials", std::ssize(candidates), "networks");
    std::optional<Trial> best;
    for (const Layers& layers : candidates) {
      const Trial trial = tried(layers);
      if (trial.percent >= least_percent && (!best || trial.divergence < best->divergence))
        best = trial;
    }
    progress_.end();
    return best;
  }

  // The longest run of steps that keeps the points, or a uniform network that keeps them at a lower
  // cost.
  Trial cheapest_within(const std::vector<size_t>& steps) const {
    const double allowed = float_percent_ - *budget_.points_lost - 1e-9;
    progress_.begin("trials", 0, "networks");
    Trial best = tried(widest());
    if (best.percent < allowed)
      refuse("points lost",
             fmt::format("is {}, which {} bits everywhere already exceed", *budget_.points_lost,
                         widths_[0]),
             "allow more points to be lost, or wider widths");
    size_t low = 0, high = steps.size() + 1;
    while (high - low > 1) {
      const size_t middle = (low + high) / 2;
      const Trial trial = tried(layers_after(steps, middle));
      if (trial.percent >= allowed) best = trial;
      (trial.percent >= allowed ? low : high) = middle;
    }
    for (const Layers& layers : uniform_within(std::nextafter(best.cost, 0.0))) {
      const Trial trial = tried(layers);
      if (trial.percent >= allowed && trial.cost < best.cost) best = trial;
    }
    progress_.end();
    if (!budget_.cost || best.cost <= *budget_.cost) return best;
    const auto other = best_within(steps, allowed);
    if (!other)
      refuse(
          "points lost, cost",
          fmt::format("exclude each other: the cheapest network that was found to lose {} points "
                      "costs {:.6g}, above {:.6g}",
                      *budget_.points_lost, best.cost, *budget_.cost),
          "allow more points to be lost, or a higher cost");
    return *other;
  }

  const FloatNetwork& network_;
  const ImageSource& source_;
  std::span<const int32_t> labels_;
  QuantizationConfig config_;
  const WidthBudget& budget_;
  const LayerCost& cost_;
  Progress& progress_;
  std::vector<int> widths_;
  std::vector<Operand> operands_;
  int64_t rounded_;          // images that weights are rounded on
  std::vector<float> real_;  // FP32's logits of the others
  double float_percent_ = 0;
};

}  // namespace

double bit_operations(const FloatLayer& layer, int ifmap_bits, int weight_bits) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  return static_cast<double>(workload.macs()) * ifmap_bits * weight_bits;
}

WidthChoice choose_widths(const FloatNetwork& network, const ImageSource& source,
                          std::span<const int32_t> labels, const QuantizationConfig& config,
                          const WidthBudget& budget, const LayerCost& cost, Progress& progress,
                          std::vector<int> widths) {
  if (labels.size() < 2)
    refuse("labels", fmt::format("are {}, needed are 2 or more", labels.size()),
           "calibrate on labelled images");
  if (!budget.points_lost && !budget.cost)
    refuse("points lost, cost", "are both missing", "give one of them");
  if (budget.points_lost && !(*budget.points_lost >= 0))
    refuse("points lost", fmt::format("is {}, allowed from 0 on", *budget.points_lost),
           "0.5 is usual");
  const auto allowed = [](int bits) { return bits >= 2 && bits <= 8; };
  if (widths.empty() || !std::all_of(widths.begin(), widths.end(), allowed))
    refuse("widths", "are not in 2..8", "give widths in that range");
  return Search(network, source, labels, config, budget, cost, progress, std::move(widths)).run();
}

}  // namespace widthwise
