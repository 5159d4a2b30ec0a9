// SPDX-License-Identifier: Apache-2.0

/// One of several words, chosen in levels with a register behind each: bnn_pkg::Choice words in each group of the first,
/// as many of its results in each group of the second, and so on. Latency: bnn_pkg::bank_levels(Words).
module bnn_choice #(
  parameter  int unsigned Width      = 8,
  parameter  int unsigned Words      = 2,
  localparam int unsigned IndexWidth = bnn_pkg::index_width(Words)
) (
  input  logic                        clk_i,
  input  logic [IndexWidth-1:0]       index_i,
  input  logic [Words-1:0][Width-1:0] data_i,
  output logic [Width-1:0]            data_o
);
  if (Words == 1) begin : gen_wire
    assign data_o = data_i;
    logic unused;
    assign unused = &{clk_i, index_i};
  end else begin : gen_level
    localparam int unsigned Groups = bnn_pkg::ceil_div(Words, bnn_pkg::Choice);
    localparam int unsigned Bits   = $clog2(bnn_pkg::Choice);
    localparam int unsigned Within = IndexWidth < Bits ? IndexWidth : Bits;
    logic [Groups-1:0][bnn_pkg::Choice-1:0][Width-1:0] groups;
    logic [Groups-1:0][Width-1:0] chosen_q;
    logic [bnn_pkg::index_width(Groups)-1:0] group_q;

    assign groups = (Groups * bnn_pkg::Choice * Width)'(data_i);
    always_ff @(posedge clk_i) begin
      for (int g = 0; g < int'(Groups); g++) chosen_q[g] <= groups[g][Bits'(index_i[Within-1:0])];
      group_q <= bnn_pkg::index_width(Groups)'(index_i >> Bits);
    end

    bnn_choice #(
      .Width(Width),
      .Words(Groups)
    ) u_choice (
      .clk_i,
      .index_i(group_q),
      .data_i (chosen_q),
      .data_o
    );
  end
endmodule : bnn_choice
