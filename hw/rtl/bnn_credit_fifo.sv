// SPDX-License-Identifier: Apache-2.0

/// Output FIFO of a pipeline that cannot stall. It reserves a slot for each result before the pipeline starts on it, so
/// backpressure never reaches the pipeline's registers. A launch is allowed while `room_o`; its result arrives Latency
/// cycles later and always finds room. The depth sustains one launch every Interval cycles.
module bnn_credit_fifo #(
  parameter  int unsigned Width    = 8,
  parameter  int unsigned Latency  = 1,  // cycles from a launch to its `valid_i`
  parameter  int unsigned Interval = 1,  // fewest cycles from one launch to the next
  localparam int unsigned Depth    = bnn_pkg::ceil_div(Latency + 2, Interval > 0 ? Interval : 1) + 1
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             launch_i,
  output logic             room_o,
  input  logic             valid_i,
  input  logic [Width-1:0] data_i,
  output logic             valid_o,
  input  logic             ready_i,
  output logic [Width-1:0] data_o
);
  if (Interval < 1) begin : gen_check
    $fatal(1, "Interval %0d: at least 1 cycle lies between launches", Interval);
  end

  localparam int unsigned CountWidth = $clog2(Depth + 1);

  logic [CountWidth-1:0] free_d, free_q;
  logic taken, ready;

  assign taken = valid_o && ready_i;

  always_comb begin
    free_d = free_q;
    if (launch_i && !taken) free_d = free_q - 1'b1;
    if (taken && !launch_i) free_d = free_q + 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      free_q <= CountWidth'(Depth);
      room_o <= 1'b0;
    end else begin
      free_q <= free_d;
      room_o <= free_d != '0;
    end
  end

  bnn_fifo #(
    .Width(Width),
    .Depth(Depth)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .valid_i,
    .ready_o(ready),
    .data_i,
    .valid_o,
    .ready_i,
    .data_o
  );

`ifndef SYNTHESIS
  AlwaysRoom :  // no result is ever lost
  assert property (@(posedge clk_i) disable iff (!rst_ni) valid_i |-> ready);
  OnlyWithRoom :
  assert property (@(posedge clk_i) disable iff (!rst_ni) launch_i |-> room_o);
`else
  logic unused_ready;
  assign unused_ready = ready;
`endif
endmodule : bnn_credit_fifo
