// SPDX-License-Identifier: Apache-2.0

/// XNOR of a word of data with each row of a ROM's word; the ROM has up to 32 words. Synthesis keeps its hierarchy: a LUT6
/// then holds a bit of 32 words and the XNOR after it. A mapper that sees the address register moves it behind the ROM,
/// and needs two LUTs and two flip-flops for a synapse.
(* keep_hierarchy = "yes" *)
module bnn_xnor_rom #(
  parameter  int unsigned Simd      = 8,
  parameter  int unsigned Pe        = 1,
  parameter  int unsigned Depth     = 2,
  parameter               File      = "",  // words of Pe rows
  localparam int unsigned AddrWidth = bnn_pkg::index_width(Depth)
) (
  input  logic [AddrWidth-1:0]    addr_i,
  input  logic [Simd-1:0]         data_i,
  output logic [Pe-1:0][Simd-1:0] term_o
);
  logic [Pe*Simd-1:0] words[Depth];
  initial $readmemh(File, words);
  assign term_o = {Pe{data_i}} ~^ words[addr_i];
endmodule : bnn_xnor_rom
