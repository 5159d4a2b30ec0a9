// SPDX-License-Identifier: Apache-2.0

/// UART with 8 data bits, no parity and 1 stop bit; a bit lasts Divider cycles. A received byte that has not been taken
/// is overwritten by the next; one with a wrong stop bit is dropped.
module bnn_uart #(
  parameter int unsigned Divider = 25
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       rx_i,
  output logic       tx_o,
  output logic       valid_o,
  input  logic       ready_i,
  output logic [7:0] data_o,
  input  logic       valid_i,
  output logic       ready_o,
  input  logic [7:0] data_i
);
  if (Divider < 4) begin : gen_check
    $fatal(1, "Divider %0d: a bit has at least 4 cycles", Divider);
  end

  localparam int unsigned CountWidth = $clog2(Divider);
  localparam logic [CountWidth-1:0] Bit = CountWidth'(Divider - 1), Half = CountWidth'(Divider / 2);

  // Receiver: samples the line in the middle of each bit.
  logic [2:0] line_q;  // two registers to synchronize, one to detect the falling edge
  logic [CountWidth-1:0] in_count_q, out_count_q;
  logic [3:0] in_bit_q, out_bit_q;  // 0 is idle
  logic [7:0] in_q;
  logic [8:0] out_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      line_q     <= '1;
      in_bit_q   <= '0;
      in_count_q <= '0;
      valid_o    <= 1'b0;
    end else begin
      line_q <= {line_q[1:0], rx_i};
      if (valid_o && ready_i) valid_o <= 1'b0;
      if (in_bit_q == '0) begin
        in_count_q <= Half;
        if (!line_q[1] && line_q[2]) in_bit_q <= 4'd1;
      end else if (in_count_q != '0) begin
        in_count_q <= in_count_q - 1'b1;
      end else begin
        in_count_q <= Bit;
        in_bit_q   <= in_bit_q + 1'b1;
        if (in_bit_q == 4'd1 && line_q[1]) in_bit_q <= '0;  // a glitch, not a start bit
        if (in_bit_q == 4'd10) begin
          in_bit_q <= '0;
          valid_o  <= line_q[1];
        end
      end
    end
    if (in_bit_q > 4'd1 && in_bit_q < 4'd10 && in_count_q == '0) in_q <= {line_q[1], in_q[7:1]};
    if (in_bit_q == 4'd10 && in_count_q == '0) data_o <= in_q;
  end

  // Transmitter.
  assign ready_o = out_bit_q == '0;
  assign tx_o    = out_bit_q == '0 || out_q[0];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      out_bit_q   <= '0;
      out_count_q <= '0;
    end else if (ready_o) begin
      out_count_q <= Bit;
      if (valid_i) out_bit_q <= 4'd10;
    end else if (out_count_q != '0) begin
      out_count_q <= out_count_q - 1'b1;
    end else begin
      out_count_q <= Bit;
      out_bit_q   <= out_bit_q - 1'b1;
    end
    if (ready_o) out_q <= {data_i, 1'b0};
    else if (out_count_q == '0) out_q <= {1'b1, out_q[8:1]};
  end
endmodule : bnn_uart
