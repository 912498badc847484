#pragma once
#include <CLI/CLI.hpp>

#include "cli/ptq_request.h"

namespace widthwise {

// Distiller's options of post-training quantization, by their long and their short names.
void add_quantizer_options(CLI::App& verb, PtqRequest& request);

}  // namespace widthwise
