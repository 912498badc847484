#include "hwmodel/shipped.h"

#include <algorithm>

#include "core/files.h"

namespace widthwise {
namespace fs = std::filesystem;

fs::path shipped_path(const std::string& folder, const std::string& name) {
  return share_folder() / "hwmodel" / folder / (name + ".yaml");
}

std::vector<std::string> shipped_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(share_folder() / "hwmodel" / folder, missing)) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace widthwise
