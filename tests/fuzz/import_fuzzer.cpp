// libFuzzer's entry: the bytes of an ONNX file through everything that is done with one. Any
// exception but InputError, and whatever a sanitizer finds, ends the process. scripts/fuzz runs it.
#include <onnx/onnx_pb.h>

#include <cstring>
#include <random>

#include "tests/fuzz/import_everything.h"
#include "tests/fuzz/model_mutator.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

constexpr int kBytesOnly = 16;  // of so many mutations one is of the bytes

size_t write(const onnx::ModelProto& model, uint8_t* data, size_t max_size) {
  const size_t size = model.ByteSizeLong();
  if (size == 0 || size > max_size) return 0;
  return model.SerializeToArray(data, static_cast<int>(max_size)) ? size : 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  widthwise::import_everything(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  std::mt19937 random(seed);
  onnx::ModelProto model;
  if (random() % kBytesOnly == 0 || !model.ParseFromArray(data, static_cast<int>(size)))
    return LLVMFuzzerMutate(data, size, max_size);
  widthwise::mutate(model, random);
  const size_t written = write(model, data, max_size);
  return written != 0 ? written : LLVMFuzzerMutate(data, size, max_size);
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* data1, size_t size1,
                                            const uint8_t* data2, size_t size2, uint8_t* out,
                                            size_t max_out_size, unsigned int seed) {
  std::mt19937 random(seed);
  onnx::ModelProto first, second;
  if (!first.ParseFromArray(data1, static_cast<int>(size1)) ||
      !second.ParseFromArray(data2, static_cast<int>(size2)))
    return 0;
  widthwise::append(first, second, random);
  return write(first, out, max_out_size);
}
