// SPDX-License-Identifier: Apache-2.0
// One output-stationary processing element (PE): multiplies Lanes pairs of signed factors, sums the
// products exactly and adds that sum to its accumulator of AccBits bits, which wraps or saturates.
// Three register stages, each with the enable of its own: products, tree, accumulator.
//   acc_first_i      this addition starts from start_i, and the overflow count from 0
//   acc_bias_beat_i  the addend is bias_i in place of the tree's sum (only when BiasLast is not 0)
//   psum_o           running sum, signed
//   overflow_count_o additions since acc_first_i that did not fit; stays at all ones once there
// The addition is done in SumBits bits, wide enough for any addend, before it is fitted.
// Reference: Accumulator in core/accumulator.h.
module dot_tree_pe #(
    parameter integer Lanes      = 4,
    parameter integer IfmapBits  = 9,   // signed factors
    parameter integer WeightBits = 8,
    parameter integer AccBits    = 24,
    parameter integer Saturate   = 0,
    parameter integer BiasBits   = 32,
    parameter integer BiasLast   = 0,
    parameter integer CountBits  = 16
) (
    input  wire                        clk_i,
    input  wire                        product_valid_i,
    input  wire                        tree_valid_i,
    input  wire                        acc_valid_i,
    input  wire                        acc_first_i,
    input  wire                        acc_bias_beat_i,
    input  wire [ Lanes*IfmapBits-1:0] ifmap_i,
    input  wire [Lanes*WeightBits-1:0] weight_i,
    input  wire [         AccBits-1:0] start_i,
    input  wire [        BiasBits-1:0] bias_i,
    output wire [         AccBits-1:0] psum_o,
    output wire [       CountBits-1:0] overflow_count_o
);
  localparam integer ProductBits = IfmapBits + WeightBits;
  localparam integer TreeBits = ProductBits + $clog2(Lanes);
  localparam integer WideBits = (AccBits > TreeBits) ? AccBits : TreeBits;
  localparam integer AddendBits = (BiasLast != 0 && BiasBits > WideBits) ? BiasBits : WideBits;
  localparam integer SumBits = AddendBits + 1;

  reg [Lanes*ProductBits-1:0] product_q;
  reg [TreeBits-1:0] tree_q;
  reg [AccBits-1:0] acc_q;
  reg [CountBits-1:0] count_q;

  wire [Lanes*ProductBits-1:0] product;
  genvar l;
  generate
    for (l = 0; l < Lanes; l = l + 1) begin : gen_lane
      wire signed [IfmapBits-1:0] ifmap = ifmap_i[l*IfmapBits+:IfmapBits];
      wire signed [WeightBits-1:0] weight = weight_i[l*WeightBits+:WeightBits];
      wire signed [ProductBits-1:0] exact = ifmap * weight;
      assign product[l*ProductBits+:ProductBits] = exact;
    end
  endgenerate

  wire [TreeBits-1:0] tree_sum;
  adder_tree #(
      .Lanes (Lanes),
      .InBits(ProductBits)
  ) u_tree (
      .addends_i(product_q),
      .sum_o    (tree_sum)
  );

  wire [SumBits-1:0] tree_addend = {{(SumBits - TreeBits) {tree_q[TreeBits-1]}}, tree_q};
  wire [SumBits-1:0] addend;
  generate
    if (BiasLast != 0) begin : gen_bias_last
      wire [SumBits-1:0] bias_addend = {{(SumBits - BiasBits) {bias_i[BiasBits-1]}}, bias_i};
      assign addend = acc_bias_beat_i ? bias_addend : tree_addend;
    end else begin : gen_no_bias_beat
      wire unused_bias = &{1'b0, acc_bias_beat_i, bias_i};
      assign addend = tree_addend;
    end
  endgenerate

  wire [AccBits-1:0] base = acc_first_i ? start_i : acc_q;
  wire [SumBits-1:0] sum = {{(SumBits - AccBits) {base[AccBits-1]}}, base} + addend;
  wire [AccBits-1:0] acc_next;
  wire overflow;
  accumulator_fit #(
      .InBits  (SumBits),
      .OutBits (AccBits),
      .Saturate(Saturate)
  ) u_fit (
      .value_i   (sum),
      .value_o   (acc_next),
      .overflow_o(overflow)
  );

  wire [CountBits-1:0] count_base = acc_first_i ? {CountBits{1'b0}} : count_q;
  wire [CountBits:0] count_sum = {1'b0, count_base} + {{CountBits{1'b0}}, overflow};
  wire count_full = count_sum[CountBits];
  wire [CountBits-1:0] count_next = count_full ? {CountBits{1'b1}} : count_sum[CountBits-1:0];

  always @(posedge clk_i) begin
    if (product_valid_i) product_q <= product;
    if (tree_valid_i) tree_q <= tree_sum;
    if (acc_valid_i) begin
      acc_q   <= acc_next;
      count_q <= count_next;
    end
  end

  assign psum_o           = acc_q;
  assign overflow_count_o = count_q;
endmodule
