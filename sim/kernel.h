#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "sim/byte_kernel.h"

namespace widthwise {

// Inner loops of the fast path: a panel of output pixels against all output channels of a group.
// Products are taken in pairs of int16 (one multiply-add instruction for two); a step is one such
// pair, and steps_per_fit steps make the addend of one fitted addition: 1 step with a zero partner
// for a chain, ceil(T / 2) steps for a tree of T. Nothing here may overflow int32: the caller has
// proved it (see PackedMatmul).
enum class KernelMode {
  kExact,          // sums only, nothing fitted
  kSaturate,       // saturated after every addition
  kSaturateCount,  // and the additions that did not fit are counted
  kWrapCount,      // wrapped after every addition, and counted
  kCensus,         // exact, and the extremes of the running sum after every addition
};

// A stage around the innermost fitted chain: its running sum takes what the stage inside hands on.
struct OuterStage {
  int64_t length = 0;  // addends before it hands on its sum; the last one: INT64_MAX
  bool is_fitted = false;
  bool saturates = false;  // else it wraps
  int bits = 32;           // 2..32, where it is fitted
};
inline constexpr int64_t kMostOuterStages = 4;

struct PanelJob {
  const int16_t* weights = nullptr;  // [channels][steps][2]
  const int16_t* patch = nullptr;    // [steps][panel_pixels][2]
  // [channels], of the outermost running sum: its value before the first addition, and one more
  // addend at the end, or null.
  const int32_t* start = nullptr;
  const int32_t* last = nullptr;
  int64_t channels = 0;
  int64_t steps = 0;
  int64_t steps_per_fit = 1;
  int bits = 32;  // of the innermost running sum where it is fitted, 2..32
  // Where there are stages around the innermost chain (of a census: one, exact), the chain begins
  // at 0 again after so many additions.
  int64_t additions_per_sum = 0;
  const OuterStage* outer = nullptr;
  int64_t outer_count = 0;       // 0..kMostOuterStages
  int32_t* sums = nullptr;       // [channels][panel_pixels]
  int32_t* low = nullptr;        // [channels][panel_pixels], kCensus: least running sum
  int32_t* high = nullptr;       // [channels][panel_pixels], kCensus: greatest running sum
  int32_t* inner_low = nullptr;  // the same of the innermost chain, where another is around it
  int32_t* inner_high = nullptr;
  int32_t* counts = nullptr;  // [channels][panel_pixels], the counting modes, over all chains
};

// One run of a patch row: `length` pixels that lie `stride` elements apart in the source.
struct PixelRun {
  int64_t source =
      0;  // element of the padded ifmap that the run's first pixel reads at tap offset 0
  int64_t length = 0;
  int64_t stride = 1;
};

inline constexpr int64_t kVectorSlack =
    32;  // elements that whole-vector loops may touch past an end

struct PatchJob {
  const int16_t* source =
      nullptr;  // padded ifmaps, zero point subtracted, and 2 * kVectorSlack more
  const PixelRun* runs = nullptr;  // together at most panel_pixels pixels
  int64_t run_count = 0;
  const int64_t* tap_offsets = nullptr;  // [steps][2], second -1: no product, 0 is written
  int64_t steps = 0;
  int16_t* patch = nullptr;  // [steps][panel_pixels][2] and 2 * kVectorSlack more; pixels past the
                             // runs are left as anything
};

// Codes from sums of one channel: the requantizers whose inner loop is worth a vector.
struct RequantizeJob {
  const int32_t* sums = nullptr;
  int64_t count = 0;
  bool use_float = false;
  float float_multiplier = 0;  // use_float: rint(f32(sum) * multiplier)
  int64_t multiplier = 0;      // else: (sum * multiplier + rounding_addend) >> shift
  int64_t rounding_addend = 0;
  int shift = 0;
  int32_t zero_point = 0, q_min = 0, q_max = 0;
  int32_t* codes = nullptr;
};

// Codes of one or two tensors to codes of another: multipliers and shift of ElementwiseRequantizer.
struct ElementwiseJob {
  const int32_t* first = nullptr;
  const int32_t* second = nullptr;  // null: one operand
  int64_t count = 0;
  bool use_float = false;  // float32: ElementwiseRequantizer's kFloat32
  float first_scale = 0, second_scale = 0, ofmap_scale = 1;
  int64_t first_multiplier = 0, second_multiplier = 0,
          rounding_addend = 0;  // else, as RequantizeJob
  int shift = 0;
  int32_t first_zero_point = 0, second_zero_point = 0;
  int32_t zero_point = 0, q_min = 0, q_max = 0;
  int32_t* codes = nullptr;
};

// Counts of one channel's running sums for a census.
struct CensusJob {
  const int32_t* sums = nullptr;  // final sums
  const int32_t* low = nullptr;   // extremes of the running sums
  const int32_t* high = nullptr;
  int64_t count = 0;
  int64_t* running = nullptr;  // [34], by width 1..33: outputs whose running sums need it
  int64_t* final = nullptr;    // [34]: outputs whose final sum needs it
  int32_t least = INT32_MAX, greatest = INT32_MIN;  // lowered and raised by this job
};

// The same source compiled for several instruction sets; all give identical results.
struct KernelTable {
  const char* name;
  int64_t panel_pixels;
  void (*run)(KernelMode mode, const PanelJob& job);
  void (*make_patch)(const PatchJob& job);
  void (*requantize)(const RequantizeJob& job);
  void (*elementwise)(const ElementwiseJob& job);
  void (*census)(CensusJob& job);
  const ByteKernelTable* bytes;  // null: there are none for this instruction set
};

extern const KernelTable kBaselineKernels;  // SSE2, every x86-64
extern const KernelTable kAvx2Kernels;
extern const KernelTable kAvx512VnniKernels;

// Tables that this machine can run, best first.
std::vector<const KernelTable*> supported_kernels();
// The best one, or the one that the environment variable WIDTHWISE_ISA names (baseline, avx2,
// avx512_vnni). Throws InputError for a name that is unknown or not supported here.
const KernelTable& default_kernels();

}  // namespace widthwise
