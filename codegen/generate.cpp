#include "codegen/generate.h"

#include <fmt/format.h>

#include <cctype>
#include <nlohmann/json.hpp>
#include <numeric>

#include "codegen/rtl_template.h"
#include "codegen/vectors.h"
#include "core/files.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kBenchMaxLength = 40;      // K of made-up vectors
constexpr int64_t kBenchMaxDigits = 200000;  // of operands in beats.hex

// Text that is safe inside a // or # comment, a YAML string or a Verilog header.
std::string one_line(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    const bool plain = std::isprint(static_cast<unsigned char>(c)) != 0 && c != '"' && c != '\\';
    safe += plain ? c : '_';
  }
  return safe;
}

std::string read_template(const RtlTemplate& rtl, const std::string& file) {
  return read_file(rtl.folder / file, "install the data folder again");
}

// Made-up vectors; of arrays whose beats are wide every n-th, n prime to the patterns and zero
// points.
std::vector<TileOperands> bench_tiles(const ArrayParameters& array, uint64_t seed) {
  const std::vector<TileOperands> all = made_up_tiles(array, kBenchMaxLength, seed);
  const int64_t digits = (int64_t{array.rows} * array.lanes * array.ifmap.bits +
                          int64_t{array.cols} * array.lanes * array.weight.bits) /
                         4;
  int64_t beats = 0;
  for (const TileOperands& tile : all) beats += array.beats(tile.reduction_length);
  auto step = static_cast<size_t>(beats * digits / kBenchMaxDigits + 1);
  while (std::gcd(step, size_t{2 * 3 * 5}) != 1) ++step;
  std::vector<TileOperands> kept;
  for (size_t i = 0; i < all.size(); i += step) kept.push_back(all[i]);
  return kept;
}

Placeholders array_placeholders(const ArrayParameters& a) {
  const int64_t pes = int64_t{a.rows} * a.cols;
  const int64_t ifmap_bus = int64_t{a.rows} * a.lanes * a.ifmap.bits;
  const int64_t weight_bus = int64_t{a.cols} * a.lanes * a.weight.bits;
  const int64_t bias_bus = int64_t{a.cols} * a.bias_bits;
  const int64_t zero_point_lsb = ifmap_bus + weight_bus + bias_bus;
  const int64_t flags = 3;
  Placeholders values;
  const auto bits = [&values](const std::string& name, int64_t width) {
    values[name + "_BITS"] = std::to_string(width);
    values[name + "_MSB"] = std::to_string(width - 1);
  };
  bits("IFMAP", a.ifmap.bits);
  bits("WEIGHT", a.weight.bits);
  bits("ACC", a.acc_bits);
  bits("BIAS", a.bias_bits);
  bits("COUNT", a.count_bits);
  bits("IFMAP_BUS", ifmap_bus);
  bits("WEIGHT_BUS", weight_bus);
  bits("BIAS_BUS", bias_bus);
  bits("PSUM_BUS", pes * a.acc_bits);
  bits("COUNT_BUS", pes * a.count_bits);
  bits("BEAT", zero_point_lsb + a.ifmap.bits + flags);
  bits("RESULT", pes * (a.acc_bits + a.count_bits));
  values["WEIGHT_LSB"] = std::to_string(ifmap_bus);
  values["BIAS_LSB"] = std::to_string(ifmap_bus + weight_bus);
  values["ZERO_POINT_LSB"] = std::to_string(zero_point_lsb);
  values["ROWS"] = std::to_string(a.rows);
  values["COLS"] = std::to_string(a.cols);
  values["LANES"] = std::to_string(a.lanes);
  values["IFMAP_SIGNED"] = std::to_string(a.ifmap.is_signed);
  values["WEIGHT_SIGNED"] = std::to_string(a.weight.is_signed);
  values["SATURATE"] = std::to_string(a.overflow == OverflowPolicy::kSaturate);
  values["BIAS_LAST"] = std::to_string(a.bias == BiasMode::kLast);
  values["BIAS_BEAT_TERM"] = std::string(a.bias == BiasMode::kLast ? " + 1" : "");
  values["DESCRIPTION"] = a.describe();
  return values;
}

std::string manifest(const Accelerator& accelerator, const RtlTemplate& rtl,
                     const GeneratedArray& made, const Placeholders& values,
                     const std::string& command) {
  nlohmann::ordered_json j;
  j["command"] = command;
  j["accelerator"] = accelerator.name;
  j["template"] = {{"name", rtl.name}, {"description", rtl.description}};
  j["configuration"] = nlohmann::ordered_json::parse(made.parameters.json());
  j["config_hash"] = made.config_hash;
  j["module"] = made.module;
  j["latency_cycles"] = made.latency_cycles;
  j["cycles_formula"] =
      fmt::format("beats + {}, beats of a reduction = ceil(K / {}){}", made.latency_cycles,
                  made.parameters.lanes, values.at("BIAS_BEAT_TERM"));
  for (const auto& port : rtl.ports) {
    j["ports"].push_back({{"name", port.name},
                          {"direction", port.direction},
                          {"bits", std::stoll(fill_placeholders(port.bits, values))},
                          {"meaning", port.meaning}});
  }
  j["rtl_files"] = made.rtl_files;
  j["bench_files"] = made.bench_files;
  j["files"] = made.files;
  return j.dump(2) + "\n";
}

}  // namespace

std::string module_name(const Accelerator& accelerator) {
  std::string name;
  for (const char c : accelerator.name) {
    const auto byte = static_cast<unsigned char>(c);
    if (name.empty() && std::isalpha(byte) == 0) name.append("ww_");
    name += std::isalnum(byte) != 0 ? c : '_';
  }
  return fmt::format("{}_array", name);
}

GeneratedArray generate_array(const Accelerator& accelerator, const fs::path& folder,
                              const GenerateOptions& options, std::span<const TileOperands> tiles) {
  GeneratedArray made;
  made.parameters = array_parameters(accelerator, options.widths);
  const RtlTemplate rtl = load_rtl_template(accelerator.array.array_template, accelerator.file);
  made.module = module_name(accelerator);
  made.config_hash = content_hash(made.parameters.json());
  made.latency_cycles = rtl.latency_cycles;

  const std::vector<TileOperands> made_up =
      tiles.empty() ? bench_tiles(made.parameters, options.seed) : std::vector<TileOperands>{};
  const HexVectors vectors = hex_vectors(made.parameters, tiles.empty() ? made_up : tiles);

  Placeholders values = array_placeholders(made.parameters);
  const std::string command = one_line(options.command);
  values["COMMAND"] = command;
  values["ACCELERATOR"] = one_line(accelerator.name);
  values["HASH"] = made.config_hash;
  values["MODULE"] = made.module;
  values["LATENCY_CYCLES"] = std::to_string(made.latency_cycles);
  values["BEATS"] = std::to_string(vectors.beat_count);
  values["RESULTS"] = std::to_string(vectors.result_count);
  values["CYCLES"] = std::to_string(vectors.beat_count + made.latency_cycles);

  const auto add = [&](const std::string& name, const std::string& content) {
    write_file(folder / name, content);
    made.files.push_back(name);
  };
  const auto fill = [&](const RtlTemplate::Filled& file) {
    const std::string name = fill_placeholders(file.to, values);
    add(name, fill_placeholders(read_template(rtl, file.from), values));
    return name;
  };

  for (const std::string& file : rtl.modules) {
    add(file, read_template(rtl, file));
    made.rtl_files.push_back(file);
  }
  made.rtl_files.push_back(fill(rtl.wrapper));
  values["MODULE_FILES"] = fmt::format("{}", fmt::join(made.rtl_files, "\n"));
  values["READ_FILES"] = fmt::format("{}", fmt::join(made.rtl_files, " "));
  values["CORE_FILES"] = fmt::format("      - {}", fmt::join(made.rtl_files, "\n      - "));
  made.bench_files = {fill(rtl.testbench), "beats.hex", "expected.hex"};
  add("beats.hex", vectors.beats);
  add("expected.hex", vectors.expected);
  for (const auto& file : rtl.collateral) fill(file);
  made.files.push_back(kManifestFile);
  write_file(folder / kManifestFile, manifest(accelerator, rtl, made, values, command));
  return made;
}

}  // namespace widthwise
