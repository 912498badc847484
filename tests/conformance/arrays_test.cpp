// Every .npy and .npz below WIDTHWISE_KITS and WIDTHWISE_CONFORMANCE is read, and written back and
// read again without a changed byte.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "core/error.h"
#include "models/npy.h"

namespace widthwise {
namespace {
namespace fs = std::filesystem;

fs::path folder_of(const char* variable, const char* usual) {
  const char* named = std::getenv(variable);
  return named != nullptr && *named != '\0' ? fs::path(named)
                                            : fs::path(WIDTHWISE_TREE) / ".." / "shared" / usual;
}

std::vector<std::string> arrays_below(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code absent;
  for (const auto& entry : fs::recursive_directory_iterator(folder, absent)) {
    const std::string path = entry.path().string();
    if (path.ends_with(".npy")) names.push_back(path);
    if (!path.ends_with(".npz")) continue;
    for (const std::string& member : npz_members(path)) names.push_back(path + ":" + member);
  }
  return names;
}

TEST(Arrays, AreReadAndWrittenBack) {
  std::vector<std::string> names = arrays_below(folder_of("WIDTHWISE_KITS", "kits"));
  for (const std::string& name : arrays_below(folder_of("WIDTHWISE_CONFORMANCE", "conformance")))
    names.push_back(name);
  if (names.empty()) GTEST_SKIP() << "no folder with arrays";
  int passed = 0, refused = 0;
  for (const std::string& name : names) {
    try {
      const NpyArray array = read_array(name);
      const NpyArray again = parse_npy(npy_bytes(array), name);
      EXPECT_EQ(again.dtype, array.dtype) << name;
      EXPECT_EQ(again.shape, array.shape) << name;
      EXPECT_TRUE(again.bytes == array.bytes) << name;
      ++passed;
    } catch (const InputError& error) {
      ++refused;
      std::cout << "refused: " << error.what() << '\n';
    }
  }
  std::cout << names.size() << " arrays: " << passed << " read, " << refused << " refused\n";
}

}  // namespace
}  // namespace widthwise
