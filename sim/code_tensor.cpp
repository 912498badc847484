#include "sim/code_tensor.h"

#include <algorithm>
#include <stdexcept>

namespace widthwise {
namespace {

// Moves [images, rows, cols] to [images, cols, rows] in blocks that stay in the cache.
template <class From, class To, class Convert>
void transpose(const From* from, To* to, int64_t images, int64_t rows, int64_t cols,
               Convert&& convert) {
  constexpr int64_t kBlock = 16;
  for (int64_t image = 0; image < images; ++image) {
    const From* source = from + image * rows * cols;
    To* target = to + image * rows * cols;
    for (int64_t r0 = 0; r0 < rows; r0 += kBlock) {
      const int64_t r1 = std::min(rows, r0 + kBlock);
      for (int64_t c0 = 0; c0 < cols; c0 += kBlock) {
        const int64_t c1 = std::min(cols, c0 + kBlock);
        for (int64_t c = c0; c < c1; ++c) {
          for (int64_t r = r0; r < r1; ++r) target[c * rows + r] = convert(source[r * cols + c]);
        }
      }
    }
  }
}

}  // namespace

std::span<int32_t> CodeTensor::write_planes(int64_t elements) {
  has_bytes_ = false;
  planes_.resize(static_cast<size_t>(elements));
  return planes_;
}

std::span<uint8_t> CodeTensor::write_bytes(Shape shape, int32_t offset) {
  has_bytes_ = true;
  shape_ = shape;
  offset_ = offset;
  bytes_.resize(static_cast<size_t>(shape.elements() + kByteSlack));
  return std::span(bytes_).first(static_cast<size_t>(shape.elements()));
}

void CodeTensor::assign_planes(std::span<const int32_t> codes) {
  has_bytes_ = false;
  planes_.assign(codes.begin(), codes.end());
}

std::span<const int32_t> CodeTensor::planes(std::vector<int32_t>& scratch) const {
  if (!has_bytes_) return planes_;
  scratch.resize(static_cast<size_t>(shape_.elements()));
  transpose(bytes_.data(), scratch.data(), shape_.images, shape_.pixels, shape_.channels,
            [offset = offset_](uint8_t byte) { return byte - offset; });
  return scratch;
}

std::span<const uint8_t> CodeTensor::bytes(Shape shape, int32_t offset,
                                           std::vector<uint8_t>& scratch) const {
  const auto elements = static_cast<size_t>(shape.elements());
  // One pixel of many channels lies like one channel of many pixels.
  const bool same =
      shape == shape_ || (shape.images == shape_.images && shape_.pixels == 1 && shape.pixels == 1);
  if (has_bytes_ && same && offset == offset_) return std::span(bytes_).first(elements);
  std::vector<int32_t> moved;
  const std::span<const int32_t> from = planes(moved);
  if (from.size() != elements) throw std::logic_error("a tensor is read in another size");
  scratch.resize(elements + kByteSlack);
  transpose(from.data(), scratch.data(), shape.images, shape.channels, shape.pixels,
            [offset](int32_t code) { return static_cast<uint8_t>(code + offset); });
  return std::span(scratch).first(elements);
}

std::optional<CodeTensor::Bytes> CodeTensor::as_bytes() const {
  if (!has_bytes_) return std::nullopt;
  return Bytes{std::span(bytes_).first(static_cast<size_t>(shape_.elements())), shape_, offset_};
}

std::vector<int32_t> CodeTensor::codes() const {
  std::vector<int32_t> scratch;
  const auto from = planes(scratch);
  return {from.begin(), from.end()};
}

}  // namespace widthwise
