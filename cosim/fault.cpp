#include "cosim/fault.h"

#include <fmt/format.h>

#include <stdexcept>

#include "core/error.h"
#include "core/files.h"

namespace widthwise {

const std::vector<Fault>& known_faults() {
  static const std::vector<Fault> faults = {
      {"overflow_wrong_bit", "the overflow test looks one bit too high", "accumulator_fit.v",
       "overflow_o = high != {(InBits - OutBits + 1) {negative}}",
       "overflow_o = high[InBits-OutBits:1] != {(InBits - OutBits) {negative}}"},
      {"limit_inverted", "saturates to the wrong end", "accumulator_fit.v",
       "limit = {negative, {(OutBits - 1) {~negative}}}",
       "limit = {~negative, {(OutBits - 1) {negative}}}"},
      {"always_wrap", "wraps where it should saturate", "accumulator_fit.v",
       "(Saturate != 0 && overflow_o)", "(Saturate != 0 && 1'b0)"},
      {"always_saturate", "saturates where it should wrap", "accumulator_fit.v",
       "(Saturate != 0 && overflow_o)", "(Saturate >= 0 && overflow_o)"},
      {"last_lane_dropped", "the last lane's product is left out", "dot_tree_pe.v",
       "assign product[l*ProductBits+:ProductBits] = exact;",
       "assign product[l*ProductBits+:ProductBits] = (l == Lanes - 1) ? {ProductBits{1'b0}} : "
       "exact;"},
      {"zero_point_ignored", "the zero point is not subtracted", "dot_tree_array.v",
       "{top, code} - zero_point;", "{top, code} - (zero_point & {CenteredBits{1'b0}});"},
      {"zero_point_unsigned", "the zero point loses its sign", "dot_tree_array.v",
       "zero_point_top = (IfmapSigned != 0) &&", "zero_point_top = (IfmapSigned > 1) &&"},
      {"accumulator_not_restarted", "first_i is ignored by the accumulator", "dot_tree_pe.v",
       "base = acc_first_i ? start_i : acc_q;",
       "base = (acc_first_i & ~acc_valid_i) ? start_i : acc_q;"},
      {"count_not_reset", "the overflow count runs on into the next reduction", "dot_tree_pe.v",
       "count_base = acc_first_i ? {CountBits{1'b0}} : count_q;", "count_base = count_q;"},
      {"count_stuck", "the overflow count stays at 0", "dot_tree_pe.v",
       "{{CountBits{1'b0}}, overflow}", "{{CountBits{1'b0}}, overflow & 1'b0}"},
      {"count_wraps", "a full overflow count starts again from 0", "dot_tree_pe.v",
       "count_full ? {CountBits{1'b1}}", "count_full ? {CountBits{1'b0}}"},
      {"tree_sign_lost", "the tree's sum is widened with zeros", "dot_tree_pe.v",
       "{(SumBits - TreeBits) {tree_q[TreeBits-1]}}", "{(SumBits - TreeBits) {1'b0}}"},
      {"weight_sign_lost", "weights are multiplied as unsigned", "dot_tree_pe.v",
       "wire signed [WeightBits-1:0] weight =", "wire [WeightBits-1:0] weight ="},
      {"bias_of_next_column", "a column starts from its neighbour's bias", "dot_tree_array.v",
       "wire [BiasBits-1:0] bias = tree_bias_value_q[c*BiasBits+:BiasBits];",
       "wire [BiasBits-1:0] bias = tree_bias_value_q[((c+1)%Cols)*BiasBits+:BiasBits];"},
      {"bias_beat_ignored", "the bias beat adds the tree's sum", "dot_tree_pe.v",
       "addend = acc_bias_beat_i ? bias_addend : tree_addend;",
       "addend = (acc_bias_beat_i & ~acc_valid_i) ? bias_addend : tree_addend;"},
      {"idle_beat_taken", "an idle cycle is added too", "dot_tree_array.v",
       "tree_valid_q    <= product_valid_q;", "tree_valid_q    <= product_valid_q | tree_valid_q;"},
      {"result_late", "valid_o comes one cycle late", "dot_tree_array.v",
       "assign valid_o = valid_q;",
       "reg late_q; always @(posedge clk_i) late_q <= valid_q; assign valid_o = late_q;"},
  };
  return faults;
}

const Fault& find_fault(const std::string& name) {
  std::vector<std::string> names;
  for (const Fault& fault : known_faults()) {
    if (fault.name == name) return fault;
    names.push_back(fault.name);
  }
  throw InputError({.file = "",
                    .where = "",
                    .field = "fault",
                    .problem = fmt::format("is '{}', known: {}", name, list_names(names)),
                    .fix = "choose a known fault"});
}

void plant_fault(const Fault& fault, const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / fault.file;
  std::string text = read_file(path, "generate the array first");
  const size_t at = text.find(fault.from);
  if (at == std::string::npos || text.find(fault.from, at + 1) != std::string::npos) {
    throw std::logic_error(
        fmt::format("fault {}: its text must occur once in {}", fault.name, fault.file));
  }
  text.replace(at, fault.from.size(), fault.to);
  write_file(path, text);
}

}  // namespace widthwise
