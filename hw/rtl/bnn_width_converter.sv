// SPDX-License-Identifier: Apache-2.0

/// Joins Ratio narrow beats into a wide one (Up), or splits a wide beat into Ratio narrow ones; the first narrow beat
/// is the least significant. One narrow beat per cycle. The skid buffer is on the narrow side, where it is cheap.
module bnn_width_converter #(
  parameter  int unsigned Narrow   = 4,  // bits of a narrow beat
  parameter  int unsigned Ratio    = 2,
  parameter  bit          Up       = 1'b1,
  localparam int unsigned InWidth  = Up ? Narrow : Narrow * Ratio,
  localparam int unsigned OutWidth = Up ? Narrow * Ratio : Narrow
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                valid_i,
  output logic                ready_o,
  input  logic [InWidth-1:0]  data_i,
  output logic                valid_o,
  input  logic                ready_i,
  output logic [OutWidth-1:0] data_o
);
  if (Narrow < 1 || Ratio < 1) begin : gen_check
    $fatal(1, "Narrow %0d, Ratio %0d: each is at least 1", Narrow, Ratio);
  end

  localparam int unsigned PartWidth = bnn_pkg::index_width(Ratio);

  logic [PartWidth-1:0] part_q;  // narrow beats of the current wide beat that have passed
  logic last, full_q, skid_valid, skid_ready, move;
  logic [Narrow-1:0] skid;
  logic [Ratio-1:0][Narrow-1:0] wide_q;

  assign last = part_q == PartWidth'(Ratio - 1);

  if (Up) begin : gen_up
    bnn_fifo #(
      .Width(Narrow)
    ) u_skid (
      .clk_i,
      .rst_ni,
      .valid_i,
      .ready_o,
      .data_i,
      .valid_o(skid_valid),
      .ready_i(skid_ready),
      .data_o (skid)
    );
    assign skid_ready = !full_q || ready_i;
    assign move       = skid_valid && skid_ready;
    assign valid_o    = full_q;
    assign data_o     = wide_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) full_q <= 1'b0;
      else if (skid_ready) full_q <= skid_valid && last;
      if (move) wide_q[part_q] <= skid;
    end
  end else begin : gen_down
    assign ready_o    = !full_q || (last && skid_ready);
    assign skid_valid = full_q;
    assign move       = full_q && skid_ready;
    assign skid       = wide_q[0];
    always_ff @(posedge clk_i) begin
      if (!rst_ni) full_q <= 1'b0;
      else if (ready_o) full_q <= valid_i;
      if (ready_o) wide_q <= data_i;
      else if (move) wide_q <= wide_q >> Narrow;
    end
    bnn_fifo #(
      .Width(Narrow)
    ) u_skid (
      .clk_i,
      .rst_ni,
      .valid_i(skid_valid),
      .ready_o(skid_ready),
      .data_i (skid),
      .valid_o,
      .ready_i,
      .data_o
    );
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) part_q <= '0;
    else if (move) part_q <= last ? '0 : part_q + 1'b1;
  end
endmodule : bnn_width_converter
