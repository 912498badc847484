#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "core/accumulation.h"
#include "core/integer_format.h"
#include "core/requantizer.h"

namespace widthwise {

struct ArrayConfig {
  std::string array_template = "dot_tree";  // dot_tree | systolic_ws | systolic_os
  int rows = 1, cols = 1;                   // PEs, 1..1024 each
};

// What a layer may state for itself; everything else comes from the datapath.
struct LayerOverride {
  std::optional<int> ifmap_bits, weight_bits;  // 1..16
  std::optional<Accumulation> accumulation;
};

struct Datapath {
  IntegerFormat ifmap{8, false};
  IntegerFormat weight{8, true};
  Accumulation accumulation;
  RequantizeConfig requantize;
  std::map<std::string, LayerOverride> layers;  // by layer name

  IntegerFormat layer_ifmap(const std::string& layer) const;
  IntegerFormat layer_weight(const std::string& layer) const;
  const Accumulation& layer_accumulation(const std::string& layer) const;
};

struct MemoryPort {
  double kib = 0;              // capacity; 0 for DRAM
  double bytes_per_cycle = 0;  // > 0
};

struct MemoryConfig {
  MemoryPort ifmap_sram, weight_sram, ofmap_sram, dram;
};

// One accelerator, as described in one YAML file.
struct Accelerator {
  std::string file;  // path it was read from
  std::string name;
  ArrayConfig array;
  Datapath datapath;
  MemoryConfig memory;
  double clock_mhz = 0;
  std::string cost_table;  // name of a file in hwmodel/tables, or a path that ends in .yaml

  int64_t pes() const { return static_cast<int64_t>(array.rows) * array.cols; }
  int64_t multipliers() const { return pes() * datapath.accumulation.lanes(); }
};

// Reads and checks a description. Unknown keys, wrong types and values out of range throw
// InputError with file, line, field, what is allowed and a fix. A stage's `length: rows` is
// array.rows.
Accelerator load_accelerator(const std::filesystem::path& path);

}  // namespace widthwise
