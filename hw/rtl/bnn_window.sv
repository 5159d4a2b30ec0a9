// SPDX-License-Identifier: Apache-2.0

/// Serial sliding window: sends the pixels of each window, row by row, Words beats each, one beat per cycle.
/// A ring buffer holds the image from the start of the current window to the end of the next one, even if that lies in
/// the next row or frame. So the next window is available once this one has left, and a frame takes
/// max(beats in, beats out) cycles. Latency of the memory: bnn_pkg::ram_latency.
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
  localparam int unsigned CountWidth = $clog2(Depth + Largest + Span + 1) + 1;
  typedef logic signed [CountWidth-1:0] count_t;

  // The beat that is read next, and the step from it to the one after it.
  logic [AddrWidth-1:0] write_q, read_q;
  count_t missing_d, missing_q;  // beats to come until it is there, less 1: negative if it is
  count_t excess_d, excess_q;    // beats received from the window's start on, less those that fit: negative if one fits
  count_t step_q, gone_q;        // gone: beats that are needed no longer once it is read
  logic take, load, fetch, filled_q;

  assign take  = valid_i && ready_o;
  assign fetch = load && missing_q < 0;

  always_comb begin
    missing_d = missing_q + (fetch ? step_q : '0) - count_t'({1'b0, take});
    excess_d  = excess_q - (fetch ? gone_q : '0) + count_t'({1'b0, take});
  end

  // The one after it: its position in its window, and that of the window in the grid of windows.
  logic ahead, last_word, last_column, last_row, last_window, last_grid_column, last_grid_row, grid_word;
  logic [bnn_pkg::index_width(Words)-1:0] word;
  logic [bnn_pkg::index_width(KernelColumns)-1:0] column;
  logic [bnn_pkg::index_width(KernelRows)-1:0] row;
  logic [bnn_pkg::index_width(GridColumns)-1:0] grid_column;
  logic [bnn_pkg::index_width(GridRows)-1:0] grid_row;
  count_t next_window;

  assign ahead       = fetch || !filled_q;
  assign next_window = count_t'(!last_grid_column ? NextWindow : !last_grid_row ? NextGrid : NextFrame);

  bnn_raster #(
    .Words  (Words),
    .Columns(KernelColumns),
    .Rows   (KernelRows)
  ) u_in_window (
    .clk_i,
    .rst_ni,
    .step_i       (ahead),
    .word_o       (word),
    .column_o     (column),
    .row_o        (row),
    .last_word_o  (last_word),
    .last_column_o(last_column),
    .last_row_o   (last_row)
  );

  bnn_raster #(
    .Columns(GridColumns),
    .Rows   (GridRows)
  ) u_in_grid (
    .clk_i,
    .rst_ni,
    .step_i       (ahead && last_word && last_column && last_row),
    .word_o       (grid_word),
    .column_o     (grid_column),
    .row_o        (grid_row),
    .last_word_o  (last_window),
    .last_column_o(last_grid_column),
    .last_row_o   (last_grid_row)
  );
  logic unused;
  assign unused = &{word, column, row, grid_word, grid_column, grid_row, last_window};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      ready_o   <= 1'b0;
      filled_q  <= 1'b0;
      write_q   <= '0;
      read_q    <= '0;
      missing_q <= '0;
      excess_q  <= -count_t'(Depth);
    end else begin
      ready_o   <= excess_d < 0;
      filled_q  <= 1'b1;
      missing_q <= missing_d;
      excess_q  <= excess_d;
      if (take) write_q <= write_q + 1'b1;
      if (fetch) read_q <= read_q + AddrWidth'(step_q);
    end
    if (ahead) begin
      step_q <= count_t'(!last_word ? 1 : !last_column ? NextPixel : NextRow);
      gone_q <= '0;
      if (last_word && last_column && last_row) begin
        step_q <= next_window - count_t'(Span - 1);
        gone_q <= next_window;
      end
    end
  end

  bnn_ram #(
    .Width  (Width),
    .Depth  (Depth),
    .Latency(bnn_pkg::ram_latency(Width, Depth))
  ) u_memory (
    .clk_i,
    .rst_ni,
    .write_i     (take),
    .write_addr_i(write_q),
    .data_i,
    .load_o      (load),
    .fetch_i     (fetch),
    .read_addr_i (read_q),
    .valid_o,
    .ready_i,
    .data_o
  );
endmodule : bnn_window
