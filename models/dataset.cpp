#include "models/dataset.h"

#include <fmt/format.h>

#include <stdexcept>

#include "core/error.h"
#include "models/image_folder.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse(std::string file, std::string field, std::string problem,
                         std::string fix) {
  throw InputError({.file = std::move(file),
                    .where = "",
                    .field = std::move(field),
                    .problem = std::move(problem),
                    .fix = std::move(fix)});
}

std::vector<int32_t> with_offset(std::vector<int32_t> labels, const Preprocessing& preprocessing) {
  for (int32_t& label : labels) {
    const int64_t moved = int64_t{label} + preprocessing.label_offset;
    if (moved != static_cast<int32_t>(moved))
      refuse(preprocessing.file, "label_offset",
             fmt::format("takes label {} out of 0..2^31-1", label), "correct it");
    label = static_cast<int32_t>(moved);
  }
  return labels;
}

int64_t prepared_elements(const ImageSet& images, const Preprocessing& preprocessing) {
  const ImageSize size = prepared_size({images.rows, images.cols}, preprocessing, images.file);
  return images.channels * size.rows * size.cols;
}

// Unsigned bytes of one size, in memory as stored.
class ImageData : public DataSet {
 public:
  ImageData(ImageSet images, const Preprocessing& preprocessing, const NetworkEnds& network)
      : DataSet(images.file, images.count, prepared_elements(images, preprocessing),
                with_offset(images.labels, preprocessing)),
        images_(std::move(images)),
        preprocessing_(preprocessing) {
    const ImageSize size = prepared_size({images_.rows, images_.cols}, preprocessing, file());
    check_inputs(file(), images_.channels, size, labels(), preprocessing, network);
  }
  void read(int64_t first, int64_t count, std::span<float> values) const override {
    check_range(first, count, values);
    preprocess(images_, preprocessing_, first, count, values);
  }

 private:
  ImageSet images_;
  Preprocessing preprocessing_;
};

// Arrays of any other type [count, channels, rows, cols], in memory as stored.
class FeatureData : public DataSet {
 public:
  FeatureData(const std::string& file, NpyArray array, std::vector<int32_t> labels,
              const Preprocessing& preprocessing, const NetworkEnds& network)
      : DataSet(file, array.shape[0], array.elements() / array.shape[0],
                with_offset(std::move(labels), preprocessing)),
        array_(std::move(array)),
        preprocessing_(preprocessing) {
    if (preprocessing.changes_size())
      refuse(preprocessing.file, "input.resize",
             "or input.center_crop is given, allowed only for images of unsigned bytes; " + file +
                 " holds " + array_.dtype,
             "remove it, or save the images as 'u1'");
    check_inputs(file, array_.shape[1], size(), this->labels(), preprocessing, network);
  }
  void read(int64_t first, int64_t count, std::span<float> values) const override {
    check_range(first, count, values);
    float_values(array_, first * input_elements(), values);
    const auto channels = static_cast<size_t>(array_.shape[1]);
    const auto plane = static_cast<size_t>(size().rows * size().cols);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = preprocessing_.value(values[i], i / plane % channels);
    const auto elements = static_cast<size_t>(input_elements());
    for (size_t at = 0; at < values.size(); at += elements)
      apply_affine(preprocessing_.affine, array_.shape[1], size(), values.subspan(at, elements));
  }

 private:
  ImageSize size() const { return {.rows = array_.shape[2], .cols = array_.shape[3]}; }

  NpyArray array_;
  Preprocessing preprocessing_;
};

bool holds_idx(const fs::path& folder, const std::string& subset) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(subset + "-images") && name.find("ubyte") != std::string::npos)
      return true;
  }
  return false;
}

[[noreturn]] void refuse_subset(const DataFiles& files) {
  refuse(files.path, "subset",
         "'" + *files.subset + "' is stated, but no IDX files of that name are there",
         "leave it out, or name a folder of IDX files and one of its subsets, such as train, t10k");
}

}  // namespace

DataSet::DataSet(std::string file, int64_t count, int64_t elements, std::vector<int32_t> labels)
    : file_(std::move(file)), count_(count), elements_(elements), labels_(std::move(labels)) {}

void DataSet::check_range(int64_t first, int64_t count, std::span<const float> values) const {
  if (first < 0 || count < 0 || first > count_ - count ||
      static_cast<int64_t>(values.size()) != count * elements_)
    throw std::logic_error("DataSet::read: inputs out of range");
}

std::unique_ptr<DataSet> open_data_set(const DataFiles& files, const Preprocessing& preprocessing,
                                       const NetworkEnds& network) {
  std::error_code error;
  if (fs::is_directory(files.path, error)) {
    if (!files.labels.empty())
      refuse(files.labels, "labels", "are given beside a folder, which brings its own",
             "leave them out, or give an array of inputs");
    const std::string subset = files.subset.value_or(files.usual_subset);
    if (!holds_idx(files.path, subset)) {
      if (files.subset) refuse_subset(files);
      return open_image_folder(files.path, preprocessing, network);
    }
    return std::make_unique<ImageData>(load_idx_set(files.path, subset, preprocessing.layout),
                                       preprocessing, network);
  }
  if (!files.path.ends_with(".npy") && !files.path.ends_with(".npz") &&
      files.path.find(".npz:") == std::string::npos)
    refuse(files.path, "", "is neither a folder nor a .npy or .npz",
           "give a folder with IDX files or with images by class, a .npy, a .npz or .npz:<member>");
  if (files.subset) refuse_subset(files);
  NpyArray array = load_input_array(files.path, preprocessing.layout);
  if (array.dtype == npy_dtype<uint8_t>())
    return std::make_unique<ImageData>(image_set(std::move(array), files.path, files.labels),
                                       preprocessing, network);
  std::vector<int32_t> labels;
  if (!files.labels.empty()) labels = load_label_array(files.labels, array.shape[0]);
  return std::make_unique<FeatureData>(files.path, std::move(array), std::move(labels),
                                       preprocessing, network);
}

}  // namespace widthwise
