// SPDX-License-Identifier: Apache-2.0

/// Counts the ones of seven bits: a 7:3 counter. On Xilinx parts it is six inputs of a LUT6, a pair of LUT5, and two bits
/// of a carry chain, which takes the seventh: four bits fewer for two LUT6 (Preusser, Generic and universal parallel
/// matrix summation with a flexible compression goal for Xilinx FPGAs, 2017).
module bnn_count (
  input  logic [6:0] data_i,
  output logic [2:0] data_o
);
`ifdef BNN_XILINX
  localparam logic [31:0] Middle = 32'h177e7ee8;  // whether two or three of five bits are ones
  localparam logic [31:0] Most   = 32'he8808000;  // whether four or five are
  logic [3:0] carry, sum;
  CARRY4 u_carry (
    .CI    (1'b0),
    .CYINIT(data_i[6]),
    .DI    ({2'b00, Most[data_i[4:0]], data_i[5]}),
    .S     ({2'b00, Middle[data_i[4:0]], ^data_i[5:0]}),
    .O     (sum),
    .CO    (carry)
  );
  assign data_o = {carry[1], sum[1:0]};
  logic unused;
  assign unused = &{sum[3:2], carry};
`else
  assign data_o = 3'($countones(data_i));
`endif
endmodule : bnn_count
