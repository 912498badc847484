#include "codegen/vectors.h"

#include <algorithm>
#include <fstream>

#include "core/accumulator.h"
#include "core/error.h"

namespace widthwise {
namespace {

int64_t words(int64_t bits) { return (bits + 31) / 32; }

}  // namespace

std::vector<PeResult> expected_results(const ArrayParameters& array, const TileOperands& tile) {
  std::vector<PeResult> results;
  for (size_t r = 0; r < static_cast<size_t>(array.rows); ++r) {
    for (size_t c = 0; c < static_cast<size_t>(array.cols); ++c) {
      const bool row_used = r < tile.ifmap.size(), col_used = c < tile.weight.size();
      const int64_t idle_weight = array.binary_weights() ? 1 : 0;
      const int64_t bias = c < tile.bias.size() ? tile.bias[c] : 0;
      const bool preload = array.bias == BiasMode::kPreload;
      Accumulator acc(array.acc_bits, array.overflow, preload ? bias : 0);
      for (int64_t begin = 0; begin < tile.reduction_length; begin += array.lanes) {
        const int64_t end = std::min<int64_t>(begin + array.lanes, tile.reduction_length);
        int64_t sum = 0;
        for (auto k = static_cast<size_t>(begin); row_used && k < static_cast<size_t>(end); ++k) {
          sum += int64_t{tile.ifmap[r][k] - tile.zero_point} *
                 (col_used ? tile.weight[c][k] : idle_weight);
        }
        acc.add(sum);
      }
      if (!preload) acc.add(bias);
      results.push_back({acc.value(), std::min(acc.overflow_count(), array.max_count())});
    }
  }
  return results;
}

HexVectors hex_vectors(const ArrayParameters& array, std::span<const TileOperands> tiles) {
  HexVectors vectors;
  for (const TileOperands& tile : tiles) {
    for_each_beat(array, tile, [&](const Beat& beat) {
      PackedBits line = beat.ifmap;
      for (const PackedBits* field : {&beat.weight, &beat.bias, &beat.zero_point}) {
        line.append(*field);
      }
      for (const bool flag : {beat.first, beat.last, beat.bias_beat}) line.append(flag, 1);
      vectors.beats += line.hex() + '\n';
      ++vectors.beat_count;
    });
    const std::vector<PeResult> results = expected_results(array, tile);
    PackedBits line;
    for (const PeResult& result : results) line.append(result.psum, array.acc_bits);
    for (const PeResult& result : results) line.append(result.overflow_count, array.count_bits);
    vectors.expected += line.hex() + '\n';
    ++vectors.result_count;
  }
  return vectors;
}

void write_stimulus(const ArrayParameters& array, std::span<const TileOperands> tiles,
                    const std::filesystem::path& path) {
  std::ofstream stream(path, std::ios::binary);
  const auto put = [&stream](uint32_t word) {
    const char bytes[] = {static_cast<char>(word), static_cast<char>(word >> 8),
                          static_cast<char>(word >> 16), static_cast<char>(word >> 24)};
    stream.write(bytes, sizeof(bytes));
  };
  const auto put_all = [&put](const PackedBits& bits) {
    for (const uint32_t word : bits.words()) put(word);
  };
  int64_t beats = 0;
  for (const TileOperands& tile : tiles) beats += array.beats(tile.reduction_length);
  const int64_t pes = int64_t{array.rows} * array.cols;
  put(kStimulusMagic);
  put(static_cast<uint32_t>(words(int64_t{array.rows} * array.lanes * array.ifmap.bits)));
  put(static_cast<uint32_t>(words(int64_t{array.cols} * array.lanes * array.weight.bits)));
  put(static_cast<uint32_t>(words(int64_t{array.cols} * array.bias_bits)));
  put(static_cast<uint32_t>(words(pes * array.acc_bits)));
  put(static_cast<uint32_t>(words(pes * array.count_bits)));
  put(static_cast<uint32_t>(beats));
  put(static_cast<uint32_t>(beats >> 32));
  for (const TileOperands& tile : tiles) {
    for_each_beat(array, tile, [&](const Beat& beat) {
      put((beat.first ? 1U : 0U) | (beat.last ? 2U : 0U) | (beat.bias_beat ? 4U : 0U));
      put_all(beat.zero_point);
      put_all(beat.ifmap);
      put_all(beat.weight);
      put_all(beat.bias);
    });
  }
  stream.close();
  if (!stream) {
    throw InputError({.file = path.string(),
                      .where = "",
                      .field = "",
                      .problem = "cannot be written",
                      .fix = "free some disk space or compare fewer MACs"});
  }
}

}  // namespace widthwise
