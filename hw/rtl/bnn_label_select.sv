// SPDX-License-Identifier: Apache-2.0

/// Index of the largest element of a pixel; the lowest index wins a tie. Takes one beat per cycle.
module bnn_label_select #(
  parameter int unsigned Elements = 10,
  parameter int unsigned Lanes    = 1,
  parameter int unsigned InWidth  = 8,
  parameter bit          Signed   = 1'b1,
  parameter int unsigned OutWidth = 4
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  input  logic                     valid_i,
  output logic                     ready_o,
  input  logic [Lanes*InWidth-1:0] data_i,
  output logic                     valid_o,
  input  logic                     ready_i,
  output logic [OutWidth-1:0]      data_o
);
  if (Lanes < 1 || Elements < 1 || Elements % Lanes != 0 || OutWidth < bnn_pkg::index_width(Elements))
  begin : gen_check
    $fatal(1, "Elements %0d, Lanes %0d, OutWidth %0d: Lanes divides Elements and OutWidth holds an index",
           Elements, Lanes, OutWidth);
  end

  localparam int unsigned Beats       = Elements / Lanes;
  localparam int unsigned BeatWidth   = bnn_pkg::index_width(Beats);
  localparam int unsigned TreeLatency = $clog2(Lanes);

  // Launch: the first beat of a pixel waits until there is room for the result.
  logic [BeatWidth-1:0] beat_q;
  logic [OutWidth-1:0] base_q;  // index of lane 0
  logic [Lanes-1:0][OutWidth-1:0] index;
  logic room, launch, first, last;
  logic tree_valid, tree_first, tree_last;

  assign first   = beat_q == '0;
  assign last    = beat_q == BeatWidth'(Beats - 1);
  assign ready_o = room || !first;
  assign launch  = valid_i && ready_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      beat_q <= '0;
      base_q <= '0;
    end else if (launch) begin
      beat_q <= last ? '0 : beat_q + 1'b1;
      base_q <= last ? '0 : base_q + OutWidth'(Lanes);
    end
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_index
    assign index[l] = base_q + OutWidth'(l);
  end

  bnn_delay #(
    .Width (3),
    .Stages(TreeLatency)
  ) u_marks (
    .clk_i,
    .rst_ni,
    .data_i({launch, first, last}),
    .data_o({tree_valid, tree_first, tree_last})
  );

  // The largest element of the beat, then of the pixel so far.
  logic [InWidth-1:0] value, best_q;
  logic [OutWidth-1:0] label, label_q;
  logic higher, done_q;

  bnn_argmax #(
    .Lanes     (Lanes),
    .Width     (InWidth),
    .Signed    (Signed),
    .IndexWidth(OutWidth)
  ) u_argmax (
    .clk_i,
    .value_i(data_i),
    .index_i(index),
    .value_o(value),
    .index_o(label)
  );

  if (Signed) begin : gen_signed
    assign higher = $signed(value) > $signed(best_q);
  end else begin : gen_unsigned
    assign higher = value > best_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) done_q <= 1'b0;
    else done_q <= tree_valid && tree_last;
    if (tree_valid && (tree_first || higher)) begin
      best_q  <= value;
      label_q <= label;
    end
  end

  bnn_credit_fifo #(
    .Width   (OutWidth),
    .Latency (TreeLatency + 1),
    .Interval(Beats)
  ) u_out (
    .clk_i,
    .rst_ni,
    .launch_i(launch && first),
    .room_o  (room),
    .valid_i (done_q),
    .data_i  (label_q),
    .valid_o,
    .ready_i,
    .data_o
  );
endmodule : bnn_label_select
