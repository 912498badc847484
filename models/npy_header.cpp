#include "models/npy_header.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "core/error.h"

namespace widthwise {
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 33;  // of one array
constexpr size_t kMaxRank = 32;                  // NumPy's own limit
constexpr std::array<const char*, 11> kDtypes = {"f4", "f8", "i1", "u1", "i2", "u2",
                                                 "i4", "u4", "i8", "u8", "b1"};

// The header is a Python dictionary of a text, a truth value and a tuple of integers:
//   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class DictReader {
 public:
  DictReader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  [[noreturn]] void refuse(std::string field, std::string problem, std::string fix = "") const {
    if (fix.empty()) fix = "save the array again with numpy.save";
    throw InputError({.file = name_,
                      .where = "",
                      .field = std::move(field),
                      .problem = std::move(problem),
                      .fix = std::move(fix)});
  }

  void read(NpyHeader& header) {
    std::set<std::string> seen;
    expect('{');
    while (!take('}')) {
      const std::string key = quoted("header");
      if (!seen.insert(key).second) refuse("header", "gives '" + key + "' twice");
      expect(':');
      if (key == "descr") {
        read_dtype(header);
      } else if (key == "fortran_order") {
        header.fortran_order = truth();
      } else if (key == "shape") {
        read_shape(header);
      } else {
        refuse("header", "has an unknown key '" + key + "'; known are descr, fortran_order, shape");
      }
      if (!take(',') && peek() != '}') expect('}');
    }
    for (const char* key : {"descr", "fortran_order", "shape"}) {
      if (!seen.contains(key)) refuse("header", fmt::format("has no '{}'", key));
    }
    if (peek() != '\0') refuse("header", "goes on after its closing brace");
  }

 private:
  char peek() {
    constexpr std::string_view kBlank = " \t\r\n";
    while (at_ < text_.size() && kBlank.find(text_[at_]) != std::string_view::npos) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!take(wanted))
      refuse("header", fmt::format("is malformed: '{}' is missing at byte {}", wanted, at_));
  }
  std::string quoted(const char* field) {
    const char quote = peek();
    const size_t end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : text_.npos;
    if (end == text_.npos) refuse(field, fmt::format("is malformed: no text at byte {}", at_));
    const std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }
  bool truth() {
    peek();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    refuse("fortran_order", "is neither True nor False");
  }

  void read_dtype(NpyHeader& header) {
    if (peek() == '[')
      refuse("descr", "is a record of fields, allowed " + list_names(kDtypes),
             "save one field: numpy.save(file, array['field'])");
    const std::string descr = quoted("descr");
    const char order = descr.empty() ? '\0' : descr[0];
    const std::string dtype = descr.empty() ? "" : descr.substr(1);
    if (order == '\0' || std::find(kDtypes.begin(), kDtypes.end(), dtype) == kDtypes.end() ||
        std::string_view("<|=>").find(order) == std::string_view::npos) {
      refuse("descr", fmt::format("is '{}', allowed {}", descr, list_names(kDtypes)),
             "save it as one of these: numpy.save(file, array.astype('f4'))");
    }
    header.dtype = dtype;
    header.element_bytes = dtype[1] - '0';
    if (order == '>' && header.element_bytes > 1)
      refuse("descr", fmt::format("is '{}', big-endian; allowed is little-endian", descr),
             fmt::format("numpy.save(file, array.astype('<{}'))", dtype));
  }

  void read_shape(NpyHeader& header) {
    expect('(');
    while (!take(')')) {
      peek();
      int64_t extent = 0;
      const char* const from = text_.data() + at_;
      const auto [end, error] = std::from_chars(from, text_.data() + text_.size(), extent);
      if (error != std::errc() || extent < 0)
        refuse("shape", fmt::format("is malformed: no number of 0..2^63-1 at byte {}", at_));
      at_ += static_cast<size_t>(end - from);
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // as Python 2 wrote them
      header.shape.push_back(extent);
      if (header.shape.size() > kMaxRank)
        refuse("shape", fmt::format("has more than {} axes", kMaxRank));
      if (!take(',') && peek() != ')') expect(')');
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  const std::string& name_;
};

size_t little_endian(std::string_view bytes) {
  size_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace

NpyHeader parse_npy_header(std::string_view content, const std::string& name) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  const auto truncated = [&](std::string_view what) {
    DictReader({}, name).refuse(
        "",
        fmt::format("is truncated: it ends within its {}, after {} bytes", what, content.size()),
        "copy the file again");
  };
  if (content.substr(0, kMagic.size()) != kMagic.substr(0, content.size()))
    DictReader({}, name).refuse("magic", "is not that of a .npy file",
                                "give a file that numpy.save wrote");
  if (content.size() < kMagic.size() + 2) truncated("magic");
  const int major = static_cast<uint8_t>(content[6]), minor = static_cast<uint8_t>(content[7]);
  if (major < 1 || major > 3 || minor != 0)
    DictReader({}, name).refuse("version",
                                fmt::format("is {}.{}, allowed 1.0, 2.0, 3.0", major, minor));
  const size_t length_bytes = major == 1 ? 2 : 4;
  if (content.size() < 8 + length_bytes) truncated("header's length");
  const size_t length = little_endian(content.substr(8, length_bytes));
  NpyHeader header;
  header.data_offset = 8 + length_bytes + length;
  if (content.size() < header.data_offset) truncated("header");
  DictReader reader(content.substr(8 + length_bytes, length), name);
  reader.read(header);
  const bool empty = std::find(header.shape.begin(), header.shape.end(), 0) != header.shape.end();
  header.data_bytes = empty ? 0 : header.element_bytes;
  for (const int64_t extent : header.shape) {
    if (!empty && extent > kMaxBytes / header.data_bytes)
      reader.refuse("shape",
                    fmt::format("is ({}), allowed up to {} bytes in all",
                                fmt::join(header.shape, ", "), kMaxBytes),
                    "split the array");
    header.data_bytes *= extent;
  }
  return header;
}

std::string npy_header_bytes(const std::string& dtype, const std::vector<int64_t>& shape) {
  std::string dict = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                 dtype[1] == '1' ? '|' : '<', dtype, fmt::join(shape, ", "),
                                 shape.size() == 1 ? "," : "");
  constexpr size_t kBefore = 10;  // magic, version, length
  const size_t end = (kBefore + dict.size() + 1 + 63) / 64 * 64;
  dict.resize(end - kBefore - 1, ' ');
  dict += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(dict.size() & 255);
  bytes += static_cast<char>(dict.size() >> 8);
  return bytes + dict;
}

}  // namespace widthwise
