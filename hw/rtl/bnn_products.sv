// SPDX-License-Identifier: Apache-2.0

/// Sum of Simd products of one row, modulo 2**OutWidth. What a product is depends on the two kinds:
///   weights of 1 bit (-1, +1), input bipolar: agreement of the bits, so the sum is a popcount;
///   weights of 1 bit, input N-bit: the element where the weight is +1, else 0 (dot product = 2 * sum - sum of elements);
///   weights of 2 or more bits: the product, of signed weights.
/// Latency: that of its `bnn_sum`, and 1 for the register, where there is one.
module bnn_products #(
  parameter int unsigned Simd        = 8,
  parameter int unsigned InWidth     = 1,
  parameter string       InKind      = "bipolar",
  parameter int unsigned WeightWidth = 1,
  parameter int unsigned OutWidth    = 4,
  parameter bit          Registered  = 1'b1  // a register after XNOR; products of wide weights always have one
) (
  input  logic                             clk_i,
  input  logic [Simd-1:0][InWidth-1:0]     data_i,
  input  logic [Simd-1:0][WeightWidth-1:0] weight_i,
  output logic [OutWidth-1:0]              data_o
);
  localparam bit Bipolar = InKind == "bipolar";
  localparam bit Wide    = WeightWidth > 1;
  // -w of the most negative weight needs one bit more than w
  localparam int unsigned TermWidth = Wide ? WeightWidth + InWidth : InWidth;

  logic [Simd-1:0][TermWidth-1:0] term_d, term;

  for (genvar s = 0; s < Simd; s++) begin : gen_term
    if (Bipolar && Wide) begin : gen_negate
      logic [TermWidth-1:0] weight;
      assign weight    = TermWidth'($signed(weight_i[s]));
      assign term_d[s] = data_i[s] == 1'b1 ? weight : -weight;
    end else if (Bipolar) begin : gen_xnor
      assign term_d[s] = data_i[s] ~^ weight_i[s];
    end else if (Wide) begin : gen_multiply
      logic [TermWidth-1:0] value;
      if (InKind == "signed") begin : gen_signed
        assign value = TermWidth'($signed(data_i[s]));
      end else begin : gen_unsigned
        assign value = TermWidth'(data_i[s]);
      end
      assign term_d[s] = value * TermWidth'($signed(weight_i[s]));
    end else begin : gen_mask
      assign term_d[s] = weight_i[s] == 1'b1 ? data_i[s] : '0;
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
    .Signed   (Wide || InKind == "signed"),
    .OutWidth (OutWidth)
  ) u_sum (
    .clk_i,
    .data_i(term),
    .data_o
  );
endmodule : bnn_products
