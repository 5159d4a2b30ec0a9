// SPDX-License-Identifier: Apache-2.0

/// Surrounds an image with rows and columns of one value. Sends one beat per cycle, so a frame takes as many cycles as
/// the padded image has beats; takes no input while it sends padding.
module bnn_pad #(
  parameter int unsigned Width   = 8,  // bits of a beat
  parameter int unsigned Words   = 1,  // beats of a pixel
  parameter int unsigned Rows    = 4,  // of the input image
  parameter int unsigned Columns = 4,
  parameter int unsigned Top     = 1,
  parameter int unsigned Left    = 1,
  parameter int unsigned Bottom  = 1,
  parameter int unsigned Right   = 1,
  parameter int unsigned Lanes   = 1,  // elements of a beat
  parameter int unsigned Value   = 0   // the bits of a padding element
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
  if (Lanes < 1 || Width % Lanes != 0 || Rows < 1 || Columns < 1) begin : gen_check
    $fatal(1, "Width %0d, Lanes %0d, Rows %0d, Columns %0d: Lanes divides Width and an image has a pixel",
           Width, Lanes, Rows, Columns);
  end

  localparam int unsigned OutColumns   = Left + Columns + Right;
  localparam int unsigned OutRows      = Top + Rows + Bottom;
  localparam int unsigned WordWidth    = bnn_pkg::index_width(Words);
  localparam int unsigned ColumnWidth  = bnn_pkg::index_width(OutColumns);
  localparam int unsigned RowWidth     = bnn_pkg::index_width(OutRows);
  localparam int unsigned ElementWidth = Width / Lanes;

  logic [WordWidth-1:0] word;
  logic [ColumnWidth-1:0] column;
  logic [RowWidth-1:0] row;
  logic last_word, last_column, last_row;
  logic in_image, valid, ready;

  bnn_raster #(
    .Words  (Words),
    .Columns(OutColumns),
    .Rows   (OutRows)
  ) u_raster (
    .clk_i,
    .rst_ni,
    .step_i       (valid && ready),
    .word_o       (word),
    .column_o     (column),
    .row_o        (row),
    .last_word_o  (last_word),
    .last_column_o(last_column),
    .last_row_o   (last_row)
  );

  // In 32 bits, because a bound may exceed the largest coordinate by one.
  assign in_image = 32'(row) + 1 > Top && 32'(row) < Top + Rows && 32'(column) + 1 > Left && 32'(column) < Left + Columns;
  assign valid   = valid_i || !in_image;
  assign ready_o = ready && in_image;

  bnn_fifo #(
    .Width(Width)
  ) u_out (
    .clk_i,
    .rst_ni,
    .valid_i(valid),
    .ready_o(ready),
    .data_i (in_image ? data_i : {Lanes{ElementWidth'(Value)}}),
    .valid_o,
    .ready_i,
    .data_o
  );

  logic unused;
  assign unused = &{word, last_word, last_column, last_row};
endmodule : bnn_pad
