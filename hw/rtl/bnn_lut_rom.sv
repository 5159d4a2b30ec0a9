// SPDX-License-Identifier: Apache-2.0

/// The registered ROM of `bnn_rom` where it is deeper than 32 words, in logic. Kept apart in synthesis: a LUT6 holds 64
/// words of a bit, but a mapper that sees the logic beside it too trades those LUTs for two to five times as many.
(* keep_hierarchy = "yes" *)
module bnn_lut_rom #(
  parameter  int unsigned Width     = 8,
  parameter  int unsigned Depth     = 64,
  parameter               File      = "",
  localparam int unsigned AddrWidth = bnn_pkg::index_width(Depth)
) (
  input  logic                 clk_i,
  input  logic [AddrWidth-1:0] addr_i,
  output logic [Width-1:0]     data_o
);
  logic [Width-1:0] words[Depth];
  initial $readmemh(File, words);
  always_ff @(posedge clk_i) data_o <= words[addr_i];
endmodule : bnn_lut_rom
