// SPDX-License-Identifier: Apache-2.0

/// Counts the ones of up to seven bits: a 7:3 counter. On Xilinx parts it is six inputs of a LUT6, a pair of LUT5, and
/// two bits of a carry chain, which takes the seventh: four bits fewer for two LUT6 (Preusser, Generic and universal
/// parallel matrix summation with a flexible compression goal for Xilinx FPGAs, 2017).
module bnn_count #(
  parameter  int unsigned Bits  = 7,
  localparam int unsigned Width = $clog2(Bits + 1)
) (
  input  logic [Bits-1:0]  data_i,
  output logic [Width-1:0] data_o
);
  if (Bits < 1 || Bits > 7) begin : gen_check
    $fatal(1, "Bits %0d: 1 to 7", Bits);
  end

`ifdef BNN_XILINX
  if (Bits == 7) begin : gen_cell
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
  end else
`endif
  begin : gen_sum
    always_comb begin
      data_o = '0;
      for (int unsigned i = 0; i < Bits; i++) data_o += Width'(data_i[i]);
    end
  end
endmodule : bnn_count
