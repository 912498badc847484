#pragma once
#include "hwmodel/accelerator.h"
#include "hwmodel/yaml_map.h"

namespace widthwise {

// The key `datapath` of an accelerator's description, checked against its array: a dot_tree takes
// the stages [tree T, chain all] or [chain all], with one T for all layers.
Datapath read_datapath(const YamlMap& accelerator, const ArrayConfig& array);

}  // namespace widthwise
