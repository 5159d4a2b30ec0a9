// SPDX-License-Identifier: Apache-2.0

/// Sum of Terms terms, modulo 2**OutWidth; of 1-bit terms, the popcount. A tree: this instance is a level and instantiates
/// the module itself for the rest. Latency: bnn_pkg::sum_latency(Terms, TermWidth, Levels).
module bnn_sum #(
  parameter int unsigned Terms     = 8,
  parameter int unsigned TermWidth = 1,
  parameter bit          Signed    = 1'b0,
  parameter int unsigned OutWidth  = 4,
  parameter int unsigned Levels    = 1,  // between registers; there is always one at the end
  parameter int unsigned Depth     = 0   // levels since the last register
) (
  input  logic                            clk_i,
  input  logic [Terms-1:0][TermWidth-1:0] data_i,
  output logic [OutWidth-1:0]             data_o
);
  if (Terms < 1 || TermWidth < 1 || OutWidth < 1 || Levels < 1) begin : gen_check
    $fatal(1, "Terms %0d, TermWidth %0d, OutWidth %0d, Levels %0d: each is at least 1",
           Terms, TermWidth, OutWidth, Levels);
  end

  if (Terms == 1) begin : gen_wire
    if (Signed) begin : gen_signed
      assign data_o = OutWidth'($signed(data_i));
    end else begin : gen_unsigned
      assign data_o = OutWidth'(data_i);
    end
    logic unused;
    assign unused = &{clk_i, data_i};
  end else begin : gen_level
    localparam int unsigned Share = bnn_pkg::node_terms(TermWidth);  // terms per node
    localparam int unsigned Nodes = bnn_pkg::ceil_div(Terms, Share);
    localparam int unsigned Need  = TermWidth == 1 && !Signed ? $clog2(Share + 1) : TermWidth + $clog2(Share);
    localparam int unsigned NodeWidth = Need < OutWidth ? Need : OutWidth;

    logic [Nodes-1:0][NodeWidth-1:0] node_d, node_q;

    for (genvar n = 0; n < Nodes; n++) begin : gen_node
      localparam int unsigned First = n * Share;
      localparam int unsigned Count = First + Share <= Terms ? Share : Terms - First;
      always_comb begin
        node_d[n] = '0;
        for (int unsigned i = 0; i < Count; i++) begin
          if (Signed) node_d[n] += NodeWidth'($signed(data_i[First+i]));
          else node_d[n] += NodeWidth'(data_i[First+i]);
        end
      end
    end

    localparam bit Registered = Nodes == 1 || Depth + 1 >= Levels;
    if (Registered) begin : gen_register
      always_ff @(posedge clk_i) node_q <= node_d;
    end else begin : gen_wire
      assign node_q = node_d;
    end

    bnn_sum #(
      .Terms    (Nodes),
      .TermWidth(NodeWidth),
      .Signed   (Signed),
      .OutWidth (OutWidth),
      .Levels   (Levels),
      .Depth    (Registered ? 0 : Depth + 1)
    ) u_rest (
      .clk_i,
      .data_i(node_q),
      .data_o
    );
  end
endmodule : bnn_sum
