#pragma once
#include <set>
#include <string>

#include "models/fuse.h"

namespace widthwise {

// The passes of fuse(), in their order. Each leaves a graph that gives the same values.

// QONNX's Quant and BipolarQuant with constant parameters become integers and DequantizeLinear.
void separate_qonnx_codes(Graph& graph, FuseFor fuse_for);
// QuantizeLinear and DequantizeLinear without zero point get the one that it stands for, where the
// type of the codes is known.
void state_zero_points(Graph& graph);
// Quantized, dequantized and at once quantized again: ONNX Runtime makes one quantization of it,
// over the intersection of both ranges.
void join_double_pairs(Graph& graph);
// A Clip of codes says how many bits they have: the graph's formats. Clipped weights are constants.
void note_code_formats(Graph& graph);
// DequantizeLinear moves behind data movement and max-pooling; QuantizeLinear of a value that was
// dequantized with the same parameters goes away. Returns the real values that ONNX Runtime does
// not see as dequantized, since it moves past less. What is moved of unsigned values is added to
// them.
std::set<std::string> sink_dequantize(Graph& graph, std::set<std::string>& unsigned_values);
// QuantizeLinear (and the Clip of codes behind it) moves before data movement and max-pooling that
// nobody else reads: for a file what ONNX Runtime moves it before, for a datapath all, and Concat,
// too. New codes that are seen as unsigned are added.
void raise_quantize(Graph& graph, FuseFor fuse_for, std::set<std::string>& unsigned_values);
// Codes and dequantized values that ONNX Runtime sees as uint8, 128 higher, though they are int8:
// where one QuantizeLinear feeds one DequantizeLinear of one operator. It decides what is fused.
std::set<std::string> seen_as_unsigned(const Graph& graph);
// DequantizeLinear -> [operator] -> [Relu, Clip] -> QuantizeLinear [-> Clip] becomes one node;
// without operator for a datapath only.
// real_values: what sink_dequantize() returned; in a file constants beside them are not rounded.
void fuse_quantized_operators(Graph& graph, FuseFor fuse_for,
                              const std::set<std::string>& unsigned_values,
                              const std::set<std::string>& real_values);
// Real biases and weights of a Conv, ConvTranspose or Gemm that stays real between DequantizeLinear
// and QuantizeLinear become what ONNX Runtime rounds them to.
void round_constants(Graph& graph, const std::set<std::string>& real_values);
// Conv, MatMul and Gemm of integers whose result is real become ConvDequantized,
// MatMulDequantized and QGemm without output scale.
void fuse_dequantized_products(Graph& graph);

// Refuses constant scales that are not normal positive numbers, and constant zero points that are
// no integers, naming node and input.
void check_quantization(const Graph& graph);

}  // namespace widthwise
