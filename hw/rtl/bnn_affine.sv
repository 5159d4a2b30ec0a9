// SPDX-License-Identifier: Apache-2.0

/// Multiplies each element by its channel's factor and adds its addend; a bipolar element counts as -1 or +1. One beat
/// per cycle; latency: 2 cycles.
///
/// Beat n of a vector carries channels n*Lanes...; word n of the file holds, lane by lane, {addend, factor}: OutWidth and
/// FactorWidth bits in two's complement. If FactorWidth is 0, all elements are shifted left by Shift instead.
module bnn_affine #(
  parameter int unsigned Lanes       = 2,
  parameter int unsigned Beats       = 1,  // of a vector
  parameter int unsigned InWidth     = 8,
  parameter string       InKind      = "signed",  // "bipolar", "unsigned" or "signed"
  parameter int unsigned FactorWidth = 4,
  parameter int unsigned Shift       = 0,
  parameter int unsigned OutWidth    = 12,
  parameter              File        = ""
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
  if (Lanes < 1 || Beats < 1 || InWidth < 1 || OutWidth < 1) begin : gen_check
    $fatal(1, "Lanes %0d, Beats %0d, InWidth %0d, OutWidth %0d: each is at least 1", Lanes, Beats, InWidth, OutWidth);
  end

  localparam int unsigned WordWidth = OutWidth + FactorWidth;
  localparam int unsigned Latency   = 2;

  localparam int unsigned Signed     = InKind == "bipolar" ? 2 : InWidth + 1;  // bits of an element, whatever its kind
  localparam int unsigned ValueWidth = FactorWidth == 0 ? OutWidth : Signed;
  localparam int unsigned FullWidth  = Signed + FactorWidth;

  logic launch, room, done;
  logic [Lanes-1:0][WordWidth-1:0] words;
  logic [Lanes-1:0][OutWidth-1:0]  result;

  assign launch  = valid_i && room;
  assign ready_o = room;

  bnn_beat_rom #(
    .Width(Lanes * WordWidth),
    .Beats(Beats),
    .File (File)
  ) u_constants (
    .clk_i,
    .rst_ni,
    .next_i(launch),
    .data_o(words)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic [OutWidth-1:0] product, product_q, addend_q;
    logic [ValueWidth-1:0] value;
    bnn_value #(
      .Width   (InWidth),
      .Kind    (InKind),
      .OutWidth(ValueWidth)
    ) u_value (
      .data_i(data_i[l*InWidth+:InWidth]),
      .data_o(value)
    );
    if (FactorWidth == 0) begin : gen_shift
      assign product = value << Shift;
    end else begin : gen_multiply
      logic signed [FullWidth-1:0] x, factor;
      assign x       = FullWidth'($signed(value));
      assign factor  = FullWidth'($signed(words[l][FactorWidth-1:0]));
      assign product = OutWidth'(x * factor);
    end
    always_ff @(posedge clk_i) begin
      product_q <= product;
      addend_q  <= words[l][FactorWidth+:OutWidth];
      result[l] <= product_q + addend_q;
    end
  end

  bnn_delay #(
    .Stages(Latency)
  ) u_done (
    .clk_i,
    .rst_ni,
    .data_i(launch),
    .data_o(done)
  );

  bnn_credit_fifo #(
    .Width  (Lanes * OutWidth),
    .Latency(Latency)
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
endmodule : bnn_affine
