#pragma once
#include "models/network.h"

namespace widthwise {

// Equalizes the ranges of weights between neighbours: where a matmul's ofmap has one reader, a
// matmul, and nothing but a ReLU lies between, f(s x) = s f(x) for s > 0, so that ofmap channel i
// can be divided by s_i and the reader's weights for it multiplied by s_i without changing what the
// network computes. s_i = sqrt(r1_i / r2_i) makes the greatest magnitudes r1_i of the writer's
// weights for the channel and r2_i of the reader's the same. Repeated until no scale changes by
// more than 1 %, at most 50 times. Channels whose weights on a side are below 1/256 of the tensor's
// greatest stay. Max-pooling and average pooling of single channels may lie between, too; sums,
// joins, other limits and branches may not. Returns how many pairs of neighbours there are.
// Source: Nagel et al., "Data-free quantization through weight equalization and bias correction",
// 2019, section 4.1.
int64_t equalize(FloatNetwork& network);

}  // namespace widthwise
