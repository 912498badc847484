#pragma once
#include <random>

namespace onnx {
class ModelProto;
}

namespace widthwise {

// Changes a few fields of a model that parses: extents, elements, element types, attributes,
// operators, wiring, nodes, opsets. Byte noise mostly breaks the protobuf; this reaches what comes
// after it.
void mutate(onnx::ModelProto& model, std::mt19937& random);

// Puts the second model's nodes behind the first one's, wired to a value of the first.
void append(onnx::ModelProto& model, const onnx::ModelProto& other, std::mt19937& random);

}  // namespace widthwise
