#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/progress.h"
#include "models/dataset.h"
#include "quant/calibrate.h"
#include "sim/distiller_runner.h"
#include "sim/graph_runner.h"
#include "sim/simulator.h"

namespace widthwise {

// Labelled images as codes of the network's input.
struct CodeSource {
  // Writes the codes of images [first, first + count), [count, elements]. Called by many threads.
  std::function<void(int64_t first, int64_t count, int32_t* codes)> fill;
  std::span<const int32_t> labels;  // class of every image, 0-based
};

struct Evaluation {
  int64_t images = 0;
  int64_t top1_correct = 0, top5_correct = 0;
  double mean_loss = 0;              // cross-entropy of the dequantized logits, natural logarithm
  std::vector<int32_t> predictions;  // class of the greatest logit; the lowest class of a tie
  std::vector<LayerRecord> records;  // one per layer
  double seconds = 0;

  double top1_percent() const {
    return 100.0 * static_cast<double>(top1_correct) / static_cast<double>(images);
  }
  double top5_percent() const {
    return 100.0 * static_cast<double>(top5_correct) / static_cast<double>(images);
  }
};

// Runs all images, in parallel over batches; the result does not depend on the number of threads.
Evaluation evaluate(const Simulator& simulator, const CodeSource& source, Progress& progress);

// What happens with a batch of a data set whose first input is `first`: its outputs, [count,
// classes]. Called by many threads.
using OutputVisitor =
    std::function<void(int64_t first, int64_t count, std::span<const float> outputs)>;

// Runs all inputs of a data set through a graph in integer form, in parallel over batches; the
// result does not depend on the number of threads. Labels may be missing: the predictions count.
// The graph has one float input, batch first (an open batch, or a fixed one, which is filled up
// with the last image), and its first output counts: real numbers, or codes, whose loss is that of
// the numbers that they stand for.
// Throws InputError for other graphs, and for a census of images that do not fill a fixed batch.
Evaluation evaluate_graph(const GraphRunner& runner, const DataSet& data, Progress& progress,
                          const OutputVisitor& visit = {});

// The same for the layers of a float network, in FP32. `images` inputs come from `source`; labels
// may be missing.
Evaluation evaluate_float(const FloatNetwork& network, const ImageSource& source, int64_t images,
                          std::span<const int32_t> labels, Progress& progress,
                          const OutputVisitor& visit = {});

// The same in Distiller's arithmetic; `counts` are the layers' clippings. With dynamic ranges a
// batch of the runner is what they are of, else the result does not depend on it.
Evaluation evaluate_distiller(const DistillerRunner& runner, const DataSet& data,
                              std::vector<ClippingCounts>& counts, Progress& progress,
                              const OutputVisitor& visit = {});

// The ends of such a graph; refuses other ones.
NetworkEnds network_ends(const Graph& graph);

// Top-1, top-5 and loss of logits, shared with the float baseline. A class is in the top n when
// fewer than n classes have a greater logit, or an equal one and a lower index.
struct ImageScore {
  int32_t prediction = 0;
  bool top1 = false, top5 = false;
  double loss = 0;
};
ImageScore score_image(std::span<const float> logits, int32_t label);
// Sums scores in the order of the images.
Evaluation summarize(std::span<const ImageScore> scores);

}  // namespace widthwise
