// SPDX-License-Identifier: Apache-2.0

/// Sums of up to three elements with each choice of signs but the first, +: what rows of +1 and -1 select from. Group g
/// has elements 3*g...; its sum n has a + before the second element if bit 0 of n is 1, and before the third if bit 1 is.
/// Latency: one cycle.
module bnn_signs #(
  parameter  int unsigned Simd     = 3,
  parameter  int unsigned InWidth  = 8,
  parameter  bit          Signed   = 1'b0,
  localparam int unsigned Groups   = bnn_pkg::ceil_div(Simd, 3),
  localparam int unsigned OutWidth = bnn_pkg::signs_width(Simd, InWidth, Signed)
) (
  input  logic                                  clk_i,
  input  logic [Simd-1:0][InWidth-1:0]          data_i,
  output logic [Groups-1:0][3:0][OutWidth-1:0] sum_o
);
  for (genvar g = 0; g < Groups; g++) begin : gen_group
    logic [2:0][OutWidth-1:0] value;
    for (genvar i = 0; i < 3; i++) begin : gen_element
      if (3 * g + i >= Simd) begin : gen_none
        assign value[i] = '0;
      end else if (Signed) begin : gen_signed
        assign value[i] = OutWidth'($signed(data_i[3*g+i]));
      end else begin : gen_unsigned
        assign value[i] = OutWidth'(data_i[3*g+i]);
      end
    end
    always_ff @(posedge clk_i) begin
      for (int unsigned n = 0; n < 4; n++) begin
        sum_o[g][n] <= value[0] + (n[0] ? value[1] : -value[1]) + (n[1] ? value[2] : -value[2]);
      end
    end
  end
endmodule : bnn_signs
