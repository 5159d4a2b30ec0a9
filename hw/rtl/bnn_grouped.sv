// SPDX-License-Identifier: Apache-2.0

/// Grouped matrix-vector(-threshold) unit: Groups products of Outputs rows, each with Inputs channels of Pixels pixels.
/// Depthwise: Inputs is 1. A window arrives pixel by pixel, group by group; each beat meets all rows of its groups at
/// once, Pe a cycle, and a LUT-RAM holds the sums of all rows. A beat has whole groups (Simd = q * Inputs, then
/// Pe = q * Outputs), or a part of one (Simd divides Inputs, Pe divides Outputs).
///
/// The accumulator of a row is the popcount of agreeing bits if the input is bipolar and WeightWidth is 1, else the dot
/// product with weights in two's complement. With Steps = 0 the result is the accumulator, resized to OutWidth;
/// otherwise `bnn_steps` compares it with thresholds. A word of the weight file is a cycle's: the weights of each row.
///
/// The pipeline never stalls: weights -> products -> sum -> accumulate -> thresholds -> credit FIFO.
module bnn_grouped #(
  parameter int unsigned Pixels         = 3,
  parameter int unsigned Groups         = 4,
  parameter int unsigned Inputs         = 1,
  parameter int unsigned Outputs        = 1,
  parameter int unsigned Simd           = 2,
  parameter int unsigned Pe             = 2,
  parameter int unsigned InWidth        = 1,
  parameter string       InKind         = "bipolar",  // "bipolar", "unsigned" or "signed"
  parameter int unsigned WeightWidth    = 1,  // 1: XNOR
  parameter int unsigned AccWidth       = 2,
  parameter int unsigned Levels         = 1,  // of counters or adders between registers
  parameter bit          MemoryRegister = 1'b0,  // on the way of weights from block RAM
  parameter int unsigned Steps          = 0,
  parameter int unsigned ThresholdWidth = 1,
  parameter int unsigned OutWidth       = AccWidth,
  parameter string       OutKind        = "unsigned",  // of a count of thresholds: "bipolar", "unsigned" or "signed"
  parameter string       Memory         = "lut",  // "lut" or "block"
  parameter              WeightFile     = "",
  parameter              ThresholdFile  = "",
  parameter              FlipFile       = ""
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    valid_i,
  output logic                    ready_o,
  input  logic [Simd*InWidth-1:0] data_i,
  output logic                    valid_o,
  input  logic                    ready_i,
  output logic [Pe*OutWidth-1:0]  data_o
);
  localparam int unsigned Whole  = Simd > Inputs ? Simd / Inputs : 1;  // groups of a beat
  localparam int unsigned Share  = Simd / Whole;  // channels of a group in a beat
  localparam int unsigned Parts  = Inputs / Share;  // beats of a group's pixel
  localparam int unsigned Passes = Whole > 1 ? 1 : Outputs / Pe;  // cycles of a beat
  localparam int unsigned Folds  = Groups / Whole;

  if (Simd != Whole * Share || Inputs != Parts * Share || Groups != Folds * Whole
      || Pe * Passes != Whole * Outputs) begin : gen_check
    $fatal(1, "Groups %0d of Inputs %0d and Outputs %0d, Simd %0d, Pe %0d: whole groups, or a part of one",
           Groups, Inputs, Outputs, Simd, Pe);
  end
  if (WeightWidth == 1 && InKind != "bipolar" || Memory != "lut" && Memory != "block") begin : gen_check_kind
    $fatal(1, "WeightWidth %0d, InKind %s, Memory %s: weights of 1 bit need bipolar data; lut or block",
           WeightWidth, InKind, Memory);
  end

  localparam int unsigned Fold       = Pixels * Folds * Parts * Passes;  // cycles of a window
  localparam int unsigned Places     = Folds * Passes;  // sums of a lane
  localparam bit          Xnor       = WeightWidth == 1;
  localparam string       AccKind    = Xnor ? "unsigned" : "signed";
  localparam int unsigned RomLatency = Memory == "block" ? bnn_pkg::block_latency(1, MemoryRegister) : 1;
  localparam int unsigned SumLatency = RomLatency
      + (Xnor ? bnn_pkg::popcount_latency(Share, 1'b1, Levels)
              : 1 + bnn_pkg::sum_latency(Share, WeightWidth + InWidth, Levels));
  localparam int unsigned AccLatency = SumLatency + 1;
  localparam int unsigned Latency    = AccLatency + (Steps > 0 ? bnn_pkg::steps_latency(Steps) : 0);
  localparam int unsigned SumWidth   = Xnor ? $clog2(Share + 1) : AccWidth;

  localparam int unsigned AddrWidth  = bnn_pkg::index_width(Fold);
  localparam int unsigned PassWidth  = bnn_pkg::index_width(Passes);
  localparam int unsigned PartWidth  = bnn_pkg::index_width(Parts);
  localparam int unsigned FoldWidth  = bnn_pkg::index_width(Folds);
  localparam int unsigned PixelWidth = bnn_pkg::index_width(Pixels);
  localparam int unsigned PlaceWidth = bnn_pkg::index_width(Places);

  // Launch: a cycle of a beat. The first takes the beat; a cycle that ends a sum waits for room for its result.
  logic [AddrWidth-1:0]  addr_q;
  logic [PassWidth-1:0]  pass_q;
  logic [PartWidth-1:0]  part_q;
  logic [FoldWidth-1:0]  fold_q;
  logic [PixelWidth-1:0] pixel_q;
  logic [PlaceWidth-1:0] place_q, start_q;  // start: of the beat's groups
  logic room, fresh, first, last, free, launch;
  logic last_pass, last_part, last_fold, last_pixel;
  logic [Simd*InWidth-1:0] beat;

  assign fresh      = pass_q == '0;
  assign last_pass  = pass_q == PassWidth'(Passes - 1);
  assign last_part  = part_q == PartWidth'(Parts - 1);
  assign last_fold  = fold_q == FoldWidth'(Folds - 1);
  assign last_pixel = pixel_q == PixelWidth'(Pixels - 1);
  assign first      = pixel_q == '0 && part_q == '0;
  assign last       = last_pixel && last_part;
  assign free       = room || !last;
  assign ready_o    = fresh && free;
  assign launch     = (valid_i || !fresh) && free;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      addr_q  <= '0;
      pass_q  <= '0;
      part_q  <= '0;
      fold_q  <= '0;
      pixel_q <= '0;
      place_q <= '0;
      start_q <= '0;
    end else if (launch) begin
      addr_q  <= addr_q == AddrWidth'(Fold - 1) ? '0 : addr_q + 1'b1;
      pass_q  <= last_pass ? '0 : pass_q + 1'b1;
      place_q <= place_q + 1'b1;
      if (last_pass) begin
        part_q  <= last_part ? '0 : part_q + 1'b1;
        place_q <= start_q;
        if (last_part) begin
          fold_q  <= last_fold ? '0 : fold_q + 1'b1;
          place_q <= last_fold ? '0 : start_q + PlaceWidth'(Passes);
          start_q <= last_fold ? '0 : start_q + PlaceWidth'(Passes);
          if (last_fold) pixel_q <= last_pixel ? '0 : pixel_q + 1'b1;
        end
      end
    end
  end

  if (Passes > 1) begin : gen_hold
    logic [Simd*InWidth-1:0] beat_q;
    always_ff @(posedge clk_i) if (fresh) beat_q <= data_i;
    assign beat = fresh ? data_i : beat_q;
  end else begin : gen_pass
    assign beat = data_i;
  end

  logic sum_valid, sum_first, sum_last;
  logic [PlaceWidth-1:0] sum_place;

  bnn_delay #(
    .Width (3 + PlaceWidth),
    .Stages(SumLatency)
  ) u_marks (
    .clk_i,
    .rst_ni,
    .data_i({launch, first, last, place_q}),
    .data_o({sum_valid, sum_first, sum_last, sum_place})
  );

  // The weights, and the beat delayed by as much.
  logic [Pe-1:0][Share*WeightWidth-1:0] weights;
  logic [Whole-1:0][Share*InWidth-1:0]  delayed;

  bnn_rom #(
    .Width     (Pe * Share * WeightWidth),
    .Depth     (Fold),
    .Latency   (Memory == "block" ? 2 : 1),
    .File      (WeightFile),
    .Registered(MemoryRegister)
  ) u_weights (
    .clk_i,
    .addr_i(addr_q),
    .data_o(weights)
  );

  bnn_delay #(
    .Width (Simd * InWidth),
    .Stages(RomLatency),
    .Reset (1'b0)
  ) u_delayed (
    .clk_i,
    .rst_ni,
    .data_i(beat),
    .data_o(delayed)
  );

  // The sum of each row so far, without and with this beat.
  logic [Pe-1:0][AccWidth-1:0] memory[Places];
  logic [Pe-1:0][AccWidth-1:0] so_far, now, acc;
  logic acc_valid, result_valid;

  assign so_far = memory[sum_place];
  always_ff @(posedge clk_i) begin
    if (sum_valid) memory[sum_place] <= now;
    acc <= now;
  end

  for (genvar p = 0; p < Pe; p++) begin : gen_row
    logic [SumWidth-1:0] sum;
    bnn_products #(
      .Simd       (Share),
      .InWidth    (InWidth),
      .InKind     (InKind),
      .WeightWidth(WeightWidth),
      .OutWidth   (SumWidth),
      .Levels     (Levels)
    ) u_products (
      .clk_i,
      .data_i  (delayed[p*Whole/Pe]),
      .weight_i(weights[p]),
      .data_o  (sum)
    );
    assign now[p] = (sum_first ? '0 : so_far[p]) + AccWidth'(sum);
  end

  bnn_delay u_acc_valid (
    .clk_i,
    .rst_ni,
    .data_i(sum_valid && sum_last),
    .data_o(acc_valid)
  );

  // The result: the number of thresholds reached, or the accumulator itself.
  logic [Pe-1:0][OutWidth-1:0] result;

  if (Steps > 0) begin : gen_steps
    bnn_steps #(
      .Lanes         (Pe),
      .Beats         (Places),
      .InWidth       (AccWidth),
      .InKind        (AccKind),
      .Steps         (Steps),
      .ThresholdWidth(ThresholdWidth),
      .OutWidth      (OutWidth),
      .OutKind       (OutKind),
      .Late          (1'b1),
      .File          (ThresholdFile),
      .FlipFile      (FlipFile)
    ) u_steps (
      .clk_i,
      .rst_ni,
      .valid_i (acc_valid),
      .data_i  (acc),
      .select_i('0),
      .valid_o (result_valid),
      .data_o  (result)
    );
  end else begin : gen_accumulator
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
    .Width  (Pe * OutWidth),
    .Latency(Latency)
  ) u_out (
    .clk_i,
    .rst_ni,
    .launch_i(launch && last),
    .room_o  (room),
    .valid_i (result_valid),
    .data_i  (result),
    .valid_o,
    .ready_i,
    .data_o
  );
endmodule : bnn_grouped
