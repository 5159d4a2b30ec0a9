// SPDX-License-Identifier: Apache-2.0

/// Serial sliding window: sends the pixels of each window, row by row, Words beats each, one beat per cycle.
/// A ring buffer holds the image from the start of the current window to the end of the next one, even if that lies in
/// the next row or frame. So the next window is available once this one has left, and a frame takes
/// max(beats in, beats out) cycles.
module bnn_window #(
  parameter  int unsigned Width           = 8,  // bits of a beat
  parameter  int unsigned Words           = 1,  // beats of a pixel
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
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             valid_i,
  output logic             ready_o,
  input  logic [Width-1:0] data_i,
  output logic             valid_o,
  input  logic             ready_i,
  output logic [Width-1:0] data_o
);
  if (SpanRows > Rows || SpanColumns > Columns) begin : gen_check
    $fatal(1, "a window of %0d x %0d pixels does not lie in an image of %0d x %0d", SpanRows, SpanColumns, Rows, Columns);
  end

  localparam int unsigned GridRows    = (Rows - SpanRows) / StrideRows + 1;
  localparam int unsigned GridColumns = (Columns - SpanColumns) / StrideColumns + 1;

  // Beats that a window spans, from its first to its last.
  localparam int unsigned Span = ((SpanRows - 1) * Columns + SpanColumns) * Words;
  // Steps from one beat to the next: 1 within a pixel, to the next pixel of a row, to the next row of the window.
  localparam int NextPixel = int'(Words * (DilationColumns - 1) + 1);
  localparam int NextRow   = int'((DilationRows * Columns - SpanColumns) * Words + 1);
  // Steps from a window's first beat to that of the next window, of the next row of windows, of the next frame.
  localparam int unsigned NextWindow = GridColumns > 1 ? StrideColumns * Words : 0;
  localparam int unsigned NextGrid   =
      GridRows > 1 ? (StrideRows * Columns - (GridColumns - 1) * StrideColumns) * Words : 0;
  localparam int unsigned NextFrame  =
      ((Rows - (GridRows - 1) * StrideRows) * Columns - (GridColumns - 1) * StrideColumns) * Words;
  localparam int unsigned Largest    =
      NextFrame > NextGrid ? (NextFrame > NextWindow ? NextFrame : NextWindow)
                           : (NextGrid > NextWindow ? NextGrid : NextWindow);

  localparam int unsigned AddrWidth  = $clog2(Span + Largest);
  localparam int unsigned Depth      = 2 ** AddrWidth;
  localparam int unsigned HeldWidth  = $clog2((Largest > Depth ? Largest : Depth) + 1) + 1;

  logic [Width-1:0] memory[Depth];
  logic [AddrWidth-1:0] write_q, read_q, start_q;  // start: the window's first beat
  logic [AddrWidth-1:0] read_d, start_d;
  logic [AddrWidth:0] offset_d, offset_q;  // from the window's start to the beat that is read
  logic signed [HeldWidth-1:0] held_d, held_q;  // beats received from the window's start on; negative: still to skip
  logic signed [HeldWidth-1:0] gone;
  logic take, load, fetch, last_word, last_column, last_row, last_of_window;
  logic last_window, last_grid_column, last_grid_row;

  assign take           = valid_i && ready_o;
  assign load           = ready_i || !valid_o;
  assign fetch          = load && held_q > $signed(HeldWidth'(offset_q));
  assign last_of_window = last_word && last_column && last_row;

  // Position of the beat that is read in its window, and of the window in the grid of windows.
  logic [bnn_pkg::index_width(Words)-1:0] word;
  logic [bnn_pkg::index_width(KernelColumns)-1:0] column;
  logic [bnn_pkg::index_width(KernelRows)-1:0] row;
  bnn_raster #(
    .Words  (Words),
    .Columns(KernelColumns),
    .Rows   (KernelRows)
  ) u_in_window (
    .clk_i,
    .rst_ni,
    .step_i       (fetch),
    .word_o       (word),
    .column_o     (column),
    .row_o        (row),
    .last_word_o  (last_word),
    .last_column_o(last_column),
    .last_row_o   (last_row)
  );

  logic grid_word;
  logic [bnn_pkg::index_width(GridColumns)-1:0] grid_column;
  logic [bnn_pkg::index_width(GridRows)-1:0] grid_row;
  bnn_raster #(
    .Columns(GridColumns),
    .Rows   (GridRows)
  ) u_in_grid (
    .clk_i,
    .rst_ni,
    .step_i       (fetch && last_of_window),
    .word_o       (grid_word),
    .column_o     (grid_column),
    .row_o        (grid_row),
    .last_word_o  (last_window),
    .last_column_o(last_grid_column),
    .last_row_o   (last_grid_row)
  );
  logic unused;
  assign unused = &{word, column, row, grid_word, grid_column, grid_row, last_window};

  always_comb begin
    gone     = '0;
    read_d   = read_q + 1'b1;
    offset_d = offset_q + 1'b1;
    start_d  = start_q;
    if (last_of_window) begin
      gone     = HeldWidth'(!last_grid_column ? NextWindow : !last_grid_row ? NextGrid : NextFrame);
      start_d  = start_q + AddrWidth'(!last_grid_column ? NextWindow : !last_grid_row ? NextGrid : NextFrame);
      read_d   = start_d;
      offset_d = '0;
    end else if (last_word) begin
      read_d   = read_q + AddrWidth'(last_column ? NextRow : NextPixel);
      offset_d = offset_q + (AddrWidth + 1)'(last_column ? NextRow : NextPixel);
    end
    held_d = held_q;
    if (fetch) held_d = held_d - gone;
    if (take) held_d = held_d + 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_o  <= 1'b0;
      ready_o  <= 1'b0;
      write_q  <= '0;
      read_q   <= '0;
      start_q  <= '0;
      offset_q <= '0;
      held_q   <= '0;
    end else begin
      if (load) valid_o <= fetch;
      ready_o <= held_d < $signed(HeldWidth'(Depth));
      held_q  <= held_d;
      if (take) write_q <= write_q + 1'b1;
      if (fetch) begin
        read_q   <= read_d;
        start_q  <= start_d;
        offset_q <= offset_d;
      end
    end
    if (take) memory[write_q] <= data_i;
    if (load) data_o <= memory[read_q];
  end

`ifndef SYNTHESIS
  HoldBeat :
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      valid_o && !ready_i |=> valid_o && $stable(data_o));
`endif
endmodule : bnn_window
