// .npz: a zip of .npy files, as numpy.savez (stored) and savez_compressed (deflated) write it.
#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "models/npy.h"

namespace widthwise {
namespace {

constexpr int64_t kMaxMemberBytes = (int64_t{1} << 33) + (1 << 20);  // data and header

class Archive {
 public:
  explicit Archive(const std::filesystem::path& path) : file_(path.string()) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored))
      refuse("does not exist, or is no regular file", "give a file that numpy.savez wrote");
    int code = 0;
    archive_.reset(zip_open(file_.c_str(), ZIP_RDONLY, &code));
    if (archive_ == nullptr) {
      zip_error_t error;
      zip_error_init_with_code(&error, code);
      const std::string reason = zip_error_strerror(&error);
      zip_error_fini(&error);
      refuse("cannot be read as .npz: " + reason, "give a file that numpy.savez wrote");
    }
    const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
    for (zip_int64_t i = 0; i < count; ++i) {
      const char* name = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), 0);
      names_.emplace_back(name == nullptr ? "" : name);
    }
  }

  const std::vector<std::string>& names() const { return names_; }

  NpyArray read(const std::string& member) const {
    const size_t index = find(member);
    const std::string where = file_ + ":" + names_[index];
    zip_stat_t stat;
    if (zip_stat_index(archive_.get(), index, 0, &stat) != 0) damaged(where);
    if (stat.encryption_method != ZIP_EM_NONE ||
        (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE))
      refuse("is encrypted or packed by another method, allowed stored and deflated",
             "save it again with numpy.savez_compressed", where);
    if (stat.size > static_cast<zip_uint64_t>(kMaxMemberBytes))
      refuse(fmt::format("claims {} bytes, allowed up to {}", stat.size, kMaxMemberBytes),
             "split the array", where);
    return parse_npy(unpack(index, stat.size, where), where);
  }

 private:
  size_t find(const std::string& member) const {
    const auto listed = [&] {
      std::vector<std::string> shown(
          names_.begin(), names_.begin() + std::min<std::ptrdiff_t>(20, std::ssize(names_)));
      if (shown.size() < names_.size()) shown.emplace_back("...");
      return list_names(shown);
    };
    std::vector<size_t> found;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (member.empty() || names_[i] == member || names_[i] == member + ".npy") found.push_back(i);
    }
    if (names_.empty()) refuse("holds no array", "give a file that numpy.savez wrote");
    if (member.empty() && found.size() > 1)
      refuse(fmt::format("holds {} arrays: {}", found.size(), listed()),
             fmt::format("name one of them: {}:<name>", file_));
    if (found.size() != 1)
      refuse(fmt::format("has {} member '{}'; it holds {}", found.empty() ? "no" : "more than one",
                         member, listed()),
             "name one of its members");
    return found[0];
  }

  std::string unpack(size_t index, zip_uint64_t size, const std::string& where) const {
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> member(
        zip_fopen_index(archive_.get(), index, 0), zip_fclose);
    if (member == nullptr) damaged(where);
    // In pieces: a member that only claims to be large does not take the memory. One byte more is
    // asked for at the end: the check sum is compared only there.
    constexpr zip_uint64_t kPiece = 1 << 22;
    std::string content;
    for (;;) {
      const size_t have = content.size();
      const zip_uint64_t wanted = std::min(kPiece, size - have + 1);
      content.resize(have + wanted);
      const zip_int64_t got = zip_fread(member.get(), content.data() + have, wanted);
      if (got < 0 || have + static_cast<zip_uint64_t>(got) > size) damaged(where);
      content.resize(have + static_cast<size_t>(got));
      if (got == 0) break;
    }
    if (content.size() != size) damaged(where);
    return content;
  }

  [[noreturn]] void refuse(std::string problem, std::string fix, std::string file = "") const {
    throw InputError({.file = file.empty() ? file_ : std::move(file),
                      .where = "",
                      .field = "",
                      .problem = std::move(problem),
                      .fix = std::move(fix)});
  }
  [[noreturn]] void damaged(const std::string& where) const {
    refuse("is truncated or damaged: it cannot be unpacked", "copy the file again", where);
  }

  std::string file_;
  std::unique_ptr<zip_t, void (*)(zip_t*)> archive_{nullptr, zip_discard};
  std::vector<std::string> names_;
};

}  // namespace

NpyArray read_npz(const std::filesystem::path& path, const std::string& member) {
  return Archive(path).read(member);
}

std::vector<std::string> npz_members(const std::filesystem::path& path) {
  return Archive(path).names();
}

}  // namespace widthwise
