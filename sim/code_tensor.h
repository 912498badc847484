#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/integer_format.h"

namespace widthwise {

// The codes of one tensor over a batch, in the form that its writer had use for:
//   planes: int32 [images, channels, rows, cols], as everything else in the project has them;
//   bytes: [images, rows, cols, channels], the code + byte_offset(format): formats of 8 bits at
//   most.
// A reader asks for the form that it wants; only then, and only if it differs, codes are moved.
class CodeTensor {
 public:
  // Elements that whole-vector loops may read past the end of bytes.
  static constexpr int64_t kByteSlack = 64;
  static bool fits_bytes(IntegerFormat format) { return format.bits <= 8; }
  static int32_t byte_offset(IntegerFormat format) { return format.is_signed ? 128 : 0; }

  // How an image's codes lie: [channels, pixels] in planes, [pixels, channels] in bytes.
  struct Shape {
    int64_t images = 0, channels = 0, pixels = 0;
    int64_t elements() const { return images * channels * pixels; }
    bool operator==(const Shape&) const = default;
  };

  // What is written as bytes, and what each byte is above its code.
  struct Bytes {
    std::span<const uint8_t> values;
    Shape shape;
    int32_t offset = 0;
  };

  std::span<int32_t> write_planes(int64_t elements);
  std::span<uint8_t> write_bytes(Shape shape, int32_t offset);
  // A copy of the whole, as planes.
  void assign_planes(std::span<const int32_t> codes);

  // Of what was written; `scratch` holds the result where the form differs. shape: the reader's
  // view of it, with as many elements; bytes have the offset of this format.
  std::span<const int32_t> planes(std::vector<int32_t>& scratch) const;
  std::span<const uint8_t> bytes(Shape shape, int32_t offset, std::vector<uint8_t>& scratch) const;
  std::optional<Bytes> as_bytes() const;  // nothing if it was written as planes
  std::vector<int32_t> codes() const;     // as planes

 private:
  bool has_bytes_ = false;
  Shape shape_;         // of bytes
  int32_t offset_ = 0;  // of bytes
  std::vector<int32_t> planes_;
  std::vector<uint8_t> bytes_;  // and kByteSlack more
};

}  // namespace widthwise
