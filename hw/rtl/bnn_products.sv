// SPDX-License-Identifier: Apache-2.0

/// Sum of the Simd products of one row, modulo 2**OutWidth. The product of an element and a weight is
///   XNOR if both are bipolar (WeightWidth is 1), so the sum is a popcount;
///   the true product if WeightWidth is 2 or more; such weights are signed.
/// Latency: that of `bnn_sum`, plus 1 if the products are registered.
module bnn_products #(
  parameter int unsigned Simd        = 8,
  parameter int unsigned InWidth     = 1,
  parameter string       InKind      = "bipolar",
  parameter int unsigned WeightWidth = 1,
  parameter int unsigned OutWidth    = 4,
  parameter bit          Registered  = 1'b1  // register the products; those of wide weights always are
) (
  input  logic                             clk_i,
  input  logic [Simd-1:0][InWidth-1:0]     data_i,
  input  logic [Simd-1:0][WeightWidth-1:0] weight_i,
  output logic [OutWidth-1:0]              data_o
);
  localparam bit Bipolar = InKind == "bipolar";
  localparam bit Wide    = WeightWidth > 1;
  if (!Bipolar && !Wide) begin : gen_check
    $fatal(1, "InKind %s, WeightWidth %0d: weights of one bit need a bipolar input", InKind, WeightWidth);
  end
  // The negative of the most negative weight needs one bit more than the weight.
  localparam int unsigned TermWidth = Wide ? WeightWidth + InWidth : InWidth;

  logic [Simd-1:0][TermWidth-1:0] term_d, term;

  for (genvar s = 0; s < Simd; s++) begin : gen_term
    if (Bipolar && Wide) begin : gen_negate
      logic [TermWidth-1:0] weight;
      assign weight    = TermWidth'($signed(weight_i[s]));
      assign term_d[s] = data_i[s] == 1'b1 ? weight : -weight;
    end else if (Bipolar) begin : gen_xnor
      assign term_d[s] = data_i[s] ~^ weight_i[s];
    end else begin : gen_multiply
      logic [TermWidth-1:0] value;
      if (InKind == "signed") begin : gen_signed
        assign value = TermWidth'($signed(data_i[s]));
      end else begin : gen_unsigned
        assign value = TermWidth'(data_i[s]);
      end
      assign term_d[s] = value * TermWidth'($signed(weight_i[s]));
    end
  end

  if (Wide || Registered) begin : gen_register
    always_ff @(posedge clk_i) term <= term_d;
  end else begin : gen_wire
    assign term = term_d;
  end

  bnn_sum #(
    .Terms    (Simd),
    .TermWidth(TermWidth),
    .Signed   (Wide),
    .OutWidth (OutWidth)
  ) u_sum (
    .clk_i,
    .data_i(term),
    .data_o
  );
endmodule : bnn_products
