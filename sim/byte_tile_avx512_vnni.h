#pragma once
#include "sim/byte_kernel.h"
#include "sim/byte_vectors.h"

// Tiles of kPixels pixels and kVectors vectors, whose sums stay in registers; trees of them. What
// is not inlined would keep them in memory.
namespace widthwise {
namespace {

inline Vec broadcast_quad(const uint8_t* from) {
  int32_t quad;
  __builtin_memcpy(&quad, from, sizeof(quad));
  return _mm512_set1_epi32(quad);
}

template <int kPixels, int kVectors>
struct TileSums {
  Vec v[kPixels][kVectors];
};

// One quad of every pixel against one quad of weights.
template <int kPixels, int kVectors>
[[gnu::always_inline]] inline void add_quad(TileSums<kPixels, kVectors>& sum,
                                            const uint8_t* const (&pixel)[kPixels], int64_t offset,
                                            const int8_t* weights) {
  Vec w[kVectors];
  UNROLL for (int v = 0; v < kVectors; ++v) w[v] = load(weights + v * 64);
  UNROLL for (int p = 0; p < kPixels; ++p) {
    const Vec a = broadcast_quad(pixel[p] + offset);
    UNROLL for (int v = 0; v < kVectors; ++v) {
      sum.v[p][v] = _mm512_dpbusd_epi32(sum.v[p][v], a, w[v]);
    }
  }
}

// A part of a tile: vectors from `vector` on.
struct Part {
  const ByteTile& tile;
  int64_t vector;
  const int8_t* weights() const { return tile.weights + vector * 64 * tile.quads; }
  int64_t at(int p, int v) const { return p * kTileChannels + (vector + v) * kLaneChannels; }
};

template <int kPixels, int kVectors>
[[gnu::always_inline]] inline void begin_part(const Part& part, TileSums<kPixels, kVectors>& sum,
                                              const uint8_t* (&pixel)[kPixels]) {
  UNROLL for (int p = 0; p < kPixels; ++p) {
    pixel[p] = part.tile.pixels[p];
    UNROLL for (int v = 0; v < kVectors; ++v) {
      sum.v[p][v] = load(part.tile.start + (part.vector + v) * kLaneChannels);
    }
  }
}

template <int kPixels, int kVectors>
[[gnu::always_inline]] inline void store_part(const Part& part,
                                              const TileSums<kPixels, kVectors>& sum, int32_t* to) {
  UNROLL for (int p = 0; p < kPixels; ++p) {
    UNROLL for (int v = 0; v < kVectors; ++v) store(to + part.at(p, v), sum.v[p][v]);
  }
}

template <int kPixels, int kVectors>
[[gnu::always_inline]] inline void store_without_offset(const Part& part, int32_t offset,
                                                        TileSums<kPixels, kVectors>& sum,
                                                        int32_t* to) {
  UNROLL for (int p = 0; p < kPixels; ++p) {
    UNROLL for (int v = 0; v < kVectors; ++v) {
      sum.v[p][v] = _mm512_sub_epi32(sum.v[p][v], _mm512_set1_epi32(offset));
    }
  }
  store_part(part, sum, to);
}

// Calls close() after every fitted addition, of kFit quads; 0: of quads_per_fit. kCorrected: the
// zero byte is not 0.
template <int kFit, bool kCorrected, int kPixels, int kVectors, class Close>
[[gnu::always_inline]] inline void run_tree(const Part& part, int32_t offset,
                                            TileSums<kPixels, kVectors>& sum, Close&& close) {
  const ByteTile& tile = part.tile;
  const uint8_t* pixel[kPixels];
  begin_part(part, sum, pixel);
  UNROLL for (int p = 0; p < kPixels; ++p) {
    UNROLL for (int v = 0; v < kVectors; ++v) {
      sum.v[p][v] = _mm512_add_epi32(sum.v[p][v], _mm512_set1_epi32(offset));
    }
  }
  const int8_t* weights = part.weights();
  const int32_t* offsets = tile.offsets;
  const int64_t quads = tile.quads, fit = kFit != 0 ? kFit : tile.quads_per_fit;
  const auto add_all = [&](const int32_t* from) {
    UNROLL for (int v = 0; v < kVectors; ++v) {
      const Vec addend = load(from + (part.vector + v) * kLaneChannels);
      UNROLL for (int p = 0; p < kPixels; ++p) sum.v[p][v] = _mm512_add_epi32(sum.v[p][v], addend);
    }
  };
  const int32_t* corrections = tile.corrections;
  const auto fitted = [&] {
    if constexpr (kCorrected) {
      add_all(corrections);
      corrections += tile.vectors * kLaneChannels;
    }
    close();
  };
  int64_t quad = 0;
  for (; quad + fit <= quads; quad += fit) {
    if constexpr (kFit > 0) {
      UNROLL for (int i = 0; i < kFit; ++i) {
        add_quad(sum, pixel, offsets[quad + i], weights + i * kVectors * 64);
      }
      weights += kFit * kVectors * 64;
    } else {
      for (int64_t i = 0; i < fit; ++i, weights += kVectors * 64)
        add_quad(sum, pixel, offsets[quad + i], weights);
    }
    fitted();
  }
  if (quad < quads) {
    for (; quad < quads; ++quad, weights += kVectors * 64)
      add_quad(sum, pixel, offsets[quad], weights);
    fitted();
  }
  if (tile.last != nullptr) {
    add_all(tile.last);
    close();
  }
  store_without_offset(part, offset, sum, tile.sums);
}

// Cuts a tile of at most kMost pixels into parts of kVectors vectors; whether all return true.
template <class Kernel, int kMost, int kVectors, class... More>
bool run_pixels(const ByteTile& tile, int64_t vector, More... more) {
  if (kMost == 1 || tile.count >= kMost)
    return Kernel::template run<kMost, kVectors>({tile, vector}, more...);
  if constexpr (kMost > 1) return run_pixels<Kernel, kMost - 1, kVectors>(tile, vector, more...);
  return true;
}
template <class Kernel, int kMost, int kVectors, class... More>
bool run_parts(const ByteTile& tile, More... more) {
  bool all = true;
  int64_t vector = 0;
  for (; vector + kVectors <= tile.vectors; vector += kVectors)
    all = run_pixels<Kernel, kMost, kVectors>(tile, vector, more...) && all;
  const int64_t left = tile.vectors - vector;
  if (left == 1) all = run_pixels<Kernel, kMost, 1>(tile, vector, more...) && all;
  if constexpr (kVectors > 2) {
    if (left == 2) all = run_pixels<Kernel, kMost, 2>(tile, vector, more...) && all;
    if (left == 3) all = run_pixels<Kernel, kMost, 3>(tile, vector, more...) && all;
  }
  return all;
}
}  // namespace
}  // namespace widthwise
