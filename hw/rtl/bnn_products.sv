// SPDX-License-Identifier: Apache-2.0

/// Sum of the Simd products of one row, modulo 2**OutWidth. The product of an element and a weight is
///   XNOR if both are bipolar (WeightWidth is 1), so the sum is a popcount;
///   the true product if WeightWidth is 2 or more; such weights are signed.
/// Latency: bnn_pkg::popcount_latency, or a cycle for the products and bnn_pkg::sum_latency.
module bnn_products #(
  parameter int unsigned Simd        = 8,
  parameter int unsigned InWidth     = 1,
  parameter string       InKind      = "bipolar",
  parameter int unsigned WeightWidth = 1,
  parameter int unsigned OutWidth    = 4,
  parameter int unsigned Levels      = 1  // of the sum between registers
) (
  input  logic                             clk_i,
  input  logic [Simd-1:0][InWidth-1:0]     data_i,
  input  logic [Simd-1:0][WeightWidth-1:0] weight_i,
  output logic [OutWidth-1:0]              data_o
);
  localparam bit Bipolar = InKind == "bipolar";
  if (!Bipolar && WeightWidth == 1) begin : gen_check
    $fatal(1, "InKind %s, WeightWidth %0d: weights of one bit need a bipolar input", InKind, WeightWidth);
  end

  if (WeightWidth == 1) begin : gen_xnor
    logic [$clog2(Simd+1)-1:0] count;
    bnn_popcount #(
      .Bits    (Simd),
      .Weighted(1'b1),
      .Levels  (Levels)
    ) u_popcount (
      .clk_i,
      .data_i,
      .weight_i,
      .data_o(count)
    );
    assign data_o = OutWidth'(count);
  end else begin : gen_multiply
    // The negative of the most negative weight needs one bit more than the weight.
    localparam int unsigned TermWidth = WeightWidth + InWidth;
    logic [Simd-1:0][TermWidth-1:0] term_d, term_q;

    for (genvar s = 0; s < Simd; s++) begin : gen_term
      if (Bipolar) begin : gen_negate
        logic [TermWidth-1:0] weight;
        assign weight    = TermWidth'($signed(weight_i[s]));
        assign term_d[s] = data_i[s] == 1'b1 ? weight : -weight;
      end else begin : gen_product
        logic [TermWidth-1:0] value;
        bnn_value #(
          .Width   (InWidth),
          .Kind    (InKind),
          .OutWidth(TermWidth)
        ) u_value (
          .data_i(data_i[s]),
          .data_o(value)
        );
        assign term_d[s] = value * TermWidth'($signed(weight_i[s]));
      end
    end

    always_ff @(posedge clk_i) term_q <= term_d;

    bnn_sum #(
      .Terms    (Simd),
      .TermWidth(TermWidth),
      .Signed   (1'b1),
      .OutWidth (OutWidth),
      .Levels   (Levels)
    ) u_sum (
      .clk_i,
      .data_i(term_q),
      .data_o
    );
  end
endmodule : bnn_products
