#pragma once
// Small networks and data in a folder of their own, and the built program run on them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "models/tensor_file.h"
#include "tests/cli/program.h"
#include "tests/models/compare.h"
#include "tests/models/quantized_builder.h"
#include "tests/models/temp_folder.h"

namespace widthwise::testing_support {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Json = nlohmann::json;
using Arguments = std::vector<std::string>;

inline constexpr ElementType u8 = ElementType::kUint8, s8 = ElementType::kInt8;
inline constexpr int64_t kOpen = GraphValue::kSymbolic;

// 8-bit operands, one 12-bit chain, ONNX Runtime's requantizer.
inline constexpr const char* kAccelerator = R"(name: narrow
array: {template: dot_tree, rows: 1, cols: 1}
datapath:
  ifmap: {bits: 8, signed: false}
  weight: {bits: 8, signed: true}
  accumulation:
    order: [channel, row, col]
    stages: [{kind: chain, length: all, bits: 12, overflow: saturate}]
    bias: preload
  requantize: {kind: float32}
memory:
  ifmap_sram: {kib: 32, bytes_per_cycle: 64}
  weight_sram: {kib: 32, bytes_per_cycle: 128}
  ofmap_sram: {kib: 8, bytes_per_cycle: 32}
  dram: {bytes_per_cycle: 8}
clock_mhz: 500
cost_table: horowitz_45nm
)";

class Networks : public TempFolder {
 protected:
  std::set<fs::path> entries() const {
    std::set<fs::path> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) all.insert(entry.path());
    return all;
  }
  std::string text(const std::string& name) const { return read_file(folder_ / name, ""); }
  Json json(const std::string& name) const { return Json::parse(text(name)); }

  Outcome run(const Arguments& arguments, const std::function<void(pid_t)>& meanwhile = {}) const {
    return run_program(folder_, arguments, meanwhile);
  }
  Outcome done(const Arguments& arguments) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return outcome;
  }
  // Exit 1, "widthwise: <file>: <place>: <field> <problem>.\n  fix: ...\n", nothing on stdout or on
  // the disk.
  void refused(const Arguments& arguments, const std::vector<std::string>& parts) const {
    const auto before = entries();
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, testing::MatchesRegex("widthwise: [^\n]+\\.\n  fix: [^\n]+\n"));
    for (const std::string& part : parts) EXPECT_THAT(outcome.err, HasSubstr(part));
    EXPECT_EQ(entries(), before) << "something was left behind";
  }

  void network(const std::string& name, QuantizedBuilder& b) const {
    write_file(folder_ / (name + ".onnx"), b.bytes());
    write_file(folder_ / (name + ".yaml"), "input: {scale: 1}\n");
  }
  void npy(const std::string& name, const Tensor& tensor) const {
    write_tensor(folder_ / name, tensor);
  }
  void accelerator(std::string from = "", const std::string& to = "") const {
    std::string yaml = kAccelerator;
    if (!from.empty()) yaml.replace(yaml.find(from), from.size(), to);
    write_file(folder_ / "acc.yaml", yaml);
  }

  // x [N, 4] -> "block/fc" -> codes "a/b" -> "block.fc", whose result "y" is real; all of weight 1.
  void two_layers(const std::string& second = "block_fc") const {
    QuantizedBuilder b({kOpen, 4});
    b.fake_quantize("x", "xd", per_tensor(0.5F, 10));
    b.codes("w_q", s8, {4, 2}, {1, 2, 3, -4, 5, -6, 7, 100});
    b.dequantize("w_q", "w", per_tensor(1, 0, s8));
    b.node("MatMul", {"xd", "w"}, {"m"}).set_name("block/fc");
    b.quantize("m", "a/b", per_tensor(2, 100));
    b.dequantize("a/b", "ad", per_tensor(2, 100));
    b.codes("v_q", s8, {2, 3}, {1, 0, -1, 2, 3, 4});
    b.dequantize("v_q", "v", per_tensor(0.25F, 0, s8));
    b.node("MatMul", {"ad", "v"}).set_name(second);
    b.output("y");
    b.output("a/b", u8);
    network("net", b);
    npy("x.npy", Tensor::floats({2, 4}, {1, -1, 2, 0, 60, 60, 60, 60}));
  }

  void image_network(const std::string& name, int64_t batch = kOpen) const {
    QuantizedBuilder b({batch, 1, 4, 4});
    b.fake_quantize("x", "xd", per_tensor(0.05F, 100));
    b.weight("w", {2, 1, 3, 3}, per_tensor(0.01F, 0, s8));
    b.node("Conv", {"xd", "w"}, {"c"}).set_name("conv");
    b.fake_quantize("c", "cd", per_tensor(0.1F, 120));
    b.node("Flatten", {"cd"}, {"f"});
    b.weight("u", {8, 3}, per_tensor(0.01F, 0, s8));
    b.node("Gemm", {"f", "u"}).set_name("fc");
    b.output("y");
    network(name, b);
  }
  void image_data(int64_t count) const {
    std::vector<float> values = random_values(count * 16, 3);
    for (float& value : values) value *= 5;
    npy("data.npy", Tensor::floats({count, 1, 4, 4}, values));
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < count; ++i) labels.push_back(i % 3);
    npy("labels.npy", Tensor::list(labels));
  }
};

}  // namespace widthwise::testing_support
