// SPDX-License-Identifier: Apache-2.0

/// Delays the input by Stages cycles; 0 is a wire. Control bits need Reset; data do not.
module bnn_delay #(
  parameter int unsigned Width  = 1,
  parameter int unsigned Stages = 1,
  parameter bit          Reset  = 1'b1
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic [Width-1:0] data_i,
  output logic [Width-1:0] data_o
);
  if (Stages == 0) begin : gen_wire
    assign data_o = data_i;
    logic unused;
    assign unused = &{clk_i, rst_ni};
  end else begin : gen_registers
    logic [Stages-1:0][Width-1:0] pipe_q;
    always_ff @(posedge clk_i) begin
      if (Reset && !rst_ni) pipe_q <= '0;
      else pipe_q <= (Stages * Width)'({pipe_q, data_i});
    end
    assign data_o = pipe_q[Stages-1];
  end
endmodule : bnn_delay
