// The built program on data made here, so that it runs where no data set is installed: a whole
// demo, damaged data, Ctrl-C, and the form of every message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "tests/cli/program.h"
#include "tests/reports/markup.h"

namespace widthwise {
namespace {

namespace fs = std::filesystem;
using namespace testing_support;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string idx(const std::vector<uint32_t>& shape, const std::string& bytes) {
  std::string text = {0, 0, 8, static_cast<char>(shape.size())};
  for (const uint32_t extent : shape) {
    for (const int shift : {24, 16, 8, 0}) text += static_cast<char>(extent >> shift);
  }
  return text + bytes;
}

std::string gzipped(const std::string& content, const fs::path& scratch) {
  const gzFile file = ::gzopen(scratch.c_str(), "wb");
  ::gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
  ::gzclose(file);
  return read_file(scratch, "");
}

class MadeData : public testing::Test {
 protected:
  MadeData()
      : folder_(fs::temp_directory_path() / ("widthwise-made-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
    make_data(64);
  }
  ~MadeData() override { fs::remove_all(folder_); }

  void make_data(uint32_t images) const {
    std::mt19937 random(1);
    fs::create_directories(folder_ / "data");
    for (const std::string set : {"t10k", "train"}) {
      std::string pixels, labels;
      for (size_t i = 0; i < size_t{images} * 784; ++i) pixels += static_cast<char>(random());
      for (uint32_t i = 0; i < images; ++i) labels += static_cast<char>(i % 10);
      write_file(data(set + "-images-idx3-ubyte"), idx({images, 28, 28}, pixels));
      write_file(data(set + "-labels-idx1-ubyte"), idx({images}, labels));
    }
  }
  fs::path data(const std::string& name) const { return folder_ / "data" / name; }

  std::set<fs::path> entries() const {
    std::set<fs::path> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) all.insert(entry.path());
    return all;
  }

  // `widthwise demo` on the data made here, without Verilator.
  Outcome demo(std::vector<std::string> more,
               const std::function<void(pid_t)>& meanwhile = {}) const {
    std::vector<std::string> all = {
        "demo", "--data", "data", "--no-cosim", "--network", "plain_cnn", "--calibration-images",
        "32"};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(folder_, all, meanwhile);
  }

  // Exit 1, one message of two lines, nothing on stdout, nothing new on the disk.
  void expect_refused(const Outcome& outcome, const std::set<fs::path>& before,
                      const std::vector<std::string>& parts) const {
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, AllOf(StartsWith("widthwise: "), HasSubstr(".\n  fix: ")));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 2) << outcome.err;
    for (const std::string& part : parts) EXPECT_THAT(outcome.err, HasSubstr(part));
    EXPECT_EQ(entries(), before) << "something was left behind";
  }
  void refused(const std::vector<std::string>& options,
               const std::vector<std::string>& parts) const {
    const auto before = entries();
    expect_refused(demo(options), before, parts);
  }

  fs::path folder_;
};

TEST_F(MadeData, ATinyDemoWritesOneFolderAndReplacesIt) {
  const auto before = entries();
  for (int round = 0; round < 2; ++round) {
    const Outcome outcome = demo({"--images", "64", "--sweep-widths", "1", "--out", "out"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "") << "not quiet in a pipe";
    EXPECT_THAT(outcome.out, HasSubstr("INT4: accumulator bits that each layer needs"));
    if (round == 0) write_file(folder_ / "out" / "stale.txt", "of the former run");
  }
  EXPECT_FALSE(fs::exists(folder_ / "out" / "stale.txt"));
  const auto json = nlohmann::json::parse(read_file(folder_ / "out" / "demo.json", ""));
  EXPECT_EQ(json["data"]["test_images"], 64);
  EXPECT_EQ(json["data"]["calibration_images"], 32);
  EXPECT_THAT(json["command"].get<std::string>(), StartsWith("widthwise demo --data data"));
  for (const auto& precision : json["precisions"]) {
    EXPECT_LE(precision["widths"].size(), 3u) << "observed, one wider, one narrower";
    for (const auto& layer : precision["layers"]) {
      EXPECT_LE(layer["observed_bits"], layer["weight_bound_bits"]) << layer["name"];
      EXPECT_LE(layer["weight_bound_bits"], layer["data_type_bound_bits"]) << layer["name"];
    }
    EXPECT_TRUE(fs::exists(folder_ / "out" / precision["network_file"].get<std::string>()));
  }
  std::set<std::string> inputs;
  for (const auto& input : json["inputs"]) {
    EXPECT_EQ(input["sha1"].get<std::string>().size(), 40u);
    inputs.insert(fs::path(input["file"].get<std::string>()).filename().string());
  }
  EXPECT_TRUE(inputs.contains("t10k-images-idx3-ubyte"));
  EXPECT_TRUE(inputs.contains("edge-int4.yaml"));
  expect_well_formed(read_file(folder_ / "out" / "index.html", ""));
  for (const fs::path& entry : entries()) {
    const auto below = entry.lexically_relative(folder_);
    EXPECT_TRUE(before.contains(entry) || *below.begin() == "out") << entry;
  }
}

TEST_F(MadeData, TheSameInputsGiveTheSameResult) {
  nlohmann::json results[2];
  for (auto& result : results) {
    ASSERT_EQ(demo({"--sweep-widths", "1", "--out", "out"}).exit_code, 0);
    result = nlohmann::json::parse(read_file(folder_ / "out" / "demo.json", ""));
    for (auto& precision : result["precisions"]) {  // the one thing that may differ
      precision["exact"].erase("seconds");
      precision["described"].erase("seconds");
    }
    result["float"].erase("seconds");
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST_F(MadeData, TruncatedAndDamagedGzip) {
  const std::string whole = read_file(data("t10k-images-idx3-ubyte"), "");
  fs::remove(data("t10k-images-idx3-ubyte"));
  std::string packed = gzipped(whole, folder_ / "scratch.gz");
  const auto put = [&](const std::string& bytes) {
    write_file(data("t10k-images-idx3-ubyte.gz"), bytes);
  };
  put(packed);
  EXPECT_EQ(demo({"--sweep-widths", "0", "--out", "out"}).exit_code, 0);
  fs::remove_all(folder_ / "out");
  for (const size_t bytes :
       {size_t{0}, size_t{5}, packed.size() / 2, packed.size() - 9, packed.size() - 4}) {
    put(packed.substr(0, bytes));
    refused({}, {"t10k-images-idx3-ubyte.gz"});
  }
  packed[packed.size() / 2] = static_cast<char>(packed[packed.size() / 2] ^ 0x55);
  put(packed);
  refused({}, {"t10k-images-idx3-ubyte.gz"});
}

TEST_F(MadeData, LabelsThatDoNotFit) {
  write_file(data("t10k-labels-idx1-ubyte"), idx({63}, std::string(63, 1)));
  refused({}, {"t10k-labels-idx1-ubyte: count is 63", "64 images"});
  write_file(data("t10k-labels-idx1-ubyte"), idx({64}, std::string(64, 10)));
  refused({}, {"labels hold 10, allowed 0..9"});
}

TEST_F(MadeData, NumbersOfImages) {
  refused({"--images", "-1"}, {"--images is -1, allowed 1..64"});
  refused({"--images", "65"}, {"--images is 65, allowed 1..64"});
  const auto before = entries();
  expect_refused(run_program(folder_, {"demo", "--data", "data", "--calibration-images", "65"}),
                 before, {"--calibration-images is 65, allowed 1..64"});
}

TEST_F(MadeData, WhatTheParserRefusesIsSaidInTheSameForm) {
  const auto before = entries();
  const auto parser = [&](const std::vector<std::string>& arguments,
                          const std::vector<std::string>& parts) {
    expect_refused(run_program(folder_, arguments), before, parts);
  };
  parser({"demo", "--frobnicate"}, {"--frobnicate", "widthwise demo --help"});
  parser({"demo", "--images", "many"}, {"--images", "many"});
  parser({"demo", "--images"}, {"--images"});
  parser({"inspect"}, {"network is required", "widthwise inspect --help"});
  parser({"frobnicate"},
         {"one of demo, inspect, run, evaluate, overflow, calibrate, quantize, generate"});
  parser({}, {"one of demo, inspect, run, evaluate, overflow, calibrate, quantize, generate"});
}

TEST_F(MadeData, HelpAndVersionAreNoErrors) {
  for (const char* option : {"--help", "--version"}) {
    const Outcome outcome = run_program(folder_, {option});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.err, "");
    EXPECT_NE(outcome.out, "");
  }
}

TEST_F(MadeData, AFullStdoutIsSaid) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const std::string command = std::string(WIDTHWISE_BINARY) + " inspect plain_cnn > /dev/full 2> " +
                              (folder_ / "err").string();
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 1);
  EXPECT_THAT(read_file(folder_ / "err", ""), HasSubstr("stdout cannot be written"));
}

TEST_F(MadeData, UnknownInstructionSet) {
  ::setenv("WIDTHWISE_ISA", "mmx", 1);
  refused({}, {"environment: WIDTHWISE_ISA is 'mmx', allowed on this machine: ", "baseline"});
  ::unsetenv("WIDTHWISE_ISA");
}

// Ctrl-C while it works, at several moments of a run of seconds.
TEST_F(MadeData, InterruptLeavesNothingBehind) {
  make_data(3000);
  const auto before = entries();
  for (const int milliseconds : {0, 200, 500}) {
    const Outcome outcome =
        run_program(folder_,
                    {"demo", "--data", "data", "--no-cosim", "--network", "shufflenetv2",
                     "--calibration-images", "3000", "--out", "out"},
                    [&](pid_t child) {
                      const auto staging = folder_ / ("out.partial-" + std::to_string(child));
                      for (int i = 0; i < 10000 && !fs::exists(staging); ++i) {
                        std::this_thread::sleep_for(std::chrono::milliseconds(1));
                      }
                      EXPECT_TRUE(fs::exists(staging)) << "nothing is written beside the target";
                      // The handler comes before the staging folder, so it is there by now.
                      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
                      ::kill(child, SIGINT);
                    });
    EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("interrupted: "), HasSubstr("nothing was written")));
    EXPECT_EQ(entries(), before) << "after " << milliseconds << " ms";
  }
}

}  // namespace
}  // namespace widthwise
