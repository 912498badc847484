#pragma once
#include "quant/module_network.h"
#include "quant/ptq_resolve.h"
#include "quant/quantize.h"
#include "quant/statistics.h"

namespace widthwise {

// Statistics of layers as those of the tensors that they write; of the network's input as its first
// reader saw it. A layer without a record takes its input's, limited to its range (a ReLU), or as
// it is (data movement with one input), then without moments.
Statistics tensor_statistics(const ModuleNetwork& network, const NetworkStatistics& statistics);

// Distiller's settings as those of quantize(). Modes decide formats and symmetry; symmetric tensors
// without negative values have unsigned codes. bits_activations of a layer are those of the tensor
// that it writes, whoever reads it; a ReLU behind a product or a sum has the settings of that
// layer; max-pooling and data movement keep the codes that they read; the network's output has 8
// bits, or more, unless an override states fewer. `fused` is the network that is quantized,
// `modules` the same with every ReLU a layer.
// Layers without bits are left in float, or their activations or weights are. Throws InputError,
// naming the layer, for what quantize() has no form of: modes that differ from layer to layer,
// per-channel weights in some layers only, settings of inputs and of half ranges, approximated
// scales and accumulators, which are the datapath's.
QuantizationConfig settings_config(const PtqOptions& options, const ResolvedSettings& settings,
                                   const ModuleNetwork& modules, const FloatNetwork& fused);

}  // namespace widthwise
