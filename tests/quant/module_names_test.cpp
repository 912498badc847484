#include "quant/module_names.h"

#include <gtest/gtest.h>

namespace widthwise {
namespace {

TEST(ModuleNames, AreScopesAndNamesInScopes) {
  Graph graph;
  for (const char* name :
       {"/conv1/Conv", "/Relu", "/layer1/layer1.0/conv1/Conv", "/layer1/layer1.0/Relu",
        "/layer1/layer1.0/Add", "/layer1/layer1.0/Relu_1", "/layer2/layer2.0/down/down.0/Conv",
        "/stem/stem.0/Conv", "/stem/stem.1/Clip", "/pool/Pool", "/pool/Flatten", "Conv_7",
        "/fc/Gemm"})
    graph.nodes.push_back(
        {.name = name, .op_type = "", .inputs = {}, .outputs = {}, .attributes = {}});
  const auto names = module_names(graph);
  EXPECT_EQ(names.at("/conv1/Conv"), "conv1");
  EXPECT_EQ(names.at("/Relu"), "Relu");
  EXPECT_EQ(names.at("/layer1/layer1.0/conv1/Conv"), "layer1.0.conv1");
  EXPECT_EQ(names.at("/layer1/layer1.0/Relu"), "layer1.0.Relu");
  EXPECT_EQ(names.at("/layer1/layer1.0/Relu_1"), "layer1.0.Relu_1");
  EXPECT_EQ(names.at("/layer1/layer1.0/Add"), "layer1.0.Add");
  EXPECT_EQ(names.at("/layer2/layer2.0/down/down.0/Conv"), "layer2.0.down.0");
  EXPECT_EQ(names.at("/stem/stem.0/Conv"), "stem.0");
  EXPECT_EQ(names.at("/stem/stem.1/Clip"), "stem.1");
  EXPECT_EQ(names.at("/pool/Pool"), "pool.Pool");
  EXPECT_EQ(names.at("/pool/Flatten"), "pool.Flatten");
  EXPECT_EQ(names.at("Conv_7"), "Conv_7");
  EXPECT_EQ(names.at("/fc/Gemm"), "fc");
}

TEST(ModuleNames, AreGivenOnce) {
  Graph graph;
  for (const char* name : {"/a/Conv", "a"})
    graph.nodes.push_back(
        {.name = name, .op_type = "", .inputs = {}, .outputs = {}, .attributes = {}});
  const auto names = module_names(graph);
  EXPECT_NE(names.at("/a/Conv"), names.at("a"));
}

}  // namespace
}  // namespace widthwise
