#include "models/image_listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "core/error.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse(const fs::path& file, std::string field, std::string problem,
                         std::string fix) {
  throw InputError({.file = file.string(),
                    .where = "",
                    .field = std::move(field),
                    .problem = std::move(problem),
                    .fix = std::move(fix)});
}

std::string lower_extension(const fs::path& path) {
  std::string text = path.extension().string();
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_one_of(const std::string& text, std::initializer_list<const char*> names) {
  return std::ranges::any_of(names, [&](const char* name) { return text == name; });
}

std::vector<std::string> class_folders(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error, ignored;
  for (auto entry = fs::directory_iterator(folder, error); entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with('.') && entry->is_directory(ignored)) names.push_back(name);
  }
  if (error) refuse(folder, "", "cannot be listed: " + error.message(), "check its permissions");
  if (names.empty())
    refuse(folder, "", "holds neither IDX files of the subset nor folders of images by class",
           "put the images into <folder>/<class>/");
  std::ranges::sort(names);
  return names;
}

std::vector<fs::path> images_below(const fs::path& folder) {
  std::vector<fs::path> images;
  std::error_code error, ignored;
  const auto options = fs::directory_options::follow_directory_symlink;
  for (auto entry = fs::recursive_directory_iterator(folder, options, error);
       entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const fs::path& path = entry->path();
    const bool is_folder = entry->is_directory(ignored);
    if (path.filename().string().starts_with('.')) {
      if (is_folder) entry.disable_recursion_pending();
      continue;
    }
    if (is_folder) continue;
    const std::string extension = lower_extension(path);
    if (is_one_of(extension, {".jpg", ".jpeg", ".png"})) images.push_back(path);
    if (is_one_of(extension, {".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif"}))
      refuse(path, "", "is an image of a kind that is not read; allowed .jpg .jpeg .png",
             "convert it to PNG, or remove it");
  }
  if (error) refuse(folder, "", "cannot be listed: " + error.message(), "check its links");
  if (images.empty())
    refuse(folder, "", "holds no image (.jpg .jpeg .png)", "add images, or remove the folder");
  std::ranges::sort(images, {}, [](const fs::path& path) {
    return std::pair(path.parent_path().string(), path.filename().string());
  });
  return images;
}

int32_t label_of(const std::string& name, size_t place, const fs::path& folder,
                 const Preprocessing& preprocessing) {
  if (preprocessing.classes.empty())
    return static_cast<int32_t>(place) + preprocessing.label_offset;
  const auto& known = preprocessing.classes;
  const auto found = std::ranges::find(known, name);
  if (found == known.end()) {
    std::vector<std::string> shown(known.begin(),
                                   known.begin() + std::min<std::ptrdiff_t>(20, std::ssize(known)));
    if (shown.size() < known.size()) shown.emplace_back("...");
    refuse(folder / name, "class",
           fmt::format("'{}' is unknown; known are {}", name, list_names(shown)),
           "name the folders as the classes in " + preprocessing.file +
               ", or leave the classes out there: then the folders count in sorted order");
  }
  return static_cast<int32_t>(found - known.begin());
}

}  // namespace

ImageListing list_images(const fs::path& folder, const Preprocessing& preprocessing) {
  ImageListing listing;
  const std::vector<std::string> classes = class_folders(folder);
  for (size_t place = 0; place < classes.size(); ++place) {
    const int32_t label = label_of(classes[place], place, folder, preprocessing);
    for (const fs::path& image : images_below(folder / classes[place])) {
      listing.files.push_back(image.string());
      listing.labels.push_back(label);
    }
  }
  return listing;
}

}  // namespace widthwise
