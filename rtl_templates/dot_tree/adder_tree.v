// SPDX-License-Identifier: Apache-2.0
// Exact sum of Lanes signed addends of InBits bits each; combinational. Every level of the tree is
// one bit wider than the one below, so nothing is ever cut off.
//   addends_i  addend l in bits [l*InBits +: InBits]
//   sum_o      InBits + ceil(log2(Lanes)) bits, signed
// Reference: the tree stage in core/accumulation.h.
module adder_tree #(
    parameter integer Lanes  = 4,  // >= 1, any number
    parameter integer InBits = 8   // >= 1
) (
    input  wire [Lanes*InBits-1:0]         addends_i,
    output wire [InBits+$clog2(Lanes)-1:0] sum_o
);
  localparam integer Levels = $clog2(Lanes);

  genvar l, n;
  generate
    for (l = 0; l <= Levels; l = l + 1) begin : gen_level
      localparam integer Count = (Lanes + (1 << l) - 1) >> l;  // sums on this level
      localparam integer Bits = InBits + l;
      wire [Count*Bits-1:0] sums;
      if (l == 0) begin : gen_leaves
        assign sums = addends_i;
      end else begin : gen_sums
        localparam integer Below = (Lanes + (1 << (l - 1)) - 1) >> (l - 1);
        for (n = 0; n < Count; n = n + 1) begin : gen_sum
          wire [Bits-2:0] left = gen_level[l-1].sums[2*n*(Bits-1)+:Bits-1];
          if (2 * n + 1 < Below) begin : gen_pair
            wire [Bits-2:0] right = gen_level[l-1].sums[(2*n+1)*(Bits-1)+:Bits-1];
            assign sums[n*Bits+:Bits] = {left[Bits-2], left} + {right[Bits-2], right};
          end else begin : gen_single
            assign sums[n*Bits+:Bits] = {left[Bits-2], left};
          end
        end
      end
    end
  endgenerate

  assign sum_o = gen_level[Levels].sums;
endmodule
