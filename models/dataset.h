#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/image_set.h"
#include "models/network.h"
#include "models/preprocessing.h"

namespace widthwise {

// A set of inputs of one network, labelled or not, whatever they are stored as.
class DataSet {
 public:
  virtual ~DataSet() = default;
  // Inputs first .. first + count - 1 as the network reads them: float32, count times its input.
  // Safe to call from several threads. Throws InputError for an image that cannot be decoded.
  virtual void read(int64_t first, int64_t count, std::span<float> values) const = 0;

  const std::string& file() const { return file_; }               // or folder, for messages
  int64_t count() const { return count_; }                        // inputs
  int64_t input_elements() const { return elements_; }            // of one input
  const std::vector<int32_t>& labels() const { return labels_; }  // [count], empty: not labelled

 protected:
  DataSet(std::string file, int64_t count, int64_t elements, std::vector<int32_t> labels);
  void check_range(int64_t first, int64_t count, std::span<const float> values) const;

 private:
  std::string file_;
  int64_t count_ = 0, elements_ = 0;
  std::vector<int32_t> labels_;
};

// Where a data set lies; which of the kinds it is shows in the path.
//   a folder with <subset>-images-idx3-ubyte[.gz]: IDX, with its own labels
//   any other folder: images by class, see models/image_folder.h
//   <file>.npy, <file>.npz, <file>.npz:<member>: an array of inputs; unsigned bytes are images
struct DataFiles {
  std::string path;
  std::string labels = {};  // .npy or .npz of an array's labels; empty: none
  // Of an IDX folder; one that is stated is refused for other data.
  std::optional<std::string> subset = {};
  std::string usual_subset = "t10k";
};

// Opens the data and checks that it fits the network, before any of it is used. Throws InputError.
std::unique_ptr<DataSet> open_data_set(const DataFiles& files, const Preprocessing& preprocessing,
                                       const NetworkEnds& network);

// `count` inputs of a set (0: all of it, as it is): the first ones, or ones spread evenly over it,
// as calibration needs on a folder, where the classes lie one after the other. Throws InputError,
// naming `option`, unless 0 <= count <= set->count().
enum class Take { kFirst, kSpread };
std::unique_ptr<DataSet> take_inputs(std::unique_ptr<DataSet> set, int64_t count, Take take,
                                     const std::string& option);

}  // namespace widthwise
