// SPDX-License-Identifier: Apache-2.0

// Models of a GW2A's block SRAMs as Yosys uses them (UG285): 2048 bytes of 8 or 9 bits, ports of 1, 2, 4, 8, 16 or 32
// bits or of 9, 18 or 36 bits, without output registers. Yosys' own models of these cells are empty.

`define I(n) parameter [287:0] INIT_RAM_``n = 288'd0,
`define INIT_PARAMETERS \
  `I(00) `I(01) `I(02) `I(03) `I(04) `I(05) `I(06) `I(07) `I(08) `I(09) `I(0A) `I(0B) `I(0C) `I(0D) `I(0E) `I(0F) \
  `I(10) `I(11) `I(12) `I(13) `I(14) `I(15) `I(16) `I(17) `I(18) `I(19) `I(1A) `I(1B) `I(1C) `I(1D) `I(1E) `I(1F) \
  `I(20) `I(21) `I(22) `I(23) `I(24) `I(25) `I(26) `I(27) `I(28) `I(29) `I(2A) `I(2B) `I(2C) `I(2D) `I(2E) `I(2F) \
  `I(30) `I(31) `I(32) `I(33) `I(34) `I(35) `I(36) `I(37) `I(38) `I(39) `I(3A) `I(3B) `I(3C) `I(3D) `I(3E) `I(3F)
`define INIT_ROWS { \
  INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, INIT_RAM_38, \
  INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30, \
  INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, \
  INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, \
  INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, \
  INIT_RAM_17, INIT_RAM_16, INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, \
  INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08, \
  INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00 }

/// A port is active while `on`, and writes while `write`. Narrow words lie within a byte, wide words are aligned.
module gowin_bsram #(
  parameter integer Unit = 8,
  parameter [64*288-1:0] Init = 0,
  parameter integer WidthA = 32,
  parameter integer WidthB = 32,
  parameter [1:0] WriteModeA = 2'b00,  // output during a write: 0 holds, 1 shows the new data, 2 the old
  parameter [1:0] WriteModeB = 2'b00,
  parameter Registers = 1'b0,
  parameter ResetMode = "SYNC"
) (
  input  wire              clk_a,
  input  wire              on_a,
  input  wire              write_a,
  input  wire              reset_a,
  input  wire [      13:0] address_a,
  input  wire [4*Unit-1:0] data_a,
  output reg  [4*Unit-1:0] read_a,
  input  wire              clk_b,
  input  wire              on_b,
  input  wire              write_b,
  input  wire              reset_b,
  input  wire [      13:0] address_b,
  input  wire [4*Unit-1:0] data_b,
  output reg  [4*Unit-1:0] read_b
);
  reg [Unit-1:0] bytes[0:2047];
  integer n;
  initial begin
    if (Registers) $fatal(1, "this model has no output registers");
    for (n = 0; n < 2048; n = n + 1) bytes[n] = Init[288*(n/32)+Unit*(n%32)+:Unit];
    read_a = 0;
    read_b = 0;
  end

  /// The lowest byte of a port's word.
  function automatic [10:0] first(input [13:0] address, input integer width);
    case (width / Unit)
      2: first = {address[13:4], 1'b0};
      4: first = {address[13:5], 2'b00};
      default: first = address[13:3];
    endcase
  endfunction

  /// The lowest bit of a port's word in its byte.
  function automatic [2:0] bit_of(input [13:0] address, input integer width);
    case (width)
      1: bit_of = address[2:0];
      2: bit_of = {address[2:1], 1'b0};
      4: bit_of = {address[2], 2'b00};
      default: bit_of = 3'd0;
    endcase
  endfunction

  /// A port's word.
  function automatic [4*Unit-1:0] word(input [13:0] address, input integer width);
    for (integer k = 0; k < 4; k = k + 1) word[Unit*k+:Unit] = bytes[first(address, width)+11'(k)];
    word = word >> bit_of(address, width);
  endfunction

  /// The bits of a byte that a port writes: the byte is the k-th of its word.
  function automatic [Unit-1:0] mask(input [13:0] address, input integer width, input [1:0] k);
    if (width < Unit) mask = Unit'((1 << width) - 1) << bit_of(address, width);
    else mask = {Unit{width == Unit || address[k]}};  // the lowest bits of the address enable bytes
  endfunction

  always @(posedge clk_a) begin
    if (reset_a && ResetMode != "SYNC") $fatal(1, "this model has no asynchronous reset");
    if (on_a && write_a) begin
      for (n = 0; n < (WidthA < Unit ? 1 : WidthA / Unit); n = n + 1) begin
        bytes[first(address_a, WidthA)+11'(n)] <=
            (bytes[first(address_a, WidthA)+11'(n)] & ~mask(address_a, WidthA, 2'(n))) |
            (Unit'(data_a[Unit*n+:Unit] << bit_of(address_a, WidthA)) & mask(address_a, WidthA, 2'(n)));
      end
    end
    if (reset_a) read_a <= 0;
    else if (on_a && write_a && WriteModeA == 2'b01) read_a <= data_a;
    else if (on_a && (!write_a || WriteModeA == 2'b10)) read_a <= word(address_a, WidthA);
  end

  always @(posedge clk_b) begin
    if (reset_b && ResetMode != "SYNC") $fatal(1, "this model has no asynchronous reset");
    if (on_b && write_b) begin
      for (n = 0; n < (WidthB < Unit ? 1 : WidthB / Unit); n = n + 1) begin
        bytes[first(address_b, WidthB)+11'(n)] <=
            (bytes[first(address_b, WidthB)+11'(n)] & ~mask(address_b, WidthB, 2'(n))) |
            (Unit'(data_b[Unit*n+:Unit] << bit_of(address_b, WidthB)) & mask(address_b, WidthB, 2'(n)));
      end
    end
    if (reset_b) read_b <= 0;
    else if (on_b && write_b && WriteModeB == 2'b01) read_b <= data_b;
    else if (on_b && (!write_b || WriteModeB == 2'b10)) read_b <= word(address_b, WidthB);
  end
endmodule

// Single-port memories.
`define SINGLE(NAME, UNIT, WIDTH) \
module NAME #( \
  `INIT_PARAMETERS \
  parameter BIT_WIDTH = WIDTH, \
  parameter [2:0] BLK_SEL = 3'd0, \
  parameter READ_MODE = 1'b0, \
  parameter [1:0] WRITE_MODE = 2'b00, \
  parameter RESET_MODE = "SYNC" \
) ( \
  input  wire CLK, CE, OCE, RESET, WRE, \
  input  wire [2:0] BLKSEL, \
  input  wire [13:0] AD, \
  input  wire [WIDTH-1:0] DI, \
  output wire [WIDTH-1:0] DO \
); \
  gowin_bsram #( \
    .Unit(UNIT), .Init(`INIT_ROWS), .WidthA(BIT_WIDTH), .WriteModeA(WRITE_MODE), .Registers(READ_MODE), \
    .ResetMode(RESET_MODE) \
  ) u_memory ( \
    .clk_a(CLK), .on_a(CE && BLKSEL == BLK_SEL), .write_a(WRE), .reset_a(RESET), .address_a(AD), .data_a(DI), .read_a(DO), \
    .clk_b(1'b0), .on_b(1'b0), .write_b(1'b0), .reset_b(1'b0), .address_b(14'd0), .data_b({WIDTH{1'b0}}), .read_b() \
  ); \
endmodule
`SINGLE(SP, 8, 32)
`SINGLE(SPX9, 9, 36)

// Dual-port memories.
`define DUAL(NAME, UNIT, WIDTH) \
module NAME #( \
  `INIT_PARAMETERS \
  parameter BIT_WIDTH_0 = WIDTH, \
  parameter BIT_WIDTH_1 = WIDTH, \
  parameter [2:0] BLK_SEL_0 = 3'd0, \
  parameter [2:0] BLK_SEL_1 = 3'd0, \
  parameter READ_MODE0 = 1'b0, \
  parameter READ_MODE1 = 1'b0, \
  parameter [1:0] WRITE_MODE0 = 2'b00, \
  parameter [1:0] WRITE_MODE1 = 2'b00, \
  parameter RESET_MODE = "SYNC" \
) ( \
  input  wire CLKA, CEA, CLKB, CEB, OCEA, OCEB, RESETA, RESETB, WREA, WREB, \
  input  wire [2:0] BLKSELA, BLKSELB, \
  input  wire [13:0] ADA, ADB, \
  input  wire [WIDTH-1:0] DIA, DIB, \
  output wire [WIDTH-1:0] DOA, DOB \
); \
  wire [WIDTH-1:0] high_a, high_b; \
  gowin_bsram #( \
    .Unit(UNIT), .Init(`INIT_ROWS), .WidthA(BIT_WIDTH_0), .WidthB(BIT_WIDTH_1), .WriteModeA(WRITE_MODE0), \
    .WriteModeB(WRITE_MODE1), .Registers(READ_MODE0 || READ_MODE1), .ResetMode(RESET_MODE) \
  ) u_memory ( \
    .clk_a(CLKA), .on_a(CEA && BLKSELA == BLK_SEL_0), .write_a(WREA), .reset_a(RESETA), .address_a(ADA), \
    .data_a({{WIDTH{1'b0}}, DIA}), .read_a({high_a, DOA}), \
    .clk_b(CLKB), .on_b(CEB && BLKSELB == BLK_SEL_1), .write_b(WREB), .reset_b(RESETB), .address_b(ADB), \
    .data_b({{WIDTH{1'b0}}, DIB}), .read_b({high_b, DOB}) \
  ); \
endmodule
`DUAL(DPB, 8, 16)
`DUAL(DPX9B, 9, 18)

// Memories with a write port and a read port.
`define SIMPLE_DUAL(NAME, UNIT, WIDTH) \
module NAME #( \
  `INIT_PARAMETERS \
  parameter BIT_WIDTH_0 = WIDTH, \
  parameter BIT_WIDTH_1 = WIDTH, \
  parameter [2:0] BLK_SEL_0 = 3'd0, \
  parameter [2:0] BLK_SEL_1 = 3'd0, \
  parameter READ_MODE = 1'b0, \
  parameter RESET_MODE = "SYNC" \
) ( \
  input  wire CLKA, CEA, CLKB, CEB, OCE, RESETA, RESETB, \
  input  wire [2:0] BLKSELA, BLKSELB, \
  input  wire [13:0] ADA, ADB, \
  input  wire [WIDTH-1:0] DI, \
  output wire [WIDTH-1:0] DO \
); \
  gowin_bsram #( \
    .Unit(UNIT), .Init(`INIT_ROWS), .WidthA(BIT_WIDTH_0), .WidthB(BIT_WIDTH_1), .Registers(READ_MODE), \
    .ResetMode(RESET_MODE) \
  ) u_memory ( \
    .clk_a(CLKA), .on_a(CEA && BLKSELA == BLK_SEL_0), .write_a(1'b1), .reset_a(1'b0), .address_a(ADA), .data_a(DI), \
    .read_a(), \
    .clk_b(CLKB), .on_b(CEB && BLKSELB == BLK_SEL_1), .write_b(1'b0), .reset_b(RESETB), .address_b(ADB), \
    .data_b({WIDTH{1'b0}}), .read_b(DO) \
  ); \
endmodule
`SIMPLE_DUAL(SDPB, 8, 32)
`SIMPLE_DUAL(SDPX9B, 9, 36)
