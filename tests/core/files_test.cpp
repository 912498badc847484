#include "core/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "core/error.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("widthwise-files-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }
  fs::path folder_;
};

TEST_F(Files, WritesWholeFilesAndLeavesNothingBeside) {
  write_file(folder_ / "a.txt", "one");
  write_file(folder_ / "a.txt", "two");
  EXPECT_EQ(read_file(folder_ / "a.txt", ""), "two");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(Files, RefusesAFolderThatIsNotThere) {
  EXPECT_THROW(write_file(folder_ / "none" / "a.txt", "x"), InputError);
  EXPECT_THROW(prepare_folder("/proc/widthwise"), InputError);
  EXPECT_THROW(read_file(folder_, "name a file"), InputError);
  EXPECT_THROW(read_file(folder_ / "none", "name a file"), InputError);
}

TEST_F(Files, LeavesWhatIsNoRegularFileAlone) {
  const auto pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const auto& path : {pipe, folder_}) {
    EXPECT_THROW(write_file(path, "text"), InputError) << path;
    EXPECT_THROW(check_writable(path), InputError) << path;
  }
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

TEST_F(Files, StagedFolderAppearsWholeOrNotAtAll) {
  {
    StagedFolder staged(folder_ / "out", "manifest.json");
    write_file(staged.path() / "manifest.json", "{}");
  }
  EXPECT_EQ(entries(), 0U);
  {
    StagedFolder staged(folder_ / "out", "manifest.json");
    write_file(staged.path() / "manifest.json", "{}");
    staged.commit();
  }
  EXPECT_TRUE(fs::exists(folder_ / "out" / "manifest.json"));
  EXPECT_EQ(entries(), 1U);
}

TEST_F(Files, StagedFolderTakesItsNewParentsAwayAgain) {
  { const StagedFolder staged(folder_ / "a" / "b" / "out", "manifest.json"); }
  EXPECT_EQ(entries(), 0U);
  {
    StagedFolder staged(folder_ / "a" / "b" / "out", "manifest.json");
    staged.commit();
  }
  EXPECT_TRUE(fs::exists(folder_ / "a" / "b" / "out"));
}

TEST_F(Files, StagedFolderReplacesOnlyItsOwn) {
  fs::create_directories(folder_ / "precious");
  write_file(folder_ / "precious" / "thesis.tex", "x");
  EXPECT_THROW(StagedFolder(folder_ / "precious", "manifest.json"), InputError);
  EXPECT_TRUE(fs::exists(folder_ / "precious" / "thesis.tex"));
}

// Known answer: FIPS 180-1, "abc".
TEST(ContentHash, IsSha1) {
  EXPECT_EQ(content_hash("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(InputError, NamesFilePlaceFieldAndFix) {
  const InputError error({.file = "tiny.yaml",
                          .where = "layer 'conv2'",
                          .field = "requantize.shift",
                          .problem = "is 71, allowed 0..62",
                          .fix = "recalibrate with --per-channel"});
  EXPECT_STREQ(error.what(),
               "tiny.yaml: layer 'conv2': requantize.shift is 71, allowed 0..62.\n  fix: "
               "recalibrate with --per-channel");
}

}  // namespace
}  // namespace widthwise
