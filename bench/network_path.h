#pragma once
#include "sim/simulator.h"

namespace widthwise {

// The ways in which whole networks are run.
struct NetworkPath {
  const char* name;
  int bits;
  OverflowPolicy policy;
  bool census;
};
inline constexpr NetworkPath kNetworkPaths[] = {
    {"exact", 32, OverflowPolicy::kWrap, false},
    {"census_chain", 32, OverflowPolicy::kWrap, true},
    {"saturate16_chain", 16, OverflowPolicy::kSaturate, false},
};

template <class Network>  // const QuantizedNetwork&, or one to keep
Simulator simulator_of(Network&& network, const NetworkPath& path) {
  Datapath datapath;
  datapath.accumulation.stages = {Stage{.bits = path.bits, .overflow = path.policy}};
  return {std::forward<Network>(network), datapath, {.outermost = {}, .census = path.census}};
}

}  // namespace widthwise
