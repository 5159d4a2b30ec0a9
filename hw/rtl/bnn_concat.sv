// SPDX-License-Identifier: Apache-2.0

/// Concatenates the channels of several streams: for each pixel Words[0] beats of stream 0, then Words[1] of stream 1,
/// and so on. One beat per cycle; latency: one cycle. `bnn_join` does the same if every beat is a whole pixel.
module bnn_concat #(
  parameter int unsigned             Width  = 8,  // bits of a beat, equal for all streams
  parameter int unsigned             Inputs = 2,
  parameter logic [Inputs-1:0][31:0] Words  = '{default: 32'd1}  // beats of a pixel, by stream
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,
  input  logic [Inputs-1:0]            valid_i,
  output logic [Inputs-1:0]            ready_o,
  input  logic [Inputs-1:0][Width-1:0] data_i,
  output logic                         valid_o,
  input  logic                         ready_i,
  output logic [Width-1:0]             data_o
);
  localparam int unsigned Most        = most();
  localparam int unsigned WordWidth   = bnn_pkg::index_width(Most);
  localparam int unsigned StreamWidth = bnn_pkg::index_width(Inputs);

  function automatic int unsigned most();
    most = 1;
    for (int unsigned i = 0; i < Inputs; i++) if (Words[i] > most) most = Words[i];
  endfunction

  for (genvar i = 0; i < Inputs; i++) begin : gen_check
    if (Words[i] < 1) begin : gen_words
      $fatal(1, "Words[%0d] %0d: a pixel of each stream has a beat", i, Words[i]);
    end
  end

  logic [StreamWidth-1:0] stream_q;
  logic [WordWidth-1:0] word_q;
  logic [Inputs-1:0] last;
  logic valid, ready, last_word;

  for (genvar i = 0; i < Inputs; i++) begin : gen_input
    assign ready_o[i] = ready && stream_q == StreamWidth'(i);
    assign last[i]    = word_q == WordWidth'(Words[i] - 1);
  end
  assign valid     = valid_i[stream_q];
  assign last_word = last[stream_q];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      stream_q <= '0;
      word_q   <= '0;
    end else if (valid && ready) begin
      word_q <= last_word ? '0 : word_q + 1'b1;
      if (last_word) stream_q <= stream_q == StreamWidth'(Inputs - 1) ? '0 : stream_q + 1'b1;
    end
  end

  bnn_fifo #(
    .Width(Width)
  ) u_out (
    .clk_i,
    .rst_ni,
    .valid_i(valid),
    .ready_o(ready),
    .data_i (data_i[stream_q]),
    .valid_o,
    .ready_i,
    .data_o
  );
endmodule : bnn_concat
