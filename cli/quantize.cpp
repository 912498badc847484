#include "cli/quantize.h"

#include <fmt/format.h>

#include <bit>

#include "cli/bench.h"
#include "cli/refuse_option.h"
#include "core/files.h"
#include "hwmodel/cost_table.h"
#include "quant/choose_widths.h"
#include "quant/float_parts.h"
#include "quant/match_statistics.h"
#include "quant/onnx_writer.h"
#include "quant/ptq_settings_text.h"
#include "quant/quantize_calibrated.h"
#include "quant/settings_config.h"
#include "quant/statistics_yaml.h"
#include "reports/formats_text.h"
#include "reports/text_table.h"

namespace widthwise {
namespace {

class NetworkQuantization {
 public:
  NetworkQuantization(const QuantizeRequest& request, Progress& progress)
      : request_(request), progress_(progress) {}

  std::string run() {
    check_request();
    file_ = model_path(request_.network);
    model_ = load_network(file_);
    modules_ = module_network(model_.graph);
    if (from_file()) match();
    config_ = base_config();
    add_methods();
    const QuantizedNetwork network = from_file() ? from_statistics() : from_images();
    const bool qonnx = request_.format == "qonnx";
    const std::string bytes = write_quantized(model_.graph, network,
                                              qonnx ? QuantizedFile::kQonnx : QuantizedFile::kQcdq);
    if (!request_.ptq.settings_out.empty())
      write_file(request_.ptq.settings_out, settings_yaml(resolved_, network));
    write_file(request_.out, bytes);
    return text_ + formats_text(network) +
           fmt::format("{}: {} layers quantized over {}, written to {}\n", network.name,
                       network.layers.size(), source_, request_.out.string());
  }

 private:
  bool from_file() const { return !options_.statistics_file.empty(); }

  void check_request() {
    if (request_.format != "qcdq" && request_.format != "qonnx")
      refuse_option("--format", "is '" + request_.format + "', allowed qcdq, qonnx",
                    "qcdq runs in ONNX Runtime; qonnx is for FINN and hls4ml");
    if (compat_of(request_.ptq.compat) != Compat::kNone)
      refuse_option("--compat", "is given, but a release's arithmetic has no form as ONNX",
                    "leave it out, or run it at once: widthwise evaluate --quantize-eval");
    if (!request_.accelerator.empty() &&
        (request_.ptq.states_formats() || !request_.ptq.config_file.empty()))
      refuse_option("--accelerator",
                    "is given beside --qe options, which state bits and modes, too",
                    "keep one of them: an accelerator's layers have bits of their own");
    options_ = ptq_options(request_.ptq);
    apply_preset();
    if (from_file() && !request_.data.empty())
      refuse_option("--data", "is given beside --qe-stats-file, where the ranges come from",
                    "keep one of them");
    if (!from_file() && request_.data.empty())
      refuse_option("--data", "is missing: ranges are measured on it",
                    "name it, or take statistics: --qe-stats-file");
    const MethodRequest& m = request_.methods;
    if (from_file() && (m.rounding.value_or("nearest") != "nearest" || m.bias_correction ||
                        m.equalize || !m.preset.empty() || chooses_widths()))
      refuse_option(
          "--qe-stats-file",
          "is given, but rounding by error, bias correction, equalization, presets and budgets "
          "need images",
          "give --data in its place");
    if (chooses_widths() && !request_.accelerator.empty())
      refuse_option("--accelerator",
                    "is given beside a budget, but its layers have bits of their own",
                    "keep one of them");
    for (const auto& path : {request_.out, request_.ptq.settings_out}) {
      if (!path.empty()) check_writable(path);
    }
  }

  // Ranges and scales of the preset, where nothing else says what they are.
  void apply_preset() {
    const std::string& preset = request_.methods.preset;
    if (preset.empty()) return;
    if (preset != "few-bits")
      refuse_option("--preset", "is '" + preset + "', allowed few-bits",
                    "leave it out, or name it");
    if (!request_.ptq.config_file.empty()) return;
    if (!request_.ptq.clip_acts) options_.clip_acts = Clipping::kMse;
    const bool one_scale =
        request_.per_tensor || options_.mode_weights == QuantizationMode::kAsymmetricUnsigned;
    if (!one_scale) options_.per_channel = true;
  }

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
      return config;
    }
    if (request_.symmetric)
      refuse_option("--symmetric", "is given without --accelerator", "state --qe-mode");
    if (request_.per_tensor && (request_.methods.preset.empty() || options_.per_channel))
      refuse_option("--per-tensor", "is given without --accelerator or --preset",
                    "leave out --qe-per-channel");
    resolved_ = resolve_modules(options_, modules_, Compat::kNone, request_.ptq.config_file);
    text_ += settings_text(resolved_) + "\n";
    return settings_config(options_, resolved_, modules_, model_.network);
  }

  void add_methods() {
    const MethodRequest& m = request_.methods;
    if (!m.preset.empty()) {
      add_calibrated_methods(config_);
      if (request_.accelerator.empty())  // whose layers have one width
        config_.elementwise_bits = config_.first_last_bits = 8;
    }
    if (m.percentile) config_.activation_range.percentile = *m.percentile;
    if (m.clip_weights) config_.weight_range.clipping = weight_clipping(*m.clip_weights);
    if (m.weight_percentile) config_.weight_range.percentile = *m.weight_percentile;
    if (m.rounding) config_.rounding = rounding(*m.rounding);
    if (m.bias_correction) config_.bias_correction = true;
    if (m.equalize) config_.equalization = true;
    if (m.signed_activations) config_.unsigned_activations = false;
    if (m.first_last_bits) first_last(*m.first_last_bits);
    if (m.elementwise_bits) config_.elementwise_bits = m.elementwise_bits;
    if (config_.first_last_bits || config_.elementwise_bits) state_differing_bits(config_);
    check_methods();
  }

  // Layers state only bits that are not the network's, so that both ends and sums may have theirs.
  static void state_differing_bits(QuantizationConfig& config) {
    for (auto& [name, bits] : config.layers) {
      if (bits.ifmap == config.ifmap.bits) bits.ifmap.reset();
      if (bits.weight == config.weight.bits) bits.weight.reset();
    }
  }

  void check_methods() const {
    const MethodRequest& m = request_.methods;
    if (m.percentile && config_.activation_range.clipping != Clipping::kPercentile)
      refuse_option("--qe-percentile", "is given, but activations are not clipped by percentile",
                    "add --qe-clip-acts percentile");
    if (m.weight_percentile && config_.weight_range.clipping != WeightClipping::kPercentile)
      refuse_option("--qe-percentile-wts", "is given, but weights are not clipped by percentile",
                    "add --qe-clip-wts percentile");
  }

  void first_last(const std::string& bits) {
    if (bits == "float") {
      config_.first_last_bits.reset();
      for (const std::string& name : end_layers(model_.network)) {
        config_.float_layers.insert(name);
        config_.layers.erase(name);
      }
    } else if (bits.size() == 1 && bits >= "2" && bits <= "8") {
      config_.first_last_bits = bits[0] - '0';
    } else {
      refuse_option("--first-last-bits", "is '" + bits + "', allowed 2..8, float",
                    "name one of these");
    }
  }

  static WeightClipping weight_clipping(const std::string& name) {
    if (name == "minmax") return WeightClipping::kMinMax;
    if (name == "mse") return WeightClipping::kMse;
    if (name == "percentile") return WeightClipping::kPercentile;
    refuse_option("--qe-clip-wts", "is '" + name + "', allowed minmax, mse, percentile",
                  "name one of these");
  }
  static WeightRounding rounding(const std::string& name) {
    if (name == "nearest") return WeightRounding::kNearest;
    if (name == "gptq") return WeightRounding::kGptq;
    refuse_option("--rounding", "is '" + name + "', allowed nearest, gptq", "name one of these");
  }

  QuantizedNetwork from_statistics() {
    source_ = options_.statistics_file;
    return quantize(model_.network, tensor_statistics(modules_, statistics_), config_);
  }

  QuantizedNetwork from_images() {
    CalibrationData calibration = request_.ptq.calibration;
    calibration.data = request_.data;
    calibration.labels = request_.labels;
    calibration.subset = request_.subset;
    calibration.preprocessing = request_.preprocessing;
    calibration.images = request_.images;
    const auto data = open_calibration_data(calibration, file_, model_.network, 1024);
    source_ = fmt::format("{} inputs", data->count());
    const ImageSource images = image_source(*data);
    if (chooses_widths()) choose(images, *data);
    return quantize_calibrated(model_.network, images, data->count(), config_, progress_);
  }

  bool chooses_widths() const {
    return request_.methods.points_lost || request_.methods.energy_budget_uj;
  }

  // Energy of a layer's multiply-accumulates per image: a multiplier of these operands, and an
  // adder of what their sums can need.
  static double mac_energy_uj(const CostTable& table, const FloatLayer& layer, int ifmap_bits,
                              int weight_bits) {
    const auto& workload = std::get<MatmulWorkload>(layer.workload);
    const auto length = static_cast<uint64_t>(workload.reduction_length());
    const int sum_bits = ifmap_bits + weight_bits + static_cast<int>(std::bit_width(length - 1));
    const double pj = table
                          .lookup("multiplier", "multiply", std::max(ifmap_bits, weight_bits),
                                  std::min(ifmap_bits, weight_bits))
                          .energy_pj +
                      table.lookup("adder", "add", sum_bits).energy_pj;
    return static_cast<double>(workload.macs()) * pj * 1e-6;
  }

  void choose(const ImageSource& images, const DataSet& data) {
    const MethodRequest& m = request_.methods;
    if (data.labels().empty())
      refuse_option("--points-lost, --energy-budget-uj", "need labelled calibration inputs",
                    "name their labels: --labels");
    const CostTable table = load_cost_table(m.cost_table);
    const LayerCost cost = [&](const FloatLayer& layer, int ifmap_bits, int weight_bits) {
      return mac_energy_uj(table, layer, ifmap_bits, weight_bits);
    };
    config_.layers.clear();
    config_.ifmap.bits = config_.weight.bits = 8;
    if (!config_.elementwise_bits) config_.elementwise_bits = 8;
    const WidthChoice choice =
        choose_widths(model_.network, images, data.labels(), config_,
                      {.points_lost = m.points_lost, .cost = m.energy_budget_uj}, cost, progress_);
    config_.layers = choice.layers;
    double widest = 0;
    TextTable table_text({"layer", "ifmap bits", "weight bits", "MAC energy uJ", "at 8 x 8 bits"});
    for (const FloatLayer& layer : model_.network.layers) {
      const auto bits = choice.layers.find(layer.name);
      if (bits == choice.layers.end()) continue;
      const int a = bits->second.ifmap.value_or(8), w = bits->second.weight.value_or(8);
      const double whole = cost(layer, 8, 8);
      widest += whole;
      table_text.add({layer.name, std::to_string(a), std::to_string(w),
                      fmt::format("{:.4f}", cost(layer, a, w)), fmt::format("{:.4f}", whole)});
    }
    text_ += table_text.text() +
             fmt::format(
                 "  MACs {:.3f} uJ of {:.3f} uJ at 8 x 8 bits ({}{}); top-1 {:.2f} % of the "
                 "inputs that it was not rounded on, FP32 {:.2f} %\n",
                 choice.cost, widest, table.name(),
                 config_.float_layers.empty() ? "" : "; layers in float are not counted",
                 choice.percent, choice.float_percent);
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
