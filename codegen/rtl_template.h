#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace widthwise {

// One folder of rtl_templates/, as its template.json describes it.
struct RtlTemplate {
  struct Filled {
    std::string from, to;  // file with @NAME@ placeholders; name in the generated folder, too
  };
  struct Port {
    std::string name, direction, bits, meaning;  // bits may be a placeholder
  };
  std::filesystem::path folder;
  std::string name, description;
  std::vector<std::string> modules;  // Verilog files, copied as they are, in order of dependence
  Filled wrapper, testbench;
  std::vector<Filled> collateral;
  int latency_cycles = 0;  // from the last beat to its result
  std::vector<Port> ports;
};

// Throws InputError with field array.template and the known names when there is no such folder.
RtlTemplate load_rtl_template(const std::string& name, const std::string& accelerator_file);

using Placeholders = std::map<std::string, std::string>;

// Replaces every @NAME@. Throws std::logic_error for a name without a value.
std::string fill_placeholders(std::string_view text, const Placeholders& values);

}  // namespace widthwise
