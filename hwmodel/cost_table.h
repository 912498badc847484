#pragma once
#include <optional>
#include <string>
#include <vector>

namespace widthwise {

inline constexpr int kAccessBits = 64;  // SRAM and DRAM rows are per access of so many bits

// How the rows of a component give the cost of a size between or beyond them. x is the size.
//   linear_bits         x = bits. Linear between rows; beyond them proportional to x.
//   linear_bit_product  x = product of the two operand widths (8x8 = 64); as linear_bits.
//   log2_kib            x = log2(KiB), two rows or more. Linear between rows; beyond them on the
//                       nearest segment, but never below half of the smallest row.
//   constant            one row, the same at every size; not counted as scaled.
//   none                no other size than the rows'.
enum class ScalingRule { kLinearBits, kLinearBitProduct, kLog2Kib, kConstant, kNone };
const char* scaling_rule_name(ScalingRule rule);

// One row: energy per action, area per instance.
struct CostRow {
  std::string component, action;  // adder add | multiplier multiply | fp_adder add |
                                  // fp_multiplier multiply | sram access | dram access
  int bits = 0;                   // width of both operands; kAccessBits for sram and dram
  double kib = 0;                 // sram only: capacity
  double energy_low_pj = 0, energy_high_pj = 0;  // the source's range; mostly one value
  std::optional<double> area_um2;                // absent if the source has none
  ScalingRule scaling = ScalingRule::kNone;
  std::string source, area_source;

  double energy_pj() const { return (energy_low_pj + energy_high_pj) / 2; }  // the midpoint
};

// A number of the table, with its origin.
struct CostValue {
  double value = 0;     // pJ or um2
  bool scaled = false;  // not in the table: interpolated or extrapolated
  std::string rule;     // "adder @ 20 bit: linear between int16 (0.05 pJ) and int32 (0.1 pJ)"
  std::string source;   // of the rows used
};

struct Cost {
  double energy_pj = 0;
  bool scaled = false;  // of the energy
  std::string rule, source;
  std::optional<CostValue> area;  // um2; absent if no row of the component has one
};

class CostTable {
 public:
  const std::string& file() const { return file_; }
  const std::string& name() const { return name_; }
  const std::string& technology() const { return technology_; }
  const std::vector<CostRow>& rows() const { return rows_; }

  // size: bits of both operands (1..128), KiB for sram (above 0), kAccessBits for dram.
  // other_bits: second operand of a multiplier, if it has another width than the first.
  // Unknown names and sizes that the rule does not give throw InputError with the known ones.
  Cost lookup(const std::string& component, const std::string& action, double size,
              int other_bits = 0) const;

 private:
  friend CostTable load_cost_table(const std::string& name_or_path);
  std::string file_, name_, technology_;
  std::vector<CostRow> rows_;  // of one component: ascending size
};

// A name in hwmodel/tables, or a path that ends in .yaml. Read strictly: see YamlMap.
CostTable load_cost_table(const std::string& name_or_path);

// What 8-bit integers save against FP32: cost of the FP32 row / cost of the int8 row.
struct ReferenceRatios {
  double add_energy, add_area, multiply_energy, multiply_area;
};
ReferenceRatios reference_ratios(const CostTable& table);

}  // namespace widthwise
