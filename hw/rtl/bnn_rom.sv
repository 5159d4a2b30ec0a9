// SPDX-License-Identifier: Apache-2.0

/// ROM with the words of a hexadecimal file, one per line, element 0 in the least significant bits.
/// Latency 0 is combinational (LUTs; constants at depth 1), 1 is registered, 2 is block RAM with its output register. There,
/// the upper bits of a word may lie in LUTs, with a file of their own.
/// Latency 3 is block RAM in banks of BankDepth words, a power of two: word n of the file holds the words n, n + BankDepth...
/// of all banks, one of which is chosen after the output registers.
module bnn_rom #(
  parameter  int unsigned Width      = 8,
  parameter  int unsigned Depth      = 2,
  parameter  int unsigned Latency    = 0,
  parameter               File       = "",  // untyped, which every tool accepts in $readmemh
  parameter  int unsigned BlockWidth = Width,  // bits in block RAM
  parameter  int unsigned BankDepth  = Depth,  // words of a bank, at latency 3
  parameter               LutFile    = "",
  localparam int unsigned AddrWidth  = bnn_pkg::index_width(Depth)
) (
  input  logic                 clk_i,
  input  logic [AddrWidth-1:0] addr_i,
  output logic [Width-1:0]     data_o
);
  if (Latency > 3) begin : gen_check
    $fatal(1, "Latency %0d: a ROM has 0 (logic), 1 (registered), 2 (block RAM) or 3 (banks)", Latency);
  end
  if (Latency == 3 && (BankDepth >= Depth || 2 ** $clog2(BankDepth) != BankDepth)) begin : gen_check_banks
    $fatal(1, "BankDepth %0d, Depth %0d: a power of two below the depth", BankDepth, Depth);
  end

  if (BlockWidth < 1 || BlockWidth > Width || BlockWidth < Width && LutFile == "") begin : gen_check_block
    $fatal(1, "BlockWidth %0d, Width %0d: bits of a word in block RAM, and a file for the others", BlockWidth, Width);
  end

  if (Latency >= 2) begin : gen_block
    localparam int unsigned Banks    = Latency == 3 ? bnn_pkg::ceil_div(Depth, BankDepth) : 1;
    localparam int unsigned Rows     = Latency == 3 ? BankDepth : Depth;
    localparam int unsigned RowWidth = bnn_pkg::index_width(Rows);
    (* rom_style = "block" *) logic [Banks*BlockWidth-1:0] words[Rows];
    logic [Banks-1:0][BlockWidth-1:0] word_q, out_q;
    initial $readmemh(File, words);
    always_ff @(posedge clk_i) begin
      word_q <= words[addr_i[RowWidth-1:0]];
      out_q  <= word_q;
    end
    if (Banks > 1) begin : gen_choose
      logic [AddrWidth-RowWidth-1:0] bank;
      bnn_delay #(
        .Width (AddrWidth - RowWidth),
        .Stages(2),
        .Reset (1'b0)
      ) u_bank (
        .clk_i,
        .rst_ni(1'b1),
        .data_i(addr_i[AddrWidth-1:RowWidth]),
        .data_o(bank)
      );
      always_ff @(posedge clk_i) data_o[BlockWidth-1:0] <= out_q[bank];
    end else begin : gen_whole
      assign data_o[BlockWidth-1:0] = out_q;
    end
    if (BlockWidth < Width) begin : gen_rest
      logic [AddrWidth-1:0] addr;
      bnn_delay #(
        .Width (AddrWidth),
        .Stages(Latency - 1),
        .Reset (1'b0)
      ) u_addr (
        .clk_i,
        .rst_ni(1'b1),
        .data_i(addr_i),
        .data_o(addr)
      );
      bnn_lut_rom #(
        .Width(Width - BlockWidth),
        .Depth(Depth),
        .File (LutFile)
      ) u_rest (
        .clk_i,
        .addr_i(addr),
        .data_o(data_o[Width-1:BlockWidth])
      );
    end
  end else if (Latency == 1 && Depth > 32) begin : gen_lut
    bnn_lut_rom #(
      .Width(Width),
      .Depth(Depth),
      .File (File)
    ) u_rom (
      .clk_i,
      .addr_i,
      .data_o
    );
  end else begin : gen_logic
    logic [Width-1:0] words[Depth];
    initial $readmemh(File, words);
    if (Latency == 1) begin : gen_register
      always_ff @(posedge clk_i) data_o <= words[addr_i];
    end else begin : gen_wire
      assign data_o = words[addr_i];
      logic unused;
      assign unused = clk_i;
    end
  end
endmodule : bnn_rom
