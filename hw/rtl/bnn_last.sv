// SPDX-License-Identifier: Apache-2.0

/// TLAST of a stream: counts its handshakes and marks the last of every Beats beats.
module bnn_last #(
  parameter int unsigned Beats = 1
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  input  logic ready_i,
  output logic last_o
);
  if (Beats < 1) begin : gen_check
    $fatal(1, "Beats %0d: a frame has at least 1", Beats);
  end

  localparam int unsigned BeatWidth = bnn_pkg::index_width(Beats);
  logic [BeatWidth-1:0] beat_q;

  assign last_o = beat_q == BeatWidth'(Beats - 1);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) beat_q <= '0;
    else if (valid_i && ready_i) beat_q <= last_o ? '0 : beat_q + 1'b1;
  end
endmodule : bnn_last
