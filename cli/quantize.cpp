#include "cli/quantize.h"

#include <fmt/format.h>

#include "cli/bench.h"
#include "cli/quantize_checks.h"
#include "cli/width_choice.h"
#include "core/error.h"
#include "core/files.h"
#include "models/onnx_import.h"
#include "quant/float_parts.h"
#include "quant/match_statistics.h"
#include "quant/onnx_writer.h"
#include "quant/ptq_modules.h"
#include "quant/ptq_settings_text.h"
#include "quant/quantize_calibrated.h"
#include "quant/settings_config.h"
#include "quant/statistics_yaml.h"
#include "quant/tensor_bits.h"
#include "reports/formats_text.h"

namespace widthwise {
namespace {

class NetworkQuantization {
 public:
  NetworkQuantization(const QuantizeRequest& request, Progress& progress)
      : request_(request), progress_(progress) {}

  std::string run() {
    options_ = checked_options(request_);
    file_ = model_path(request_.network);
    const Graph graph = load_graph(file_);
    refuse_quantized(graph, "quantize");
    model_ = network_of(graph);
    modules_ = module_network(model_.graph);
    if (from_file()) match();
    config_ = base_config();
    add_methods();
    check_config(model_.network, config_);
    const QuantizedNetwork network = from_file() ? from_statistics() : from_images();
    const bool qonnx = request_.format == "qonnx";
    const std::string bytes = write_quantized(model_.graph, network,
                                              qonnx ? QuantizedFile::kQonnx : QuantizedFile::kQcdq);
    if (!request_.ptq.settings_out.empty())
      write_file(request_.ptq.settings_out, settings_yaml(resolved_, network));
    const std::string config_note = write_config(request_.ptq, options_, method_options(request_));
    write_file(request_.out, bytes);
    return text_ + "Written\n" + formats_text(network) +
           fmt::format("{}: {} layers quantized over {}, written to {}\n", network.name,
                       network.layers.size(), source_, request_.out.string()) +
           config_note;
  }

 private:
  bool from_file() const { return !options_.statistics_file.empty(); }

  void match() {
    const std::string& file = options_.statistics_file;
    MatchedStatistics matched =
        match_statistics(modules_.network, modules_.modules, read_statistics(file), file);
    modules_.modules = std::move(matched.modules);
    statistics_ = std::move(matched.statistics);
    text_ += matched_text(matched, file);
  }

  QuantizationConfig base_config() {
    if (!request_.accelerator.empty()) {
      QuantizationConfig config = quantization_config(accelerator_of(request_.accelerator));
      if (request_.per_tensor) config.per_channel = false;
      if (request_.symmetric) config.activations = Symmetry::kSymmetric;
      config.activation_range.clipping = options_.clip_acts;
      if (options_.clip_n_stds > 0) config.activation_range.n_stds = options_.clip_n_stds;
      config.activation_range.percentile = options_.percentile;
      return config;
    }
    resolved_ = resolve_modules(options_, modules_, Compat::kNone, request_.ptq.config_file);
    text_ += "Asked for\n" + settings_text(resolved_, SettingsOf::kFile) + "\n";
    return settings_config(options_, resolved_, modules_, model_.network);
  }

  void add_methods() {
    const MethodRequest& m = request_.methods;
    if (!m.preset.empty()) {
      add_calibrated_methods(config_);
      if (request_.accelerator.empty())  // whose layers have one width
        config_.elementwise_bits = config_.first_last_bits = 8;
    }
    if (m.clip_weights) config_.weight_range.clipping = weight_clipping(*m.clip_weights);
    if (m.weight_percentile) config_.weight_range.percentile = *m.weight_percentile;
    if (m.rounding) config_.rounding = weight_rounding(*m.rounding);
    if (m.bias_correction) config_.bias_correction = true;
    if (m.equalize) config_.equalization = true;
    if (m.signed_activations) config_.unsigned_activations = false;
    if (m.first_last_bits) set_ends(end_bits(*m.first_last_bits));
    if (m.elementwise_bits) config_.elementwise_bits = m.elementwise_bits;
    if (config_.first_last_bits || config_.elementwise_bits) state_differing_bits(config_);
  }

  // Nothing: in float.
  void set_ends(std::optional<int> bits) {
    config_.first_last_bits = bits;
    if (bits) return;
    for (const std::string& name : end_layers(model_.network)) {
      config_.float_activations.insert(name);
      config_.float_weights.insert(name);
      config_.layers.erase(name);
    }
  }

  // Layers state only bits that are not the network's, so that both ends and sums may have theirs.
  static void state_differing_bits(QuantizationConfig& config) {
    for (auto& [name, bits] : config.layers) {
      if (bits.ifmap == config.ifmap.bits) bits.ifmap.reset();
      if (bits.weight == config.weight.bits) bits.weight.reset();
    }
  }

  QuantizedNetwork from_statistics() {
    source_ = options_.statistics_file;
    const Statistics statistics = tensor_statistics(modules_, statistics_);
    check_complete(statistics);
    return of_statistics(source_, [&] { return quantize(model_.network, statistics, config_); });
  }

  // Every tensor that has codes of its own has a record, or the layer that lacks it is named.
  void check_complete(const Statistics& statistics) const {
    const std::vector<bool> real = float_parts(model_.network, config_).tensors;
    for (size_t t = 0; t < real.size(); ++t) {
      const std::string& name = model_.network.tensors[t].name;
      if (real[t] || statistics.contains(name)) continue;
      for (size_t i = 0; i < modules_.network.layers.size(); ++i) {
        const FloatLayer& layer = modules_.network.layers[i];
        const bool writes = modules_.network.tensor(layer.output).name == name;
        const bool reads = static_cast<int>(t) == model_.network.input &&
                           layer.inputs[0] == modules_.network.input;
        if (keeps_quantization(layer) || (!writes && !reads)) continue;
        throw InputError({.file = options_.statistics_file,
                          .where = "layer '" + modules_.modules[i] + "'",
                          .field = "statistics",
                          .problem = std::string("have no ") + (writes ? "output" : "input 0") +
                                     " of this layer",
                          .fix = "collect the statistics of this network"});
      }
    }
  }

  QuantizedNetwork from_images() {
    CalibrationData calibration = request_.ptq.calibration;
    calibration.data = request_.data;
    calibration.labels = request_.labels;
    calibration.subset = request_.subset;
    calibration.preprocessing = request_.preprocessing;
    calibration.images = request_.images;
    const auto data = open_calibration_data(calibration, file_, model_.network, 1024);
    const int64_t images = data->count();
    if (chooses_widths(request_.methods)) {
      const HalvedData halves(*data);
      const ChosenWidths chosen =
          choose_widths_within(request_.methods, model_.network, halves, config_, progress_);
      text_ += chosen.text;
      // The network that was judged on the others.
      source_ = fmt::format("{} of {} inputs", chosen.images, images);
      return quantize_calibrated(model_.network, halves.source, chosen.images, config_, progress_);
    }
    source_ = fmt::format("{} inputs", images);
    return quantize_calibrated(model_.network, image_source(*data), images, config_, progress_);
  }

  const QuantizeRequest& request_;
  Progress& progress_;
  PtqOptions options_;
  std::filesystem::path file_;
  Model model_;
  ModuleNetwork modules_;
  NetworkStatistics statistics_;
  ResolvedSettings resolved_;
  QuantizationConfig config_;
  std::string text_, source_;
};

}  // namespace

std::string quantize_network(const QuantizeRequest& request, Progress& progress) {
  return NetworkQuantization(request, progress).run();
}

}  // namespace widthwise
