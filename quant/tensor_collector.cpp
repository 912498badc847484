#include "quant/tensor_collector.h"

#include <fmt/format.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/info.h>
#include <tbb/parallel_pipeline.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <memory>
#include <stdexcept>

#include "core/error.h"
#include "models/float_executor.h"

namespace widthwise {
namespace {

// Images that an executor runs at a time: 8 to 24, which fit the cache, so that the fewest runs of
// a batch are not full.
int64_t chunk_images(int64_t batch) {
  constexpr int64_t kLeast = 8, kMost = 24;
  int64_t best = std::min(batch, kMost), fewest = best * ((batch + best - 1) / best);
  for (int64_t n = best - 1; n >= kLeast; --n) {
    const int64_t run = n * ((batch + n - 1) / n);
    if (run < fewest) {
      best = n;
      fewest = run;
    }
  }
  return best;
}

class Collector {
 public:
  Collector(const FloatNetwork& network, std::span<const std::string> names,
            const std::vector<bool>& recorded, const ImageSource& source, int64_t images,
            const CollectorOptions& options, Progress& progress)
      : network_(network),
        names_(names),
        source_(source),
        images_(images),
        batch_(options.batch),
        chunk_(chunk_images(options.batch)),
        progress_(progress),
        recorded_(recorded),
        records_(network.tensors.size(), RecordCollector(options.compat, options.histogram_bins)),
        sums_(network.tensors.size()),
        executors_([this] { return FloatExecutor(network_, static_cast<int>(chunk_)); }) {}

  std::vector<RecordCollector> run(bool only_ranges) {
    pass<TensorSums>([](size_t, std::span<const float> values,
                        int64_t count) { return TensorSums(values, count); },
                     [this](const Chunk& chunk, const auto& parts) { add(chunk, parts); });
    if (only_ranges) return std::move(records_);
    pass<TensorDeviations>(
        [this](size_t tensor, std::span<const float> values, int64_t) {
          return records_[tensor].deviations(values);
        },
        [this](const Chunk&, const auto& parts) {
          for_each_record([&](size_t t) { records_[t].add_deviations(parts[t]); });
        });
    return std::move(records_);
  }

 private:
  struct Chunk {
    int64_t first, count;
    bool ends_batch;
  };

  // Measures every recorded tensor of all chunks, in parallel, and folds the parts of one chunk
  // after the other in their order; few of them are unfinished at any time.
  template <class Part, class Measure, class Fold>
  void pass(const Measure& measure, const Fold& fold) {
    using Parts = std::vector<Part>;  // by tensor
    struct Measured {
      Chunk chunk;
      Parts parts;
      std::exception_ptr error = nullptr;
    };
    using Shared = std::shared_ptr<Measured>;  // the pipeline copies what it passes on
    int64_t first = 0;
    // The first error in the chunks' order. It is thrown behind the pipeline, which loses what is
    // under way when something is thrown inside.
    std::exception_ptr error;
    std::atomic<bool> failed = false;
    const auto next = [&](tbb::flow_control& control) -> Chunk {
      if (first == images_ || failed) {
        control.stop();
        return {};
      }
      const int64_t batch_end = std::min((first / batch_ + 1) * batch_, images_);
      const int64_t count = std::min(chunk_, batch_end - first);
      const Chunk chunk{first, count, first + count == batch_end};
      first += count;
      return chunk;
    };
    const auto measure_all = [&](const Chunk& chunk, Parts& parts) {
      std::vector<float> values(
          static_cast<size_t>(chunk.count * network_.tensor(network_.input).elements()));
      source_(chunk.first, chunk.count, values);
      executors_.local().run(values, static_cast<int>(chunk.count),
                             [&](int tensor, std::span<const float> seen) {
                               const auto t = static_cast<size_t>(tensor);
                               if (recorded_[t]) parts[t] = measure(t, seen, chunk.count);
                             });
    };
    const auto run = [&](const Chunk& chunk) -> Shared {
      auto measured = std::make_shared<Measured>(Measured{chunk, Parts(network_.tensors.size())});
      try {
        measure_all(chunk, measured->parts);
      } catch (...) {
        measured->error = std::current_exception();
      }
      return measured;
    };
    const auto finish = [&](const Shared& measured) {
      if (error) return;
      try {
        if (measured->error) std::rethrow_exception(measured->error);
        fold(measured->chunk, measured->parts);
        progress_.advance(measured->chunk.count);
      } catch (...) {
        error = std::current_exception();
        failed = true;
      }
    };
    const auto unfinished = static_cast<size_t>(2 * tbb::info::default_concurrency());
    tbb::parallel_pipeline(
        unfinished, tbb::make_filter<void, Chunk>(tbb::filter_mode::serial_in_order, next) &
                        tbb::make_filter<Chunk, Shared>(tbb::filter_mode::parallel, run) &
                        tbb::make_filter<Shared, void>(tbb::filter_mode::serial_in_order, finish));
    if (error) std::rethrow_exception(error);
  }

  template <class Visit>
  void for_each_record(const Visit& visit) const {
    for (size_t t = 0; t < recorded_.size(); ++t)
      if (recorded_[t]) visit(t);
  }

  void add(const Chunk& chunk, const std::vector<TensorSums>& parts) {
    check(network_.input, "network '" + network_.name + "'", "input", chunk, parts);
    for (size_t i = 0; i < network_.layers.size(); ++i)
      check(network_.layers[i].output, "layer '" + names_[i] + "'", "output", chunk, parts);
    for_each_record([&](size_t t) {
      sums_[t] += parts[t];
      if (!chunk.ends_batch) return;
      records_[t].add_batch(sums_[t]);
      sums_[t] = {};
    });
  }

  void check(int tensor, const std::string& where, const char* field, const Chunk& chunk,
             const std::vector<TensorSums>& parts) const {
    if (std::isfinite(parts[static_cast<size_t>(tensor)].sum)) return;
    throw InputError({.file = "",
                      .where = where,
                      .field = field,
                      .problem = fmt::format("is not finite for images {}..{}, allowed are finite "
                                             "values",
                                             chunk.first, chunk.first + chunk.count - 1),
                      .fix = "check the images' preprocessing and the network's weights"});
  }

  const FloatNetwork& network_;
  const std::span<const std::string> names_;
  const ImageSource& source_;
  const int64_t images_, batch_, chunk_;
  Progress& progress_;
  const std::vector<bool>& recorded_;  // by tensor, as the next two
  std::vector<RecordCollector> records_;
  std::vector<TensorSums> sums_;  // of the batch that is not complete
  tbb::enumerable_thread_specific<FloatExecutor> executors_;
};

}  // namespace

std::vector<RecordCollector> collect_tensors(const FloatNetwork& network,
                                             std::span<const std::string> names,
                                             const std::vector<bool>& recorded,
                                             const ImageSource& source, int64_t images,
                                             const CollectorOptions& options, Progress& progress) {
  if (names.size() != network.layers.size() || recorded.size() != network.tensors.size() ||
      images < 1 || options.batch < 1 || options.histogram_bins < 0) {
    throw std::logic_error("collect_tensors: names, records, images, batch or bins are wrong");
  }
  return Collector(network, names, recorded, source, images, options, progress)
      .run(options.only_ranges);
}

}  // namespace widthwise
