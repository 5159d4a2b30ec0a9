// SPDX-License-Identifier: Apache-2.0

/// Matrix-vector(-threshold) unit: Simd columns of Pe rows per cycle, so a vector takes exactly
/// (Rows/Pe) * (Columns/Simd) cycles. The accumulator of a row is the popcount of agreeing bits if input and weights
/// are bipolar, else the dot product. With Steps = 0 the result is the accumulator, resized to OutWidth; otherwise
/// `bnn_steps` compares it with thresholds. A threshold T alone needs no comparison if vectors have several words:
/// the accumulator starts at -T, so that its sign tells.
///
/// Word n*(Columns/Simd) + s of the weight file holds columns s*Simd... of rows n*Pe..., row by row. If WeightWidth is
/// 1, bit 1 is +1 and bit 0 is -1. Where the input is not bipolar, columns go by threes: the second and the third bit say
/// whether the weight equals the first. Three elements with any signs are then one of four sums, which all rows share, or
/// its complement, which is the negative less 1. So the start values are larger by the number of complements.
///
/// Words n of the files of thresholds and of start values belong to rows n*Pe...
///
/// If SelectWidth is not 0, a second stream chooses among 2**SelectWidth sets of thresholds: `valid_i`, `ready_o` and
/// `data_i` are {selector, values}. The selector has a beat for each beat of the result.
///
/// The pipeline never stalls: replay -> weights -> products -> sum -> accumulate -> thresholds -> credit FIFO.
module bnn_mvu #(
  parameter int unsigned Columns        = 8,
  parameter int unsigned Rows           = 2,
  parameter int unsigned Simd           = 4,
  parameter int unsigned Pe             = 1,
  parameter int unsigned InWidth        = 1,
  parameter string       InKind         = "bipolar",  // "bipolar", "unsigned" or "signed"
  parameter int unsigned WeightWidth    = 1,  // 1: -1 and +1; else two's complement
  parameter int unsigned AccWidth       = $clog2(Columns + 1),
  parameter int unsigned Levels         = 1,  // of counters or adders between registers
  parameter bit          MemoryRegister = 1'b0,  // on the way of weights from block RAM
  parameter int unsigned Steps          = 0,
  parameter int unsigned ThresholdWidth = 1,
  parameter int unsigned OutWidth       = AccWidth,
  parameter string       OutKind        = "unsigned",  // of a count of thresholds: "bipolar", "unsigned" or "signed"
  parameter string       Memory         = "lut",  // "lut", "block" or "hardwired"
  parameter              WeightFile     = "",
  parameter int unsigned BlockWidth     = Pe * Simd * WeightWidth,  // bits of a word in block RAM, if Memory is "block"
  parameter              LutFile        = "",  // the other bits
  parameter int unsigned BankDepth      = Columns / Simd * (Rows / Pe),  // words of a bank of block RAM
  parameter int unsigned SelectWidth    = 0,
  parameter              ThresholdFile  = "",
  parameter              StartFile      = "",
  parameter              FlipFile       = "",
  localparam int unsigned Inputs        = SelectWidth > 0 ? 2 : 1
) (
  input  logic                                   clk_i,
  input  logic                                   rst_ni,
  input  logic [Inputs-1:0]                      valid_i,
  output logic [Inputs-1:0]                      ready_o,
  input  logic [Simd*InWidth+Pe*SelectWidth-1:0] data_i,
  output logic                                   valid_o,
  input  logic                                   ready_i,
  output logic [Pe*OutWidth-1:0]                 data_o
);
  if (Simd < 1 || Pe < 1 || Columns % Simd != 0 || Rows % Pe != 0 || Columns < 1 || Rows < 1) begin : gen_check_fold
    $fatal(1, "Columns %0d, Simd %0d, Rows %0d, Pe %0d: Simd divides Columns and Pe divides Rows",
           Columns, Simd, Rows, Pe);
  end
  if (Memory != "lut" && Memory != "block" && !(Memory == "hardwired" && Columns == Simd && Rows == Pe))
  begin : gen_check_memory
    $fatal(1, "Memory %s: lut, block, or hardwired at a fold of 1", Memory);
  end

  localparam int unsigned Words = Columns / Simd;  // of a vector
  localparam int unsigned Beats = Rows / Pe;
  localparam int unsigned Fold  = Words * Beats;
  localparam bit Xnor   = InKind == "bipolar" && WeightWidth == 1;
  localparam bit Signs  = InKind != "bipolar" && WeightWidth == 1;  // of elements of several bits
  localparam bit Wide   = WeightWidth > 1;
  localparam bit Starts = Words > 1 || Signs;  // the accumulator is a register
  localparam bit Sign   = Steps == 1 && SelectWidth == 0 && Starts;  // of the accumulator is the result
  localparam string AccKind = Xnor ? "unsigned" : "signed";

  // A LUT6 holds a ROM of up to 32 words and the XNOR after it, and counters of seven bits take few LUTs more.
  localparam bit Shallow = Xnor && (Memory == "hardwired" || Memory == "lut" && Fold <= 32);
  localparam int unsigned Banks      = bnn_pkg::ceil_div(Fold, BankDepth);
  localparam int unsigned RomLatency = Memory == "block" ? bnn_pkg::block_latency(Banks, MemoryRegister)
      : Memory == "lut" && !Shallow ? 1 : 0;
  localparam int unsigned Terms      = Signs ? bnn_pkg::ceil_div(Simd, 3) : Simd;
  localparam int unsigned TermWidth  = Signs ? bnn_pkg::signs_width(Simd, InWidth, InKind == "signed")
      : Wide ? WeightWidth + InWidth : InWidth;
  localparam int unsigned Early      = Signs ? 1 : 0;  // cycle of `bnn_signs`, while the weights are read
  localparam int unsigned SumLatency = (RomLatency < Early ? Early : RomLatency) + (Wide ? 1 : 0)
      + (Xnor ? bnn_pkg::popcount_latency(Simd, !Shallow, Levels) : bnn_pkg::sum_latency(Terms, TermWidth, Levels));
  localparam int unsigned AccLatency = SumLatency + (Starts ? 1 : 0);
  localparam int unsigned Latency    = AccLatency + (Steps > 0 && !Sign ? bnn_pkg::steps_latency(Steps) : 0);
  localparam int unsigned TotalWidth = AccWidth + (Sign ? 1 : 0);
  // Width of the sum before the accumulator: exact for a popcount, otherwise the accumulator's.
  localparam int unsigned PopWidth   = $clog2(Simd + 1);
  localparam int unsigned SumWidth   = Xnor ? PopWidth : TotalWidth;

  localparam int unsigned AddrWidth = bnn_pkg::index_width(Fold);
  localparam int unsigned WordWidth = bnn_pkg::index_width(Words);

  // Launch: a word of the vector and the address of its weights. The first word waits for room for the result.
  logic word_valid, word_ready, room;
  logic [Simd*InWidth-1:0] word;
  logic [AddrWidth-1:0] addr_q;
  logic [WordWidth-1:0] word_q;
  logic launch, first_q, last_q, selected;
  logic sum_valid, sum_first, sum_last;

  bnn_replay #(
    .Width (Simd * InWidth),
    .Words (Words),
    .Passes(Beats)
  ) u_replay (
    .clk_i,
    .rst_ni,
    .valid_i(valid_i[0]),
    .ready_o(ready_o[0]),
    .data_i (data_i[Simd*InWidth-1:0]),
    .valid_o(word_valid),
    .ready_i(word_ready),
    .data_o (word)
  );

  assign word_ready = (room || !first_q) && (selected || !last_q);
  assign launch     = word_valid && word_ready;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      addr_q  <= '0;
      word_q  <= '0;
      first_q <= 1'b1;
      last_q  <= Words == 1;
    end else if (launch) begin
      addr_q  <= addr_q == AddrWidth'(Fold - 1) ? '0 : addr_q + 1'b1;
      word_q  <= last_q ? '0 : word_q + 1'b1;
      first_q <= last_q;
      last_q  <= 32'(word_q) + 2 == Words || Words == 1;
    end
  end

  bnn_delay #(
    .Width (3),
    .Stages(SumLatency)
  ) u_marks (
    .clk_i,
    .rst_ni,
    .data_i({launch, first_q, last_q}),
    .data_o({sum_valid, sum_first, sum_last})
  );

  // The word as late as its weights are read, less the cycle that it may take on its way.
  logic [Simd*InWidth-1:0] delayed;

  bnn_delay #(
    .Width (Simd * InWidth),
    .Stages(RomLatency < Early ? 0 : RomLatency - Early),
    .Reset (1'b0)
  ) u_delayed (
    .clk_i,
    .rst_ni,
    .data_i(word),
    .data_o(delayed)
  );

  // The sum of each row's products.
  logic [Pe-1:0][SumWidth-1:0] sums;

  if (Shallow) begin : gen_shallow
    logic [Pe-1:0][Simd-1:0] terms;
    if (Fold > 1) begin : gen_rom
      bnn_xnor_rom #(
        .Simd (Simd),
        .Pe   (Pe),
        .Depth(Fold),
        .File (WeightFile)
      ) u_terms (
        .addr_i(addr_q),
        .data_i(delayed),
        .term_o(terms)
      );
    end else begin : gen_constant
      logic [Pe-1:0][Simd-1:0] weights;
      bnn_rom #(
        .Width(Pe * Simd),
        .Depth(1),
        .File (WeightFile)
      ) u_weights (
        .clk_i,
        .addr_i(addr_q),
        .data_o(weights)
      );
      assign terms = {Pe{delayed}} ~^ weights;
    end
    for (genvar p = 0; p < Pe; p++) begin : gen_row
      bnn_popcount #(
        .Bits  (Simd),
        .Levels(Levels)
      ) u_popcount (
        .clk_i,
        .data_i  (terms[p]),
        .weight_i('0),
        .data_o  (sums[p])
      );
    end
  end else begin : gen_products
    logic [Pe-1:0][Simd*WeightWidth-1:0] weights;
    bnn_rom #(
      .Width     (Pe * Simd * WeightWidth),
      .Depth     (Fold),
      .Latency   (Memory == "block" ? 2 : RomLatency),
      .File      (WeightFile),
      .BlockWidth(BlockWidth),
      .LutFile   (LutFile),
      .BankDepth (BankDepth),
      .Registered(MemoryRegister)
    ) u_weights (
      .clk_i,
      .addr_i(addr_q),
      .data_o(weights)
    );
    if (Signs) begin : gen_signs
      logic [Terms-1:0][3:0][TermWidth-1:0] chosen;
      bnn_signs #(
        .Simd   (Simd),
        .InWidth(InWidth),
        .Signed (InKind == "signed")
      ) u_signs (
        .clk_i,
        .data_i(delayed),
        .sum_o (chosen)
      );
      for (genvar p = 0; p < Pe; p++) begin : gen_row
        logic [Terms-1:0][TermWidth-1:0] terms;
        logic [3*Terms-1:0] signs;
        assign signs = (3 * Terms)'(weights[p]);
        for (genvar t = 0; t < Terms; t++) begin : gen_term
          assign terms[t] = chosen[t][signs[3*t+1+:2]] ^ {TermWidth{!signs[3*t]}};
        end
        bnn_sum #(
          .Terms    (Terms),
          .TermWidth(TermWidth),
          .Signed   (1'b1),
          .OutWidth (SumWidth),
          .Levels   (Levels)
        ) u_sum (
          .clk_i,
          .data_i(terms),
          .data_o(sums[p])
        );
      end
    end else begin : gen_multiply
      for (genvar p = 0; p < Pe; p++) begin : gen_row
        bnn_products #(
          .Simd       (Simd),
          .InWidth    (InWidth),
          .InKind     (InKind),
          .WeightWidth(WeightWidth),
          .OutWidth   (SumWidth),
          .Levels     (Levels)
        ) u_products (
          .clk_i,
          .data_i  (delayed),
          .weight_i(weights[p]),
          .data_o  (sums[p])
        );
      end
    end
  end

  logic acc_valid, result_valid;

  bnn_delay #(
    .Stages(AccLatency - SumLatency)
  ) u_acc_valid (
    .clk_i,
    .rst_ni,
    .data_i(sum_valid && sum_last),
    .data_o(acc_valid)
  );

  logic [Pe-1:0][TotalWidth-1:0] start, acc;

  bnn_beat_rom #(
    .Width(Pe * TotalWidth),
    .Beats(Beats),
    .Late (1'b1),
    .File (StartFile)
  ) u_starts (
    .clk_i,
    .rst_ni,
    .next_i(sum_valid && sum_last),
    .data_o(start)
  );

  for (genvar p = 0; p < Pe; p++) begin : gen_row
    bnn_accumulate #(
      .Words   (Words),
      .Started (Starts),
      .InWidth (SumWidth),
      .OutWidth(TotalWidth)
    ) u_acc (
      .clk_i,
      .valid_i(sum_valid),
      .first_i(sum_first),
      .data_i (sums[p]),
      .start_i(start[p]),
      .data_o (acc[p])
    );
  end

  // The selector's beat is taken with the last word and reaches the thresholds together with the accumulators.
  localparam int unsigned SelectBits = SelectWidth > 0 ? Pe * SelectWidth : 1;
  logic [SelectBits-1:0] select;

  if (SelectWidth > 0) begin : gen_select
    assign selected   = valid_i[1];
    assign ready_o[1] = word_valid && (room || !first_q) && last_q;
    bnn_delay #(
      .Width (SelectBits),
      .Stages(AccLatency),
      .Reset (1'b0)
    ) u_select (
      .clk_i,
      .rst_ni,
      .data_i(data_i[Simd*InWidth+:SelectBits]),
      .data_o(select)
    );
  end else begin : gen_unselected
    assign selected = 1'b1;
    assign select   = '0;
  end

  // The result: the number of thresholds reached, or the accumulator itself.
  logic [Pe-1:0][OutWidth-1:0] result;

  if (Sign) begin : gen_sign
    logic [Pe-1:0] flip;
    bnn_beat_rom #(
      .Width(Pe),
      .Beats(Beats),
      .Late (1'b1),
      .File (FlipFile)
    ) u_flips (
      .clk_i,
      .rst_ni,
      .next_i(acc_valid),
      .data_o(flip)
    );
    logic unused;
    assign unused = &{select, acc};
    assign result_valid = acc_valid;
    for (genvar p = 0; p < Pe; p++) begin : gen_row
      assign result[p] = (OutKind == "signed") ^ !acc[p][AccWidth] ^ flip[p];
    end
  end else if (Steps > 0) begin : gen_steps
    bnn_steps #(
      .Lanes         (Pe),
      .Beats         (Beats),
      .InWidth       (AccWidth),
      .InKind        (AccKind),
      .Steps         (Steps),
      .ThresholdWidth(ThresholdWidth),
      .OutWidth      (OutWidth),
      .OutKind       (OutKind),
      .SelectWidth   (SelectWidth),
      .Late          (1'b1),
      .File          (ThresholdFile),
      .FlipFile      (FlipFile)
    ) u_steps (
      .clk_i,
      .rst_ni,
      .valid_i (acc_valid),
      .data_i  (acc),
      .select_i(select),
      .valid_o (result_valid),
      .data_o  (result)
    );
  end else begin : gen_accumulator
    logic unused_select;
    assign unused_select = &select;
    assign result_valid = acc_valid;
    for (genvar p = 0; p < Pe; p++) begin : gen_row
      if (Xnor) begin : gen_unsigned
        assign result[p] = OutWidth'(acc[p]);
      end else begin : gen_signed
        assign result[p] = OutWidth'($signed(acc[p]));
      end
    end
  end

  bnn_credit_fifo #(
    .Width   (Pe * OutWidth),
    .Latency (Latency),
    .Interval(Words)
  ) u_out (
    .clk_i,
    .rst_ni,
    .launch_i(launch && first_q),
    .room_o  (room),
    .valid_i (result_valid),
    .data_i  (result),
    .valid_o,
    .ready_i,
    .data_o
  );
endmodule : bnn_mvu
