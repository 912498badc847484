#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "models/dataset.h"

namespace widthwise {

// Writes images [first, first + count) as a network's float input. Called by many threads.
using ImageSource = std::function<void(int64_t first, int64_t count, std::span<float> values)>;

// Of a data set, which must outlive it.
inline ImageSource image_source(const DataSet& data) {
  return [&data](int64_t first, int64_t count, std::span<float> values) {
    data.read(first, count, values);
  };
}

}  // namespace widthwise
