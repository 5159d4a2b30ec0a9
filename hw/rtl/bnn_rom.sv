// SPDX-License-Identifier: Apache-2.0

/// ROM with the words of a hexadecimal file, one per line, element 0 in the least significant bits.
/// Latency 0 is combinational (LUTs; constants at depth 1), 1 is registered, 2 is block RAM with its output register. There,
/// the upper bits of a word may lie in LUTs, with a file of their own.
/// Block RAM may be in banks of BankDepth words, a power of two: word n of the file holds the words n, n + BankDepth... of
/// all banks. One is chosen after the output registers, or one bank has a register more; latency: bnn_pkg::block_latency.
module bnn_rom #(
  parameter  int unsigned Width      = 8,
  parameter  int unsigned Depth      = 2,
  parameter  int unsigned Latency    = 0,
  parameter               File       = "",  // untyped, which every tool accepts in $readmemh
  parameter  int unsigned BlockWidth = Width,  // bits in block RAM
  parameter  int unsigned BankDepth  = Depth,  // words of a bank, at latency 2
  parameter               LutFile    = "",
  parameter  bit          Registered = 1'b0,  // one register more behind a single bank
  localparam int unsigned AddrWidth  = bnn_pkg::index_width(Depth)
) (
  input  logic                 clk_i,
  input  logic [AddrWidth-1:0] addr_i,
  output logic [Width-1:0]     data_o
);
  if (Latency > 2) begin : gen_check
    $fatal(1, "Latency %0d: a ROM has 0 (logic), 1 (registered) or 2 (block RAM)", Latency);
  end
  if (BankDepth < Depth ? Latency < 2 || 2 ** $clog2(BankDepth) != BankDepth : BankDepth > Depth) begin : gen_check_banks
    $fatal(1, "BankDepth %0d, Depth %0d, Latency %0d: the depth, or a power of two below it at latency 2",
           BankDepth, Depth, Latency);
  end

  if (BlockWidth < 1 || BlockWidth > Width || BlockWidth < Width && LutFile == "") begin : gen_check_block
    $fatal(1, "BlockWidth %0d, Width %0d: bits of a word in block RAM, and a file for the others", BlockWidth, Width);
  end

  if (Latency == 2) begin : gen_block
    localparam int unsigned Banks    = bnn_pkg::ceil_div(Depth, BankDepth);
    localparam int unsigned RowWidth = bnn_pkg::index_width(BankDepth);
    (* rom_style = "block" *) logic [Banks*BlockWidth-1:0] words[BankDepth];
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
      bnn_choice #(
        .Width(BlockWidth),
        .Words(Banks)
      ) u_choice (
        .clk_i,
        .index_i(bank),
        .data_i (out_q),
        .data_o (data_o[BlockWidth-1:0])
      );
    end else begin : gen_whole
      bnn_delay #(
        .Width (BlockWidth),
        .Stages(Registered ? 1 : 0),
        .Reset (1'b0)
      ) u_out (
        .clk_i,
        .rst_ni(1'b1),
        .data_i(out_q),
        .data_o(data_o[BlockWidth-1:0])
      );
    end
    if (BlockWidth < Width) begin : gen_rest
      logic [AddrWidth-1:0] addr;
      bnn_delay #(
        .Width (AddrWidth),
        .Stages(bnn_pkg::block_latency(Banks, Registered) - 1),
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
        .read_i(1'b1),
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
      .read_i(1'b1),
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
