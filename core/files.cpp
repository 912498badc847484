#include "core/files.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/uuid/detail/sha1.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "core/error.h"
#include "core/progress.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

std::string beside(const fs::path& path) {
  return fmt::format("{}.partial-{}", path.string(), ::getpid());
}

[[noreturn]] void refuse_write(const fs::path& path, const std::string& reason) {
  throw InputError({.file = path.string(),
                    .where = "",
                    .field = "",
                    .problem = "cannot be written: " + reason,
                    .fix = "name a folder that exists and that you may write to"});
}

// A file takes the place of the former one: that must be none, or a regular one.
void check_kind(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) refuse_write(path, "it is a folder");
  if (fs::exists(path, error) && !fs::is_regular_file(path, error))
    refuse_write(path, "it is no regular file");
}

void put_in_place(const std::string& partial, const fs::path& path) {
  std::error_code error;
  fs::rename(partial, path, error);
  if (!error) return;
  ::unlink(partial.c_str());
  refuse_write(path, error.message());
}

}  // namespace

std::string read_file(const fs::path& path, const std::string& fix) {
  std::error_code ignored;
  const bool folder = fs::is_directory(path, ignored);
  std::ifstream stream(path, std::ios::binary);
  if (!stream || folder) {
    throw InputError({.file = path.string(),
                      .where = "",
                      .field = "",
                      .problem = folder ? "is a folder, a file is needed"
                                        : std::string("cannot be read: ") + std::strerror(errno),
                      .fix = fix});
  }
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void write_file(const fs::path& path, std::string_view content) {
  check_kind(path);
  const std::string partial = beside(path);
  {
    std::ofstream stream(partial, std::ios::binary);
    if (!stream) refuse_write(path, std::strerror(errno));
    stream.write(content.data(), static_cast<std::streamsize>(content.size()));
    stream.close();
    if (!stream) {
      ::unlink(partial.c_str());
      refuse_write(path, "the disk is full or failed");
    }
  }
  put_in_place(partial, path);
}

void copy_into_place(const fs::path& from, const fs::path& to) {
  check_kind(to);
  const std::string partial = beside(to);
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (!error) fs::copy_file(from, partial, error);
  if (error) {
    ::unlink(partial.c_str());
    refuse_write(to, error.message());
  }
  put_in_place(partial, to);
}

void check_writable(const fs::path& path) {
  std::error_code error;
  const fs::path folder = fs::absolute(path, error).parent_path();
  if (!fs::is_directory(folder, error)) refuse_write(path, "its folder does not exist");
  check_kind(path);
  if (::access(folder.c_str(), W_OK) != 0) refuse_write(path, std::strerror(errno));
}

void prepare_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) refuse_write(folder, error.message());
  const fs::path probe = folder / ".widthwise-probe";
  write_file(probe, "");
  fs::remove(probe, error);
}

StagedFolder::StagedFolder(fs::path target, std::string marker) {
  if (target.empty()) refuse_write("--out", "it is empty");
  target_ = fs::absolute(target).lexically_normal();
  if (!target_.has_filename()) target_ = target_.parent_path();  // "out/" names "out"
  std::error_code error;
  if (fs::exists(target_, error)) {
    const bool ours = fs::is_directory(target_, error) &&
                      (fs::is_empty(target_, error) || fs::exists(target_ / marker, error));
    if (!ours)
      refuse_write(
          target_,
          fmt::format("it exists and holds no {} of a former run, so it is not replaced", marker));
  }
  if (fs::exists(target_, error) && ::access(target_.c_str(), W_OK) != 0) {
    refuse_write(target_, std::strerror(errno));
  }
  for (fs::path parent = target_.parent_path();
       !fs::exists(parent, error) && parent.has_relative_path(); parent = parent.parent_path()) {
    new_parents_.push_back(parent);
  }
  staging_ = beside(target_);
  fs::create_directories(staging_, error);
  if (error) refuse_write(target_, error.message());
}

StagedFolder::~StagedFolder() {
  std::error_code ignored;
  if (staging_.empty()) return;
  fs::remove_all(staging_, ignored);
  for (const fs::path& parent : new_parents_) fs::remove(parent, ignored);  // only when empty
}

void StagedFolder::commit() {
  std::error_code error;
  fs::remove_all(target_, error);
  if (!error) fs::rename(staging_, target_, error);
  if (error) refuse_write(target_, error.message());
  staging_.clear();
}

std::string content_hash(std::string_view content) {
  boost::uuids::detail::sha1 sha;
  sha.process_bytes(content.data(), content.size());
  unsigned int digest[5];
  sha.get_digest(digest);
  std::string text;
  for (const unsigned int word : digest) text += fmt::format("{:08x}", word);
  return text;
}

fs::path share_folder() {
  const char* named = std::getenv("WIDTHWISE_SHARE");
  return named != nullptr && *named != '\0' ? fs::path(named) : fs::path(WIDTHWISE_SOURCE_DIR);
}

Progress& Progress::none() {
  class Silent : public Progress {
    void begin(const std::string&, int64_t, const std::string&) override {}
    void advance(int64_t) override {}
    void end() override {}
  };
  static Silent silent;
  return silent;
}

}  // namespace widthwise
