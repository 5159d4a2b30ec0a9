// SPDX-License-Identifier: Apache-2.0

/// Counts by binary search which of 2**Levels - 1 thresholds a value reaches (T <= x); they do not decrease. A pipeline
/// without handshake, a value a cycle. Latency: 2 * Levels. Each level reads a threshold, compares and has one more bit
/// of the count, the most significant first. `bnn_steps` has comparators for few thresholds.
///
/// `set_i` chooses one of Sets sets of thresholds. Level l of a lane has the file File_Lane_l.mem, in which word
/// set * 2**l + n is threshold n * 2**(Levels-l) + 2**(Levels-l-1), counted from 1, where n are the bits found.
module bnn_search #(
  parameter  int unsigned Levels         = 5,
  parameter  int unsigned Sets           = 1,
  parameter  int unsigned Width          = 8,
  parameter  bit          Signed         = 1'b0,
  parameter  int unsigned ThresholdWidth = 8,  // at most Width; two's complement if Signed
  parameter               File           = "",
  parameter  int unsigned Lane           = 0,
  localparam int unsigned SetWidth       = bnn_pkg::index_width(Sets)
) (
  input  logic                clk_i,
  input  logic [SetWidth-1:0] set_i,
  input  logic [Width-1:0]    value_i,
  output logic [Levels-1:0]   count_o
);
  if (Levels < 1 || Sets < 1 || ThresholdWidth > Width) begin : gen_check
    $fatal(1, "Levels %0d, Sets %0d, ThresholdWidth %0d, Width %0d: a level and a set, and thresholds within Width",
           Levels, Sets, ThresholdWidth, Width);
  end

  localparam int unsigned NodeWidth = SetWidth + Levels;

  // Before each level and after the last one: the value and its node, which is the set followed by the bits found.
  logic [Levels:0][Width-1:0]     value;
  logic [Levels:0][NodeWidth-1:0] node;

  assign value[0] = value_i;
  assign node[0]  = NodeWidth'(set_i);

  for (genvar l = 0; l < Levels; l++) begin : gen_level
    localparam int unsigned Depth = Sets * 2 ** l;
    localparam Name = $sformatf("%s_%0d_%0d.mem", File, Lane, l);  // untyped, as Vivado takes it

    logic [ThresholdWidth-1:0] threshold;
    logic [Width-1:0]          read_value_q, value_q;
    logic [NodeWidth-1:0]      read_node_q, node_q;
    logic                      reached;

    bnn_rom #(
      .Width  (ThresholdWidth),
      .Depth  (Depth),
      .Latency(1),
      .File   (Name)
    ) u_thresholds (
      .clk_i,
      .addr_i(node[l][bnn_pkg::index_width(Depth)-1:0]),
      .data_o(threshold)
    );

    if (Signed) begin : gen_signed
      assign reached = $signed(read_value_q) >= Width'($signed(threshold));
    end else begin : gen_unsigned
      assign reached = read_value_q >= Width'(threshold);
    end

    always_ff @(posedge clk_i) begin
      {read_value_q, read_node_q} <= {value[l], node[l]};
      {value_q, node_q}           <= {read_value_q, NodeWidth'({read_node_q, reached})};
    end
    assign {value[l+1], node[l+1]} = {value_q, node_q};
  end

  assign count_o = node[Levels][Levels-1:0];
  logic unused;
  assign unused = &{value[Levels], node[Levels]};
endmodule : bnn_search
