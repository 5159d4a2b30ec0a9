// SPDX-License-Identifier: Apache-2.0

/// Position of the next beat in an image: counts the beats of a pixel, the pixels of a row and the rows. Each `step_i`
/// advances by one beat; after the last beat of a frame the counters wrap.
module bnn_raster #(
  parameter  int unsigned Words       = 1,  // beats of a pixel
  parameter  int unsigned Columns     = 1,
  parameter  int unsigned Rows        = 1,
  localparam int unsigned WordWidth   = bnn_pkg::index_width(Words),
  localparam int unsigned ColumnWidth = bnn_pkg::index_width(Columns),
  localparam int unsigned RowWidth    = bnn_pkg::index_width(Rows)
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   step_i,
  output logic [WordWidth-1:0]   word_o,
  output logic [ColumnWidth-1:0] column_o,
  output logic [RowWidth-1:0]    row_o,
  output logic                   last_word_o,
  output logic                   last_column_o,
  output logic                   last_row_o
);
  if (Words < 1 || Columns < 1 || Rows < 1) begin : gen_check
    $fatal(1, "Words %0d, Columns %0d, Rows %0d: each is at least 1", Words, Columns, Rows);
  end

  assign last_word_o   = word_o == WordWidth'(Words - 1);
  assign last_column_o = column_o == ColumnWidth'(Columns - 1);
  assign last_row_o    = row_o == RowWidth'(Rows - 1);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      word_o   <= '0;
      column_o <= '0;
      row_o    <= '0;
    end else if (step_i) begin
      word_o <= last_word_o ? '0 : word_o + 1'b1;
      if (last_word_o) column_o <= last_column_o ? '0 : column_o + 1'b1;
      if (last_word_o && last_column_o) row_o <= last_row_o ? '0 : row_o + 1'b1;
    end
  end
endmodule : bnn_raster
