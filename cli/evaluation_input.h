#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "cli/run_info.h"
#include "hwmodel/accelerator.h"
#include "models/dataset.h"
#include "models/graph.h"
#include "sim/evaluate.h"

namespace widthwise {

// What every verb takes that runs a network over a data set.
struct EvaluationRequest {
  std::string command;  // as typed, for the result
  std::string network;
  std::string accelerator;              // empty: none
  std::string data, labels;             // see models/dataset.h; labels may be empty
  std::optional<std::string> subset;    // of an IDX folder; without: t10k
  std::filesystem::path preprocessing;  // empty: <network>.yaml
  int64_t images = 0;                   // 0: all
  std::filesystem::path out;            // JSON; empty: none
  bool json = false;
};

// The network, in integer form for the accelerator, or as its file says without one.
struct EvaluationNetwork {
  std::filesystem::path file;
  Graph graph, fused;
  std::optional<Accelerator> accelerator;
  bool quantized = false;
};
EvaluationNetwork load_evaluation_network(const EvaluationRequest& request);

struct EvaluationData {
  std::filesystem::path preprocessing;  // the file
  NetworkEnds ends;
  std::unique_ptr<DataSet> inputs;
};
EvaluationData open_evaluation_data(const EvaluationRequest& request,
                                    const EvaluationNetwork& network);

// How it was run, accuracy where there are labels, time.
Json evaluation_json(const EvaluationRequest& request, const EvaluationNetwork& network,
                     const EvaluationData& data, const Evaluation& evaluation);
// Images, accuracy if there are labels, and time.
void add_evaluation(Json& result, const Evaluation& evaluation, bool labelled);
// The same for a terminal; `note` ends the first line.
std::string evaluation_text(const Json& result, const std::string& note = "");

}  // namespace widthwise
