// Writes the measured layers for bench/torch_emulation.py, and what the simulator makes of them:
//   export_layers <folder>
// <folder>/layers.json says the shapes. <layer>.<data>.ifmap: uint8 [ic, rows, cols], .weights:
// int8 [oc, ic / groups, rows, cols], .sums: int32 [pixels, oc] of a chain that saturates at
// `saturated_bits`, .hits: int64, outputs that overflow at each of `census_bits`.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench/single_layer.h"
#include "core/files.h"
#include "sim/layer_runner.h"

namespace widthwise {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSaturatedBits = 16;
constexpr int kLeastCensusBits = 2, kMostCensusBits = 26;

template <class As, class Values>
void write_as(const std::filesystem::path& path, const Values& values) {
  std::ofstream file(path, std::ios::binary);
  for (const auto value : values) {
    const auto as = static_cast<As>(value);
    file.write(reinterpret_cast<const char*>(&as), sizeof as);
  }
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

std::vector<int32_t> saturated_sums(const SingleLayer& layer) {
  const auto packed = pack_bytes(layer.layer(), layer.ifmap_quantization(),
                                 accumulation(1, kSaturatedBits, OverflowPolicy::kSaturate),
                                 KernelMode::kSaturate, default_kernels());
  if (!packed) throw std::runtime_error("no kernels for bytes on this machine");
  const CodeTensor ifmap = layer.ifmap();
  SumsByPixel sums(layer.workload().window);
  Workspace workspace;
  packed->run(ifmap.as_bytes()->values, 1, workspace, sums);
  return sums.values;
}

std::vector<int64_t> census_hits(const SingleLayer& layer) {
  Datapath path;
  path.accumulation = accumulation(1, 32, OverflowPolicy::kWrap);
  const auto runner =
      make_layer_runner(layer.network, layer.layer(), path, {.outermost = {}, .census = true});
  LayerRecord record = runner->empty_record();
  Workspace workspace;
  const CodeTensor ifmap = layer.ifmap();
  CodeTensor ofmap;
  runner->run({&ifmap}, ofmap, 1, workspace, record);
  std::vector<int64_t> hits;
  for (int bits = kLeastCensusBits; bits <= kMostCensusBits; ++bits)
    hits.push_back(record.census.hit(bits, OverflowPolicy::kWrap));
  return hits;
}

void export_layers(const std::filesystem::path& folder) {
  Json all;
  all["saturated_bits"] = kSaturatedBits;
  all["census_bits"] = {kLeastCensusBits, kMostCensusBits};
  for (const LayerCase& c : kLayers) {
    const ConvolutionShape& s = c.shape;
    all["layers"].push_back({{"name", c.name},
                             {"ifmaps", s.ifmaps},
                             {"ofmaps", s.ofmaps},
                             {"size", s.size},
                             {"kernel", s.kernel},
                             {"groups", s.groups}});
    for (const auto& [data_name, data] : kData) {
      const SingleLayer layer(c, data);
      const std::string stem = (folder / fmt::format("{}.{}.", c.name, data_name)).string();
      write_as<uint8_t>(stem + "ifmap", layer.codes);
      write_as<int8_t>(stem + "weights", layer.layer().weights);
      write_as<int32_t>(stem + "sums", saturated_sums(layer));
      write_as<int64_t>(stem + "hits", census_hits(layer));
    }
  }
  write_file(folder / "layers.json", all.dump(2) + "\n");
}

}  // namespace
}  // namespace widthwise

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("takes a folder");
    widthwise::export_layers(argv[1]);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "export_layers: {}\n", error.what());
    return 1;
  }
}
