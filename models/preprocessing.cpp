#include "models/preprocessing.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <stdexcept>

#include "core/error.h"
#include "core/files.h"
#include "models/graph.h"

namespace widthwise {
namespace {

class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  [[noreturn]] void refuse(const YAML::Mark& mark, std::string field, std::string problem,
                           std::string fix) const {
    throw InputError({.file = file_,
                      .where = mark.is_null() ? "" : fmt::format("line {}", mark.line + 1),
                      .field = std::move(field),
                      .problem = std::move(problem),
                      .fix = std::move(fix)});
  }

  void check_keys(const YAML::Node& map, const std::string& place,
                  const std::vector<std::string>& known) const {
    if (!map.IsMap())
      refuse(map.Mark(), place, fmt::format("must be a map of {}", list_names(known)),
             "see models/zoo for examples");
    std::set<std::string> seen;
    for (const auto& item : map) {
      if (!item.first.IsScalar())
        refuse(item.first.Mark(), place, "has a key that is no text", "remove it");
      const std::string& key = item.first.Scalar();
      const std::string field = place.empty() ? key : place + "." + key;
      if (std::find(known.begin(), known.end(), key) == known.end())
        refuse(item.first.Mark(), field,
               fmt::format("is an unknown key; known are {}", list_names(known)), "remove it");
      if (!seen.insert(key).second)
        refuse(item.first.Mark(), field, "is given twice", "keep one of them");
    }
    for (const std::string& key : known) {
      if (!seen.contains(key))
        refuse(map.Mark(), place.empty() ? key : place + "." + key, "is missing", "add it");
    }
  }

  float number(const YAML::Node& node, const std::string& field, float above) const {
    float value = 0;
    const bool parsed = node.IsScalar() && YAML::convert<float>::decode(node, value);
    if (!parsed || !std::isfinite(value) || value <= above) {
      refuse(node.Mark(), field,
             fmt::format("must be a finite number{}", above == 0 ? " above 0" : ""), "correct it");
    }
    return value;
  }

  std::vector<float> numbers(const YAML::Node& node, const std::string& field, float above) const {
    if (!node.IsSequence() || node.size() == 0)
      refuse(node.Mark(), field, "must be a list of numbers, one per channel", "correct it");
    std::vector<float> values;
    for (const YAML::Node& entry : node) values.push_back(number(entry, field, above));
    return values;
  }

  std::string word(const YAML::Node& node, const std::string& field) const {
    if (!node.IsScalar() || node.Scalar().empty())
      refuse(node.Mark(), field, "must be text", "correct it");
    return node.Scalar();
  }

 private:
  std::string file_;
};

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
  constexpr float kAny = -std::numeric_limits<float>::infinity();
  reader.check_keys(root, "", {"input", "classes", "data"});
  const YAML::Node input = root["input"];
  reader.check_keys(input, "input", {"scale", "mean", "std", "layout"});
  Preprocessing result;
  result.file = path.string();
  result.scale = reader.number(input["scale"], "input.scale", 0);
  result.mean = reader.numbers(input["mean"], "input.mean", kAny);
  result.std = reader.numbers(input["std"], "input.std", 0);
  if (result.mean.size() != result.std.size())
    reader.refuse(input.Mark(), "input.std", "and input.mean differ in length",
                  "give one entry per channel in both");
  const std::string layout = reader.word(input["layout"], "input.layout");
  if (layout != "NCHW")
    reader.refuse(input["layout"].Mark(), "input.layout",
                  fmt::format("is {}, allowed NCHW", layout), "export the network channel first");
  const YAML::Node classes = root["classes"];
  if (!classes.IsSequence() || classes.size() == 0)
    reader.refuse(classes.Mark(), "classes", "must be a list of names", "name one per label");
  for (const YAML::Node& name : classes) result.classes.push_back(reader.word(name, "classes"));
  result.data = reader.word(root["data"], "data");
  return result;
}

std::filesystem::path preprocessing_path(const std::filesystem::path& network) {
  return std::filesystem::path(network).replace_extension(".yaml");
}

void check_images(const ImageSet& images, const Preprocessing& preprocessing,
                  const FloatNetwork& network) {
  const auto refuse = [&](std::string file, std::string field, std::string problem,
                          std::string fix) {
    throw InputError({.file = std::move(file),
                      .where = "",
                      .field = std::move(field),
                      .problem = std::move(problem),
                      .fix = std::move(fix)});
  };
  const Shape found = {images.channels, images.rows, images.cols};
  const Shape& wanted = network.tensor(network.input).shape;
  if (found != wanted) {
    refuse(images.file, "image shape",
           fmt::format("is {}, the network {} reads {}", shape_text(found), network.name,
                       shape_text(wanted)),
           "give the data that the network was made for");
  }
  if (static_cast<int64_t>(preprocessing.mean.size()) != images.channels) {
    refuse(preprocessing.file, "input.mean",
           fmt::format("has {} entries, the images have {} channels", preprocessing.mean.size(),
                       images.channels),
           "give one entry per channel");
  }
  const int64_t outputs = network.tensor(network.output).elements();
  if (static_cast<int64_t>(preprocessing.classes.size()) != outputs) {
    refuse(preprocessing.file, "classes",
           fmt::format("has {} entries, the network {} has {} outputs",
                       preprocessing.classes.size(), network.name, outputs),
           "name one class per output");
  }
  for (const int32_t label : images.labels) {
    if (label >= outputs)
      refuse(images.file, "labels", fmt::format("hold {}, allowed 0..{}", label, outputs - 1),
             "give the data that the network was made for");
  }
}

void preprocess(const ImageSet& images, const Preprocessing& preprocessing, int64_t first,
                int64_t count, std::span<float> values) {
  const int64_t pixels = images.rows * images.cols;
  if (first < 0 || count < 0 || first + count > images.count ||
      static_cast<int64_t>(values.size()) != count * images.image_elements())
    throw std::logic_error("preprocess: images out of range");
  const uint8_t* from = images.pixels.data() + first * images.image_elements();
  float* to = values.data();
  std::vector<std::array<float, 256>> tables(static_cast<size_t>(images.channels));
  for (size_t c = 0; c < tables.size(); ++c) {
    for (size_t p = 0; p < 256; ++p) {
      tables[c][p] = (static_cast<float>(p) * preprocessing.scale - preprocessing.mean.at(c)) /
                     preprocessing.std.at(c);
    }
  }
  for (int64_t image = 0; image < count; ++image) {
    for (const auto& table : tables) {
      for (int64_t i = 0; i < pixels; ++i) *to++ = table[*from++];
    }
  }
}

}  // namespace widthwise
