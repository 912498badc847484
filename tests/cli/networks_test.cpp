// The built program on networks: run, inspect, evaluate, overflow, quantize.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "models/npy.h"
#include "tests/cli/network_files.h"

namespace widthwise {
namespace {

using namespace testing_support;
using testing::AllOf;
using testing::ElementsAre;

TEST_F(Networks, RunWritesOutputs) {
  two_layers();
  const auto before = entries();
  const Outcome outcome = done({"run", "net.onnx", "--input", "x=x.npy", "--out", "out"});
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("out/y.npy"), HasSubstr("out/a_b.npy"),
                                 HasSubstr("block/fc"), HasSubstr("[2, 3]")));
  // (x - 0) / 0.5 + 10: codes 12, 8, 14, 10; sums 2 * [1, 2] - 2 * [3, -4] + 4 * [5, -6].
  const Tensor codes = load_tensor((folder_ / "out/a_b.npy").string(), u8);
  EXPECT_EQ(codes.integer(0), 104);  // 16 * 0.5 / 2 = 4
  EXPECT_EQ(codes.integer(1), 97);   // -12 * 0.5 / 2 = -3
  EXPECT_EQ(codes.shape(), (Shape{2, 2}));
  const Tensor y = load_tensor((folder_ / "out/y.npy").string(), ElementType::kFloat);
  EXPECT_EQ(y.real(0), (4 * 1 - 3 * 2) * 0.5);
  const Json result = json("out/run.json");
  EXPECT_EQ(result["network"], "net");
  EXPECT_TRUE(result["accelerator"].is_null());
  EXPECT_EQ(result["outputs"][1], Json::parse(R"({"name": "a/b", "type": "uint8", "shape": [2, 2],
                                                   "file": "a_b.npy"})"));
  EXPECT_EQ(result["inputs"].size(), 2U);
  EXPECT_EQ(result["layers"][0]["least_sum"], -12);
  EXPECT_FALSE(result["layers"][0].contains("outputs_hit"));
  EXPECT_EQ(entries().size(), before.size() + 4);
}

// A layer that is named as another one's counts.
TEST_F(Networks, RunKeepsAccumulatorsAndCountsApart) {
  two_layers("block_fc.overflows");
  accelerator();
  done({"run", "net.onnx", "--input", "x.npy", "--accelerator", "acc.yaml", "--accumulators",
        "--out", "out"});
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder_ / "out/accumulators"))
    files.insert(entry.path().filename().string());
  EXPECT_EQ(files, (std::set<std::string>{"block_fc.npy", "block_fc.overflows.npy",
                                          "block_fc.overflows_1.npy",
                                          "block_fc.overflows_1.overflows.npy"}));
}

TEST_F(Networks, RunWithEverythingOnAnAccelerator) {
  two_layers();
  accelerator();
  for (int round = 0; round < 2; ++round) {  // its own results are replaced
    const Outcome outcome =
        done({"run", "net.onnx", "--input", "x.npy", "--accelerator", "acc.yaml", "--accumulators",
              "--codes", "--json", "--out", "deep/out"});
    EXPECT_EQ(outcome.out, text("deep/out/run.json"));
  }
  const Json result = json("deep/out/run.json");
  EXPECT_EQ(result["accelerator"], "narrow");
  // 120 * [1 + 3 + 5 + 7, 2 - 4 - 6 + 100]: the last addition of 12000 does not fit 12 bits.
  const Json& layer = result["layers"][0];
  EXPECT_EQ(layer["name"], "block/fc");
  EXPECT_EQ(layer["greatest_sum"], 2047);
  EXPECT_EQ(layer["final_sum_bits"], 12);
  EXPECT_EQ(layer["outputs"], 4);
  EXPECT_EQ(layer["additions_overflowed"], 1);
  EXPECT_EQ(layer["outputs_hit"], 1);
  EXPECT_EQ(layer["outputs_wrong"], 1);
  EXPECT_EQ(layer["file"], "accumulators/block_fc.npy");
  EXPECT_EQ(result["layers"][1]["file"], "accumulators/block_fc_1.npy");
  const auto integers = [&](const std::string& name) {
    return load_tensor((folder_ / "deep/out" / name).string(), ElementType::kInt64).integers();
  };
  EXPECT_THAT(integers("accumulators/block_fc.npy"), ElementsAre(16, -12, 1920, 2047));
  EXPECT_THAT(integers("accumulators/block_fc.overflows.npy"), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(integers("codes/xd_q.npy"), ElementsAre(12, 8, 14, 10, 130, 130, 130, 130));
  EXPECT_TRUE(fs::exists(folder_ / "deep/out/codes/a_b.npy"));
  std::set<std::string> files;
  for (const Json& input : result["inputs"]) files.insert(input["file"]);
  EXPECT_EQ(files, (std::set<std::string>{"acc.yaml", "net.onnx", "x.npy"}));
}

TEST_F(Networks, RunReadsSeveralInputs) {
  QuantizedBuilder b({2});
  b.input("in/b", {2}, s8);
  b.node("Relu", {"x"});
  b.node("Identity", {"in/b"}, {"z"});
  b.output("y");
  b.output("z", s8);
  network("net", b);
  npy("x.npy", Tensor::floats({2}, {-1, 2}));
  npy("b.npy", Tensor::list({-3, 4}));
  npy("wide.npy", Tensor::list({-3, 200}));
  npy("long.npy", Tensor::list({-3, 4, 5}));
  const Arguments start = {"run", "net.onnx", "--out", "out", "--input"};
  const auto with = [&](const Arguments& inputs) {
    Arguments all = start;
    all.insert(all.end(), inputs.begin(), inputs.end());
    return all;
  };
  done(with({"x=x.npy", "in/b=b.npy"}));
  EXPECT_EQ(load_tensor((folder_ / "out/z.npy").string(), s8).integers(),
            (std::vector<int64_t>{-3, 4}));
  fs::remove_all(folder_ / "out");
  refused(with({"x=x.npy"}), {"--input 'in/b' is missing", "add --input in/b=<file>"});
  refused(with({"x.npy", "in/b=b.npy"}), {"'x.npy' names no input of the network; it has x, in/b"});
  refused(with({"q=x.npy", "in/b=b.npy"}), {"'q=x.npy' names no input"});
  refused(with({"x=x.npy", "x=x.npy", "in/b=b.npy"}), {"'x' is given twice"});
  refused(with({"x=none.npy", "in/b=b.npy"}), {"none.npy: ", "does not exist"});
  refused(with({"x=net.onnx", "in/b=b.npy"}), {"net.onnx: "});
  refused(with({"x=x.npy", "in/b=wide.npy"}), {"wide.npy: type holds 200, which is no int8"});
  refused(with({"x=x.npy", "in/b=x.npy"}), {"x.npy: type is float, needed int8"});
  refused(with({"x=x.npy", "in/b=long.npy"}),
          {"net.onnx: input 'in/b': shape is [3], the network reads [2]"});
}

TEST_F(Networks, RunRefusesPlacesThatItMustNotOrCannotWrite) {
  two_layers();
  const auto to = [](const std::string& out) {
    return Arguments{"run", "net.onnx", "--input", "x.npy", "--out", out};
  };
  fs::create_directories(folder_ / "thesis");
  write_file(folder_ / "thesis" / "chapter1.tex", "x");
  refused(to("thesis"), {"thesis: cannot be written", "not replaced"});
  refused(to("x.npy"), {"x.npy: cannot be written", "not replaced"});
  refused(to("x.npy/below"), {"cannot be written"});
  refused(to("/proc/widthwise"), {"/proc/widthwise: cannot be written"});
}

// What only shows when a node runs leaves nothing behind, either.
TEST_F(Networks, RunLeavesNothingAfterAnError) {
  two_layers();
  accelerator("weight: {bits: 8", "weight: {bits: 4");
  refused({"run", "net.onnx", "--input", "x.npy", "--accelerator", "acc.yaml", "--codes", "--out",
           "new/out"},
          {"net.onnx: node 'block/fc' (QLinearMatMul): weight is a code of 100",
           "the datapath takes int4"});
  accelerator("float32", "power_of_two, rounding: half_up");
  QuantizedBuilder b({1, 4});
  b.fake_quantize("x", "xd", per_tensor(0.3F, 10));
  b.weight("w", {4, 2}, per_tensor(1, 0, s8));
  b.node("MatMul", {"xd", "w"}, {"m"}).set_name("fc");
  b.quantize("m", "y", per_tensor(2, 100));
  b.output("y", u8);
  network("odd", b);
  npy("x.npy", Tensor::floats({1, 4}, {1, 2, 3, 4}));
  refused({"run", "odd.onnx", "--input", "x.npy", "--accelerator", "acc.yaml", "--out", "out"},
          {"odd.onnx: node 'fc'", "power of two"});
}

TEST_F(Networks, AnAcceleratorHasNothingToRunInAFloatNetwork) {
  accelerator();
  write_file(folder_ / "net.yaml", "input: {scale: 1}\n");
  image_data(4);
  // One that has layers, and one that only runs.
  for (const char* op : {"Relu", "Erf"}) {
    QuantizedBuilder b({kOpen, 1, 4, 4});
    b.node(op, {"x"});
    b.output("y");
    network("net", b);
    const std::vector<std::string> parts = {"net.onnx: --accelerator is given", "not quantized",
                                            "widthwise quantize"};
    refused({"run", "net.onnx", "--input", "data.npy", "--accelerator", "acc.yaml", "--out", "o"},
            parts);
    refused({"evaluate", "net.onnx", "--data", "data.npy", "--accelerator", "acc.yaml"}, parts);
    EXPECT_THAT(done({"evaluate", "net.onnx", "--data", "data.npy"}).out, HasSubstr("4 images"));
  }
}

TEST_F(Networks, RunIsInterrupted) {
  QuantizedBuilder b({kOpen, 8, 64, 64});
  std::string value = b.fake_quantize("x", "xd", per_tensor(0.05F, 100));
  for (int i = 0; i < 40; ++i) {
    const std::string own = std::to_string(i);
    b.node("Conv", {value, b.weight("w" + own, {8, 8, 7, 7}, per_tensor(0.001F, 0, s8))},
           {"c" + own});
    set(*b.graph().mutable_node(b.graph().node_size() - 1), "pads",
        std::vector<int64_t>{3, 3, 3, 3});
    value = b.fake_quantize("c" + own, "d" + own, per_tensor(0.05F, 120));
  }
  b.node("Identity", {value});
  b.output("y");
  network("slow", b);
  npy("x.npy", Tensor(ElementType::kFloat, {32, 8, 64, 64}));
  const auto before = entries();
  const Outcome outcome =
      run({"run", "slow.onnx", "--input", "x.npy", "--out", "out"}, [&](pid_t child) {
        const auto staging = folder_ / ("out.partial-" + std::to_string(child));
        for (int i = 0; i < 20000 && !fs::exists(staging); ++i)
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        EXPECT_TRUE(fs::exists(staging));
        ::kill(child, SIGINT);
      });
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("nothing was written"));
  EXPECT_EQ(entries(), before);
}

TEST_F(Networks, InspectEveryWayOfSayingIt) {
  const auto inspect = [&](const std::string& name) {
    const std::string file = (share_folder() / "tests" / "golden" / name / "model.onnx").string();
    const std::string table = done({"inspect", file}).out;
    const Json result = Json::parse(done({"inspect", file, "--json"}).out);
    int64_t macs = 0, parameters = 0;
    for (const Json& layer : result["layers"]) {
      macs += layer.value("macs", int64_t{0});
      parameters += layer.value("parameters", int64_t{0});
      EXPECT_THAT(table, HasSubstr(layer["name"].get<std::string>()));
    }
    EXPECT_EQ(result["macs"], macs);
    EXPECT_EQ(result["parameters"], parameters);
    EXPECT_THAT(table, HasSubstr(std::to_string(macs) + " MACs per"));
    return result["layers"];
  };
  const auto first = [](const Json& layers, const std::string& op) -> Json {
    for (const Json& layer : layers) {
      if (layer["operator"] == op) return layer;
    }
    ADD_FAILURE() << "no " << op;
    return {};
  };
  for (const char* name : {"net_qdq_residual_u8", "net_qdq_residual_s8"}) {
    const Json conv = first(inspect(name), "QLinearConv");
    EXPECT_EQ(conv["ifmap"]["bits"], 8);
    EXPECT_TRUE(conv["ifmap"].contains("scale") && conv["ofmap"].contains("zero_point"));
    EXPECT_TRUE(conv["weight"].contains("scales"));
  }
  EXPECT_TRUE(first(inspect("net_qoperator_separable"), "QLinearConv").contains("macs"));
  const Json narrow = first(inspect("qcdq_conv_4_bits"), "QLinearConv");
  EXPECT_EQ(narrow["weight"]["bits"], 4);
}

TEST_F(Networks, InspectQonnx) {
  QuantizedBuilder b({kOpen, 6}, 13);
  auto* import = b.model().add_opset_import();
  import->set_domain("qonnx.custom_op.general");
  import->set_version(1);
  b.floats("s", {}, {0.25F});
  b.floats("z", {}, {0});
  b.floats("three", {}, {3});
  b.random("w", {6, 4});
  for (const auto& [from, to] : {std::pair{"x", "xq"}, {"w", "wq"}}) {
    auto& quant = b.node("Quant", {from, "s", "z", "three"}, {to});
    quant.set_domain("qonnx.custom_op.general");
    set(quant, "signed", int64_t{1});
    set(quant, "narrow", int64_t{0});
    set(quant, "rounding_mode", "ROUND");
  }
  b.node("MatMul", {"xq", "wq"}).set_name("fc");
  b.output("y");
  network("net", b);
  const Json layers = Json::parse(done({"inspect", "net.onnx", "--json"}).out)["layers"];
  const Json& fc = layers.back();
  EXPECT_EQ(fc["operator"], "widthwise.MatMulDequantized");
  EXPECT_EQ(fc["ifmap"]["bits"], 3);
  EXPECT_EQ(fc["weight"]["bits"], 3);
  EXPECT_EQ(fc["k"], 6);
  refused({"inspect", "none.onnx"}, {"none.onnx: cannot be read"});
}

TEST_F(Networks, EvaluateAnArray) {
  image_network("net");
  image_data(37);
  accelerator();
  const Json exact = Json::parse(
      done({"evaluate", "net.onnx", "--data", "data.npy", "--labels", "labels.npy", "--json",
            "--out", "result.json", "--logits", "logits.npy", "--inputs", "inputs.npy"})
          .out);
  EXPECT_EQ(exact, json("result.json"));
  EXPECT_EQ(exact["images"], 37);
  EXPECT_EQ(exact["labelled"], true);
  EXPECT_EQ(exact["top5_percent"], 100);  // of three classes
  EXPECT_FALSE(exact.contains("layers"));
  const Tensor logits = load_tensor((folder_ / "logits.npy").string(), ElementType::kFloat);
  EXPECT_EQ(logits.shape(), (Shape{37, 3}));
  int64_t right = 0;
  for (int64_t i = 0; i < 37; ++i) {
    int64_t best = 0;
    for (int64_t c = 1; c < 3; ++c) {
      if (logits.real(i * 3 + c) > logits.real(i * 3 + best)) best = c;
    }
    EXPECT_EQ(exact["predictions"][static_cast<size_t>(i)], best);
    right += best == i % 3;
  }
  EXPECT_DOUBLE_EQ(exact["top1_percent"].get<double>(), 100.0 * static_cast<double>(right) / 37);
  EXPECT_EQ(read_npy(folder_ / "inputs.npy").bytes, read_npy(folder_ / "data.npy").bytes);

  // Without labels the predictions are left; on an accelerator every product is counted.
  const Json seen = Json::parse(done({"evaluate", "net.onnx", "--data", "data.npy", "--accelerator",
                                      "acc.yaml", "--images", "20", "--json"})
                                    .out);
  EXPECT_EQ(seen["labelled"], false);
  EXPECT_FALSE(seen.contains("top1_percent"));
  EXPECT_EQ(seen["predictions"].size(), 20U);
  ASSERT_EQ(seen["layers"].size(), 2U);
  EXPECT_EQ(seen["layers"][0]["name"], "conv");
  EXPECT_EQ(seen["layers"][0]["outputs"], 20 * 8);
  EXPECT_EQ(seen["layers"][1]["name"], "fc");
  EXPECT_EQ(seen["layers"][1]["outputs"], 20 * 3);
  EXPECT_GT(seen["layers"][1]["outputs_hit"], 0);
  EXPECT_THAT(done({"evaluate", "net.onnx", "--data", "data.npy", "--accelerator", "acc.yaml"}).out,
              AllOf(HasSubstr("net: 37 images of data.npy"), HasSubstr("conv"), HasSubstr("fc")));
}

TEST_F(Networks, EvaluateAFixedBatch) {
  image_data(37);
  accelerator();
  Json results[2];
  for (const int64_t batch : {kOpen, int64_t{8}}) {
    image_network("net", batch);
    Json& result = results[batch == 8];
    result = Json::parse(done({"evaluate", "net.onnx", "--data", "data.npy", "--labels",
                               "labels.npy", "--accelerator", "acc.yaml", "--json"})
                             .out);
  }
  for (const char* key : {"predictions", "layers", "mean_loss", "top1_percent", "images"})
    EXPECT_EQ(results[0][key], results[1][key]) << key;
}

std::string idx(const std::vector<uint32_t>& shape, const std::string& bytes) {
  std::string text = {0, 0, 8, static_cast<char>(shape.size())};
  for (const uint32_t extent : shape) {
    for (const int shift : {24, 16, 8, 0}) text += static_cast<char>(extent >> shift);
  }
  return text + bytes;
}

TEST_F(Networks, EvaluateIdx) {
  image_network("net");
  fs::create_directories(folder_ / "data");
  std::string pixels, labels;
  for (int i = 0; i < 20 * 16; ++i) pixels += static_cast<char>(i * 7 % 11);
  for (int i = 0; i < 20; ++i) labels += static_cast<char>(i % 3);
  write_file(folder_ / "data/train-images-idx3-ubyte", idx({20, 4, 4}, pixels));
  write_file(folder_ / "data/train-labels-idx1-ubyte", idx({20}, labels));
  const Arguments train = {"evaluate", "net.onnx", "--data", "data", "--subset", "train"};
  EXPECT_THAT(done(train).out, AllOf(HasSubstr("20 images"), HasSubstr("Top1")));
  refused({"evaluate", "net.onnx", "--data", "data"}, {"data"});  // no t10k
  labels[3] = 3;
  write_file(folder_ / "data/train-labels-idx1-ubyte", idx({20}, labels));
  refused(train, {"labels hold 3, allowed 0..2"});
  write_file(folder_ / "data/train-labels-idx1-ubyte", idx({19}, labels.substr(0, 19)));
  refused(train, {"train-labels-idx1-ubyte", "19", "20"});
}

TEST_F(Networks, EvaluateRefusesDataThatDoesNotFit) {
  image_network("net");
  image_data(10);
  const auto refuse = [&](Arguments more, const std::vector<std::string>& parts) {
    more.insert(more.begin(), {"evaluate", "net.onnx"});
    refused(more, parts);
  };
  fs::create_directories(folder_ / "empty");
  refuse({"--data", "empty"}, {"empty: "});
  refuse({"--data", "nowhere"}, {"nowhere: "});
  refuse({"--data", "none.npy"}, {"none.npy: "});
  const std::string whole = text("data.npy");
  write_file(folder_ / "cut.npy", whole.substr(0, whole.size() - 3));
  refuse({"--data", "cut.npy"}, {"cut.npy: "});
  write_file(folder_ / "noise.npy", "no array at all");
  refuse({"--data", "noise.npy"}, {"noise.npy: "});
  npy("wide.npy", Tensor(ElementType::kFloat, {10, 1, 4, 5}));
  refuse({"--data", "wide.npy"}, {"wide.npy", "[1, 4, 5]", "[1, 4, 4]"});
  npy("few.npy", Tensor::list({0, 1}));
  refuse({"--data", "data.npy", "--labels", "few.npy"}, {"few.npy", "2", "10"});
  npy("high.npy", Tensor::list({0, 1, 2, 0, 1, 2, 0, 1, 2, 3}));
  refuse({"--data", "data.npy", "--labels", "high.npy"}, {"hold 3, allowed 0..2"});
  npy("minus.npy", Tensor::list({0, 1, 2, 0, 1, 2, 0, 1, 2, -1}));
  refuse({"--data", "data.npy", "--labels", "minus.npy"}, {"-1"});
  refuse({"--data", "data.npy", "--images", "11"}, {"--images is 11, allowed"});
  for (const char* option : {"--out", "--logits", "--inputs"}) {
    refuse({"--data", "data.npy", option, "none/file"},
           {"none/file: cannot be written: its folder does not exist"});
    refuse({"--data", "data.npy", option, "empty"}, {"empty: cannot be written: it is a folder"});
  }
  fs::remove(folder_ / "net.yaml");
  refuse({"--data", "data.npy"}, {"net.yaml"});
}

TEST_F(Networks, EvaluateIsInterrupted) {
  fs::create_directories(folder_ / "data");
  constexpr uint32_t kImages = 40000;
  write_file(folder_ / "data/t10k-images-idx3-ubyte",
             idx({kImages, 28, 28}, std::string(size_t{kImages} * 784, 100)));
  write_file(folder_ / "data/t10k-labels-idx1-ubyte", idx({kImages}, std::string(kImages, 1)));
  const auto before = entries();
  const Outcome outcome = run({"evaluate", "resnet8", "--data", "data", "--out", "r.json",
                               "--logits", "l.npy", "--inputs", "i.npy"},
                              [](pid_t child) {
                                std::this_thread::sleep_for(std::chrono::milliseconds(700));
                                ::kill(child, SIGINT);
                              });
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(entries(), before);
}

TEST_F(Networks, OverflowTakesACensusOfEveryNode) {
  image_network("net");
  image_data(37);
  accelerator();
  const Arguments start = {"overflow", "net.onnx", "--accelerator", "acc.yaml",
                           "--data",   "data.npy", "--labels",      "labels.npy"};
  const auto with = [&](const Arguments& more) {
    Arguments all = start;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const Json census =
      Json::parse(done(with({"--json", "--out", "result.json", "--per-channel"})).out);
  EXPECT_EQ(census, json("result.json"));
  EXPECT_EQ(census["images"], 37);
  // Its sums are exact, so it has the accuracy of exact sums.
  const Json exact = Json::parse(
      done({"evaluate", "net.onnx", "--data", "data.npy", "--labels", "labels.npy", "--json"}).out);
  EXPECT_EQ(census["top1_percent"], exact["top1_percent"]);
  EXPECT_EQ(census["mean_loss"], exact["mean_loss"]);
  // What a run at one width counts in the first layer, whose ifmap is that of the census.
  const Json seen = Json::parse(
      done({"evaluate", "net.onnx", "--data", "data.npy", "--accelerator", "acc.yaml", "--json"})
          .out);
  ASSERT_EQ(census["layers"].size(), 2U);
  const Json& conv = census["layers"][0];
  EXPECT_EQ(conv["name"], "conv");
  EXPECT_EQ(conv["outputs"], 37 * 8);
  const auto percent = [](const Json& hit, const Json& outputs) {
    return 100 * hit.get<double>() / outputs.get<double>();
  };
  EXPECT_GT(seen["layers"][0]["outputs_hit"], 0);
  EXPECT_DOUBLE_EQ(conv["hit_percent_saturate"]["12"],
                   percent(seen["layers"][0]["outputs_hit"], conv["outputs"]));
  EXPECT_NEAR(conv["zero_upper_bound_percent"], 100 * (1 - std::pow(0.05, 1.0 / (37 * 8))), 1e-9);
  double sum = 0;
  ASSERT_EQ(conv["channels"].size(), 2U);
  for (const Json& channel : conv["channels"]) {
    EXPECT_EQ(channel["outputs"], 37 * 4);
    EXPECT_GE(channel["observed_least"], conv["observed_least"]);
    sum += channel["hit_percent_saturate"]["12"].get<double>() / 2;
  }
  EXPECT_DOUBLE_EQ(sum, conv["hit_percent_saturate"]["12"]);
  EXPECT_THAT(done(start).out, AllOf(HasSubstr("net: 37 images of data.npy"), HasSubstr("conv"),
                                     HasSubstr("fc"), HasSubstr("observed")));
  const Json few = Json::parse(done(with({"--images", "5", "--json"})).out);
  EXPECT_EQ(few["layers"][0]["outputs"], 5 * 8);
  EXPECT_FALSE(few["layers"][0].contains("channels"));

  refused(with({"--images", "38"}), {"--images is 38"});
  refused(with({"--out", "none/r.json"}), {"none/r.json: cannot be written"});
  image_network("net", 8);
  refused(start, {"data.npy: images are 37", "runs 8 at a time", "multiple of 8"});
  EXPECT_EQ(Json::parse(done(with({"--images", "32", "--json"})).out)["images"], 32);
}

TEST_F(Networks, OverflowOfTwoChains) {
  image_network("net");
  image_data(20);
  const std::string chain = "{kind: chain, length: all, bits: 12, overflow: saturate}";
  const auto described = [&](const std::string& before) {
    accelerator(chain, before + chain);
    std::string yaml = text("acc.yaml");
    yaml.replace(yaml.find("dot_tree"), 8, "systolic_ws");
    write_file(folder_ / "acc.yaml", yaml);
  };
  described("{kind: chain, length: 4, bits: 10, overflow: wrap}, ");
  const Arguments start = {"overflow", "net.onnx", "--accelerator",
                           "acc.yaml", "--data",   "data.npy"};
  Arguments as_json = start;
  as_json.push_back("--json");
  const Json conv = Json::parse(done(as_json).out)["layers"][0];
  const Json seen = Json::parse(
      done({"evaluate", "net.onnx", "--data", "data.npy", "--accelerator", "acc.yaml", "--json"})
          .out)["layers"][0];
  EXPECT_GT(seen["outputs_hit"], 0);
  EXPECT_DOUBLE_EQ(conv["pair_hit_percent_saturate"]["10"]["12"],
                   100 * seen["outputs_hit"].get<double>() / seen["outputs"].get<double>());
  EXPECT_GT(conv["inner_hit_percent"]["8"], 0);
  const std::string widest = std::to_string(conv["observed_inner_bits"].get<int>());
  EXPECT_EQ(conv["inner_hit_percent"][widest], 0);
  EXPECT_EQ(conv["pair_hit_percent_saturate"][widest], conv["hit_percent_saturate"]);
  EXPECT_THAT(done(start).out, HasSubstr("inner chain"));
  const std::string more = "{kind: chain, length: 2, bits: 10, overflow: wrap}, ";
  described(more + more);
  refused(start, {"node 'conv'", "accumulation.stages are", "one or two chains"});
}

TEST_F(Networks, OverflowNeedsIntegers) {
  QuantizedBuilder b({kOpen, 16}, 13);
  b.random("w", {16, 3});
  b.node("MatMul", {"x", "w"}).set_name("fc");
  b.output("y");
  network("net", b);
  image_data(4);
  refused({"overflow", "net.onnx", "--accelerator", "edge-int8", "--data", "data.npy"},
          {"net.onnx: --accelerator is given", "not quantized"});
}

TEST_F(Networks, QuantizeAndEvaluateWhatItWrites) {
  QuantizedBuilder b({kOpen, 1, 4, 4}, 13);
  b.random("w", {2, 1, 3, 3});
  b.node("Conv", {"x", "w"}, {"c"}).set_name("conv");
  b.node("Relu", {"c"}, {"r"});
  b.node("Flatten", {"r"}, {"f"});
  b.random("u", {8, 3});
  b.node("Gemm", {"f", "u"}).set_name("fc");
  b.output("y");
  network("net", b);
  image_data(40);
  const Arguments start = {"quantize",  "net.onnx", "--accelerator",
                           "edge-int8", "--data",   "data.npy"};
  const auto with = [&](const Arguments& more) {
    Arguments all = start;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  for (const char* format : {"qcdq", "qonnx"}) {
    const std::string out = std::string(format) + ".onnx";
    EXPECT_THAT(done(with({"--images", "0", "--format", format, "--out", out})).out,
                HasSubstr("over 40 inputs, written to " + out));
    fs::copy_file(folder_ / "net.yaml", folder_ / (std::string(format) + ".yaml"));
    const Json layers = Json::parse(done({"inspect", out, "--json"}).out)["layers"];
    EXPECT_TRUE(std::any_of(layers.begin(), layers.end(), [](const Json& layer) {
      return layer.contains("weight") && layer["weight"]["bits"] == 8;
    })) << format;
    const Json result = Json::parse(done({"evaluate", out, "--data", "data.npy", "--labels",
                                          "labels.npy", "--accelerator", "edge-int8", "--json"})
                                        .out);
    EXPECT_EQ(result["layers"].size(), 2U) << format;
    EXPECT_EQ(result["layers"][0]["outputs"], 40 * 8);
  }
  for (const char* clip : {"avg", "gauss", "laplace", "percentile", "kl", "mse"}) {
    done(with({"--images", "0", "--qe-clip-acts", clip, "--qe-clip-wts", "mse", "--rounding",
               "gptq", "--bias-correction", "--first-last-bits", "8", "--elementwise-bits", "8",
               "--out", "calibrated.onnx"}));
  }
  fs::copy_file(folder_ / "net.yaml", folder_ / "calibrated.yaml");
  done({"evaluate", "calibrated.onnx", "--data", "data.npy", "--labels", "labels.npy"});
  refused(with({"--images", "0", "--equalize", "--out", "q.onnx"}),
          {"network 'net': equalization finds no two layers with nothing but a ReLU between them"});
  refused(with({"--qe-clip-acts", "best", "--out", "q.onnx"}),
          {"--qe-clip-acts is 'best', allowed none, avg, n_std, gauss, laplace, percentile, kl"});
  refused(with({"--qe-clip-acts", "n_std", "--out", "q.onnx"}), {"--qe-clip-n-stds is missing"});
  refused(with({"--qe-percentile", "99", "--out", "q.onnx"}),
          {"--qe-percentile is given, but activations are not clipped by percentile"});
  refused(with({"--qe-mode", "sym", "--out", "q.onnx"}), {"--accelerator is given beside --qe"});
  refused(with({"--rounding", "up", "--out", "q.onnx"}), {"--rounding is 'up', allowed nearest"});
  refused(with({"--images", "0", "--first-last-bits", "9", "--out", "q.onnx"}),
          {"--first-last-bits is '9', allowed 2..8, float"});
  refused(with({"--format", "tflite", "--out", "q.onnx"}),
          {"--format is 'tflite', allowed qcdq, qonnx"});
  refused(with({"--images", "0", "--out", "none/q.onnx"}),
          {"none/q.onnx: cannot be written: its folder does not exist"});
  refused(with({"--images", "41", "--out", "q.onnx"}), {"--images is 41, allowed"});
  refused({"quantize", "qcdq.onnx", "--accelerator", "edge-int8", "--data", "data.npy", "--out",
           "q.onnx"},
          {"qcdq.onnx: "});
}

}  // namespace
}  // namespace widthwise
