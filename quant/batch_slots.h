#pragma once
#include <tbb/parallel_for.h>

#include <cstdint>
#include <functional>

namespace widthwise {

// Sums over images that do not depend on the number of threads: batches are dealt out to a fixed
// number of slots, each of which takes its own one after the other; the caller then joins the
// slots in their order.
inline constexpr int kBatchSlots = 8;
inline constexpr int kBatchImages = 16;

// run(slot, batches): by many threads, for every slot once; batches are slot, slot + kBatchSlots,
// ... below `count`.
template <class Run>
void for_slots(int64_t images, const Run& run) {
  const int64_t batches = (images + kBatchImages - 1) / kBatchImages;
  tbb::parallel_for(0, kBatchSlots, [&](int slot) {
    if (slot < batches) run(slot, batches);
  });
}

}  // namespace widthwise
