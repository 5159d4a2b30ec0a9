// SPDX-License-Identifier: Apache-2.0

/// An accelerator on a serial line. The host sends a command, and after F a frame:
///   I  answers the 8 bytes of Identity, the least significant first
///   F  takes the InBeats beats of a frame, InBytes bytes each; answers the OutBeats beats of its result, OutBytes each
/// Any other byte is passed over. A line that is silent for 2^IdleBits cycles inside of a frame ends it: the accelerator
/// is reset, and the next byte is a command. Results must leave before the next command is sent.
module bnn_uart_host #(
  parameter int unsigned        Divider  = 25,  // cycles a bit
  parameter int unsigned        IdleBits = 20,
  parameter int unsigned        InBytes  = 1,
  parameter int unsigned        InBeats  = 4,
  parameter int unsigned        OutBytes = 1,
  parameter int unsigned        OutBeats = 1,
  parameter logic        [63:0] Identity = 64'd0
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  rx_i,
  output logic                  tx_o,
  output logic                  busy_o,  // a frame comes in, or its result is awaited
  output logic                  core_rst_no,
  output logic                  core_valid_o,
  input  logic                  core_ready_i,
  output logic [ 8*InBytes-1:0] core_data_o,
  input  logic                  core_valid_i,
  output logic                  core_ready_o,
  input  logic [8*OutBytes-1:0] core_data_i
);
  localparam int unsigned InWidth  = bnn_pkg::index_width(InBeats * InBytes);
  localparam int unsigned OutWidth = bnn_pkg::index_width(OutBeats * OutBytes);
  localparam logic [7:0] Identify = "I", Frame = "F";

  typedef enum logic [1:0] {
    Idle,
    Telling,   // the identity goes out
    Taking,    // a frame comes in
    Awaiting   // its result goes out
  } state_e;

  state_e state_q;
  logic [IdleBits-1:0] idle_q;
  logic [InWidth-1:0] taken_q;
  logic [OutWidth-1:0] sent_q;
  logic [2:0] told_q;
  logic timeout, rst_n;
  logic rx_valid, rx_ready, tx_valid, tx_ready, in_ready, out_valid;
  logic [7:0] rx, tx, out;

  bnn_uart #(
    .Divider(Divider)
  ) u_uart (
    .clk_i,
    .rst_ni,
    .rx_i,
    .tx_o,
    .valid_o(rx_valid),
    .ready_i(rx_ready),
    .data_o (rx),
    .valid_i(tx_valid),
    .ready_o(tx_ready),
    .data_i (tx)
  );

  bnn_width_converter #(
    .Narrow(8),
    .Ratio (InBytes),
    .Up    (1'b1)
  ) u_in (
    .clk_i,
    .rst_ni (rst_n),
    .valid_i(rx_valid && state_q == Taking),
    .ready_o(in_ready),
    .data_i (rx),
    .valid_o(core_valid_o),
    .ready_i(core_ready_i),
    .data_o (core_data_o)
  );

  bnn_width_converter #(
    .Narrow(8),
    .Ratio (OutBytes),
    .Up    (1'b0)
  ) u_out (
    .clk_i,
    .rst_ni (rst_n),
    .valid_i(core_valid_i),
    .ready_o(core_ready_o),
    .data_i (core_data_i),
    .valid_o(out_valid),
    .ready_i(tx_ready && state_q == Awaiting),
    .data_o (out)
  );

  assign timeout     = state_q == Taking && &idle_q;
  assign rst_n       = rst_ni && !timeout;
  assign core_rst_no = rst_n;
  assign busy_o      = state_q == Taking || state_q == Awaiting;
  assign rx_ready    = state_q == Idle || (state_q == Taking && in_ready);
  assign tx_valid    = state_q == Telling || (state_q == Awaiting && out_valid);
  assign tx          = state_q == Telling ? Identity[8*told_q+:8] : out;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || timeout) begin
      state_q <= Idle;
      taken_q <= '0;
      sent_q  <= '0;
      told_q  <= '0;
      idle_q  <= '0;
    end else begin
      idle_q <= state_q != Taking || rx_valid ? '0 : idle_q + 1'b1;
      unique case (state_q)
        Idle:
        if (rx_valid) begin
          if (rx == Identify) state_q <= Telling;
          if (rx == Frame) state_q <= Taking;
        end
        Telling:
        if (tx_ready) begin
          told_q <= told_q + 1'b1;
          if (&told_q) state_q <= Idle;
        end
        Taking:
        if (rx_valid && in_ready) begin
          taken_q <= taken_q + 1'b1;
          if (taken_q == InWidth'(InBeats * InBytes - 1)) begin
            taken_q <= '0;
            state_q <= Awaiting;
          end
        end
        default:
        if (out_valid && tx_ready) begin
          sent_q <= sent_q + 1'b1;
          if (sent_q == OutWidth'(OutBeats * OutBytes - 1)) begin
            sent_q  <= '0;
            state_q <= Idle;
          end
        end
      endcase
    end
  end
endmodule : bnn_uart_host
