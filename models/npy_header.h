#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace widthwise {

// What stands before the data of a .npy file.
struct NpyHeader {
  std::string dtype;  // without the byte order: "f4"
  int64_t element_bytes = 0;
  bool fortran_order = false;
  std::vector<int64_t> shape;
  int64_t data_bytes = 0;  // of the whole array, at most 2^33
  size_t data_offset = 0;  // bytes
};

// Throws InputError (see read_npy); `content` starts with the file's first byte.
NpyHeader parse_npy_header(std::string_view content, const std::string& name);

// Version 1.0 in C order, padded with blanks to a multiple of 64 bytes as NumPy does.
std::string npy_header_bytes(const std::string& dtype, const std::vector<int64_t>& shape);

}  // namespace widthwise
