// SPDX-License-Identifier: Apache-2.0

/// Behaviour of an ECP5's block RAM, of which Yosys has no model: 1024 words of 18 bits and two ports of 1, 2, 4, 9 or 18
/// bits, or one to write and one to read of 36 (FPGA-TN-02204), without output registers, as Yosys uses it. Narrow ports
/// leave each ninth bit alone.
module DP16KD #(
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
  parameter WID = 0,
  parameter [319:0] INITVAL_00 = 320'd0,
  parameter [319:0] INITVAL_01 = 320'd0,
  parameter [319:0] INITVAL_02 = 320'd0,
  parameter [319:0] INITVAL_03 = 320'd0,
  parameter [319:0] INITVAL_04 = 320'd0,
  parameter [319:0] INITVAL_05 = 320'd0,
  parameter [319:0] INITVAL_06 = 320'd0,
  parameter [319:0] INITVAL_07 = 320'd0,
  parameter [319:0] INITVAL_08 = 320'd0,
  parameter [319:0] INITVAL_09 = 320'd0,
  parameter [319:0] INITVAL_0A = 320'd0,
  parameter [319:0] INITVAL_0B = 320'd0,
  parameter [319:0] INITVAL_0C = 320'd0,
  parameter [319:0] INITVAL_0D = 320'd0,
  parameter [319:0] INITVAL_0E = 320'd0,
  parameter [319:0] INITVAL_0F = 320'd0,
  parameter [319:0] INITVAL_10 = 320'd0,
  parameter [319:0] INITVAL_11 = 320'd0,
  parameter [319:0] INITVAL_12 = 320'd0,
  parameter [319:0] INITVAL_13 = 320'd0,
  parameter [319:0] INITVAL_14 = 320'd0,
  parameter [319:0] INITVAL_15 = 320'd0,
  parameter [319:0] INITVAL_16 = 320'd0,
  parameter [319:0] INITVAL_17 = 320'd0,
  parameter [319:0] INITVAL_18 = 320'd0,
  parameter [319:0] INITVAL_19 = 320'd0,
  parameter [319:0] INITVAL_1A = 320'd0,
  parameter [319:0] INITVAL_1B = 320'd0,
  parameter [319:0] INITVAL_1C = 320'd0,
  parameter [319:0] INITVAL_1D = 320'd0,
  parameter [319:0] INITVAL_1E = 320'd0,
  parameter [319:0] INITVAL_1F = 320'd0,
  parameter [319:0] INITVAL_20 = 320'd0,
  parameter [319:0] INITVAL_21 = 320'd0,
  parameter [319:0] INITVAL_22 = 320'd0,
  parameter [319:0] INITVAL_23 = 320'd0,
  parameter [319:0] INITVAL_24 = 320'd0,
  parameter [319:0] INITVAL_25 = 320'd0,
  parameter [319:0] INITVAL_26 = 320'd0,
  parameter [319:0] INITVAL_27 = 320'd0,
  parameter [319:0] INITVAL_28 = 320'd0,
  parameter [319:0] INITVAL_29 = 320'd0,
  parameter [319:0] INITVAL_2A = 320'd0,
  parameter [319:0] INITVAL_2B = 320'd0,
  parameter [319:0] INITVAL_2C = 320'd0,
  parameter [319:0] INITVAL_2D = 320'd0,
  parameter [319:0] INITVAL_2E = 320'd0,
  parameter [319:0] INITVAL_2F = 320'd0,
  parameter [319:0] INITVAL_30 = 320'd0,
  parameter [319:0] INITVAL_31 = 320'd0,
  parameter [319:0] INITVAL_32 = 320'd0,
  parameter [319:0] INITVAL_33 = 320'd0,
  parameter [319:0] INITVAL_34 = 320'd0,
  parameter [319:0] INITVAL_35 = 320'd0,
  parameter [319:0] INITVAL_36 = 320'd0,
  parameter [319:0] INITVAL_37 = 320'd0,
  parameter [319:0] INITVAL_38 = 320'd0,
  parameter [319:0] INITVAL_39 = 320'd0,
  parameter [319:0] INITVAL_3A = 320'd0,
  parameter [319:0] INITVAL_3B = 320'd0,
  parameter [319:0] INITVAL_3C = 320'd0,
  parameter [319:0] INITVAL_3D = 320'd0,
  parameter [319:0] INITVAL_3E = 320'd0,
  parameter [319:0] INITVAL_3F = 320'd0
) (
  input  DIA0,
  input  DIA1,
  input  DIA2,
  input  DIA3,
  input  DIA4,
  input  DIA5,
  input  DIA6,
  input  DIA7,
  input  DIA8,
  input  DIA9,
  input  DIA10,
  input  DIA11,
  input  DIA12,
  input  DIA13,
  input  DIA14,
  input  DIA15,
  input  DIA16,
  input  DIA17,
  input  ADA0,
  input  ADA1,
  input  ADA2,
  input  ADA3,
  input  ADA4,
  input  ADA5,
  input  ADA6,
  input  ADA7,
  input  ADA8,
  input  ADA9,
  input  ADA10,
  input  ADA11,
  input  ADA12,
  input  ADA13,
  input  CEA,
  input  OCEA,
  input  CLKA,
  input  WEA,
  input  CSA2,
  input  CSA1,
  input  CSA0,
  input  RSTA,
  output DOA0,
  output DOA1,
  output DOA2,
  output DOA3,
  output DOA4,
  output DOA5,
  output DOA6,
  output DOA7,
  output DOA8,
  output DOA9,
  output DOA10,
  output DOA11,
  output DOA12,
  output DOA13,
  output DOA14,
  output DOA15,
  output DOA16,
  output DOA17,
  input  DIB0,
  input  DIB1,
  input  DIB2,
  input  DIB3,
  input  DIB4,
  input  DIB5,
  input  DIB6,
  input  DIB7,
  input  DIB8,
  input  DIB9,
  input  DIB10,
  input  DIB11,
  input  DIB12,
  input  DIB13,
  input  DIB14,
  input  DIB15,
  input  DIB16,
  input  DIB17,
  input  ADB0,
  input  ADB1,
  input  ADB2,
  input  ADB3,
  input  ADB4,
  input  ADB5,
  input  ADB6,
  input  ADB7,
  input  ADB8,
  input  ADB9,
  input  ADB10,
  input  ADB11,
  input  ADB12,
  input  ADB13,
  input  CEB,
  input  OCEB,
  input  CLKB,
  input  WEB,
  input  CSB2,
  input  CSB1,
  input  CSB0,
  input  RSTB,
  output DOB0,
  output DOB1,
  output DOB2,
  output DOB3,
  output DOB4,
  output DOB5,
  output DOB6,
  output DOB7,
  output DOB8,
  output DOB9,
  output DOB10,
  output DOB11,
  output DOB12,
  output DOB13,
  output DOB14,
  output DOB15,
  output DOB16,
  output DOB17
);
  reg [17:0] words[0:1023];
  integer n;
  initial begin
    if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG") $fatal(1, "this model has no output registers");
    for (n = 0; n < 16; n = n + 1) words[0 + n] = INITVAL_00[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[16 + n] = INITVAL_01[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[32 + n] = INITVAL_02[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[48 + n] = INITVAL_03[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[64 + n] = INITVAL_04[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[80 + n] = INITVAL_05[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[96 + n] = INITVAL_06[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[112 + n] = INITVAL_07[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[128 + n] = INITVAL_08[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[144 + n] = INITVAL_09[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[160 + n] = INITVAL_0A[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[176 + n] = INITVAL_0B[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[192 + n] = INITVAL_0C[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[208 + n] = INITVAL_0D[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[224 + n] = INITVAL_0E[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[240 + n] = INITVAL_0F[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[256 + n] = INITVAL_10[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[272 + n] = INITVAL_11[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[288 + n] = INITVAL_12[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[304 + n] = INITVAL_13[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[320 + n] = INITVAL_14[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[336 + n] = INITVAL_15[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[352 + n] = INITVAL_16[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[368 + n] = INITVAL_17[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[384 + n] = INITVAL_18[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[400 + n] = INITVAL_19[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[416 + n] = INITVAL_1A[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[432 + n] = INITVAL_1B[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[448 + n] = INITVAL_1C[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[464 + n] = INITVAL_1D[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[480 + n] = INITVAL_1E[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[496 + n] = INITVAL_1F[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[512 + n] = INITVAL_20[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[528 + n] = INITVAL_21[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[544 + n] = INITVAL_22[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[560 + n] = INITVAL_23[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[576 + n] = INITVAL_24[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[592 + n] = INITVAL_25[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[608 + n] = INITVAL_26[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[624 + n] = INITVAL_27[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[640 + n] = INITVAL_28[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[656 + n] = INITVAL_29[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[672 + n] = INITVAL_2A[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[688 + n] = INITVAL_2B[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[704 + n] = INITVAL_2C[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[720 + n] = INITVAL_2D[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[736 + n] = INITVAL_2E[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[752 + n] = INITVAL_2F[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[768 + n] = INITVAL_30[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[784 + n] = INITVAL_31[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[800 + n] = INITVAL_32[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[816 + n] = INITVAL_33[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[832 + n] = INITVAL_34[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[848 + n] = INITVAL_35[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[864 + n] = INITVAL_36[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[880 + n] = INITVAL_37[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[896 + n] = INITVAL_38[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[912 + n] = INITVAL_39[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[928 + n] = INITVAL_3A[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[944 + n] = INITVAL_3B[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[960 + n] = INITVAL_3C[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[976 + n] = INITVAL_3D[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[992 + n] = INITVAL_3E[20*n+:18];
    for (n = 0; n < 16; n = n + 1) words[1008 + n] = INITVAL_3F[20*n+:18];
  end

  /// A word's bits from which a port of some width reads, and to which it writes.
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
  reg [17:0] read_a, read_b;  // of 36 bits read through port B, the low and the high half
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = read_a;
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0} = read_b;

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
