// SPDX-License-Identifier: Apache-2.0

/// Popcount, pipelined: by counters of seven bits on Xilinx parts (BNN_XILINX), else by an adder tree; both have the same
/// latency, bnn_pkg::popcount_latency(Bits). Verilator gets a twin, which it simulates many times faster, unless
/// BNN_STRUCTURE is defined.
module bnn_popcount #(
  parameter  int unsigned Bits     = 64,
  localparam int unsigned OutWidth = $clog2(Bits + 1)
) (
  input  logic                clk_i,
  input  logic [Bits-1:0]     data_i,
  output logic [OutWidth-1:0] data_o
);
`ifdef VERILATOR
`ifndef BNN_STRUCTURE
  `define BNN_TWIN
`endif
`endif
  logic [OutWidth-1:0] count;

`ifdef BNN_TWIN
  localparam int unsigned Latency = 0;
  assign count = OutWidth'($countones(data_i));
`elsif BNN_XILINX
  localparam int unsigned Latency = bnn_pkg::compressor_latency(Bits);
  bnn_compressor #(
    .Bits(Bits)
  ) u_compressor (
    .clk_i,
    .data_i,
    .data_o(count)
  );
`else
  localparam int unsigned Latency = bnn_pkg::sum_latency(Bits, 1);
  bnn_sum #(
    .Terms   (Bits),
    .OutWidth(OutWidth)
  ) u_sum (
    .clk_i,
    .data_i,
    .data_o(count)
  );
`endif

  bnn_delay #(
    .Width (OutWidth),
    .Stages(bnn_pkg::popcount_latency(Bits) - Latency),
    .Reset (1'b0)
  ) u_delay (
    .clk_i,
    .rst_ni(1'b1),
    .data_i(count),
    .data_o
  );
endmodule : bnn_popcount
