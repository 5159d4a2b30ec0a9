// SPDX-License-Identifier: Apache-2.0

/// Reduces each block of KernelRows x KernelColumns pixels to one, channel by channel: "max" to the largest element
/// (bipolar: OR), "sum" to the sum (bipolar: the number of +1). Blocks do not overlap; rows and columns that fill no
/// block are dropped. Takes one beat per cycle; a LUT-RAM holds the partial results of a row of blocks, and is read a beat
/// ahead.
module bnn_reduce #(
  parameter int unsigned InWidth       = 1,  // bits of an element
  parameter string       InKind        = "bipolar",  // "bipolar", "unsigned" or "signed"
  parameter int unsigned OutWidth      = 1,
  parameter string       Operation     = "max",  // "max" or "sum"
  parameter int unsigned Lanes         = 4,
  parameter int unsigned Words         = 1,  // beats of a pixel
  parameter int unsigned Rows          = 4,  // of the image
  parameter int unsigned Columns       = 4,
  parameter int unsigned KernelRows    = 2,
  parameter int unsigned KernelColumns = 2
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic                           valid_i,
  output logic                           ready_o,
  input  logic [Lanes-1:0][InWidth-1:0]  data_i,
  output logic                           valid_o,
  input  logic                           ready_i,
  output logic [Lanes-1:0][OutWidth-1:0] data_o
);
  if (KernelRows > Rows || KernelColumns > Columns || KernelRows < 1 || KernelColumns < 1) begin : gen_check
    $fatal(1, "KernelRows %0d, KernelColumns %0d, Rows %0d, Columns %0d: a block lies in the image",
           KernelRows, KernelColumns, Rows, Columns);
  end
  if (Operation != "max" && Operation != "sum") begin : gen_check_operation
    $fatal(1, "Operation %s: max or sum", Operation);
  end

  localparam int unsigned Across        = Columns / KernelColumns;  // blocks in a row
  localparam int unsigned Down          = Rows / KernelRows;
  localparam int unsigned Places        = Across * Words;
  localparam int unsigned PlaceWidth    = bnn_pkg::index_width(Places);
  localparam int unsigned WordWidth     = bnn_pkg::index_width(Words);
  localparam int unsigned ColumnWidth   = bnn_pkg::index_width(Columns);
  localparam int unsigned RowWidth      = bnn_pkg::index_width(Rows);
  localparam int unsigned InColumnWidth = bnn_pkg::index_width(KernelColumns);
  localparam int unsigned InRowWidth    = bnn_pkg::index_width(KernelRows);

  // The next beat.
  logic [WordWidth-1:0] word;
  logic [ColumnWidth-1:0] column;
  logic [RowWidth-1:0] row;
  logic last_word, last_column, last_row, in_block;
  logic [InColumnWidth-1:0] in_column_q;  // column within the block
  logic [InRowWidth-1:0] in_row_q;
  logic [PlaceWidth-1:0] start_q, place_q;  // address of the block's first word, and of the beat's
  // This beat; from the first cycle after a reset, in which none is taken.
  logic in_block_q, first_q, last_q, filled_q;
  logic [PlaceWidth-1:0] written_q;
  logic take, step, ready;

  assign ready_o = ready;
  assign take    = valid_i && ready;
  assign step    = take || !filled_q;

  bnn_raster #(
    .Words  (Words),
    .Columns(Columns),
    .Rows   (Rows)
  ) u_raster (
    .clk_i,
    .rst_ni,
    .step_i       (step),
    .word_o       (word),
    .column_o     (column),
    .row_o        (row),
    .last_word_o  (last_word),
    .last_column_o(last_column),
    .last_row_o   (last_row)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      in_column_q <= '0;
      in_row_q    <= '0;
      start_q     <= '0;
      place_q     <= '0;
      filled_q    <= 1'b0;
    end else if (step) begin
      filled_q   <= 1'b1;
      place_q    <= place_q + 1'b1;
      in_block_q <= in_block;
      first_q    <= in_column_q == '0 && in_row_q == '0;
      last_q     <= in_block && in_column_q == InColumnWidth'(KernelColumns - 1)
                    && in_row_q == InRowWidth'(KernelRows - 1);
      written_q  <= place_q;
      if (last_word) begin
        in_column_q <= in_column_q + 1'b1;
        place_q     <= start_q;
        if (in_column_q == InColumnWidth'(KernelColumns - 1)) begin
          in_column_q <= '0;
          start_q     <= start_q + PlaceWidth'(Words);
          place_q     <= start_q + PlaceWidth'(Words);
        end
        if (last_column) begin
          in_column_q <= '0;
          start_q     <= '0;
          place_q     <= '0;
          in_row_q    <= in_row_q == InRowWidth'(KernelRows - 1) || last_row ? '0 : in_row_q + 1'b1;
        end
      end
    end
  end

  assign in_block = 32'(column) < Across * KernelColumns && 32'(row) < Down * KernelRows;

  logic unused;
  assign unused = &word;

  // The partial result of the block, without and with this pixel.
  (* ram_style = "distributed" *) logic [Lanes-1:0][OutWidth-1:0] memory[Places];
  logic [Lanes-1:0][OutWidth-1:0] so_far_q, now;

  always_ff @(posedge clk_i) begin
    if (take && in_block_q) memory[written_q] <= now;
    if (step) so_far_q <= in_block_q && place_q == written_q ? now : memory[place_q];
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic [OutWidth-1:0] value;
    bnn_value #(
      .Width   (InWidth),
      .Kind    (InKind == "signed" ? "signed" : "unsigned"),  // of bipolar elements, the bits
      .OutWidth(OutWidth)
    ) u_value (
      .data_i(data_i[l]),
      .data_o(value)
    );
    if (Operation == "sum") begin : gen_sum
      assign now[l] = first_q ? value : so_far_q[l] + value;
    end else if (InKind == "signed") begin : gen_max_signed
      assign now[l] = first_q || $signed(value) > $signed(so_far_q[l]) ? value : so_far_q[l];
    end else begin : gen_max
      assign now[l] = first_q || value > so_far_q[l] ? value : so_far_q[l];
    end
  end

  bnn_fifo #(
    .Width(Lanes * OutWidth)
  ) u_out (
    .clk_i,
    .rst_ni,
    .valid_i(valid_i && last_q),
    .ready_o(ready),
    .data_i (now),
    .valid_o,
    .ready_i,
    .data_o
  );
endmodule : bnn_reduce
