#pragma once
#include <bit>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace widthwise {

static_assert(std::endian::native == std::endian::little, ".npy is read as it is stored");

// NumPy's name of a C++ type, without the byte order: "f4", "i1", ...; "b1" is bool.
template <class T>
constexpr const char* npy_dtype() {
  if constexpr (std::is_same_v<T, bool>) return "b1";
  if constexpr (std::is_same_v<T, float>) return "f4";
  if constexpr (std::is_same_v<T, double>) return "f8";
  if constexpr (std::is_same_v<T, int8_t>) return "i1";
  if constexpr (std::is_same_v<T, uint8_t>) return "u1";
  if constexpr (std::is_same_v<T, int16_t>) return "i2";
  if constexpr (std::is_same_v<T, uint16_t>) return "u2";
  if constexpr (std::is_same_v<T, int32_t>) return "i4";
  if constexpr (std::is_same_v<T, uint32_t>) return "u4";
  if constexpr (std::is_same_v<T, int64_t>) return "i8";
  if constexpr (std::is_same_v<T, uint64_t>) return "u8";
}

// An array as NumPy stores it; always in C order (last axis fastest) and little-endian.
struct NpyArray {
  std::string dtype = "u1";         // one of npy_dtype()'s
  std::vector<int64_t> shape = {};  // empty: a scalar
  std::string bytes = {};           // elements() * size of an element

  int64_t elements() const {
    int64_t product = 1;
    for (const int64_t extent : shape) product *= extent;
    return product;
  }
  template <class T>
  std::span<const T> values() const {
    if (dtype != npy_dtype<T>()) throw std::logic_error("NpyArray::values: dtype is " + dtype);
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

// values: as many as the shape says.
template <class T>
NpyArray npy_array(std::vector<int64_t> shape, std::span<const T> values) {
  NpyArray array{.dtype = npy_dtype<T>(), .shape = std::move(shape)};
  if (array.elements() != static_cast<int64_t>(values.size()))
    throw std::logic_error("npy_array: shape and values differ");
  array.bytes.assign(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  return array;
}

// Versions 1.0, 2.0 and 3.0; little-endian f4 f8 i1 u1 i2 u2 i4 u4 i8 u8 b1; Fortran order is
// turned into C order. Throws InputError for everything else, for files that end early or go on
// after the array, and for arrays above 2^33 bytes; memory is taken only once the file is known to
// hold the data. Format: numpy.lib.format.
NpyArray read_npy(const std::filesystem::path& path);
NpyArray parse_npy(std::string content, const std::string& name);  // name: for messages

// Version 1.0. write_npy leaves the old file or the new one, never half of it.
std::string npy_bytes(const NpyArray& array);
void write_npy(const std::filesystem::path& path, const NpyArray& array);

// A member of an .npz (a zip of .npy, stored or deflated) by its name with or without ".npy"; empty
// for the only one.
NpyArray read_npz(const std::filesystem::path& path, const std::string& member = "");
std::vector<std::string> npz_members(const std::filesystem::path& path);  // as they are named there

// "<file>.npy", "<file>.npz" or "<file>.npz:<member>".
NpyArray read_array(const std::string& name);

// Axis i of the result is axis axes[i] of the array, as numpy.transpose.
NpyArray transposed(const NpyArray& array, const std::vector<size_t>& axes);

// Elements first .. first + to.size() - 1 as float32, rounded to nearest even; true is 1.
void float_values(const NpyArray& array, int64_t first, std::span<float> to);
std::vector<float> float_values(const NpyArray& array);  // all
// The elements of an integer array, exact. Throws InputError for other types and for u8 above 2^63
// - 1.
std::vector<int64_t> integer_values(const NpyArray& array, const std::string& name);

}  // namespace widthwise
