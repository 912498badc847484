#pragma once
#include <string>

#include "quant/ptq_resolve.h"

namespace widthwise {

// Whether a module of this class takes a key of an override.
bool takes_key(const std::string& type, const std::string& key, Compat compat);

// A module by the options alone.
ResolvedModule by_options(const PtqOptions& options, const Module& module);

// Puts what an override states of `to.module` in the place of the options'; keys that its class
// does not take are passed over. `where` and `file` are for messages.
void apply(const ModuleOverride& stated, const PtqOptions& options, Compat compat,
           const std::string& file, ResolvedModule& to);

// Refuses settings of a module that contradict each other.
void check(const ResolvedModule& module, const std::string& file);
// Refuses what an override states of a module without any effect.
void check_stated(const ResolvedModule& module, const std::string& file);

}  // namespace widthwise
