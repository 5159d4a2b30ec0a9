// SPDX-License-Identifier: Apache-2.0

/// Constants of the current beat of a vector: word n of the file for beat n, or 0 without a file. `next_i` ends the beat.
/// Few words are logic, which fits into the LUTs behind it; more are read a cycle ahead, into a register. If Late, `data_o`
/// is read two cycles after a reset at the earliest, and many words are read a beat ahead, with one more register behind
/// the memory.
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
    localparam bit Prefetched = Late && Beats > 32;
    localparam int unsigned AddrWidth = bnn_pkg::index_width(Beats);

    logic [AddrWidth-1:0] beat, ahead;

    bnn_beat #(
      .Beats(Beats)
    ) u_beat (
      .clk_i,
      .rst_ni,
      .next_i,
      .beat_o (beat),
      .ahead_o(ahead)
    );

    logic [AddrWidth-1:0] further;
    logic [Width-1:0] word;
    assign further = !rst_ni || ahead == AddrWidth'(Beats - 1) ? '0 : ahead + 1'b1;

    bnn_rom #(
      .Width  (Width),
      .Depth  (Beats),
      .Latency(Registered ? 1 : 0),
      .File   (File)
    ) u_rom (
      .clk_i,
      .addr_i(Prefetched ? further : Registered ? ahead : beat),
      .data_o(word)
    );

    if (Prefetched) begin : gen_register
      logic filled_q;  // with the first word
      always_ff @(posedge clk_i) begin
        filled_q <= rst_ni;
        if (next_i || !filled_q) data_o <= word;
      end
    end else begin : gen_wire
      assign data_o = word;
      logic unused;
      assign unused = &further;
    end
  end
endmodule : bnn_beat_rom
