#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace widthwise {

// The whole file. Throws InputError when it cannot be read; `fix` says what to give instead.
std::string read_file(const std::filesystem::path& path, const std::string& fix);

// Writes beside, then renames: a reader sees the old file or the new one, never half of it.
// Throws InputError when the folder is missing or not writable.
void write_file(const std::filesystem::path& path, std::string_view content);

// The same with a copy of a file, permissions included; folders that are missing are made.
void copy_into_place(const std::filesystem::path& from, const std::filesystem::path& to);

// Refuses a file that write_file could not write, before any work is done.
void check_writable(const std::filesystem::path& path);

// Creates an output folder and proves that it can be written to, before any work is done.
void prepare_folder(const std::filesystem::path& folder);

// A folder that appears whole or not at all: filled under a name of its own beside the target, put
// in the target's place by commit(), removed by the destructor if commit() was not reached. An
// existing target is replaced only if it is empty or holds the file `marker` (a former result).
class StagedFolder {
 public:
  StagedFolder(std::filesystem::path target, std::string marker);
  ~StagedFolder();
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;
  const std::filesystem::path& path() const { return staging_; }
  void commit();

 private:
  std::filesystem::path target_, staging_;
  std::vector<std::filesystem::path> new_parents_;  // innermost first; go again without a commit()
};

// SHA-1 of the bytes, lower-case hex: names inputs and configurations in results, no security.
std::string content_hash(std::string_view content);

// Folder with the shipped data (models/zoo, hwmodel/tables, rtl_templates, ...): the environment
// variable WIDTHWISE_SHARE, or the source tree that this was built from.
std::filesystem::path share_folder();

}  // namespace widthwise
