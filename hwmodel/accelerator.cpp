#include "hwmodel/accelerator.h"

#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "hwmodel/cost_table.h"
#include "hwmodel/datapath_yaml.h"
#include "hwmodel/shipped.h"
#include "hwmodel/yaml_map.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

constexpr int kMaxPes = 1024;  // per side
constexpr const char* kExample = "hwmodel/accelerators/edge-int8.yaml";
const YamlMap::Names kTemplates = {"systolic_ws", "systolic_os", "dot_tree"};

MemoryConfig read_memory(const YamlMap& top) {
  const YamlMap map = top.map("memory", {"ifmap_sram", "weight_sram", "ofmap_sram", "dram"});
  const auto sram = [&](const char* key) {
    const YamlMap port = map.map(key, {"kib", "bytes_per_cycle"});
    return MemoryPort{port.positive("kib"), port.positive("bytes_per_cycle")};
  };
  return {sram("ifmap_sram"), sram("weight_sram"), sram("ofmap_sram"),
          MemoryPort{0, map.map("dram", {"bytes_per_cycle"}).positive("bytes_per_cycle")}};
}

// The name ends up in names of files and in generated sources.
std::string read_name(const YamlMap& top) {
  const std::string name = top.text("name");
  const bool plain =
      name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
      });
  if (!plain || std::isalnum(static_cast<unsigned char>(name[0])) == 0) {
    top.refuse("name",
               "is '" + name.substr(0, 64) +
                   "', allowed up to 64 letters, digits, '-', '_' and '.', the first a "
                   "letter or digit",
               "name it like edge-int8");
  }
  return name;
}

// A shipped table's name, or the path of a table; a relative path starts at the description.
std::string read_cost_table(const YamlMap& top, const fs::path& description) {
  std::string table = top.text("cost_table");
  if (fs::path(table).extension() == ".yaml") {
    table = (description.parent_path() / table).lexically_normal().string();
    std::error_code error;
    if (!fs::exists(table, error))
      top.refuse("cost_table", "is '" + table + "', which does not exist");
  } else if (const auto names = shipped_names("tables");
             std::find(names.begin(), names.end(), table) == names.end()) {
    top.refuse("cost_table", "is '" + table + "', known tables: " + list_names(names),
               "name one of them, or give the path of a table that ends in .yaml");
  }
  load_cost_table(table);
  return table;
}

// A path that exists, or the name of a shipped description.
fs::path find_description(const fs::path& path) {
  std::error_code error;
  if (fs::exists(path, error) || path.has_parent_path()) return path;
  const bool named = path.extension().empty() || path.extension() == ".yaml";
  const fs::path shipped = shipped_path("accelerators", path.stem().string());
  if (named && fs::exists(shipped, error)) return shipped;
  throw InputError({.file = path.string(),
                    .where = "",
                    .field = "",
                    .problem = "does not exist",
                    .fix = "give the path of a description, or one of the shipped: " +
                           list_names(shipped_names("accelerators"))});
}

}  // namespace

Accelerator load_accelerator(const fs::path& path) {
  const fs::path found = find_description(path);
  const YamlMap top = YamlMap::load(
      found, {"name", "array", "datapath", "memory", "clock_mhz", "cost_table"}, kExample);
  Accelerator accelerator;
  accelerator.file = found.string();
  accelerator.name = read_name(top);
  const YamlMap array = top.map("array", {"template", "rows", "cols"});
  accelerator.array = {kTemplates[array.choice("template", kTemplates)],
                       static_cast<int>(array.integer("rows", 1, kMaxPes)),
                       static_cast<int>(array.integer("cols", 1, kMaxPes))};
  accelerator.datapath = read_datapath(top, accelerator.array);
  accelerator.memory = read_memory(top);
  accelerator.clock_mhz = top.positive("clock_mhz");
  accelerator.cost_table = read_cost_table(top, found);
  return accelerator;
}

}  // namespace widthwise
