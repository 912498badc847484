#pragma once
#include <CLI/CLI.hpp>

#include "cli/ptq_request.h"
#include "cli/quantize.h"

namespace widthwise {

// Distiller's options of post-training quantization, by their long and their short names. A file
// takes its ranges from the verb's own data.
enum class QuantizerFor { kEvaluation, kFile };
void add_quantizer_options(CLI::App& verb, PtqRequest& request, QuantizerFor use);

// What came after Distiller.
void add_method_options(CLI::App& verb, MethodRequest& request);

}  // namespace widthwise
