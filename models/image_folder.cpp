#include "models/image_folder.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include "core/error.h"
#include "models/graph.h"
#include "models/image_listing.h"
#include "models/input_file.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMaxFileBytes = int64_t{1} << 28;  // of one encoded image

[[noreturn]] void refuse(const fs::path& file, std::string field, std::string problem,
                         std::string fix) {
  throw InputError({.file = file.string(),
                    .where = "",
                    .field = std::move(field),
                    .problem = std::move(problem),
                    .fix = std::move(fix)});
}

class FolderData : public DataSet {
 public:
  FolderData(const fs::path& folder, ImageListing listing, ImageSize size, int64_t channels,
             const Preprocessing& preprocessing)
      : DataSet(folder.string(), std::ssize(listing.files), channels * size.rows * size.cols,
                std::move(listing.labels)),
        files_(std::move(listing.files)),
        size_(size),
        channels_(channels),
        preprocessing_(preprocessing) {}

  void read(int64_t first, int64_t count, std::span<float> values) const override {
    check_range(first, count, values);
    const auto elements = static_cast<size_t>(input_elements());
    tbb::parallel_for(int64_t{0}, count, [&](int64_t i) {
      read_image(files_[static_cast<size_t>(first + i)],
                 values.subspan(static_cast<size_t>(i) * elements, elements));
    });
  }

 private:
  void read_image(const std::string& file, std::span<float> values) const {
    const std::string bytes =
        read_input_file(file, kMaxFileBytes, "give a JPEG or PNG, or remove it");
    const Image image = prepare_image(decode_image(bytes, file, channels_), preprocessing_, file);
    if (image.rows != size_.rows || image.cols != size_.cols)
      refuse(file, "size",
             fmt::format("is {} x {} pixels, the network reads {} x {}", image.cols, image.rows,
                         size_.cols, size_.rows),
             "state input.resize and input.center_crop in " + preprocessing_.file);
    image_values(image.pixels, channels_, size_, preprocessing_, values);
  }

  std::vector<std::string> files_;
  ImageSize size_;
  int64_t channels_;
  Preprocessing preprocessing_;
};

// What the preprocessing fixes, else the last two axes of the network's input.
ImageSize final_size(const Preprocessing& preprocessing, const Shape& input) {
  if (preprocessing.center_crop.rows > 0) return preprocessing.center_crop;
  if (preprocessing.resize.rows > 0) return preprocessing.resize;
  if (input.size() < 2)
    refuse(preprocessing.file, "input",
           fmt::format("gives no size, and the network's input {} neither", shape_text(input)),
           "add input.resize: [rows, cols] or input.center_crop");
  return {.rows = input[input.size() - 2], .cols = input.back()};
}

}  // namespace

std::unique_ptr<DataSet> open_image_folder(const fs::path& folder,
                                           const Preprocessing& preprocessing,
                                           const NetworkEnds& network) {
  const Shape& input = network.input;
  const ImageSize size = final_size(preprocessing, input);
  const int64_t elements = shape_elements(input), plane = size.rows * size.cols;
  const int64_t channels = elements == plane ? 1 : 3;
  ImageListing listing = list_images(folder, preprocessing);
  check_inputs(folder.string(), channels, size, listing.labels, preprocessing, network);
  return std::make_unique<FolderData>(folder, std::move(listing), size, channels, preprocessing);
}

}  // namespace widthwise
