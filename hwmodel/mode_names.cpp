#include "hwmodel/mode_names.h"

namespace widthwise {
namespace {

// Both libraries share what follows AP_ and SC_. Sources: ap_fixed's and SystemC's (IEEE 1666)
// definitions, compared row by row in tests/conformance/vectors_test.cpp.
const NamedMode<Rounding> kSharedRoundings[] = {
    {"RND", Rounding::kHalfUp},           {"RND_ZERO", Rounding::kHalfTowardZero},
    {"RND_MIN_INF", Rounding::kHalfDown}, {"RND_INF", Rounding::kHalfAway},
    {"RND_CONV", Rounding::kHalfEven},    {"TRN", Rounding::kFloor},
    {"TRN_ZERO", Rounding::kTruncate},
};
const NamedMode<OverflowPolicy> kSharedPolicies[] = {
    {"WRAP", OverflowPolicy::kWrap},
    {"SAT", OverflowPolicy::kSaturate},
    {"SAT_ZERO", OverflowPolicy::kSaturateZero},
    {"SAT_SYM", OverflowPolicy::kSaturateSymmetric},
};

}  // namespace

const std::vector<NamedMode<Rounding>>& rounding_names() {
  static const auto names = [] {
    std::vector<NamedMode<Rounding>> all;
    for (const Rounding rounding : kRoundings) all.push_back({rounding_name(rounding), rounding});
    for (const char* library : {"AP_", "SC_"}) {
      for (const auto& [name, rounding] : kSharedRoundings)
        all.push_back({library + name, rounding});
    }
    return all;
  }();
  return names;
}

const std::vector<NamedMode<OverflowPolicy>>& overflow_names() {
  static const auto names = [] {
    std::vector<NamedMode<OverflowPolicy>> all;
    for (const OverflowPolicy policy : kOverflowPolicies)
      all.push_back({overflow_policy_name(policy), policy});
    for (const char* library : {"AP_", "SC_"}) {
      for (const auto& [name, policy] : kSharedPolicies) all.push_back({library + name, policy});
    }
    all.push_back({"SC_WRAP_SM", OverflowPolicy::kWrapSignMagnitude});
    return all;
  }();
  return names;
}

}  // namespace widthwise
