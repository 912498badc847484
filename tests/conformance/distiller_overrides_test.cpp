// Which override decides which layer, from conformance/distiller.
#include <yaml-cpp/yaml.h>

#include "core/error.h"
#include "quant/ptq_resolve.h"
#include "tests/conformance/distiller_support.h"

namespace widthwise {
namespace {

using namespace testing_support;

Json number_or_null(std::optional<int> bits) { return bits ? Json(*bits) : Json(); }

// Settings beside bits, as the file spells them.
Json other_settings(ModuleOverride stated) {
  stated.bits_activations = stated.bits_weights = stated.bits_bias = std::nullopt;
  Json other = Json::object();
  for (const auto& item : YAML::Load(override_yaml(stated))) {
    const auto text = item.second.as<std::string>();
    other[item.first.as<std::string>()] = text == "True"    ? Json(true)
                                          : text == "False" ? Json(false)
                                                            : Json(text);
  }
  return other;
}

// What our refusal says where Distiller raises an exception.
const std::map<std::string, std::string> kRefusals = {{"ValueError", "is an unknown key"},
                                                      {"IndexError", "capture group"},
                                                      {"ParserError", "is no YAML"}};

std::string difference(const Json& golden, const Json& c) {
  PtqOptions options;
  const Json& defaults = golden.at("defaults");
  options.bits_activations = defaults.at("bits_activations").get<int>();
  options.bits_weights = defaults.at("bits_parameters").get<int>();
  options.bits_accum = defaults.at("bits_accum");
  std::vector<Module> modules;
  for (const Json& module : golden.at("modules")) modules.push_back({module[0], module[1]});
  ResolvedSettings resolved;
  try {
    options.overrides = read_overrides(c.at("overrides_yaml").get<std::string>(), "o.yaml");
    resolved = resolve(options, modules, Compat::kDistiller04, "o.yaml");
  } catch (const InputError& error) {
    if (!c.contains("error")) return error.what();
    const std::string& expected = kRefusals.at(c.at("error").get<std::string>());
    return std::string(error.what()).find(expected) != std::string::npos ? "" : error.what();
  }
  if (c.contains("error")) return "is not refused";
  for (const ResolvedModule& module : resolved.modules) {
    const Json found = {{"acts", number_or_null(module.settings.bits_activations)},
                        {"wts", number_or_null(module.settings.bits_weights)},
                        {"bias", number_or_null(module.bits_bias)},
                        {"other", other_settings(module.stated)}};
    const Json& expected = c.at("resolved").at(module.module.name);
    if (found != expected)
      return module.module.name + ": " + found.dump() + ", golden " + expected.dump();
  }
  return resolved.modules.size() == c.at("resolved").size() ? "" : "other modules";
}

TEST(DistillerGolden, Overrides) {
  WIDTHWISE_GOLDEN(golden, distiller_folder() / "overrides.json");
  GoldenTally tally("overrides");
  for (const Json& c : golden.at("cases")) tally.add(c.at("id"), difference(golden, c));
}

}  // namespace
}  // namespace widthwise
