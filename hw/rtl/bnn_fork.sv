// SPDX-License-Identifier: Apache-2.0

/// Copies each beat to Outputs readers, each with its own handshake, from one register: the next beat enters once every
/// reader has taken this one or takes it in this cycle, so `ready_o` is combinational in `ready_i`. Latency: one cycle.
/// A `bnn_fifo` after it decouples a reader.
module bnn_fork #(
  parameter int unsigned Width   = 8,
  parameter int unsigned Outputs = 2
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  input  logic                          valid_i,
  output logic                          ready_o,
  input  logic [Width-1:0]              data_i,
  output logic [Outputs-1:0]            valid_o,
  input  logic [Outputs-1:0]            ready_i,
  output logic [Outputs-1:0][Width-1:0] data_o
);
  if (Width < 1 || Outputs < 1) begin : gen_check
    $fatal(1, "Width %0d, Outputs %0d: each is at least 1", Width, Outputs);
  end

  logic [Outputs-1:0] free;
  logic [Width-1:0] data_q;
  logic take;

  assign free    = ready_i | ~valid_o;
  assign ready_o = &free;
  assign take    = valid_i && ready_o;
  assign data_o  = {Outputs{data_q}};

  always_ff @(posedge clk_i) if (take) data_q <= data_i;

  for (genvar o = 0; o < Outputs; o++) begin : gen_output
    always_ff @(posedge clk_i) begin
      if (!rst_ni) valid_o[o] <= 1'b0;
      else if (free[o]) valid_o[o] <= take;
    end

`ifndef SYNTHESIS
    HoldBeat :  // a beat not yet taken is neither withdrawn nor changed
    assert property (@(posedge clk_i) disable iff (!rst_ni)
        valid_o[o] && !ready_i[o] |=> valid_o[o] && $stable(data_o[o]));
`endif
  end
endmodule : bnn_fork
