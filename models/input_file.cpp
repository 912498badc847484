#include "models/input_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/error.h"

namespace widthwise {
namespace fs = std::filesystem;

std::string read_input_file(const fs::path& path, int64_t max_bytes, const std::string& fix) {
  const auto refuse = [&](std::string problem) {
    throw InputError({.file = path.string(),
                      .where = "",
                      .field = "",
                      .problem = std::move(problem),
                      .fix = fix});
  };
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) refuse("does not exist");
  if (fs::is_directory(status)) refuse("is a folder, a file is needed");
  if (!fs::is_regular_file(status)) refuse("is no regular file");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) refuse(std::string("cannot be read: ") + std::strerror(errno));
  const auto size = static_cast<int64_t>(fs::file_size(path, error));
  if (error) refuse("cannot be read: " + error.message());
  if (size > max_bytes) refuse(fmt::format("has {} bytes, allowed up to {}", size, max_bytes));
  std::string content(static_cast<size_t>(size), '\0');
  stream.read(content.data(), size);
  if (stream.gcount() != size) refuse("cannot be read to its end");
  return content;
}

}  // namespace widthwise
