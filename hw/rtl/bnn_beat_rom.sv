// SPDX-License-Identifier: Apache-2.0

/// Constants of the current beat of a vector: word n of the file for beat n, or 0 without a file. `next_i` ends the beat.
/// Few words are logic, which fits into the LUTs behind it. More are read ahead, into registers: by two beats if `data_o` is
/// Late, that is, first read in the third cycle after a reset or later; else by a cycle.
module bnn_beat_rom #(
  parameter int unsigned Width = 8,
  parameter int unsigned Beats = 2,
  parameter bit          Late  = 1'b0,
  parameter              File  = ""
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             next_i,
  output logic [Width-1:0] data_o
);
  if (File == "") begin : gen_none
    assign data_o = '0;
    logic unused;
    assign unused = &{clk_i, rst_ni, next_i};
  end else begin : gen_rom
    localparam bit Registered = Beats > 8;
    logic [bnn_pkg::index_width(Beats)-1:0] beat, ahead;
    logic step;

    bnn_beat #(
      .Beats(Beats)
    ) u_beat (
      .clk_i,
      .rst_ni,
      .next_i (step),
      .beat_o (beat),
      .ahead_o(ahead)
    );

    if (Registered && Late) begin : gen_ahead
      logic [1:0] filled_q;  // the memory's register with a word, and the one behind it
      logic [Width-1:0] word;
      assign step = next_i || !filled_q[1];
      bnn_lut_rom #(
        .Width(Width),
        .Depth(Beats),
        .File (File)
      ) u_rom (
        .clk_i,
        .read_i(step),
        .addr_i(beat),
        .data_o(word)
      );
      always_ff @(posedge clk_i) begin
        filled_q <= rst_ni ? {filled_q[0], 1'b1} : '0;
        if (step) data_o <= word;
      end
      logic unused;
      assign unused = &ahead;
    end else begin : gen_rom
      assign step = next_i;
      bnn_rom #(
        .Width  (Width),
        .Depth  (Beats),
        .Latency(Registered ? 1 : 0),
        .File   (File)
      ) u_rom (
        .clk_i,
        .addr_i(Registered ? ahead : beat),
        .data_o
      );
    end
  end
endmodule : bnn_beat_rom
