// SPDX-License-Identifier: Apache-2.0

/// First-in first-out buffer of Depth beats; at depth 2 a skid buffer. Latency: one cycle when empty.
/// `ready_o`, `valid_o` and `data_o` are registers, so it cuts the combinational paths in both directions.
module bnn_fifo #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 2
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             valid_i,
  output logic             ready_o,
  input  logic [Width-1:0] data_i,
  output logic             valid_o,
  input  logic             ready_i,
  output logic [Width-1:0] data_o
);
  if (Width < 1 || Depth < 2) begin : gen_check
    $fatal(1, "Width %0d, Depth %0d: a FIFO holds at least 2 beats of at least 1 bit", Width, Depth);
  end

  localparam int unsigned Ring       = Depth - 1;  // the output register holds one more beat
  localparam int unsigned CountWidth = $clog2(Ring + 1);
  localparam int unsigned PtrWidth   = bnn_pkg::index_width(Ring);
  localparam logic [PtrWidth-1:0] Last = PtrWidth'(Ring - 1);

  logic [Width-1:0] ring[Ring];
  logic [CountWidth-1:0] count_d, count_q;
  logic [PtrWidth-1:0] write_q, read_q;
  logic load, ring_empty, write, read;

  assign load       = ready_i || !valid_o;  // the output register takes the next beat
  assign ring_empty = count_q == '0;
  assign write      = valid_i && ready_o && !(load && ring_empty);
  assign read       = load && !ring_empty;

  always_comb begin
    count_d = count_q;
    if (write && !read) count_d = count_q + 1'b1;
    if (read && !write) count_d = count_q - 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_o <= 1'b0;
      ready_o <= 1'b0;
      count_q <= '0;
      write_q <= '0;
      read_q  <= '0;
    end else begin
      if (load) valid_o <= !ring_empty || (valid_i && ready_o);
      ready_o <= count_d != CountWidth'(Ring);
      count_q <= count_d;
      if (write) write_q <= write_q == Last ? '0 : write_q + 1'b1;
      if (read) read_q <= read_q == Last ? '0 : read_q + 1'b1;
    end
    if (write) ring[write_q] <= data_i;
    if (load) data_o <= ring_empty ? data_i : ring[read_q];
  end

`ifndef SYNTHESIS
  HoldBeat :  // a beat not yet taken is neither withdrawn nor changed
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      valid_o && !ready_i |=> valid_o && $stable(data_o));
`endif
endmodule : bnn_fifo
