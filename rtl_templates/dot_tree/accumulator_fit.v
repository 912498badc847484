// SPDX-License-Identifier: Apache-2.0
// Fits an exact signed value of InBits bits into OutBits bits; combinational.
//   overflow_o  the value does not fit: the bits from OutBits-1 upward are not all equal
//   value_o     the low bits (wrap), or the nearest end of the range when Saturate is not 0
// Needs InBits > OutBits >= 2. Reference: fit() in core/accumulator.h.
module accumulator_fit #(
    parameter integer InBits   = 17,
    parameter integer OutBits  = 16,
    parameter integer Saturate = 0
) (
    input  wire [ InBits-1:0] value_i,
    output wire [OutBits-1:0] value_o,
    output wire               overflow_o
);
  wire                     negative = value_i[InBits-1];
  wire [InBits-OutBits:0]  high = value_i[InBits-1:OutBits-1];
  wire [OutBits-1:0]       limit = {negative, {(OutBits - 1) {~negative}}};

  assign overflow_o = high != {(InBits - OutBits + 1) {negative}};
  assign value_o    = (Saturate != 0 && overflow_o) ? limit : value_i[OutBits-1:0];
endmodule
