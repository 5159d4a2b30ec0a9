// SPDX-License-Identifier: Apache-2.0

/// Registered ROM in LUTs. Synthesis keeps its hierarchy: a LUT6 holds 64
/// words of a bit, but a mapper that merges the ROM with the logic around it takes two to five times as many LUTs.
(* keep_hierarchy = "yes" *)
module bnn_lut_rom #(
  parameter  int unsigned Width     = 8,
  parameter  int unsigned Depth     = 64,
  parameter               File      = "",
  localparam int unsigned AddrWidth = bnn_pkg::index_width(Depth)
) (
  input  logic                 clk_i,
  input  logic                 read_i,
  input  logic [AddrWidth-1:0] addr_i,
  output logic [Width-1:0]     data_o
);
  logic [Width-1:0] words[Depth];
  initial $readmemh(File, words);
  always_ff @(posedge clk_i) if (read_i) data_o <= words[addr_i];
endmodule : bnn_lut_rom
