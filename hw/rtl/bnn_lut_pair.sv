// SPDX-License-Identifier: Apache-2.0

/// Two functions of five bits by their tables: on Xilinx parts, both outputs of one LUT6 (LUT6_2, UG953).
module bnn_lut_pair #(
  parameter logic [31:0] High = '0,  // bit i is the output for data_i = i
  parameter logic [31:0] Low  = '0
) (
  input  logic [4:0] data_i,
  output logic       high_o,
  output logic       low_o
);
`ifdef BNN_XILINX
  LUT6_2 #(
    .INIT({High, Low})
  ) u_lut (
    .I0(data_i[0]),
    .I1(data_i[1]),
    .I2(data_i[2]),
    .I3(data_i[3]),
    .I4(data_i[4]),
    .I5(1'b1),
    .O6(high_o),
    .O5(low_o)
  );
`else
  assign high_o = High[data_i];
  assign low_o  = Low[data_i];
`endif
endmodule : bnn_lut_pair
