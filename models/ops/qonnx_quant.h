#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/node_view.h"

namespace widthwise {

// QONNX's rounding modes. ROUND of the files is kHalfEven, UP kAwayFromZero, DOWN kTowardZero;
// HALF_UP and HALF_DOWN are by magnitude.
enum class QonnxRounding {
  kHalfEven,
  kCeil,
  kFloor,
  kAwayFromZero,
  kTowardZero,
  kHalfAway,
  kHalfTowardZero
};
// By name, in any case; refuses others.
QonnxRounding read_qonnx_rounding(const NodeView& node, const std::string& otherwise);
float round_qonnx(float value, QonnxRounding rounding);

// What a Quant or IntQuant node does with x:
//   q = round(clamp(f32(f32(x / scale) + zero_point), range)), y = f32((q - zero_point) * scale)
struct QonnxQuant {
  Tensor scale, zero_point;  // float32; broadcast to x. Zero points are integers.
  int bits = 8;              // 1..32
  bool is_signed = true, narrow = false;
  QonnxRounding rounding = QonnxRounding::kHalfEven;
  // One signed bit: codes -1 (x / scale + zero_point below 0) and +1, whatever the rounding.
  bool bipolar() const { return bits == 1 && is_signed; }
};
// Reads inputs 1..3, which must be bound or constant, and the attributes; checks all of them.
QonnxQuant read_qonnx_quant(const NodeView& node);

// The codes that can come out.
struct QonnxRange {
  int64_t low = 0, high = 0;
};
QonnxRange q_range(int bits, bool is_signed, bool narrow);
QonnxRange q_range(const QonnxQuant& quant);

// The code of x, as the executor computes it: in float32, which above 24 bits rounds the range's
// ends, too. NaN becomes the lowest code.
int64_t quantize_code(float x, float scale, float zero_point, const QonnxQuant& quant);

}  // namespace widthwise
