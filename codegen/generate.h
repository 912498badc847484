#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "codegen/array_parameters.h"
#include "codegen/stimulus.h"
#include "hwmodel/accelerator.h"

namespace widthwise {

struct GenerateOptions {
  std::string command = "widthwise generate";  // for the headers: how to make the files again
  PortWidths widths = {};
  uint64_t seed = 1;  // of the made-up vectors
};

// A folder with an array's Verilog, as generate_array wrote it.
struct GeneratedArray {
  ArrayParameters parameters;
  std::string module;                    // the wrapper
  std::string config_hash;               // content_hash(parameters.json())
  int latency_cycles = 0;                // from the last beat to its result
  std::vector<std::string> rtl_files;    // names in the folder, wrapper last
  std::vector<std::string> bench_files;  // test bench and its vectors
  std::vector<std::string> files;        // everything
};

inline constexpr const char* kManifestFile = "manifest.json";

// Fills an existing folder: modules, wrapper, file list, FuseSoC core, synthesis script,
// self-checking test bench with vectors, manifest. The bench's vectors are `tiles`, or made-up ones
// when there are none. The same arguments give the same bytes. Throws InputError as
// array_parameters does.
GeneratedArray generate_array(const Accelerator& accelerator, const std::filesystem::path& folder,
                              const GenerateOptions& options = {},
                              std::span<const TileOperands> tiles = {});

// "edge-int4" -> "edge_int4_array": a Verilog identifier.
std::string module_name(const Accelerator& accelerator);

}  // namespace widthwise
