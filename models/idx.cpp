#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>

#include "core/error.h"
#include "models/image_set.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 33;  // of one file's data

struct IdxArray {
  std::string file;
  std::vector<int64_t> dims;
  std::vector<uint8_t> bytes;
};

// A plain or gzip-compressed IDX file of unsigned bytes.
class IdxReader {
 public:
  explicit IdxReader(const fs::path& path) : file_(path.string()), stream_(nullptr, gzclose) {
    stream_.reset(gzopen(file_.c_str(), "rb"));
    if (!stream_) refuse("", "cannot be read", "check its permissions");
  }

  IdxArray read(int min_dims, int max_dims) {
    IdxArray array{.file = file_, .dims = {}, .bytes = {}};
    const std::array<uint8_t, 4> magic = header();
    const int dims = magic[3];
    if (magic[0] != 0 || magic[1] != 0 || magic[2] != 8 || dims < min_dims || dims > max_dims) {
      refuse("magic",
             fmt::format("is {:02x}{:02x}{:02x}{:02x}, allowed 000008{:02x}..000008{:02x} (IDX of "
                         "unsigned bytes)",
                         magic[0], magic[1], magic[2], magic[3], min_dims, max_dims),
             "give an IDX file as MNIST and Fashion-MNIST use it");
    }
    int64_t elements = 1;
    for (int i = 0; i < dims; ++i) {
      const std::array<uint8_t, 4> b = header();
      const int64_t extent = int64_t{b[0]} << 24 | int64_t{b[1]} << 16 | int64_t{b[2]} << 8 | b[3];
      if (extent == 0 || extent > kMaxBytes / elements) {
        refuse("dimensions",
               fmt::format("hold {} after {} elements, allowed 1..{} bytes in all", extent,
                           elements, kMaxBytes),
               kDamaged);
      }
      elements *= extent;
      array.dims.push_back(extent);
    }
    // In pieces: a file that only claims to be large does not take the memory.
    constexpr int64_t kPiece = 1 << 20;
    while (static_cast<int64_t>(array.bytes.size()) < elements) {
      const size_t have = array.bytes.size();
      const int64_t wanted = std::min(kPiece, elements - static_cast<int64_t>(have));
      // The last piece asks for one byte more: zlib reads the check sum only when it must go on.
      const bool last = static_cast<int64_t>(have) + wanted == elements;
      const int64_t asked = wanted + (last ? 1 : 0);
      array.bytes.resize(have + static_cast<size_t>(asked));
      const int got =
          gzread(stream_.get(), array.bytes.data() + have, static_cast<unsigned>(asked));
      if (got < wanted) truncated(static_cast<int64_t>(have) + std::max(got, 0), elements);
      if (got > wanted) {
        refuse("", fmt::format("is longer than its {} elements", elements), kDamaged);
      }
      array.bytes.resize(have + static_cast<size_t>(wanted));
    }
    int error = Z_OK;
    gzerror(stream_.get(), &error);
    if (error != Z_OK || gzclose_r(stream_.release()) != Z_OK) {
      refuse("", "is damaged: its gzip check sum is wrong or missing", kDamaged);
    }
    return array;
  }

 private:
  static constexpr const char* kDamaged = "copy or download the file again";

  [[noreturn]] void refuse(std::string field, std::string problem, std::string fix) const {
    throw InputError({.file = file_,
                      .where = "",
                      .field = std::move(field),
                      .problem = std::move(problem),
                      .fix = std::move(fix)});
  }
  [[noreturn]] void truncated(int64_t got, int64_t wanted) const {
    refuse("", fmt::format("is truncated or damaged: {} of {} bytes can be read", got, wanted),
           kDamaged);
  }
  std::array<uint8_t, 4> header() {
    std::array<uint8_t, 4> bytes{};
    const int got = gzread(stream_.get(), bytes.data(), 4);
    if (got < 4) truncated(std::max(got, 0), 4);
    return bytes;
  }

  std::string file_;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> stream_;
};

fs::path find_file(const fs::path& folder, const std::string& subset,
                   const std::vector<std::string>& kinds) {
  for (const std::string& kind : kinds) {
    for (const char* separator : {"-", "."}) {
      for (const char* ending : {".gz", ""}) {
        std::error_code ignored;
        fs::path path = folder / fmt::format("{}-{}{}ubyte{}", subset, kind, separator, ending);
        if (fs::is_regular_file(path, ignored)) return path;
      }
    }
  }
  throw InputError({.file = (folder / fmt::format("{}-{}-ubyte.gz", subset, kinds[0])).string(),
                    .where = "",
                    .field = "",
                    .problem = "does not exist, nor without .gz",
                    .fix = "apt-get install dataset-fashion-mnist or give --data"});
}

}  // namespace

ImageSet load_idx_set(const fs::path& folder, const std::string& subset,
                      const std::string& layout) {
  const fs::path images_path = find_file(folder, subset, {"images-idx3", "images-idx4"});
  const fs::path labels_path = find_file(folder, subset, {"labels-idx1"});
  IdxArray images = IdxReader(images_path).read(3, 4);
  const IdxArray labels = IdxReader(labels_path).read(1, 1);
  if (images.dims[0] != labels.dims[0]) {
    throw InputError({.file = labels.file,
                      .where = "",
                      .field = "count",
                      .problem = fmt::format("is {}, {} has {} images", labels.dims[0], images.file,
                                             images.dims[0]),
                      .fix = "give images and labels of the same set"});
  }
  NpyArray array{.dtype = npy_dtype<uint8_t>(),
                 .shape = images.dims,
                 .bytes = {images.bytes.begin(), images.bytes.end()}};
  ImageSet set = image_set(in_nchw(std::move(array), layout), images.file, "");
  set.labels = {labels.bytes.begin(), labels.bytes.end()};
  set.labels_file = labels.file;
  return set;
}

}  // namespace widthwise
