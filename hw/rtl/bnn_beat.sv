// SPDX-License-Identifier: Apache-2.0

/// Index of the current beat of a vector of Beats beats; `next_i` ends the beat.
module bnn_beat #(
  parameter  int unsigned Beats = 2,
  localparam int unsigned Width = bnn_pkg::index_width(Beats)
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             next_i,
  output logic [Width-1:0] beat_o,
  output logic [Width-1:0] ahead_o  // the index in the next cycle; 0 during reset
);
  always_comb begin
    ahead_o = beat_o;
    if (next_i) ahead_o = beat_o == Width'(Beats - 1) ? '0 : beat_o + 1'b1;
    if (!rst_ni) ahead_o = '0;
  end

  always_ff @(posedge clk_i) beat_o <= ahead_o;
endmodule : bnn_beat
