// SPDX-License-Identifier: Apache-2.0

/// Parallel sliding window: takes one pixel per cycle and sends whole windows, so a frame takes as many cycles as the
/// image has pixels. A LUT-RAM holds the rows above; registers hold the pixels that the window spans.
module bnn_window_parallel #(
  parameter  int unsigned Width           = 8,  // bits of a pixel
  parameter  int unsigned Rows            = 8,  // of the image
  parameter  int unsigned Columns         = 8,
  parameter  int unsigned KernelRows      = 3,
  parameter  int unsigned KernelColumns   = 3,
  parameter  int unsigned StrideRows      = 1,
  parameter  int unsigned StrideColumns   = 1,
  parameter  int unsigned DilationRows    = 1,
  parameter  int unsigned DilationColumns = 1,
  localparam int unsigned SpanRows        = (KernelRows - 1) * DilationRows + 1,
  localparam int unsigned SpanColumns     = (KernelColumns - 1) * DilationColumns + 1
) (
  input  logic                                      clk_i,
  input  logic                                      rst_ni,
  input  logic                                      valid_i,
  output logic                                      ready_o,
  input  logic [Width-1:0]                          data_i,
  output logic                                      valid_o,
  input  logic                                      ready_i,
  output logic [KernelRows*KernelColumns*Width-1:0] data_o
);
  if (SpanRows > Rows || SpanColumns > Columns) begin : gen_check
    $fatal(1, "a window of %0d x %0d pixels does not lie in an image of %0d x %0d", SpanRows, SpanColumns, Rows, Columns);
  end

  localparam int unsigned GridRows    = (Rows - SpanRows) / StrideRows + 1;
  localparam int unsigned GridColumns = (Columns - SpanColumns) / StrideColumns + 1;
  localparam int unsigned ColumnWidth = bnn_pkg::index_width(Columns);
  localparam int unsigned RowWidth    = bnn_pkg::index_width(Rows);
  localparam int unsigned StepXWidth  = bnn_pkg::index_width(StrideColumns);
  localparam int unsigned StepYWidth  = bnn_pkg::index_width(StrideRows);

  logic [Width-1:0] pixel;
  logic valid, ready, take;

  // The window's registers pass backpressure on; a skid buffer before them, one pixel wide, cuts the ready path.
  bnn_fifo #(
    .Width(Width)
  ) u_skid (
    .clk_i,
    .rst_ni,
    .valid_i,
    .ready_o,
    .data_i,
    .valid_o(valid),
    .ready_i(ready),
    .data_o (pixel)
  );
  assign ready = !valid_o || ready_i;
  assign take  = valid && ready;

  logic word, last_word, last_column, last_row;
  logic [ColumnWidth-1:0] column;
  logic [RowWidth-1:0] row;
  bnn_raster #(
    .Columns(Columns),
    .Rows   (Rows)
  ) u_raster (
    .clk_i,
    .rst_ni,
    .step_i       (take),
    .word_o       (word),
    .column_o     (column),
    .row_o        (row),
    .last_word_o  (last_word),
    .last_column_o(last_column),
    .last_row_o   (last_row)
  );

  // Whether a window ends at this pixel: within the columns and rows where windows end, and on the grid of the stride.
  logic [StepXWidth-1:0] step_x_q;  // columns to the next window's end, counted from the first window's end on
  logic [StepYWidth-1:0] step_y_q;
  logic right, low, ends;
  assign right = 32'(column) + 1 >= SpanColumns && 32'(column) + 1 <= SpanColumns + (GridColumns - 1) * StrideColumns;
  assign low   = 32'(row) + 1 >= SpanRows && 32'(row) + 1 <= SpanRows + (GridRows - 1) * StrideRows;
  assign ends  = right && low && step_x_q == '0 && step_y_q == '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      step_x_q     <= '0;
      step_y_q     <= '0;
      valid_o <= 1'b0;
    end else begin
      if (ready) valid_o <= take && ends;
      if (take) begin
        if (last_column) step_x_q <= '0;
        else if (right) step_x_q <= step_x_q == '0 ? StepXWidth'(StrideColumns - 1) : step_x_q - 1'b1;
        if (last_column && last_row) step_y_q <= '0;
        else if (last_column && low) step_y_q <= step_y_q == '0 ? StepYWidth'(StrideRows - 1) : step_y_q - 1'b1;
      end
    end
  end

  // The newest column of the span, top first; all its columns, left first.
  logic [SpanRows-1:0][Width-1:0] newest;
  logic [SpanColumns-1:0][SpanRows-1:0][Width-1:0] span_q;
  assign newest[SpanRows-1] = pixel;

  if (SpanRows > 1) begin : gen_rows
    logic [SpanRows-2:0][Width-1:0] above[Columns];
    assign newest[SpanRows-2:0] = above[column];
    always_ff @(posedge clk_i) if (take) above[column] <= newest[SpanRows-1:1];
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      span_q[SpanColumns-1] <= newest;
      for (int c = 1; c < int'(SpanColumns); c++) span_q[c-1] <= span_q[c];
    end
  end

  for (genvar i = 0; i < KernelRows; i++) begin : gen_kernel_row
    for (genvar j = 0; j < KernelColumns; j++) begin : gen_kernel_column
      assign data_o[(i*KernelColumns+j)*Width+:Width] = span_q[j*DilationColumns][i*DilationRows];
    end
  end

  logic unused;
  assign unused = &{word, last_word, span_q};

`ifndef SYNTHESIS
  HoldBeat :
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      valid_o && !ready_i |=> valid_o && $stable(data_o));
`endif
endmodule : bnn_window_parallel
