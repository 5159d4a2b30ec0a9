// SPDX-License-Identifier: Apache-2.0

/// ROM with the words of a hexadecimal file, one per line, element 0 in the least significant bits.
/// Latency 0 is combinational (LUTs; constants at depth 1), 1 is registered, 2 is block RAM with its output register. There,
/// the upper bits of a word may lie in LUTs, with a file of their own.
module bnn_rom #(
  parameter  int unsigned Width      = 8,
  parameter  int unsigned Depth      = 2,
  parameter  int unsigned Latency    = 0,
  parameter               File       = "",  // untyped, which every tool accepts in $readmemh
  parameter  int unsigned BlockWidth = Width,  // bits in block RAM
  parameter               LutFile    = "",
  localparam int unsigned AddrWidth  = bnn_pkg::index_width(Depth)
) (
  input  logic                 clk_i,
  input  logic [AddrWidth-1:0] addr_i,
  output logic [Width-1:0]     data_o
);
  if (Latency > 2) begin : gen_check
    $fatal(1, "Latency %0d: a ROM has 0 (logic), 1 (registered) or 2 (block RAM)", Latency);
  end

  if (BlockWidth < 1 || BlockWidth > Width || BlockWidth < Width && LutFile == "") begin : gen_check_block
    $fatal(1, "BlockWidth %0d, Width %0d: bits of a word in block RAM, and a file for the others", BlockWidth, Width);
  end

  if (Latency == 2) begin : gen_block
    (* rom_style = "block" *) logic [BlockWidth-1:0] words[Depth];
    logic [BlockWidth-1:0] word_q;
    initial $readmemh(File, words);
    always_ff @(posedge clk_i) begin
      word_q <= words[addr_i];
      data_o[BlockWidth-1:0] <= word_q;
    end
    if (BlockWidth < Width) begin : gen_rest
      logic [AddrWidth-1:0] addr_q;
      always_ff @(posedge clk_i) addr_q <= addr_i;
      bnn_lut_rom #(
        .Width(Width - BlockWidth),
        .Depth(Depth),
        .File (LutFile)
      ) u_rest (
        .clk_i,
        .addr_i(addr_q),
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
