// SPDX-License-Identifier: Apache-2.0

/// Serves an accelerator on a serial line. The host sends one-byte commands:
///   I  replies with the 8 bytes of Identity, least significant first;
///   F  is followed by a frame of InBeats * InBytes bytes; replies with the result of OutBeats * OutBytes bytes.
/// Other bytes are ignored. If the line is idle for 2^IdleBits cycles within a frame, the frame is dropped: the
/// accelerator is reset, and the next byte is a command.
///
/// The accelerator must not finish a result before its frame has arrived, nor before then send more bytes than it has
/// received. The host must receive the whole result before it sends the next command.
module bnn_uart_host #(
  parameter int unsigned        Divider  = 25,  // cycles per bit
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
  output logic                  busy_o,  // from the command F to the end of its result
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
    Telling,  // sends the identity
    Working   // receives a frame and sends its result
  } state_e;

  state_e state_q;
  logic [IdleBits:0] idle_q;
  logic [InWidth-1:0] taken_q;
  logic [OutWidth-1:0] sent_q;
  logic [2:0] told_q;
  logic taking_q, answered_q;  // the frame is not complete yet; its result has been sent
  logic timeout, rst_n, in_end, out_end;
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
    .valid_i(rx_valid && taking_q),
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
    .ready_i(tx_ready && state_q == Working && !answered_q),
    .data_o (out)
  );

  assign timeout     = idle_q[IdleBits];
  assign core_rst_no = rst_n;
  assign busy_o      = state_q == Working;
  assign rx_ready    = state_q == Idle || (taking_q && in_ready);
  assign tx_valid    = state_q == Telling || (state_q == Working && !answered_q && out_valid);
  assign in_end      = taking_q && rx_valid && in_ready && taken_q == InWidth'(InBeats * InBytes - 1);
  assign out_end     = tx_valid && tx_ready && state_q == Working && sent_q == OutWidth'(OutBeats * OutBytes - 1);
  assign tx          = state_q == Telling ? Identity[8*told_q+:8] : out;

  // A register, because it reaches the whole chip; it holds the reset from the first cycle on.
  initial rst_n = 1'b0;
  always_ff @(posedge clk_i) rst_n <= rst_ni && !timeout;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || timeout) begin
      state_q    <= Idle;
      taking_q   <= 1'b0;
      answered_q <= 1'b0;
      taken_q    <= '0;
      sent_q     <= '0;
      told_q     <= '0;
      idle_q     <= '0;
    end else begin
      idle_q <= !taking_q || rx_valid ? '0 : idle_q + 1'b1;
      unique case (state_q)
        Idle:
        if (rx_valid) begin
          if (rx == Identify) state_q <= Telling;
          if (rx == Frame) state_q <= Working;
          taking_q <= rx == Frame;
        end
        Telling:
        if (tx_ready) begin
          told_q <= told_q + 1'b1;
          if (&told_q) state_q <= Idle;
        end
        default: begin
          if (taking_q && rx_valid && in_ready) taken_q <= in_end ? '0 : taken_q + 1'b1;
          if (tx_valid && tx_ready) sent_q <= out_end ? '0 : sent_q + 1'b1;
          if (in_end) taking_q <= 1'b0;
          if (out_end) answered_q <= 1'b1;
          if ((in_end || !taking_q) && (out_end || answered_q)) begin
            answered_q <= 1'b0;
            state_q    <= Idle;
          end
        end
      endcase
    end
  end
endmodule : bnn_uart_host
