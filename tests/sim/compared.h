#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>

#include "tests/sim/random_layer.h"

namespace widthwise::testing_support {

// What kernels were compared with the reference; a test program says so at its end.
class Compared : public testing::Environment {
 public:
  void add(const RandomLayer& layer) {
    ++configurations_;
    macs_ += layer.images * layer.workload().additions();
  }
  void TearDown() override {
    if (configurations_ == 0) return;
    std::cout << "compared with the reference: " << configurations_ << " configurations, " << macs_
              << " MACs\n";
  }

 private:
  int64_t configurations_ = 0, macs_ = 0;
};
inline auto* const compared = new Compared;  // gtest's own
inline testing::Environment* const registered = testing::AddGlobalTestEnvironment(compared);

}  // namespace widthwise::testing_support
