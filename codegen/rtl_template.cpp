#include "codegen/rtl_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "core/error.h"
#include "core/files.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

std::set<std::string> known_templates(const fs::path& root) {
  std::set<std::string> names;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(root, missing)) {
    if (fs::exists(entry.path() / "template.json")) names.insert(entry.path().filename().string());
  }
  return names;
}

RtlTemplate::Filled filled(const nlohmann::json& j) {
  return {j.at("from").get<std::string>(), j.at("to").get<std::string>()};
}

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

RtlTemplate load_rtl_template(const std::string& name, const std::string& accelerator_file) {
  const fs::path root = share_folder() / "rtl_templates";
  const auto known = known_templates(root);
  if (!known.contains(name)) {
    throw InputError(
        {.file = accelerator_file,
         .where = "",
         .field = "array.template",
         .problem = fmt::format("is '{}', which has no Verilog; known: {}", name,
                                known.empty() ? "none in " + root.string() : list_names(known)),
         .fix = "choose a known template, or set WIDTHWISE_SHARE to the data folder"});
  }
  RtlTemplate result;
  result.folder = root / name;
  const fs::path file = result.folder / "template.json";
  try {
    const auto j = nlohmann::json::parse(read_file(file, "install the data folder again"));
    result.name = j.at("name");
    result.description = j.at("description");
    result.modules = j.at("modules").get<std::vector<std::string>>();
    result.wrapper = filled(j.at("wrapper"));
    result.testbench = filled(j.at("testbench"));
    for (const auto& item : j.at("collateral")) result.collateral.push_back(filled(item));
    result.latency_cycles = j.at("latency_cycles");
    for (const auto& p : j.at("ports")) {
      result.ports.push_back({p.at("name"), p.at("direction"), p.at("bits"), p.at("meaning")});
    }
  } catch (const nlohmann::json::exception& error) {
    throw InputError({.file = file.string(),
                      .where = "",
                      .field = "",
                      .problem = std::string("is not a template description: ") + error.what(),
                      .fix = "compare it with rtl_templates/dot_tree/template.json"});
  }
  return result;
}

std::string fill_placeholders(std::string_view text, const Placeholders& values) {
  std::string out;
  while (true) {
    const size_t open = text.find('@');
    out += text.substr(0, open);
    if (open == std::string_view::npos) return out;
    text.remove_prefix(open + 1);
    const size_t close = text.find('@');
    const std::string_view name = text.substr(0, close);
    if (close == std::string_view::npos || !is_name(name)) {  // a lone @, as in always @(...)
      out += '@';
      continue;
    }
    const auto value = values.find(std::string(name));
    if (value == values.end()) throw std::logic_error(fmt::format("placeholder @{}@", name));
    out += value->second;
    text.remove_prefix(close + 1);
  }
}

}  // namespace widthwise
