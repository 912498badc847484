#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace widthwise {

// A bus: fields appended from the low bits upward, in words of 32 bits.
class PackedBits {
 public:
  void append(int64_t value, int bits) {  // the low `bits` bits of value; 1..64
    for (int done = 0; done < bits;) {
      const int offset = static_cast<int>(bits_ % 32);
      if (offset == 0) words_.push_back(0);
      const int room = 32 - offset, taken = bits - done < room ? bits - done : room;
      const uint64_t field = (static_cast<uint64_t>(value) >> done) & ((uint64_t{1} << taken) - 1);
      words_.back() |= static_cast<uint32_t>(field << offset);
      done += taken;
      bits_ += taken;
    }
  }
  void append(const PackedBits& other) {
    for (int64_t done = 0; done < other.bits_; done += 32) {
      const int64_t left = other.bits_ - done;
      append(other.words_[static_cast<size_t>(done / 32)], static_cast<int>(left < 32 ? left : 32));
    }
  }
  int64_t bits() const { return bits_; }
  const std::vector<uint32_t>& words() const { return words_; }
  // Most significant digit first, as $readmemh reads it.
  std::string hex() const {
    std::string text;
    for (int64_t digit = (bits_ + 3) / 4 - 1; digit >= 0; --digit) {
      const uint32_t word = words_[static_cast<size_t>(digit / 8)];
      text += "0123456789abcdef"[(word >> (digit % 8 * 4)) & 15];
    }
    return text;
  }

 private:
  int64_t bits_ = 0;
  std::vector<uint32_t> words_;
};

}  // namespace widthwise
