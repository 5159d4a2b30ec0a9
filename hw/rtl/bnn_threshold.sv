// SPDX-License-Identifier: Apache-2.0

/// Replaces each element by the number of its channel's thresholds that it reaches; with Steps = 1, the sign of x - T.
/// One beat per cycle. `bnn_steps` explains the parameters. If SelectWidth is not 0, a second stream chooses the
/// thresholds: `valid_i`, `ready_o` and `data_i` are {selector, values}.
module bnn_threshold #(
  parameter int unsigned Lanes          = 2,
  parameter int unsigned Beats          = 1,
  parameter int unsigned InWidth        = 8,
  parameter string       InKind         = "unsigned",
  parameter int unsigned Steps          = 1,
  parameter int unsigned ThresholdWidth = 8,
  parameter int unsigned OutWidth       = 1,
  parameter string       OutKind        = "unsigned",
  parameter int unsigned SelectWidth    = 0,
  parameter              File           = "",
  parameter              FlipFile       = "",
  localparam int unsigned Inputs        = SelectWidth > 0 ? 2 : 1
) (
  input  logic                                     clk_i,
  input  logic                                     rst_ni,
  input  logic [Inputs-1:0]                        valid_i,
  output logic [Inputs-1:0]                        ready_o,
  input  logic [Lanes*(InWidth+SelectWidth)-1:0]   data_i,
  output logic                                     valid_o,
  input  logic                                     ready_i,
  output logic [Lanes*OutWidth-1:0]                data_o
);
  localparam int unsigned SelectBits = SelectWidth > 0 ? Lanes * SelectWidth : 1;

  logic launch, done, room;
  logic [SelectBits-1:0] select;
  logic [Lanes*OutWidth-1:0] result;

  assign launch  = (&valid_i) && room;
  assign ready_o = {Inputs{room && (Inputs == 1 || (&valid_i))}};

  if (SelectWidth > 0) begin : gen_select
    assign select = data_i[Lanes*InWidth+:SelectBits];
  end else begin : gen_none
    assign select = '0;
  end

  bnn_steps #(
    .Lanes         (Lanes),
    .Beats         (Beats),
    .InWidth       (InWidth),
    .InKind        (InKind),
    .Steps         (Steps),
    .ThresholdWidth(ThresholdWidth),
    .OutWidth      (OutWidth),
    .OutKind       (OutKind),
    .SelectWidth   (SelectWidth),
    .File          (File),
    .FlipFile      (FlipFile)
  ) u_steps (
    .clk_i,
    .rst_ni,
    .valid_i (launch),
    .data_i  (data_i[Lanes*InWidth-1:0]),
    .select_i(select),
    .valid_o (done),
    .data_o  (result)
  );

  bnn_credit_fifo #(
    .Width  (Lanes * OutWidth),
    .Latency(bnn_pkg::steps_latency(Steps))
  ) u_out (
    .clk_i,
    .rst_ni,
    .launch_i(launch),
    .room_o  (room),
    .valid_i (done),
    .data_i  (result),
    .valid_o,
    .ready_i,
    .data_o
  );
endmodule : bnn_threshold
