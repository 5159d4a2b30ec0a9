// SPDX-License-Identifier: Apache-2.0

/// Takes a beat of each of Inputs streams at once and sends their bits as one beat, those of the first stream in the
/// least significant bits. Latency: one cycle.
module bnn_join #(
  parameter int unsigned Inputs = 2,
  parameter int unsigned Width  = 8  // bits of all streams together
) (
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic [Inputs-1:0] valid_i,
  output logic [Inputs-1:0] ready_o,
  input  logic [Width-1:0]  data_i,
  output logic              valid_o,
  input  logic              ready_i,
  output logic [Width-1:0]  data_o
);
  if (Inputs < 1 || Width < Inputs) begin : gen_check
    $fatal(1, "Inputs %0d, Width %0d: each stream has a bit", Inputs, Width);
  end

  logic all, ready;

  assign all     = &valid_i;
  assign ready_o = {Inputs{all && ready}};

  bnn_fifo #(
    .Width(Width)
  ) u_out (
    .clk_i,
    .rst_ni,
    .valid_i(all),
    .ready_o(ready),
    .data_i,
    .valid_o,
    .ready_i,
    .data_o
  );
endmodule : bnn_join
