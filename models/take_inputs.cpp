#include <fmt/format.h>

#include "core/error.h"
#include "models/dataset.h"

namespace widthwise {
namespace {

// Some inputs of another set, by their indices there.
class SomeInputs : public DataSet {
 public:
  SomeInputs(std::unique_ptr<DataSet> set, std::vector<int64_t> indices,
             std::vector<int32_t> labels)
      : DataSet(set->file(), std::ssize(indices), set->input_elements(), std::move(labels)),
        set_(std::move(set)),
        indices_(std::move(indices)) {}
  void read(int64_t first, int64_t count, std::span<float> values) const override {
    check_range(first, count, values);
    for (int64_t i = 0;
         i < count;) {  // runs of neighbours at once: their images are decoded in parallel
      const int64_t from = index(first + i);
      int64_t run = 1;
      while (i + run < count && index(first + i + run) == from + run) ++run;
      const int64_t elements = input_elements();
      set_->read(
          from, run,
          values.subspan(static_cast<size_t>(i * elements), static_cast<size_t>(run * elements)));
      i += run;
    }
  }

 private:
  int64_t index(int64_t i) const { return indices_[static_cast<size_t>(i)]; }

  std::unique_ptr<DataSet> set_;
  std::vector<int64_t> indices_;
};

}  // namespace

std::unique_ptr<DataSet> take_inputs(std::unique_ptr<DataSet> set, int64_t count, Take take,
                                     const std::string& option) {
  if (count < 0 || count > set->count())
    throw InputError({.file = set->file(),
                      .where = "",
                      .field = option,
                      .problem = fmt::format("is {}, allowed 0..{}", count, set->count()),
                      .fix = "ask for at most as many inputs as there are"});
  if (count == 0 || count == set->count()) return set;
  std::vector<int64_t> indices;
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < count; ++i) {
    indices.push_back(take == Take::kFirst ? i : i * set->count() / count);
    if (!set->labels().empty())
      labels.push_back(set->labels()[static_cast<size_t>(indices.back())]);
  }
  return std::make_unique<SomeInputs>(std::move(set), std::move(indices), std::move(labels));
}

}  // namespace widthwise
