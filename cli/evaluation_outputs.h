#pragma once
#include <optional>
#include <vector>

#include "cli/evaluate.h"
#include "cli/evaluation_lines.h"
#include "models/dataset.h"

namespace widthwise {

// What an evaluation leaves beside its result: lines as it runs, and at the end files of what the
// network read and wrote. All arguments must outlive it.
class EvaluationOutputs {
 public:
  EvaluationOutputs(const EvaluateRequest& request, const DataSet& data, const NetworkEnds& ends);

  OutputVisitor visitor();
  void write() const;

 private:
  void write_inputs() const;

  const EvaluateRequest& request_;
  const DataSet& data_;
  const NetworkEnds& ends_;
  std::optional<EvaluationLines> lines_;
  std::vector<float> logits_;  // empty: not asked for
};

}  // namespace widthwise
