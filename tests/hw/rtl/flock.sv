// SPDX-License-Identifier: Apache-2.0

/// Offers the beats of a file, with random gaps where the plusarg +stall is given.
module flock_source #(
  parameter int unsigned Width = 8,
  parameter int unsigned Beats = 1,
  parameter              File  = "",
  parameter int unsigned Seed  = 1
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  output logic             valid_o,
  input  logic             ready_i,
  output logic [Width-1:0] data_o
);
  logic [Width-1:0] beats[Beats];
  int unsigned next_q;
  logic [31:0] random_q;
  logic stall;
  initial begin
    $readmemh(File, beats);
    stall = $test$plusargs("stall") != 0;
  end

  always_ff @(posedge clk_i) begin
    random_q <= {random_q[30:0], random_q[31] ^ random_q[21] ^ random_q[1] ^ random_q[0]};
    if (!rst_ni) begin
      next_q   <= 0;
      valid_o  <= 1'b0;
      random_q <= Seed;
    end else if (!valid_o || ready_i) begin
      valid_o <= next_q < Beats && !(stall && random_q[3:0] > 4'd5);
      if (next_q < Beats && !(stall && random_q[3:0] > 4'd5)) begin
        data_o <= beats[next_q];
        next_q <= next_q + 1;
      end
    end
  end
endmodule

/// Is ready, at random where the plusarg +stall is given.
module flock_sink #(
  parameter int unsigned Seed = 1
) (
  input  logic clk_i,
  input  logic rst_ni,
  output logic ready_o
);
  logic [31:0] random_q;
  logic stall;
  initial stall = $test$plusargs("stall") != 0;

  always_ff @(posedge clk_i) begin
    random_q <= !rst_ni ? Seed : {random_q[30:0], random_q[31] ^ random_q[21] ^ random_q[1] ^ random_q[0]};
    ready_o  <= rst_ni && !(stall && random_q[3:0] > 4'd6);
  end
endmodule

/// Compares a stream's beats with those of a file; notes the cycle of the last beat of each of the last two frames, and
/// adds up all beats' cycles, each times the number of its beat. Cycles count from the host's start; earlier ones are 0.
module flock_check #(
  parameter int unsigned Width = 8,
  parameter int unsigned Frame = 1,  // beats
  parameter int unsigned Beats = 1,  // of all frames
  parameter              File  = ""
) (
  input logic             clk_i,
  input logic             rst_ni,
  input logic             start_i,
  input logic             valid_i,
  input logic             ready_i,
  input logic [Width-1:0] data_i
);
  logic [Width-1:0] beats[Beats];
  int unsigned seen_q;
  int wrong_q;  // the first beat that differs
  int unsigned cycle_q, end_q, before_q;
  longint unsigned times_q;
  initial $readmemh(File, beats);

  always_ff @(posedge clk_i) begin
    cycle_q <= start_i ? cycle_q + 1 : 0;
    if (!rst_ni) begin
      seen_q   <= 0;
      wrong_q  <= -1;
      times_q  <= 0;
      end_q    <= 0;
      before_q <= 0;
    end else if (valid_i && ready_i) begin
      seen_q <= seen_q + 1;
      if (seen_q < Beats) times_q <= times_q + 64'(cycle_q) * 64'(seen_q + 1);
      if (seen_q < Beats && data_i != beats[seen_q] && wrong_q < 0) wrong_q <= int'(seen_q);
      if ((seen_q + 1) % Frame == 0 && seen_q < Beats) begin
        before_q <= end_q;
        end_q    <= cycle_q;
      end
    end
  end
endmodule

/// Whether one accelerator has nothing left to show: all its beats came out, or none of its streams moved for long.
module flock_end #(
  parameter int unsigned Streams = 1,
  parameter int unsigned Quiet   = 1  // cycles in which some stream moves unless there is a deadlock
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic [Streams-1:0] moved_i,
  input  logic               done_i,
  output logic               over_o
);
  int unsigned quiet_q;
  assign over_o = done_i || quiet_q >= Quiet * ($test$plusargs("stall") != 0 ? 6 : 1);

  always_ff @(posedge clk_i) quiet_q <= !rst_ni || moved_i != '0 ? 0 : quiet_q + 1;
endmodule
