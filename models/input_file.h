#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace widthwise {

// The whole of a data file, in one allocation of its real size. Throws InputError for a folder, a
// device, a file above max_bytes and one that cannot be read; `fix` says what to give instead.
std::string read_input_file(const std::filesystem::path& path, int64_t max_bytes,
                            const std::string& fix);

}  // namespace widthwise
