// SPDX-License-Identifier: Apache-2.0

`define I(n) parameter [319:0] INITVAL_``n = 320'd0,
`define INIT_PARAMETERS \
  `I(00) `I(01) `I(02) `I(03) `I(04) `I(05) `I(06) `I(07) `I(08) `I(09) `I(0A) `I(0B) `I(0C) `I(0D) `I(0E) `I(0F) \
  `I(10) `I(11) `I(12) `I(13) `I(14) `I(15) `I(16) `I(17) `I(18) `I(19) `I(1A) `I(1B) `I(1C) `I(1D) `I(1E) `I(1F) \
  `I(20) `I(21) `I(22) `I(23) `I(24) `I(25) `I(26) `I(27) `I(28) `I(29) `I(2A) `I(2B) `I(2C) `I(2D) `I(2E) `I(2F) \
  `I(30) `I(31) `I(32) `I(33) `I(34) `I(35) `I(36) `I(37) `I(38) `I(39) `I(3A) `I(3B) `I(3C) `I(3D) `I(3E) `I(3F)
`define INIT_ROWS { \
  INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38, INITVAL_37, \
  INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E, \
  INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25, \
  INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, \
  INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, \
  INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, \
  INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, \
  INITVAL_00 }

/// Model of an ECP5's block RAM, of which Yosys has none, as far as Yosys uses it: 1024 words of 18 bits and two ports of
/// 1, 2, 4, 9 or 18 bits, or a write and a read port of 36 bits, with or without output registers (FPGA-TN-02204). Narrow ports
/// skip every ninth bit.
module DP16KD #(
  `INIT_PARAMETERS
  parameter DATA_WIDTH_A = 18,
  parameter DATA_WIDTH_B = 18,
  parameter REGMODE_A = "NOREG",
  parameter REGMODE_B = "NOREG",
  parameter RESETMODE = "SYNC",
  parameter ASYNC_RESET_RELEASE = "SYNC",
  parameter CSDECODE_A = "0b000",
  parameter CSDECODE_B = "0b000",
  parameter WRITEMODE_A = "NORMAL",
  parameter WRITEMODE_B = "NORMAL",
  parameter CLKAMUX = "CLKA",
  parameter CLKBMUX = "CLKB",
  parameter GSR = "AUTO",
  parameter WID = 0
) (
  input  DIA0, DIA1, DIA2, DIA3, DIA4, DIA5, DIA6, DIA7, DIA8, DIA9, DIA10, DIA11, DIA12, DIA13, DIA14, DIA15, DIA16,
         DIA17,
  input  ADA0, ADA1, ADA2, ADA3, ADA4, ADA5, ADA6, ADA7, ADA8, ADA9, ADA10, ADA11, ADA12, ADA13, CEA, OCEA, CLKA,
  input  WEA, CSA2, CSA1, CSA0, RSTA,
  output DOA0, DOA1, DOA2, DOA3, DOA4, DOA5, DOA6, DOA7, DOA8, DOA9, DOA10, DOA11, DOA12, DOA13, DOA14, DOA15, DOA16,
         DOA17,
  input  DIB0, DIB1, DIB2, DIB3, DIB4, DIB5, DIB6, DIB7, DIB8, DIB9, DIB10, DIB11, DIB12, DIB13, DIB14, DIB15, DIB16,
         DIB17,
  input  ADB0, ADB1, ADB2, ADB3, ADB4, ADB5, ADB6, ADB7, ADB8, ADB9, ADB10, ADB11, ADB12, ADB13, CEB, OCEB, CLKB,
  input  WEB, CSB2, CSB1, CSB0, RSTB,
  output DOB0, DOB1, DOB2, DOB3, DOB4, DOB5, DOB6, DOB7, DOB8, DOB9, DOB10, DOB11, DOB12, DOB13, DOB14, DOB15, DOB16,
         DOB17
);
  reg [17:0] words[0:1023];
  localparam [64*320-1:0] Rows = `INIT_ROWS;
  integer n;
  initial begin
    for (n = 0; n < 1024; n = n + 1) words[n] = Rows[320*(n/16)+20*(n%16)+:18];
  end

  /// The lowest bit in the word that a port of this width reads or writes.
  function automatic [4:0] first(input [3:0] low, input integer width);
    case (width)
      1: first = 5'(9 * low[3] + low[2:0]);
      2: first = 5'(9 * low[3] + 2 * low[2:1]);
      4: first = 5'(9 * low[3] + 4 * low[2]);
      9: first = 5'(9 * low[3]);
      default: first = 5'd0;
    endcase
  endfunction

  wire [13:0] address_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [13:0] address_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  wire [17:0] data_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
  wire [17:0] data_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
  wire on_a = CEA && {CSA2, CSA1, CSA0} == 3'd0;
  wire on_b = CEB && {CSB2, CSB1, CSB0} == 3'd0;
  reg [17:0] read_a, read_b;  // the low and the high half of 36 bits read through port B
  reg [17:0] out_a, out_b;
  wire out_clock_a = DATA_WIDTH_B == 36 ? CLKB : CLKA;
  always @(posedge out_clock_a) if (DATA_WIDTH_B == 36 ? OCEB : OCEA) out_a <= read_a;
  always @(posedge CLKB) if (OCEB) out_b <= read_b;
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = REGMODE_A == "OUTREG" ? out_a : read_a;
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0} = REGMODE_B == "OUTREG" ? out_b : read_b;

  always @(posedge CLKA) begin
    if (on_a && WEA && DATA_WIDTH_A == 36) begin
      for (n = 0; n < 18; n = n + 1) begin
        if (n < 9 ? ADA0 : ADA1) words[{address_a[13:5], 1'b0}][n] <= data_a[n];
        if (n < 9 ? ADA2 : ADA3) words[{address_a[13:5], 1'b1}][n] <= data_b[n];
      end
    end else if (on_a && WEA) begin
      for (n = 0; n < DATA_WIDTH_A; n = n + 1) begin
        if (DATA_WIDTH_A < 18 || (n < 9 ? ADA0 : ADA1)) begin
          words[address_a[13:4]][first(address_a[3:0], DATA_WIDTH_A)+5'(n)] <= data_a[n];
        end
      end
    end
    if (DATA_WIDTH_B != 36 && on_a) begin
      if (RSTA) read_a <= 18'd0;
      else if (!WEA || WRITEMODE_A == "READBEFOREWRITE") begin
        read_a <= words[address_a[13:4]] >> first(address_a[3:0], DATA_WIDTH_A);
      end
    end
  end

  always @(posedge CLKB) begin
    if (on_b && WEB) begin
      for (n = 0; n < DATA_WIDTH_B; n = n + 1) begin
        if (DATA_WIDTH_B < 18 || (n < 9 ? ADB0 : ADB1)) begin
          words[address_b[13:4]][first(address_b[3:0], DATA_WIDTH_B)+5'(n)] <= data_b[n];
        end
      end
    end
    if (on_b) begin
      if (RSTB) read_b <= 18'd0;
      else if (DATA_WIDTH_B == 36) begin
        read_a <= words[{address_b[13:5], 1'b0}];
        read_b <= words[{address_b[13:5], 1'b1}];
      end else if (!WEB || WRITEMODE_B == "READBEFOREWRITE") begin
        read_b <= words[address_b[13:4]] >> first(address_b[3:0], DATA_WIDTH_B);
      end
    end
  end
endmodule
