#include "codegen/array_parameters.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "codegen/rtl_template.h"
#include "core/error.h"

namespace widthwise {
namespace {

constexpr int kMaxExtent = 1024;  // of rows, columns and lanes, as in the modules' checks

void check_range(const Accelerator& accelerator, const std::string& field, int64_t value,
                 int64_t low, int64_t high) {
  if (value >= low && value <= high) return;
  throw InputError({.file = accelerator.file,
                    .where = "",
                    .field = field,
                    .problem = fmt::format("is {}, allowed {}..{}", value, low, high),
                    .fix = "choose a value in that range"});
}

void check_layer_format(const Accelerator& accelerator, const std::string& layer,
                        const std::string& operand, const IntegerFormat& has,
                        const IntegerFormat& array) {
  if (array.holds(has.min()) && array.holds(has.max())) return;
  throw InputError(
      {.file = accelerator.file,
       .where = fmt::format("layer '{}'", layer),
       .field = operand,
       .problem = fmt::format("is {} ({}..{}), the array takes {} ({}..{})", has.name(), has.min(),
                              has.max(), array.name(), array.min(), array.max()),
       .fix = fmt::format("widen datapath.{} or quantize the layer to {}", operand, array.name())});
}

}  // namespace

std::string ArrayParameters::describe() const {
  return fmt::format("{} x {} PEs of {} lane{}, {} x {} into {} bits, {}, bias {}", rows, cols,
                     lanes, lanes == 1 ? "" : "s", ifmap.name(),
                     binary_weights() ? "binary" : weight.name(), acc_bits,
                     overflow_policy_name(overflow), bias == BiasMode::kLast ? "last" : "preload");
}

std::string ArrayParameters::json() const {
  nlohmann::ordered_json j;
  j["template"] = template_name;
  j["rows"] = rows;
  j["cols"] = cols;
  j["lanes"] = lanes;
  j["ifmap"] = {{"bits", ifmap.bits}, {"signed", ifmap.is_signed}};
  j["weight"] = {{"bits", weight.bits}, {"signed", weight.is_signed}};
  j["accumulator_bits"] = acc_bits;
  j["overflow"] = overflow_policy_name(overflow);
  j["bias"] = bias == BiasMode::kLast ? "last" : "preload";
  j["bias_bits"] = bias_bits;
  j["overflow_count_bits"] = count_bits;
  return j.dump();
}

ArrayParameters array_parameters(const Accelerator& accelerator, const PortWidths& widths) {
  const Accumulation& accumulation = accelerator.datapath.accumulation;
  load_rtl_template(accelerator.array.array_template, accelerator.file);
  if (const auto problem = accumulation.problem()) {
    const std::string place = problem->stage < 0 ? "" : fmt::format("stages[{}].", problem->stage);
    throw InputError({.file = accelerator.file,
                      .where = "",
                      .field = "datapath.accumulation." + place + problem->field,
                      .problem = problem->problem,
                      .fix = "state the stages innermost first, a chain of length all last"});
  }
  const auto& stages = accumulation.stages;
  if (stages.size() > 2 || (stages.size() == 2 && stages[0].kind != Stage::Kind::kTree)) {
    throw InputError(
        {.file = accelerator.file,
         .where = "",
         .field = "datapath.accumulation.stages",
         .problem = fmt::format("is [{}], {} can be [tree T, chain all] or [chain all]",
                                accumulation.describe(), accelerator.array.array_template),
         .fix = "leave one chain, behind at most one tree"});
  }
  for (size_t i = 0; i < stages.size(); ++i) {
    if (stages[i].kind == Stage::Kind::kTree || is_wrap_or_saturate(stages[i].overflow)) continue;
    throw InputError({.file = accelerator.file,
                      .where = "",
                      .field = fmt::format("datapath.accumulation.stages[{}].overflow", i),
                      .problem = fmt::format("is {}, {} can wrap or saturate",
                                             overflow_policy_name(stages[i].overflow),
                                             accelerator.array.array_template),
                      .fix = "state overflow: wrap or overflow: saturate"});
  }
  check_range(accelerator, "array.rows", accelerator.array.rows, 1, kMaxExtent);
  check_range(accelerator, "array.cols", accelerator.array.cols, 1, kMaxExtent);
  check_range(accelerator, "datapath.accumulation.stages[0].length", accumulation.lanes(), 1,
              kMaxExtent);
  check_range(accelerator, "datapath.ifmap.bits", accelerator.datapath.ifmap.bits, 1, 16);
  check_range(accelerator, "datapath.weight.bits", accelerator.datapath.weight.bits, 1, 16);
  check_range(accelerator, "bias_bits", widths.bias_bits, 1, kMaxAccumulatorBits);
  check_range(accelerator, "count_bits", widths.count_bits, 1, 32);

  ArrayParameters array;
  array.template_name = accelerator.array.array_template;
  array.rows = accelerator.array.rows;
  array.cols = accelerator.array.cols;
  array.lanes = static_cast<int>(accumulation.lanes());
  array.ifmap = accelerator.datapath.ifmap;
  array.weight = accelerator.datapath.weight;
  array.acc_bits = accumulation.outermost().bits;
  array.overflow = accumulation.outermost().overflow;
  array.bias = accumulation.bias;
  array.bias_bits = widths.bias_bits;
  array.count_bits = widths.count_bits;
  return array;
}

void check_layer_fits(const Accelerator& accelerator, const ArrayParameters& array,
                      const QuantizedLayer& layer, const TensorQuantization& ifmap) {
  const std::string where = fmt::format("layer '{}'", layer.name);
  if (!std::holds_alternative<MatmulWorkload>(layer.workload)) {
    throw InputError(
        {.file = accelerator.file,
         .where = where,
         .field = "",
         .problem = fmt::format("is a {}, the array runs matmuls only", layer.operator_type),
         .fix = "name a convolution or a fully connected layer"});
  }
  check_layer_format(accelerator, layer.name, "ifmap", ifmap.format, array.ifmap);
  if (!array.binary_weights()) {
    check_layer_format(accelerator, layer.name, "weight", layer.weight_format, array.weight);
  }
  for (const int32_t code : layer.weights) {
    if (array.holds_weight(code)) continue;
    throw InputError({.file = accelerator.file,
                      .where = where,
                      .field = "weight",
                      .problem = fmt::format(
                          "has code {}, the array takes {}", code,
                          array.binary_weights()
                              ? "-1 and +1"
                              : fmt::format("{}..{}", array.weight.min(), array.weight.max())),
                      .fix = "widen datapath.weight or quantize the layer to its codes"});
  }
  for (const int32_t zero_point : layer.weight_zero_points) {
    if (zero_point == 0) continue;
    throw InputError({.file = accelerator.file,
                      .where = where,
                      .field = "weight zero point",
                      .problem = fmt::format("is {}, the array takes 0 only", zero_point),
                      .fix = "quantize the weights symmetrically"});
  }
  const Accumulation& own = accelerator.datapath.layer_accumulation(layer.name);
  if (own != accelerator.datapath.accumulation) {
    throw InputError({.file = accelerator.file,
                      .where = where,
                      .field = "accumulation",
                      .problem = fmt::format("is [{}], the array has [{}]", own.describe(),
                                             accelerator.datapath.accumulation.describe()),
                      .fix = "generate an array whose datapath.accumulation is the layer's"});
  }
  for (const int32_t bias : layer.bias) {
    if (signed_bits(bias) <= array.bias_bits) continue;
    throw InputError(
        {.file = accelerator.file,
         .where = where,
         .field = "bias",
         .problem = fmt::format("has {}, the array's bias port has {} bits", bias, array.bias_bits),
         .fix = "widen the bias port"});
  }
}

}  // namespace widthwise
