#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/files.h"
#include "models/npy.h"
#include "models/preprocessing.h"
#include "models/preprocessing_reader.h"

namespace widthwise {
namespace {

using Reader = PreprocessingReader;

FeatureAffine read_affine(const Reader& reader, const YAML::Node& node,
                          const std::filesystem::path& folder) {
  reader.check_keys(node, "input.affine", {"file", "scale", "offset", "axis"}, 4);
  FeatureAffine affine;
  affine.axis = reader.one_of(node["axis"], "input.affine.axis", {"C", "H", "W"})[0];
  affine.file = (folder / reader.word(node["file"], "input.affine.file")).string();
  const auto read = [&](const char* key) {
    const NpyArray array =
        read_npz(affine.file, reader.word(node[key], std::string("input.affine.") + key));
    std::vector<float> values = float_values(array);
    const bool finite =
        std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
    if (array.shape.size() != 1 || values.empty() || !finite)
      reader.refuse(node[key].Mark(), std::string("input.affine.") + key,
                    "names an array that is no list of finite numbers",
                    "save one number per index of the axis");
    return values;
  };
  affine.scale = read("scale");
  affine.offset = read("offset");
  if (affine.scale.size() != affine.offset.size())
    reader.refuse(
        node.Mark(), "input.affine",
        fmt::format("has {} scales and {} offsets", affine.scale.size(), affine.offset.size()),
        "save as many of both");
  return affine;
}

void read_geometry(const Reader& reader, const YAML::Node& input, Preprocessing& result) {
  if (const YAML::Node resize = input["resize"]) {
    if (resize.IsScalar()) {
      result.resize_shorter = reader.side(resize, "input.resize");
    } else {
      result.resize = reader.size(resize, "input.resize");
    }
  }
  if (const YAML::Node crop = input["center_crop"]) {
    if (crop.IsScalar()) {
      const int64_t side = reader.side(crop, "input.center_crop");
      result.center_crop = {.rows = side, .cols = side};
    } else {
      result.center_crop = reader.size(crop, "input.center_crop");
    }
  }
  if (const YAML::Node name = input["interpolation"]) {
    const std::string word =
        reader.one_of(name, "input.interpolation", {"nearest", "bilinear", "bicubic"});
    result.interpolation = word == "nearest"    ? Interpolation::kNearest
                           : word == "bilinear" ? Interpolation::kBilinear
                                                : Interpolation::kBicubic;
  }
}

void read_values(const Reader& reader, const YAML::Node& input, Preprocessing& result) {
  const YAML::Node scale = input["scale"], divide_by = input["divide_by"];
  if (scale && divide_by)
    reader.refuse(divide_by.Mark(), "input.divide_by", "is given beside input.scale",
                  "keep one of them");
  if (!scale && !divide_by)
    reader.refuse(input.Mark(), "input.scale", "is missing, and so is input.divide_by",
                  "add one of them; 'scale: 1' leaves the values as they are");
  if (scale) result.scale = reader.number(scale, "input.scale", 0);
  if (divide_by) result.divide_by = reader.number(divide_by, "input.divide_by", 0);
  if (input["zero_point"])
    result.zero_point = reader.number(input["zero_point"], "input.zero_point");
  if (input["mean"]) result.mean = reader.numbers(input["mean"], "input.mean");
  if (input["std"]) result.std = reader.numbers(input["std"], "input.std", 0);
  if (input["mean"] && input["std"] && result.mean.size() != result.std.size())
    reader.refuse(input.Mark(), "input.std", "and input.mean differ in length",
                  "give one entry per channel in both");
}

}  // namespace

Preprocessing load_preprocessing(const std::filesystem::path& path) {
  const Reader reader(path.string());
  const std::string text = read_file(path, "write one beside the network; models/zoo has examples");
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    reader.refuse(error.mark, "", "is not YAML: " + error.msg, "correct it");
  }
  reader.check_keys(root, "", {"input", "classes", "data", "label_offset"}, 1);
  const YAML::Node input = root["input"];
  reader.check_keys(input, "input",
                    {"scale", "divide_by", "zero_point", "mean", "std", "layout", "resize",
                     "center_crop", "interpolation", "affine"},
                    0);
  Preprocessing result;
  result.file = path.string();
  read_values(reader, input, result);
  read_geometry(reader, input, result);
  if (input["layout"])
    result.layout = reader.one_of(input["layout"], "input.layout",
                                  {"NCHW", "NHWC", "NCWH", "NWHC", "NHCW", "NWCH"});
  if (input["affine"]) result.affine = read_affine(reader, input["affine"], path.parent_path());
  constexpr int64_t kMaxOffset = 1'000'000;
  if (root["label_offset"])
    result.label_offset = static_cast<int32_t>(
        reader.integer(root["label_offset"], "label_offset", -kMaxOffset, kMaxOffset));
  if (const YAML::Node classes = root["classes"]) {
    if (!classes.IsSequence() || classes.size() == 0)
      reader.refuse(classes.Mark(), "classes", "must be a list of names", "name one per label");
    for (const YAML::Node& name : classes) result.classes.push_back(reader.word(name, "classes"));
  }
  if (root["data"]) result.data = reader.word(root["data"], "data");
  return result;
}

std::filesystem::path preprocessing_path(const std::filesystem::path& network) {
  return std::filesystem::path(network).replace_extension(".yaml");
}

}  // namespace widthwise
