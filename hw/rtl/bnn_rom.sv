// SPDX-License-Identifier: Apache-2.0

/// ROM with the words of a hexadecimal file, one per line, element 0 in the least significant bits.
/// Latency 0 is combinational (LUTs; constants at depth 1), 1 is registered, 2 is block RAM with its output register.
module bnn_rom #(
  parameter  int unsigned Width     = 8,
  parameter  int unsigned Depth     = 2,
  parameter  int unsigned Latency   = 0,
  parameter               File      = "",  // untyped, which every tool accepts in $readmemh
  localparam int unsigned AddrWidth = bnn_pkg::index_width(Depth)
) (
  input  logic                 clk_i,
  input  logic [AddrWidth-1:0] addr_i,
  output logic [Width-1:0]     data_o
);
  if (Latency > 2) begin : gen_check
    $fatal(1, "Latency %0d: a ROM has 0 (logic), 1 (registered) or 2 (block RAM)", Latency);
  end

  if (Latency == 2) begin : gen_block
    (* rom_style = "block" *) logic [Width-1:0] words[Depth];
    logic [Width-1:0] word_q;
    initial $readmemh(File, words);
    always_ff @(posedge clk_i) begin
      word_q <= words[addr_i];
      data_o <= word_q;
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
