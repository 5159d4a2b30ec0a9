// SPDX-License-Identifier: Apache-2.0

/// Memory with a port that writes and one that reads into a stream: `fetch_i` reads the word at `read_addr_i`, at most while
/// `load_o`. Small memories stay in LUTs on any part, with one register. Others are block RAM: at latency 2, it has an
/// output register too, for without it its outputs come late. Both registers fill up while the stream waits. What is read
/// must not be written in the same cycle; the attributes tell this to Yosys and to Vivado.
module bnn_ram #(
  parameter  int unsigned Width     = 8,
  parameter  int unsigned Depth     = 4,
  parameter  int unsigned Latency   = 1,  // 1 or 2 cycles
  localparam int unsigned AddrWidth = bnn_pkg::index_width(Depth)
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 write_i,
  input  logic [AddrWidth-1:0] write_addr_i,
  input  logic [Width-1:0]     data_i,
  output logic                 load_o,
  input  logic                 fetch_i,
  input  logic [AddrWidth-1:0] read_addr_i,
  output logic                 valid_o,
  input  logic                 ready_i,
  output logic [Width-1:0]     data_o
);
  if (Latency < 1 || Latency > 2) begin : gen_check
    $fatal(1, "Latency %0d: 1 or 2", Latency);
  end

  logic word_valid_q, word_ready;
  logic [Width-1:0] word_q;

  assign load_o = word_ready || !word_valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) word_valid_q <= 1'b0;
    else if (load_o) word_valid_q <= fetch_i;
  end

  if (bnn_pkg::ram_latency(Width, Depth) == 1) begin : gen_luts
    (* ram_style = "distributed", no_rw_check, rw_addr_collision = "no" *) logic [Width-1:0] words[Depth];
    always_ff @(posedge clk_i) begin
      if (write_i) words[write_addr_i] <= data_i;
      if (load_o) word_q <= words[read_addr_i];
    end
  end else begin : gen_any
    (* no_rw_check, rw_addr_collision = "no" *) logic [Width-1:0] words[Depth];
    always_ff @(posedge clk_i) begin
      if (write_i) words[write_addr_i] <= data_i;
      if (load_o) word_q <= words[read_addr_i];
    end
  end

  if (Latency == 2) begin : gen_register
    assign word_ready = ready_i || !valid_o;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) valid_o <= 1'b0;
      else if (word_ready) valid_o <= word_valid_q;
      if (word_ready) data_o <= word_q;
    end
  end else begin : gen_wire
    assign {word_ready, valid_o, data_o} = {ready_i, word_valid_q, word_q};
  end

`ifndef SYNTHESIS
  OnlyWithRoom :
  assert property (@(posedge clk_i) disable iff (!rst_ni) fetch_i |-> load_o);
  NoCollision :
  assert property (@(posedge clk_i) disable iff (!rst_ni) fetch_i && write_i |-> read_addr_i != write_addr_i);
  HoldBeat :
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      valid_o && !ready_i |=> valid_o && $stable(data_o));
`endif
endmodule : bnn_ram
