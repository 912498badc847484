#include "cosim/subprocess.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace widthwise {
namespace {

ProcessResult shell(const std::string& script, double timeout_seconds = 30,
                    Progress& progress = Progress::none()) {
  return run_process({"sh", "-c", script}, "/", timeout_seconds, "", progress, {"WW_WORD=seen"});
}

TEST(Subprocess, GivesOutputExitCodeFolderAndEnvironment) {
  const ProcessResult result = shell("pwd; echo $WW_WORD >&2; exit 3");
  EXPECT_EQ(result.output, "/\nseen\n");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_FALSE(result.ok());
}

TEST(Subprocess, SignalIsNotSuccess) { EXPECT_EQ(shell("kill -ABRT $$").exit_code, 128 + 6); }

TEST(Subprocess, TimeoutEndsGrandchildrenToo) {
  const ProcessResult result = shell("sleep 60 & sleep 60", 0.2);
  EXPECT_TRUE(result.timed_out);
  EXPECT_FALSE(result.ok());
  EXPECT_LT(result.wall_seconds, 20);
}

TEST(Subprocess, InterruptionPassesThrough) {
  class Stop : public Progress {
    void begin(const std::string&, int64_t, const std::string&) override {}
    void advance(int64_t) override { throw Interrupted("work", 0.5); }
    void end() override {}
  } stop;
  EXPECT_THROW(shell("sleep 60", 30, stop), Interrupted);
}

TEST(Subprocess, MissingProgramIsAnInputError) {
  EXPECT_THROW(run_process({"no-such-program-here"}, "/", 1, "install it"), InputError);
}

}  // namespace
}  // namespace widthwise
