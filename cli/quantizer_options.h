#pragma once
#include <CLI/CLI.hpp>

#include "cli/ptq_request.h"
#include "cli/quantize.h"

namespace widthwise {

// Distiller's options of post-training quantization, by their long and their short names.
// quantize_eval: of an evaluation, the flag that all of them need; null for a file, whose ranges
// come from the verb's own data.
void add_quantizer_options(CLI::App& verb, PtqRequest& request, CLI::Option* quantize_eval);

// What came after Distiller.
void add_method_options(CLI::App& verb, MethodRequest& request);

}  // namespace widthwise
