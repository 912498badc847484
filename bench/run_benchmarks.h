#pragma once
#include <benchmark/benchmark.h>

namespace widthwise {

// Counter "seconds" of every iteration.
inline void set_seconds(benchmark::State& state) {
  state.counters["seconds"] = benchmark::Counter(
      1, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

// A program's main().
inline int run_benchmarks(int argc, char** argv, void (*register_all)()) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace widthwise
