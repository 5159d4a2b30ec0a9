// SPDX-License-Identifier: Apache-2.0

/// Memory with a port that writes and one that reads, into a register. Small ones stay in LUTs on any part: their outputs
/// come sooner than those of a block RAM.
module bnn_ram #(
  parameter  int unsigned Width     = 8,
  parameter  int unsigned Depth     = 4,
  localparam int unsigned AddrWidth = bnn_pkg::index_width(Depth)
) (
  input  logic                 clk_i,
  input  logic                 write_i,
  input  logic [AddrWidth-1:0] write_addr_i,
  input  logic [Width-1:0]     data_i,
  input  logic                 read_i,
  input  logic [AddrWidth-1:0] read_addr_i,
  output logic [Width-1:0]     data_o
);
  if (Width * Depth <= 2048) begin : gen_luts
    (* ram_style = "distributed" *) logic [Width-1:0] words[Depth];
    always_ff @(posedge clk_i) begin
      if (write_i) words[write_addr_i] <= data_i;
      if (read_i) data_o <= words[read_addr_i];
    end
  end else begin : gen_any
    logic [Width-1:0] words[Depth];
    always_ff @(posedge clk_i) begin
      if (write_i) words[write_addr_i] <= data_i;
      if (read_i) data_o <= words[read_addr_i];
    end
  end
endmodule : bnn_ram
