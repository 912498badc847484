#include "models/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/files.h"
#include "models/input_file.h"
#include "models/npy_header.h"

namespace widthwise {
namespace {

constexpr int64_t kMaxFileBytes = (int64_t{1} << 33) + (1 << 20);  // data and header

// Calls visit with the array's elements as their own type.
template <class Visit>
void visit_values(const NpyArray& array, const Visit& visit) {
  const auto as = [&]<class... T>(std::type_identity<T>...) {
    (void)((array.dtype == npy_dtype<T>() && (visit(array.values<T>()), true)) || ...);
  };
  as(std::type_identity<float>{}, std::type_identity<double>{}, std::type_identity<int8_t>{},
     std::type_identity<uint8_t>{}, std::type_identity<int16_t>{}, std::type_identity<uint16_t>{},
     std::type_identity<int32_t>{}, std::type_identity<uint32_t>{}, std::type_identity<int64_t>{},
     std::type_identity<uint64_t>{});
}

}  // namespace

NpyArray parse_npy(std::string content, const std::string& name) {
  NpyHeader header = parse_npy_header(content, name);
  const auto found = static_cast<int64_t>(content.size() - header.data_offset);
  if (found != header.data_bytes) {
    throw InputError(
        {.file = name,
         .where = "",
         .field = "",
         .problem =
             found < header.data_bytes
                 ? fmt::format("is truncated: {} of {} bytes of data", found, header.data_bytes)
                 : fmt::format("goes on after its {} bytes of data", header.data_bytes),
         .fix = "copy the file again, or save the array again with numpy.save"});
  }
  content.erase(0, header.data_offset);  // moves the bytes: no second copy of a large array
  NpyArray array{.dtype = header.dtype, .shape = header.shape, .bytes = std::move(content)};
  if (!header.fortran_order || array.shape.size() < 2) return array;
  std::vector<size_t> axes(array.shape.size());  // Fortran order is C order of the reversed axes
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = axes.size() - 1 - i;
  std::reverse(array.shape.begin(), array.shape.end());
  return transposed(array, axes);
}

NpyArray read_npy(const std::filesystem::path& path) {
  return parse_npy(read_input_file(path, kMaxFileBytes, "give a file that numpy.save wrote"),
                   path.string());
}

std::string npy_bytes(const NpyArray& array) {
  return npy_header_bytes(array.dtype, array.shape) + array.bytes;
}

void write_npy(const std::filesystem::path& path, const NpyArray& array) {
  write_file(path, npy_bytes(array));
}

NpyArray read_array(const std::string& name) {
  const std::string ending = ".npz";
  const size_t colon = name.rfind(".npz:");
  if (colon != std::string::npos)
    return read_npz(name.substr(0, colon + ending.size()), name.substr(colon + ending.size() + 1));
  if (name.ends_with(ending)) return read_npz(name);
  return read_npy(name);
}

NpyArray transposed(const NpyArray& array, const std::vector<size_t>& axes) {
  const size_t rank = array.shape.size();
  const auto size = static_cast<size_t>(array.dtype[1] - '0');  // bytes of an element
  NpyArray result{.dtype = array.dtype};
  std::vector<size_t> strides(rank, size);  // bytes, of the result's axes in the array
  for (size_t i = 0; i < rank; ++i) {
    result.shape.push_back(array.shape.at(axes.at(i)));
    for (size_t a = axes[i] + 1; a < rank; ++a) strides[i] *= static_cast<size_t>(array.shape[a]);
  }
  result.bytes.resize(array.bytes.size());
  std::vector<int64_t> index(rank, 0);
  size_t from = 0;
  for (size_t to = 0; to < result.bytes.size(); to += size) {
    std::memcpy(result.bytes.data() + to, array.bytes.data() + from, size);
    for (size_t i = rank; i-- > 0;) {
      from += strides[i];
      if (++index[i] < result.shape[i]) break;
      from -= strides[i] * static_cast<size_t>(index[i]);
      index[i] = 0;
    }
  }
  return result;
}

void float_values(const NpyArray& array, int64_t first, std::span<float> to) {
  const auto from = static_cast<size_t>(first);
  if (array.dtype == npy_dtype<bool>()) {
    const auto stored = std::string_view(array.bytes).substr(from, to.size());
    std::transform(stored.begin(), stored.end(), to.begin(),
                   [](char byte) { return byte != 0 ? 1.0f : 0.0f; });
  }
  visit_values(array, [&](auto values) {
    std::ranges::transform(values.subspan(from, to.size()), to.begin(),
                           [](auto v) { return static_cast<float>(v); });
  });
}

std::vector<float> float_values(const NpyArray& array) {
  std::vector<float> values(static_cast<size_t>(array.elements()));
  float_values(array, 0, values);
  return values;
}

std::vector<int64_t> integer_values(const NpyArray& array, const std::string& name) {
  const auto refuse = [&](std::string problem) {
    throw InputError({.file = name,
                      .where = "",
                      .field = "dtype",
                      .problem = std::move(problem),
                      .fix = "numpy.save(file, array.astype('i4'))"});
  };
  if (array.dtype[0] != 'i' && array.dtype[0] != 'u')
    refuse("is " + array.dtype + ", allowed i1 u1 i2 u2 i4 u4 i8 u8");
  std::vector<int64_t> values;
  visit_values(array, [&](auto from) {
    values.reserve(from.size());
    for (const auto v : from) {
      if constexpr (std::is_same_v<decltype(v), const uint64_t>) {
        if (v > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
          refuse(fmt::format("is u8 with {}, allowed 0..2^63-1", v));
      }
      values.push_back(static_cast<int64_t>(v));
    }
  });
  return values;
}

}  // namespace widthwise
