// Reports of a small network that was really run: what must hold between their numbers, and the
// page and the tables that are made from them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/files.h"
#include "hwmodel/shipped.h"
#include "reports/cost_report.h"
#include "reports/demo_page.h"
#include "reports/demo_text.h"
#include "tests/reports/markup.h"
#include "tests/sim/network_builder.h"

namespace widthwise {
namespace {

using namespace testing_support;
using testing::HasSubstr;
using testing::Not;

constexpr int kNarrowest = 4;  // bits, of the tables

// A network with a name for every trap of HTML, its accelerator and its results.
class Result : public testing::Test {
 protected:
  Result() : accelerator_(load_accelerator(shipped_path("accelerators", "edge-int8"))) {
    builder_.network.name = "net <&\"> net";
    builder_.network.layers[0].name = "conv<script>";
    accelerator_.datapath.ifmap = {9, true};
    accelerator_.datapath.weight = {9, true};
    builder_.network.layers[2].weights.assign(builder_.network.layers[2].weights.size(), 0);
    builder_.network.layers[2].bias.assign(builder_.network.layers[2].bias.size(), 0);
  }

  Evaluation census() {
    const std::vector<int32_t> images = builder_.images(20), labels(20, 3);
    const CodeSource source{.fill =
                                [&](int64_t first, int64_t count, int32_t* codes) {
                                  std::copy_n(images.begin() + first * 90, count * 90, codes);
                                },
                            .labels = labels};
    const Simulator simulator(builder_.network, accelerator_.datapath,
                              {.outermost = {}, .census = true});
    return evaluate(simulator, source, Progress::none());
  }

  Json cost() const { return cost_report({{"W9A9", &builder_.network, &accelerator_}}); }

  // As the demo makes it.
  Json result() {
    const Json run = {{"top1_percent", 87.5},
                      {"top5_percent", 99.0},
                      {"mean_loss", 0.4},
                      {"agree_percent", 96.0}};
    const Json layers = layer_report(builder_.network, accelerator_.datapath, census(), kNarrowest);
    Json widths = Json::array();
    for (int bits = 20; bits > 16; --bits) {
      widths.push_back({{"bits", bits},
                        {"wrap_top1_percent", 5.0 * bits - 20},
                        {"saturate_top1_percent", 80.0},
                        {"most_hit_percent", 0.0004},
                        {"run", bits < 19}});
    }
    const std::string accumulation = accelerator_.datapath.accumulation.describe();
    return {{"command", "widthwise demo --out '<x>'"},
            {"versions", {{"widthwise", "1"}}},
            {"inputs", {{{"file", "a&b.onnx"}, {"sha1", "0123"}}}},
            {"network", {{"name", builder_.network.name}, {"parameters", 10}, {"macs", 20}}},
            {"data", {{"name", "made"}, {"test_images", 20}, {"calibration_images", 5}}},
            {"float", run},
            {"precisions",
             {{{"name", "W9A9"},
               {"accelerator", accelerator_.name},
               {"accumulation", accumulation},
               {"weight_scales", "per channel"},
               {"activations", "asymmetric"},
               {"ranges", "mse"},
               {"rounding", "gptq"},
               {"bias_correction", true},
               {"requantize", "multiplier_shift"},
               {"exact", run},
               {"described", run},
               {"layers", layers},
               {"widths", widths}}}},
            {"cost", cost()},
            {"cosim",
             {{{"array", "edge"},
               {"stimulus", "made up"},
               {"outputs_compared", 64},
               {"macs_compared", 999},
               {"overflowing_additions", 12},
               {"cycles_measured", 40},
               {"cycles_expected", 40},
               {"verdict", "match"}}}}};
  }

  NetworkBuilder builder_ = residual_network(23, false, 3000);
  Accelerator accelerator_;
};

// --- widths ---

TEST_F(Result, ObservedIsWithinTheWeightBoundIsWithinTheDataTypeBound) {
  const Json layers = layer_report(builder_.network, accelerator_.datapath, census(), kNarrowest);
  ASSERT_EQ(layers.size(), 5u) << "three convolutions, pooling, a fully connected layer";
  for (const Json& layer : layers) {
    const int observed = layer["observed_bits"], weight = layer["weight_bound_bits"],
              data_type = layer["data_type_bound_bits"];
    EXPECT_LE(observed, weight) << layer["name"];
    EXPECT_LE(weight, data_type) << layer["name"];
    EXPECT_GE(observed, kMinAccumulatorBits);
  }
  EXPECT_LT(layers[0]["observed_bits"], layers[0]["data_type_bound_bits"]);
  int widest = 0;
  for (const Json& layer : layers) widest = std::max(widest, layer["observed_bits"].get<int>());
  EXPECT_EQ(widest_observed_bits(layers), widest);
}

TEST_F(Result, HitsFallWithTheWidthAndEndAtTheObservedOne) {
  const Evaluation seen = census();
  const Json layers = layer_report(builder_.network, accelerator_.datapath, seen, kNarrowest);
  size_t at = 0;
  for (const Json& layer : layers) {
    while (!std::holds_alternative<MatmulWorkload>(builder_.network.layers[at].workload)) ++at;
    const LayerCensus& own = seen.records[at++].census;
    EXPECT_EQ(layer["outputs"], own.outputs());
    for (const char* key : {"hit_percent_wrap", "hit_percent_saturate", "misfit_percent"}) {
      int bits = kNarrowest;
      for (const auto& [width, percent] : layer[key].items()) {
        EXPECT_EQ(width, std::to_string(bits)) << "a width is missing";
        EXPECT_GE(percent, 0);
        EXPECT_LE(percent, 100);
        if (bits >= layer["observed_bits"]) {
          EXPECT_EQ(percent, 0) << layer["name"] << " " << key << " @ " << bits;
        }
        ++bits;
      }
      EXPECT_EQ(bits - 1, std::max<int>(kNarrowest, layer["data_type_bound_bits"]));
    }
    EXPECT_NEAR(layer["hit_percent_wrap"]["6"].get<double>(),
                100.0 * static_cast<double>(own.hit(6, OverflowPolicy::kWrap)) /
                    static_cast<double>(own.outputs()),
                1e-9);
  }
  EXPECT_GT(layers[0]["hit_percent_wrap"]["8"], 1);
}

TEST_F(Result, ShapesAndFormatsAreTheLayers) {
  const Json layer =
      layer_report(builder_.network, accelerator_.datapath, census(), kNarrowest)[1];  // depthwise
  EXPECT_EQ(layer["ifmap_shape"], (Json{4, 6, 5}));
  EXPECT_EQ(layer["groups"], 4);
  EXPECT_EQ(layer["k"], 9);
  EXPECT_EQ(layer["macs"], 9 * 4 * 30);
  EXPECT_EQ(layer["ifmap_format"], "uint8");
  EXPECT_EQ(layer["weight_format"], "uint4");
  EXPECT_EQ(layer["textbook_bits"], 8 + 4 + 4);
  EXPECT_EQ(layer["outputs"], 20 * 4 * 30);
}

// --- cost ---

double sum_of(const Json& entries, const char* key) {
  double sum = 0;
  for (const Json& entry : entries) sum += entry[key].get<double>();
  return sum;
}

TEST_F(Result, TotalsAreTheSumsOfTheirActions) {
  const Json report = cost();
  ASSERT_EQ(report["arithmetics"].size(), 2u);
  for (const Json& row : report["arithmetics"]) {
    double total = 0, compute = 0, sram = 0, dram = 0;
    for (const Json& layer : row["layers"]) {
      double own = 0;
      for (const Json& action : layer["actions"]) {
        const double cost = action["total_pj"];
        EXPECT_NEAR(cost, action["count"].get<double>() * action["energy_pj"].get<double>(),
                    1e-9 * cost);
        EXPECT_FALSE(action["source"].get<std::string>().empty()) << action["what"];
        EXPECT_FALSE(action["rule"].get<std::string>().empty()) << action["what"];
        own += cost;
        (action["component"] == "sram"   ? sram
         : action["component"] == "dram" ? dram
                                         : compute) += cost;
      }
      EXPECT_NEAR(layer["energy_nj"], own / 1e3, 1e-9 * own) << layer["name"];
      total += own;
    }
    EXPECT_GT(total, 0);
    EXPECT_NEAR(row["energy_uj"]["total"], total / 1e6, 1e-12 * total);
    EXPECT_NEAR(row["energy_uj"]["compute"], compute / 1e6, 1e-12 * total);
    EXPECT_NEAR(row["energy_uj"]["sram"], sram / 1e6, 1e-12 * total);
    EXPECT_NEAR(row["energy_uj"]["dram"], dram / 1e6, 1e-12 * total);
    EXPECT_NEAR(row["area_um2"], sum_of(row["instances"], "total_um2"), 1e-6);
    for (const Json& instance : row["instances"]) {
      EXPECT_NEAR(instance["total_um2"],
                  instance["count"].get<double>() * instance["area_um2"].get<double>(), 1e-6);
    }
  }
}

TEST_F(Result, SavingsAreAgainstFp32AndScaledNumbersAreListed) {
  const Json report = cost();
  const Json &base = report["arithmetics"][0], &row = report["arithmetics"][1];
  EXPECT_EQ(base["name"], "FP32");
  EXPECT_EQ(base["compute_saving"], 1);
  EXPECT_EQ(base["energy_saving"], 1);
  EXPECT_EQ(base["area_saving"], 1);
  const auto ratio = [&](const char* key) {
    return base["energy_uj"][key].get<double>() / row["energy_uj"][key].get<double>();
  };
  EXPECT_NEAR(row["compute_saving"], ratio("compute"), 1e-9);
  EXPECT_NEAR(row["energy_saving"], ratio("total"), 1e-9);
  EXPECT_GT(row["compute_saving"], row["energy_saving"]) << "memory is saved less than arithmetic";
  EXPECT_EQ(base["cycles"], row["cycles"]);
  const Json& scaled = report["scaled"];
  for (const Json& layer : row["layers"]) {
    for (const Json& action : layer["actions"]) {
      if (!action["scaled"].get<bool>() || action["count"] == 0) continue;
      EXPECT_NE(std::find(scaled.begin(), scaled.end(), action["rule"]), scaled.end())
          << action["rule"];
    }
  }
  EXPECT_FALSE(scaled.empty()) << "9 x 9 bit is no row of the table";
}

// From the table's rows, Horowitz 2014 and Dally 2015: 0.9 / 0.03 and 3.7 / 0.2 pJ, 4184 / 36 and
// 7700 / 282 um2.
TEST_F(Result, ReferenceRatiosAreTheSourcesOwn) {
  const Json ratios = cost()["reference_ratios"];
  EXPECT_NEAR(ratios["add_energy"], 30, 1e-9);
  EXPECT_NEAR(ratios["multiply_energy"], 18.5, 1e-9);
  EXPECT_NEAR(ratios["add_area"], 116.2, 0.05);
  EXPECT_NEAR(ratios["multiply_area"], 27.3, 0.05);
}

TEST_F(Result, EveryArrayIsAgainstFp32OnItself) {
  Accelerator larger = accelerator_;
  larger.name = "larger";
  larger.array.rows *= 2;
  const Json report = cost_report({{"first", &builder_.network, &accelerator_},
                                   {"same", &builder_.network, &accelerator_},
                                   {"larger", &builder_.network, &larger}});
  std::vector<std::string> names;
  for (const Json& row : report["arithmetics"]) names.push_back(row["name"]);
  EXPECT_EQ(names, (std::vector<std::string>{"FP32", "first", "same", "FP32 on larger", "larger"}));
  EXPECT_EQ(report["arithmetics"][2]["baseline"], "FP32");
  EXPECT_EQ(report["arithmetics"][4]["baseline"], "FP32 on larger");
  EXPECT_NEAR(report["arithmetics"][4]["area_saving"], report["arithmetics"][1]["area_saving"],
              1e-9);
}

// --- text and page ---

TEST_F(Result, TheTextHasEveryLayerAndEveryNumber) {
  const std::string text = demo_text(result());
  for (const QuantizedLayer& layer : builder_.network.layers) {
    if (!std::holds_alternative<MatmulWorkload>(layer.workload)) continue;
    EXPECT_THAT(text, HasSubstr("  " + layer.name + "  ")) << "no row";
  }
  EXPECT_THAT(text, HasSubstr("87.50"));
  EXPECT_THAT(text, HasSubstr("<0.001"));
  EXPECT_THAT(text, HasSubstr("none seen: exact"));
  EXPECT_THAT(text, HasSubstr("horowitz"));
  for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1)) {
    EXPECT_TRUE(at == 0 || text[at - 1] != ' ') << "blanks at a line's end";
  }
}

TEST_F(Result, ShownWidthsEndAtTheWidestBoundAndAreFew) {
  const Json precision = result()["precisions"][0];
  int widest = 0;
  for (const Json& layer : precision["layers"]) {
    widest = std::max(widest, layer["weight_bound_bits"].get<int>());
  }
  const std::vector<int> all = shown_widths(precision, 100), few = shown_widths(precision, 5);
  EXPECT_EQ(all.back(), widest);
  EXPECT_EQ(all.front(), kNarrowest);
  EXPECT_EQ(few, std::vector<int>(all.end() - 5, all.end()));
  const TextTable table = overflow_table(precision);
  for (size_t row = 1; row < table.rows().size(); ++row) {
    const int bound = precision["layers"][row - 1]["weight_bound_bits"];
    const auto widths = shown_widths(precision);
    for (size_t i = 0; i < widths.size(); ++i) {
      EXPECT_EQ(table.rows()[row][i + 1] == "-", widths[i] >= bound) << "row " << row;
    }
  }
}

TEST_F(Result, ThePageIsOneFileWellFormedAndEscaped) {
  const std::string page = demo_page(result());
  expect_well_formed(page);
  EXPECT_THAT(page, HasSubstr("net &lt;&amp;&quot;&gt; net"));
  EXPECT_THAT(page, HasSubstr("conv&lt;script&gt;"));
  EXPECT_THAT(page, HasSubstr("a&amp;b.onnx"));
  for (const char* outside : {"<script", "<link", "<img", "<iframe", " src=", " href=", "url(",
                              "@import", "javascript:", " onload=", " onclick="}) {
    EXPECT_THAT(page, Not(HasSubstr(outside))) << outside;
  }
  for (const char* broken : {"nan", "inf\"", "NaN"}) {
    EXPECT_THAT(page, Not(HasSubstr(std::string("=\"") + broken))) << broken;
  }
  size_t charts = 0;
  for (size_t at = page.find("<svg"); at != std::string::npos; at = page.find("<svg", at + 1)) {
    ++charts;
  }
  EXPECT_GE(charts, 3u);
}

}  // namespace
}  // namespace widthwise
