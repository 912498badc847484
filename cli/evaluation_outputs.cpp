#include "cli/evaluation_outputs.h"

#include <algorithm>

#include "core/files.h"
#include "models/npy.h"

namespace widthwise {

EvaluationOutputs::EvaluationOutputs(const EvaluateRequest& request, const DataSet& data,
                                     const NetworkEnds& ends)
    : request_(request), data_(data), ends_(ends) {
  if (!request.logits.empty()) logits_.resize(static_cast<size_t>(data.count() * ends.outputs));
  if (request.print_freq > 0 && request.print)
    lines_.emplace(data.count(), data.labels(), request.batch, request.print_freq,
                   [&request](const std::string& line) { request.print(line + "\n"); });
}

OutputVisitor EvaluationOutputs::visitor() {
  return [this](int64_t first, int64_t count, std::span<const float> outputs) {
    if (!logits_.empty())
      std::copy(outputs.begin(), outputs.end(), logits_.begin() + first * ends_.outputs);
    if (lines_) lines_->add(first, count, outputs);
  };
}

void EvaluationOutputs::write() const {
  if (!request_.inputs.empty()) write_inputs();
  if (!request_.logits.empty())
    write_npy(request_.logits, npy_array<float>({data_.count(), ends_.outputs}, logits_));
}

// As another program can read them.
void EvaluationOutputs::write_inputs() const {
  std::vector<float> values(static_cast<size_t>(data_.count() * data_.input_elements()));
  data_.read(0, data_.count(), values);
  std::vector<int64_t> shape = {data_.count()};
  shape.insert(shape.end(), ends_.input.begin(), ends_.input.end());
  write_npy(request_.inputs, npy_array<float>(shape, values));
}

}  // namespace widthwise
