#include "cli/run_info.h"

#include <fmt/format.h>
#include <oneapi/dnnl/dnnl.h>

#include "core/files.h"
#include "sim/kernel.h"

namespace widthwise {

Json run_info(const std::string& command, const std::vector<std::string>& input_files) {
  const dnnl_version_t* dnnl = dnnl_version();
  Json inputs = Json::array();
  for (const std::string& file : input_files) {
    inputs.push_back(
        {{"file", file},
         {"sha1", content_hash(read_file(file, "the file was there when it was read"))}});
  }
  return {{"command", command},
          {"versions",
           {{"widthwise", WIDTHWISE_VERSION},
            {"compiler", __VERSION__},
            {"oneDNN", fmt::format("{}.{}.{}", dnnl->major, dnnl->minor, dnnl->patch)},
            {"kernels", default_kernels().name}}},
          {"inputs", inputs}};
}

std::string json_text(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace widthwise
