// SPDX-License-Identifier: Apache-2.0

/// Threshold stage: each element becomes the number of its channel's thresholds that it reaches; with one step that
/// is one bit, the sign of x - T. A beat a cycle. See `bnn_steps` for the parameters.
module bnn_threshold #(
  parameter int unsigned Lanes          = 2,
  parameter int unsigned Beats          = 1,
  parameter int unsigned InWidth        = 8,
  parameter string       InKind         = "unsigned",
  parameter int unsigned Steps          = 1,
  parameter int unsigned ThresholdWidth = 8,
  parameter int unsigned OutWidth       = 1,
  parameter              File           = ""
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      valid_i,
  output logic                      ready_o,
  input  logic [Lanes*InWidth-1:0]  data_i,
  output logic                      valid_o,
  input  logic                      ready_i,
  output logic [Lanes*OutWidth-1:0] data_o
);
  logic launch, done;
  logic [Lanes*OutWidth-1:0] result;

  assign launch = valid_i && ready_o;

  bnn_steps #(
    .Lanes         (Lanes),
    .Beats         (Beats),
    .InWidth       (InWidth),
    .InKind        (InKind),
    .Steps         (Steps),
    .ThresholdWidth(ThresholdWidth),
    .OutWidth      (OutWidth),
    .File          (File)
  ) u_steps (
    .clk_i,
    .rst_ni,
    .valid_i(launch),
    .data_i,
    .valid_o(done),
    .data_o (result)
  );

  bnn_credit_fifo #(
    .Width  (Lanes * OutWidth),
    .Latency(bnn_pkg::steps_latency(Steps))
  ) u_out (
    .clk_i,
    .rst_ni,
    .launch_i(launch),
    .room_o  (ready_o),
    .valid_i (done),
    .data_i  (result),
    .valid_o,
    .ready_i,
    .data_o
  );
endmodule : bnn_threshold
