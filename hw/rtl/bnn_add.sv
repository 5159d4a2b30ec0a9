// SPDX-License-Identifier: Apache-2.0

/// Adds two streams, lane by lane; a bipolar element counts as -1 or +1. Takes a beat of both at once; latency: one
/// cycle. `data_i` is {b, a}, and so are `valid_i` and `ready_o`.
module bnn_add #(
  parameter int unsigned Lanes    = 2,
  parameter int unsigned AWidth   = 4,
  parameter string       AKind    = "signed",  // "bipolar", "unsigned" or "signed"
  parameter int unsigned BWidth   = 4,
  parameter string       BKind    = "signed",
  parameter int unsigned OutWidth = 5
) (
  input  logic                             clk_i,
  input  logic                             rst_ni,
  input  logic [1:0]                       valid_i,
  output logic [1:0]                       ready_o,
  input  logic [Lanes*(AWidth+BWidth)-1:0] data_i,
  output logic                             valid_o,
  input  logic                             ready_i,
  output logic [Lanes*OutWidth-1:0]        data_o
);
  if (Lanes < 1 || AWidth < 1 || BWidth < 1) begin : gen_check
    $fatal(1, "Lanes %0d, AWidth %0d, BWidth %0d: each is at least 1", Lanes, AWidth, BWidth);
  end

  logic [Lanes-1:0][AWidth-1:0] a;
  logic [Lanes-1:0][BWidth-1:0] b;
  logic [Lanes-1:0][OutWidth-1:0] sum;
  logic both, ready;

  assign {b, a}  = data_i;
  assign both    = &valid_i;
  assign ready_o = {2{both && ready}};

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic [OutWidth-1:0] a_value, b_value;
    bnn_value #(
      .Width   (AWidth),
      .Kind    (AKind),
      .OutWidth(OutWidth)
    ) u_a (
      .data_i(a[l]),
      .data_o(a_value)
    );
    bnn_value #(
      .Width   (BWidth),
      .Kind    (BKind),
      .OutWidth(OutWidth)
    ) u_b (
      .data_i(b[l]),
      .data_o(b_value)
    );
    assign sum[l] = a_value + b_value;
  end

  bnn_fifo #(
    .Width(Lanes * OutWidth)
  ) u_out (
    .clk_i,
    .rst_ni,
    .valid_i(both),
    .ready_o(ready),
    .data_i (sum),
    .valid_o,
    .ready_i,
    .data_o
  );
endmodule : bnn_add
