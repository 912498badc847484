#pragma once
#include "cli/evaluate.h"

namespace widthwise {

// `evaluate --quantize-eval`: quantizes a float network as request.ptq says and runs it over the
// data, in the arithmetic of a release of Distiller or in the same without its faults. Returns what
// to print: the resolved settings, accuracy, and what was clipped in each layer.
std::string evaluate_quantized(const EvaluateRequest& request, Progress& progress);

}  // namespace widthwise
