#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace widthwise {

// A mistake that is planted into generated Verilog to show that co-simulation would see it: `from`
// occurs exactly once in `file` and becomes `to`.
struct Fault {
  std::string name, description;
  std::string file, from, to;
};

const std::vector<Fault>& known_faults();

// Throws InputError with the known names.
const Fault& find_fault(const std::string& name);

// Throws std::logic_error unless the fault's text occurs exactly once.
void plant_fault(const Fault& fault, const std::filesystem::path& folder);

}  // namespace widthwise
