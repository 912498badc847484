#include "sim/kernel.h"

#include <cstdlib>

#include "core/error.h"

namespace widthwise {

std::vector<const KernelTable*> supported_kernels() {
  std::vector<const KernelTable*> tables;
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vnni")) {
    tables.push_back(&kAvx512VnniKernels);
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    tables.push_back(&kAvx2Kernels);
  tables.push_back(&kBaselineKernels);
  return tables;
}

const KernelTable& default_kernels() {
  const auto tables = supported_kernels();
  const char* wanted = std::getenv("WIDTHWISE_ISA");
  if (wanted == nullptr || *wanted == '\0') return *tables.front();
  std::vector<std::string> names;
  for (const KernelTable* table : tables) {
    if (table->name == std::string(wanted)) return *table;
    names.emplace_back(table->name);
  }
  throw InputError(
      {.file = "",
       .where = "environment",
       .field = "WIDTHWISE_ISA",
       .problem = "is '" + std::string(wanted) + "', allowed on this machine: " + list_names(names),
       .fix = "unset it to use " + names.front()});
}

}  // namespace widthwise
