// Wall-clock time of the evaluation of many images on one thread and on two, for which it needs two
// idle processors: whoever else takes one spoils a repetition, so the least of them counts, and
// "spin", which shares nothing, says what two threads can gain at that time. Counter "seconds" of
// every iteration. Names: <network>/<path>/threads_<n>.
#include <fmt/format.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>

#include "bench/network_path.h"
#include "bench/resnet18.h"
#include "bench/run_benchmarks.h"
#include "sim/evaluate.h"

namespace widthwise {
namespace {

constexpr int64_t kImages = 64;

template <class Work>
void run_threads(benchmark::State& state, int threads, const Work& work) {
  tbb::task_arena arena(threads);
  for (auto _ : state) arena.execute(work);
  set_seconds(state);
}

void run_evaluation(benchmark::State& state, int threads, const NetworkPath& path) {
  static const QuantizedNetwork network = resnet18(112);
  static const std::vector<int32_t> images = random_images(network, kImages);
  const std::vector<int32_t> labels(kImages, 0);
  const int64_t elements = network.tensor(network.input).elements();
  const CodeSource source{[&](int64_t first, int64_t count, int32_t* codes) {
                            std::copy_n(images.begin() + first * elements, count * elements, codes);
                          },
                          labels};
  const Simulator simulator = simulator_of(network, path);
  run_threads(state, threads,
              [&] { benchmark::DoNotOptimize(evaluate(simulator, source, Progress::none())); });
}

void run_spin(benchmark::State& state, int threads) {
  constexpr int kTasks = 64, kSteps = 1'000'000;
  run_threads(state, threads, [] {
    tbb::parallel_for(0, kTasks, [](uint32_t value) {
      for (int step = 0; step < kSteps; ++step) value = value * 1664525 + 1013904223;
      benchmark::DoNotOptimize(value);
    });
  });
}

void register_all() {
  const auto add = [](const std::string& name, auto&& run) {
    for (const int threads : {1, 2}) {
      benchmark::RegisterBenchmark(fmt::format("{}/threads_{}", name, threads).c_str(),
                                   [run, threads](benchmark::State& s) { run(s, threads); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime()
          ->ComputeStatistics("least", [](const std::vector<double>& seconds) {
            return *std::min_element(seconds.begin(), seconds.end());
          });
    }
  };
  for (const NetworkPath& path : kNetworkPaths) {
    add(fmt::format("resnet18_at112/{}", path.name),
        [&path](benchmark::State& s, int threads) { run_evaluation(s, threads, path); });
  }
  add("spin", run_spin);
}

}  // namespace
}  // namespace widthwise

int main(int argc, char** argv) {
  return widthwise::run_benchmarks(argc, argv, widthwise::register_all);
}
