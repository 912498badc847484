#pragma once
// Golden files of conformance/distiller: JSON with cases and arrays.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "quant/clipping.h"
#include "quant/ptq_config_yaml.h"
#include "tests/conformance/model_folders.h"

namespace widthwise::testing_support {

using Json = nlohmann::json;

inline fs::path distiller_folder() { return conformance_folder() / "distiller"; }

// The parsed file, or null where it is absent, which skips the test.
inline Json golden_json(const fs::path& path) {
  std::ifstream file(path);
  return file ? Json::parse(file) : Json();
}

#define WIDTHWISE_GOLDEN(name, path)   \
  const Json name = golden_json(path); \
  if (name.is_null()) GTEST_SKIP() << (path).string() << " is absent"

// Shortest decimals that round-trip: a double, cast.
inline float single(const Json& value) { return static_cast<float>(value.get<double>()); }
inline std::vector<float> singles(const Json& values) {
  std::vector<float> result;
  for (const Json& value : values) result.push_back(single(value));
  return result;
}

inline QuantizationMode mode_of(const Json& name) {
  for (const auto mode :
       {QuantizationMode::kSymmetric, QuantizationMode::kSymmetricRestricted,
        QuantizationMode::kAsymmetricUnsigned, QuantizationMode::kAsymmetricSigned}) {
    if (name == mode_name(mode)) return mode;
  }
  throw std::invalid_argument("unknown mode " + name.dump());
}
inline Clipping clipping_of(const Json& name) {
  for (int i = 0; i <= static_cast<int>(Clipping::kLaplace); ++i) {
    if (name == clipping_name(static_cast<Clipping>(i))) return static_cast<Clipping>(i);
  }
  throw std::invalid_argument("unknown clipping " + name.dump());
}
inline ClippingChoice choice_of(const Json& c) {
  ClippingChoice choice;
  choice.clipping = clipping_of(c.at("clip"));
  if (c.contains("n_stds") && !c.at("n_stds").is_null()) choice.n_stds = c.at("n_stds");
  choice.half_range = c.value("half_range", false);
  choice.per_channel = c.value("per_channel", false);
  return choice;
}
inline TensorStatistics statistics_of(const Json& record) {
  TensorStatistics s;
  s.min = record.at("min");
  s.max = record.at("max");
  const auto read = [&](const char* key, std::optional<double>& to) {
    if (record.contains(key)) to = record.at(key).get<double>();
  };
  read("avg_min", s.avg_min);
  read("avg_max", s.avg_max);
  read("mean", s.mean);
  read("std", s.std);
  read("b", s.b);
  return s;
}
inline std::optional<int> bits_of(const Json& c, const char* key) {
  if (!c.contains(key) || c.at(key).is_null()) return std::nullopt;
  return c.at(key).get<int>();
}

// The options of a case: its command line, or the configuration file that it names.
inline PtqOptions options_of(const Json& c) {
  if (c.contains("config_yaml"))
    return read_ptq_config(c.at("config_yaml").get<std::string>(), "c.yaml");
  PtqOptions options;
  const Json& args = c.at("args");
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string arg = args[i];
    const auto text = [&] { return args.at(++i).get<std::string>(); };
    const auto bits = [&]() -> std::optional<int> {
      const int value = std::stoi(text());
      return value == 0 ? std::nullopt : std::optional(value);
    };
    if (arg == "--qe-mode") {
      options.mode_activations = options.mode_weights = mode_of(text());
    } else if (arg == "--qe-mode-acts") {
      options.mode_activations = mode_of(text());
    } else if (arg == "--qe-mode-wts") {
      options.mode_weights = mode_of(text());
    } else if (arg == "--qe-bits-acts") {
      options.bits_activations = bits();
    } else if (arg == "--qe-bits-wts") {
      options.bits_weights = bits();
    } else if (arg == "--qe-bits-accum") {
      options.bits_accum = std::stoi(text());
    } else if (arg == "--qe-per-channel") {
      options.per_channel = true;
    } else if (arg == "--qe-scale-approx-bits") {
      options.scale_approx_bits = bits();
    } else if (arg == "--qe-clip-acts") {
      options.clip_acts = clipping_of(text());
    } else if (arg == "--qe-clip-n-stds") {
      options.clip_n_stds = std::stod(text());
    } else if (arg == "--qe-no-clip-layers") {
      options.no_clip_layers.push_back(text());
    } else if (arg == "--qe-no-quant-layers") {
      options.no_quant_layers.push_back(text());
    } else if (arg == "--qe-stats-file") {
      options.statistics_file = text();
    } else if (arg == "--qe-dynamic") {
      options.dynamic = true;
    } else {
      throw std::invalid_argument("unknown option " + arg);
    }
  }
  return options;
}

// Counts of one file, printed at the end.
class GoldenTally {
 public:
  explicit GoldenTally(std::string name) : name_(std::move(name)) {}
  ~GoldenTally() {
    fmt::print("distiller/{}: {} cases, {} exact\n", name_, cases_, exact_);
    EXPECT_EQ(exact_, cases_);
    EXPECT_GT(cases_, 0);
  }
  // What differs in a case; nothing where it is exact.
  void add(const Json& id, const std::string& difference) {
    ++cases_;
    if (difference.empty()) {
      ++exact_;
    } else if (++shown_ <= 10) {
      ADD_FAILURE() << name_ << " " << id << ": " << difference;
    }
  }

 private:
  std::string name_;
  int cases_ = 0, exact_ = 0, shown_ = 0;
};

inline std::string same_floats(const char* what, const std::vector<float>& found,
                               const Json& golden, double tolerance = 0) {
  if (found.size() != golden.size())
    return fmt::format("{}: {} values, golden {}", what, found.size(), golden.size());
  for (size_t i = 0; i < found.size(); ++i) {
    const float g = single(golden[i]);
    if (found[i] == g || std::abs(found[i] - g) <= tolerance * std::abs(static_cast<double>(g)))
      continue;
    return fmt::format("{}[{}] is {}, golden {}", what, i, found[i], g);
  }
  return "";
}

inline std::vector<float> scales_of(const std::vector<LinearScale>& all) {
  std::vector<float> values;
  for (const LinearScale& s : all) values.push_back(s.scale);
  return values;
}
inline std::vector<float> zero_points_of(const std::vector<LinearScale>& all) {
  std::vector<float> values;
  for (const LinearScale& s : all) values.push_back(s.zero_point);
  return values;
}

}  // namespace widthwise::testing_support
