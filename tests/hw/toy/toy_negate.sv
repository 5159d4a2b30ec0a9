// SPDX-License-Identifier: Apache-2.0

/// -1 for +1 and +1 for -1. Latency: one cycle.
module toy_negate #(
  parameter int unsigned Width = 4
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             valid_i,
  output logic             ready_o,
  input  logic [Width-1:0] data_i,
  output logic             valid_o,
  input  logic             ready_i,
  output logic [Width-1:0] data_o
);
  bnn_fifo #(
    .Width(Width)
  ) u_out (
    .clk_i,
    .rst_ni,
    .valid_i,
    .ready_o,
    .data_i (~data_i),
    .valid_o,
    .ready_i,
    .data_o
  );
endmodule : toy_negate
