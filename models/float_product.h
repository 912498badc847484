#pragma once
#include <cstdint>

namespace widthwise {

// c[m, n] = a^T b in float32 by oneDNN, on the calling thread: a is [rows, m] and b [rows, n], row
// by row at a distance of `stride` floats; c is dense.
void transposed_product(const float* a, const float* b, int64_t rows, int64_t stride, int64_t m,
                        int64_t n, float* c);

}  // namespace widthwise
