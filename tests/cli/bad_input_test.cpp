// The built program as its user runs it: bad input gives one message, exit 1, and nothing on disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "core/files.h"

namespace widthwise {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
constexpr const char* kData = "/usr/share/datasets/fashion-mnist";
constexpr const char* kTiny = "--images 64 --calibration-images 32 --no-cosim --sweep-widths 1";

struct Outcome {
  int exit_code = -1;
  std::string out, err;
};

class Cli : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("widthwise-cli-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Runs the program in folder_ with its streams in files.
  Outcome run(const std::string& arguments, const std::string& prefix = "") const {
    const std::string command = "cd " + folder_.string() + " && " + prefix + " " +
                                WIDTHWISE_BINARY + " " + arguments + " > .out 2> .err";
    const int status = std::system(command.c_str());
    Outcome outcome{WEXITSTATUS(status), read_file(folder_ / ".out", ""),
                    read_file(folder_ / ".err", "")};
    fs::remove(folder_ / ".out");
    fs::remove(folder_ / ".err");
    return outcome;
  }

  // Exit 1, one message with its fix on stderr, nothing on stdout, no new entry in the folder.
  void refused(const std::string& arguments, const std::vector<std::string>& parts) const {
    std::set<fs::path> before, after;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) before.insert(entry.path());
    const Outcome result = run(arguments);
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) after.insert(entry.path());
    EXPECT_EQ(result.exit_code, 1) << result.err;
    EXPECT_EQ(result.out, "");
    for (const std::string& part : parts) EXPECT_THAT(result.err, HasSubstr(part));
    EXPECT_THAT(result.err, HasSubstr("fix: "));
    EXPECT_EQ(before, after) << "something was left behind";
  }

  std::string zoo(const std::string& name) const {
    return read_file(share_folder() / "models" / "zoo" / name, "");
  }

  // A network of the given bytes with plain_cnn's preprocessing beside it.
  std::string model(const std::string& name, const std::string& bytes) const {
    write_file(folder_ / (name + ".onnx"), bytes);
    write_file(folder_ / (name + ".yaml"), zoo("plain_cnn.yaml"));
    return name + ".onnx";
  }

  std::string accelerator(const std::string& from, const std::string& to) const {
    std::string text =
        read_file(share_folder() / "hwmodel" / "accelerators" / "edge-int4.yaml", "");
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    write_file(folder_ / "acc.yaml", text);
    return "acc.yaml";
  }

  fs::path folder_;
};

TEST_F(Cli, MissingModel) {
  refused("demo --network none.onnx", {"none.onnx: ", "cannot be read"});
  refused("demo --network lenet", {"'lenet' is not shipped", "plain_cnn, resnet8, shufflenetv2"});
}

TEST_F(Cli, TruncatedModelAndRandomBytes) {
  const std::string whole = zoo("plain_cnn.onnx");
  refused("demo --network " + model("half", whole.substr(0, whole.size() / 2)), {"half.onnx"});
  refused("demo --network " + model("empty", ""), {"empty.onnx"});
  std::string noise;
  for (int i = 0; i < 5000; ++i) noise += static_cast<char>((i * 7919) >> 3);
  refused("demo --network " + model("noise", noise), {"noise.onnx"});
}

TEST_F(Cli, UnsupportedOperatorIsNamed) {
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(zoo("plain_cnn.onnx")));
  for (auto& node : *proto.mutable_graph()->mutable_node()) {
    if (node.op_type() == "MaxPool") node.set_op_type("LpPool");
  }
  refused("demo --network " + model("odd", proto.SerializeAsString()),
          {"odd.onnx", "LpPool", "MaxPool"});
}

TEST_F(Cli, AcceleratorWithUnknownKeyOrImpossibleWidth) {
  refused("demo --accelerator " + accelerator("clock_mhz:", "clock_hz:"),
          {"acc.yaml: line ", "clock_hz", "clock_mhz"});
  refused("demo --accelerator " + accelerator("bits: 16", "bits: 99"),
          {"acc.yaml: line ", "99", "2..48"});
  refused("demo --accelerator " + accelerator("ifmap: {bits: 4", "ifmap: {bits: 0"),
          {"acc.yaml: line ", "ifmap", "1..16"});
  refused("demo --accelerator edge-int5", {"'edge-int5' is not shipped", "edge-int4, edge-int8"});
  refused("demo --accelerator none.yaml", {"none.yaml"});
}

std::string idx(const std::vector<uint32_t>& shape, size_t bytes) {
  std::string text = {0, 0, 8, static_cast<char>(shape.size())};
  for (const uint32_t extent : shape) {
    for (const int shift : {24, 16, 8, 0}) text += static_cast<char>(extent >> shift);
  }
  return text + std::string(bytes, 1);
}

TEST_F(Cli, DataOfTheWrongShape) {
  fs::create_directories(folder_ / "data");
  for (const std::string set : {"t10k", "train"}) {
    write_file(folder_ / "data" / (set + "-images-idx3-ubyte"), idx({20, 8, 8}, 20 * 64));
    write_file(folder_ / "data" / (set + "-labels-idx1-ubyte"), idx({20}, 20));
  }
  refused("demo --data data --calibration-images 20", {"[1, 8, 8]", "[1, 28, 28]"});
  write_file(folder_ / "data" / "t10k-images-idx3-ubyte", idx({20, 8, 8}, 100));
  refused("demo --data data --calibration-images 20", {"t10k-images-idx3-ubyte"});
}

TEST_F(Cli, MissingData) { refused("demo --data nowhere", {"nowhere", "dataset-fashion-mnist"}); }

TEST_F(Cli, OutputFolderThatCannotBeWritten) {
  write_file(folder_ / "file", "x");
  refused("demo --out file/below", {"file/below", "cannot be written"});
  refused("demo --out /proc/widthwise", {"/proc/widthwise", "cannot be written"});
  fs::create_directories(folder_ / "thesis");
  write_file(folder_ / "thesis" / "chapter1.tex", "x");
  refused("demo --out thesis", {"thesis", "not replaced"});
  refused("generate --accelerator edge-int4 --out thesis", {"thesis", "not replaced"});
}

TEST_F(Cli, TwoAcceleratorsOfOneName) {
  const std::string twin = accelerator("clock_mhz: 500", "clock_mhz: 400");
  refused("demo --accelerator edge-int4 " + twin,
          {"acc.yaml: name is 'edge-int4'", "name of its own"});
}

TEST_F(Cli, WhatALaterStepCannotDoIsRefusedFirst) {
  refused("demo --accelerator " + accelerator("template: dot_tree", "template: systolic_os"),
          {"systolic_os", "dot_tree"});
}

TEST_F(Cli, NumbersOutOfRange) {
  refused("demo --sweep-widths -1", {"--sweep-widths is -1, allowed 0 or more"});
  refused("demo --images -3", {"--images", "is -3", "1..10000"});
  refused("demo --calibration-images 99999999", {"--calibration-images", "1..60000"});
}

TEST_F(Cli, UnknownOptionsExitWithOne) {
  EXPECT_EQ(run("demo --frobnicate").exit_code, 1);
  EXPECT_EQ(run("").exit_code, 1);
  EXPECT_EQ(run("--help").exit_code, 0);
}

TEST_F(Cli, GenerateRefusesAnArrayWithoutVerilog) {
  std::string text = read_file(share_folder() / "hwmodel" / "accelerators" / "edge-int4.yaml", "");
  text.replace(text.find("template: dot_tree"), 18, "template: systolic_ws");
  write_file(folder_ / "ws.yaml", text);
  refused("generate --accelerator ws.yaml --out rtl", {"systolic_ws", "dot_tree"});
}

class CliRun : public Cli {
 protected:
  void SetUp() override {
    Cli::SetUp();
    if (!fs::exists(kData))
      GTEST_SKIP() << "skipped: no " << kData << " (package dataset-fashion-mnist)";
  }
};

TEST_F(CliRun, TinyDemoIsQuietInAPipeAndReplacesItsOwnResults) {
  for (int round = 0; round < 2; ++round) {
    const Outcome result = run(std::string("demo --network plain_cnn --out out ") + kTiny);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    EXPECT_THAT(result.out, HasSubstr("INT8: accuracy at each accumulator width"));
  }
  const auto json = nlohmann::json::parse(read_file(folder_ / "out" / "demo.json", ""));
  EXPECT_EQ(json["data"]["test_images"], 64);
  EXPECT_EQ(json["precisions"].size(), 2U);
  for (const char* file : {"index.html", "edge-int8.onnx", "edge-int4.onnx"})
    EXPECT_TRUE(fs::exists(folder_ / "out" / file)) << file;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "nothing beside the results";
}

TEST_F(CliRun, InterruptLeavesNothingBehind) {
  const Outcome result = run("demo --no-cosim --out out", "timeout --preserve-status -s INT 2");
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(result.err, HasSubstr("interrupted: "));
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Cli, InspectCountsAsTheCardDoes) {
  const auto json = nlohmann::json::parse(run("inspect resnet8 --json").out);
  EXPECT_EQ(json["parameters"], 77418);
  EXPECT_EQ(json["macs"], 9345920);
}

}  // namespace
}  // namespace widthwise
