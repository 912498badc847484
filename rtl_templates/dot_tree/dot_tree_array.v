// SPDX-License-Identifier: Apache-2.0
// Output-stationary array of Rows x Cols dot-product PEs. Each beat (a cycle with valid_i) brings
// every row Lanes ifmap codes and every column Lanes weight codes; PE(r,c) adds their dot product
// to the psum of one output. A reduction of K products takes ceil(K / Lanes) beats, from first_i to
// last_i, in order; between beats there may be any number of idle cycles. Reductions may follow
// each other without a gap.
//   ifmap_i           row r, lane l in bits [(r*Lanes + l)*IfmapBits +: IfmapBits]
//   weight_i          column c, lane l in bits [(c*Lanes + l)*WeightBits +: WeightBits]
//   ifmap_zero_point_i  code of real zero, subtracted from every ifmap code; belongs to the beat
//   bias_i            column c in bits [c*BiasBits +: BiasBits], signed
// Feed lanes beyond K, and padded taps, with the zero point (ifmap) and 0 (weight beyond K).
//   BiasLast = 0  psums start from the fitted bias (not counted); bias_i is read with first_i
//   BiasLast = 1  psums start from 0; a beat with bias_beat_i and last_i, after the operands', adds
//                 bias_i as one more counted addition
//   psum_o            PE(r,c) in bits [(r*Cols + c)*AccBits +: AccBits], signed, with valid_o
//   overflow_count_o  PE(r,c) in bits [(r*Cols + c)*CountBits +: CountBits]: additions that did not
//                     fit AccBits; stays at all ones once there
// Latency: valid_o comes 3 cycles after last_i; n beats without a gap take n + 3 cycles from the
// first operand to the last result, both counted. The asynchronous reset clears control only.
// Reference: reduce() in sim/reference.h.
module dot_tree_array #(
    parameter integer Rows         = 2,   // 1..1024
    parameter integer Cols         = 2,   // 1..1024
    parameter integer Lanes        = 4,   // 1..1024
    parameter integer IfmapBits    = 8,   // 1..16
    parameter integer IfmapSigned  = 0,   // 0 or 1
    parameter integer WeightBits   = 8,   // 1..16
    parameter integer WeightSigned = 1,   // 0 or 1; a signed bit is binary: 0 is +1, 1 is -1
    parameter integer AccBits      = 24,  // 2..48
    parameter integer Saturate     = 0,   // 0 wrap, 1 saturate
    parameter integer BiasBits     = 32,  // 1..48
    parameter integer BiasLast     = 0,   // 0 or 1
    parameter integer CountBits    = 16   // 1..32
) (
    input  wire                            clk_i,
    input  wire                            rst_ni,
    input  wire                            valid_i,
    input  wire                            first_i,
    input  wire                            last_i,
    input  wire                            bias_beat_i,
    input  wire [           IfmapBits-1:0] ifmap_zero_point_i,
    input  wire [Rows*Lanes*IfmapBits-1:0] ifmap_i,
    input  wire [Cols*Lanes*WeightBits-1:0] weight_i,
    input  wire [       Cols*BiasBits-1:0] bias_i,
    output wire                            valid_o,
    output wire [   Rows*Cols*AccBits-1:0] psum_o,
    output wire [ Rows*Cols*CountBits-1:0] overflow_count_o
);
  // Elaboration stops at the unknown module whose name is the message.
  generate
    if (Rows < 1 || Rows > 1024) begin : gen_check_rows
      error_dot_tree_Rows_must_be_1_to_1024 u_stop ();
    end
    if (Cols < 1 || Cols > 1024) begin : gen_check_cols
      error_dot_tree_Cols_must_be_1_to_1024 u_stop ();
    end
    if (Lanes < 1 || Lanes > 1024) begin : gen_check_lanes
      error_dot_tree_Lanes_must_be_1_to_1024 u_stop ();
    end
    if (IfmapBits < 1 || IfmapBits > 16) begin : gen_check_ifmap_bits
      error_dot_tree_IfmapBits_must_be_1_to_16 u_stop ();
    end
    if (WeightBits < 1 || WeightBits > 16) begin : gen_check_weight_bits
      error_dot_tree_WeightBits_must_be_1_to_16 u_stop ();
    end
    if (AccBits < 2 || AccBits > 48) begin : gen_check_acc_bits
      error_dot_tree_AccBits_must_be_2_to_48 u_stop ();
    end
    if (BiasBits < 1 || BiasBits > 48) begin : gen_check_bias_bits
      error_dot_tree_BiasBits_must_be_1_to_48 u_stop ();
    end
    if (CountBits < 1 || CountBits > 32) begin : gen_check_count_bits
      error_dot_tree_CountBits_must_be_1_to_32 u_stop ();
    end
  endgenerate

  // Factors are signed: code - zero point needs one bit more, an unsigned or binary weight too.
  localparam integer CenteredBits = IfmapBits + 1;
  localparam integer Binary = (WeightSigned != 0 && WeightBits == 1) ? 1 : 0;
  localparam integer FactorBits = WeightBits + ((WeightSigned != 0 && Binary == 0) ? 0 : 1);
  localparam integer StartBits = ((AccBits > BiasBits) ? AccBits : BiasBits) + 1;

  reg product_valid_q, product_first_q, product_last_q, product_bias_q;
  reg tree_valid_q, tree_first_q, tree_last_q, tree_bias_q;
  reg valid_q;
  always @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      product_valid_q <= 1'b0;
      tree_valid_q    <= 1'b0;
      valid_q         <= 1'b0;
    end else begin
      product_valid_q <= valid_i;
      tree_valid_q    <= product_valid_q;
      valid_q         <= tree_valid_q && tree_last_q;
    end
  end

  reg [Cols*BiasBits-1:0] product_bias_value_q, tree_bias_value_q;
  always @(posedge clk_i) begin
    product_first_q      <= first_i;
    product_last_q       <= last_i;
    product_bias_q       <= bias_beat_i;
    product_bias_value_q <= bias_i;
    tree_first_q         <= product_first_q;
    tree_last_q          <= product_last_q;
    tree_bias_q          <= product_bias_q;
    tree_bias_value_q    <= product_bias_value_q;
  end

  wire zero_point_top = (IfmapSigned != 0) && ifmap_zero_point_i[IfmapBits-1];
  wire [CenteredBits-1:0] zero_point = {zero_point_top, ifmap_zero_point_i};
  wire [Rows*Lanes*CenteredBits-1:0] centered;
  wire [Cols*Lanes*FactorBits-1:0] factor;
  wire [Cols*AccBits-1:0] start;

  genvar i, r, c;
  generate
    for (i = 0; i < Rows * Lanes; i = i + 1) begin : gen_centered
      wire [IfmapBits-1:0] code = ifmap_i[i*IfmapBits+:IfmapBits];
      wire top = (IfmapSigned != 0) && code[IfmapBits-1];
      assign centered[i*CenteredBits+:CenteredBits] = {top, code} - zero_point;
    end

    if (Binary != 0) begin : gen_weight_binary
      for (i = 0; i < Cols * Lanes; i = i + 1) begin : gen_factor
        assign factor[i*FactorBits+:FactorBits] = {weight_i[i], 1'b1};
      end
    end else if (WeightSigned != 0) begin : gen_weight_signed
      assign factor = weight_i;
    end else begin : gen_weight_unsigned
      for (i = 0; i < Cols * Lanes; i = i + 1) begin : gen_factor
        assign factor[i*FactorBits+:FactorBits] = {1'b0, weight_i[i*WeightBits+:WeightBits]};
      end
    end

    for (c = 0; c < Cols; c = c + 1) begin : gen_start
      if (BiasLast != 0) begin : gen_zero
        assign start[c*AccBits+:AccBits] = {AccBits{1'b0}};
      end else begin : gen_bias
        wire [BiasBits-1:0] bias = tree_bias_value_q[c*BiasBits+:BiasBits];
        wire unused_overflow;
        accumulator_fit #(
            .InBits  (StartBits),
            .OutBits (AccBits),
            .Saturate(Saturate)
        ) u_fit (
            .value_i   ({{(StartBits - BiasBits) {bias[BiasBits-1]}}, bias}),
            .value_o   (start[c*AccBits+:AccBits]),
            .overflow_o(unused_overflow)
        );
      end
    end

    for (r = 0; r < Rows; r = r + 1) begin : gen_row
      for (c = 0; c < Cols; c = c + 1) begin : gen_col
        dot_tree_pe #(
            .Lanes     (Lanes),
            .IfmapBits (CenteredBits),
            .WeightBits(FactorBits),
            .AccBits   (AccBits),
            .Saturate  (Saturate),
            .BiasBits  (BiasBits),
            .BiasLast  (BiasLast),
            .CountBits (CountBits)
        ) u_pe (
            .clk_i           (clk_i),
            .product_valid_i (valid_i),
            .tree_valid_i    (product_valid_q),
            .acc_valid_i     (tree_valid_q),
            .acc_first_i     (tree_first_q),
            .acc_bias_beat_i (tree_bias_q),
            .ifmap_i         (centered[r*Lanes*CenteredBits+:Lanes*CenteredBits]),
            .weight_i        (factor[c*Lanes*FactorBits+:Lanes*FactorBits]),
            .start_i         (start[c*AccBits+:AccBits]),
            .bias_i          (tree_bias_value_q[c*BiasBits+:BiasBits]),
            .psum_o          (psum_o[(r*Cols+c)*AccBits+:AccBits]),
            .overflow_count_o(overflow_count_o[(r*Cols+c)*CountBits+:CountBits])
        );
      end
    end
  endgenerate

  assign valid_o = valid_q;
endmodule
