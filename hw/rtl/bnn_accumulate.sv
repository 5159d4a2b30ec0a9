// SPDX-License-Identifier: Apache-2.0

/// Running sum over the words of a vector, from a start value on, modulo 2**OutWidth. Latency: one cycle; none if Words is 1
/// and there is no start value (Started).
module bnn_accumulate #(
  parameter int unsigned Words    = 2,
  parameter bit          Started  = 1'b1,
  parameter int unsigned InWidth  = 4,  // unsigned, or as wide as the output
  parameter int unsigned OutWidth = 4
) (
  input  logic                clk_i,
  input  logic                valid_i,
  input  logic                first_i,  // this word starts a vector
  input  logic [InWidth-1:0]  data_i,
  input  logic [OutWidth-1:0] start_i,
  output logic [OutWidth-1:0] data_o
);
  if (Words == 1 && !Started) begin : gen_wire
    assign data_o = OutWidth'(data_i);
    logic unused;
    assign unused = &{clk_i, valid_i, first_i, start_i};
  end else begin : gen_register
    // In this order of the operands a bit takes one LUT.
    always_ff @(posedge clk_i) if (valid_i) data_o <= OutWidth'(data_i) + (first_i ? start_i : data_o);
  end
endmodule : bnn_accumulate
