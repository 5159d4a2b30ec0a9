// SPDX-License-Identifier: Apache-2.0

/// Largest of Lanes values, and its index; the lowest lane wins a tie. A tree of registered levels: this instance is
/// one of them and instantiates the module itself for the rest. Latency: $clog2(Lanes).
module bnn_argmax #(
  parameter int unsigned Lanes      = 4,
  parameter int unsigned Width      = 8,
  parameter bit          Signed     = 1'b1,
  parameter int unsigned IndexWidth = 2
) (
  input  logic                             clk_i,
  input  logic [Lanes-1:0][Width-1:0]      value_i,
  input  logic [Lanes-1:0][IndexWidth-1:0] index_i,
  output logic [Width-1:0]                 value_o,
  output logic [IndexWidth-1:0]            index_o
);
  if (Lanes == 1) begin : gen_wire
    assign {value_o, index_o} = {value_i, index_i};
    logic unused;
    assign unused = &{clk_i, Signed};
  end else begin : gen_level
    localparam int unsigned Nodes = bnn_pkg::ceil_div(Lanes, 2);
    logic [Nodes-1:0][Width-1:0] value_q;
    logic [Nodes-1:0][IndexWidth-1:0] index_q;

    for (genvar n = 0; n < Nodes; n++) begin : gen_node
      localparam int unsigned Low  = 2 * n;
      localparam int unsigned High = 2 * n + 1 < Lanes ? 2 * n + 1 : Low;
      logic higher;
      if (Signed) begin : gen_signed
        assign higher = $signed(value_i[High]) > $signed(value_i[Low]);
      end else begin : gen_unsigned
        assign higher = value_i[High] > value_i[Low];
      end
      always_ff @(posedge clk_i) begin
        value_q[n] <= higher ? value_i[High] : value_i[Low];
        index_q[n] <= higher ? index_i[High] : index_i[Low];
      end
    end

    bnn_argmax #(
      .Lanes     (Nodes),
      .Width     (Width),
      .Signed    (Signed),
      .IndexWidth(IndexWidth)
    ) u_rest (
      .clk_i,
      .value_i(value_q),
      .index_i(index_q),
      .value_o,
      .index_o
    );
  end
endmodule : bnn_argmax
