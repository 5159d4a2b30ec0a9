// SPDX-License-Identifier: Apache-2.0

/// Counts for each lane the thresholds of its channel that the element reaches (T <= x). A pipeline without handshake,
/// shared by `bnn_mvu` and `bnn_threshold`. Latency: bnn_pkg::steps_latency(Steps). A signed count starts from the least
/// number of OutWidth bits in two's complement.
///
/// Beat n of a vector carries channels n*Lanes...; word n of the file holds their thresholds, lane by lane, step by
/// step. If SelectWidth is not 0, `select_i` chooses one of 2**SelectWidth sets of thresholds per lane; they follow
/// each other in the lane's part of the word. Above bnn_pkg::Comparators steps, each lane is a `bnn_search` instead, with
/// a set for each beat and choice, and File is the beginning of its files' names. Word n of FlipFile, if it is given, has
/// a 1 for each lane that counts the thresholds which the element does not reach.
module bnn_steps #(
  parameter int unsigned Lanes          = 2,
  parameter int unsigned Beats          = 1,  // of a vector
  parameter int unsigned InWidth        = 8,
  parameter string       InKind         = "unsigned",  // "bipolar", "unsigned" or "signed"
  parameter int unsigned Steps          = 1,
  parameter int unsigned ThresholdWidth = 8,  // unsigned if the input is, else two's complement
  parameter int unsigned OutWidth       = 1,
  parameter string       OutKind        = "unsigned",  // of 1 bit, "bipolar" is equal
  parameter int unsigned SelectWidth    = 0,
  parameter bit          Late           = 1'b0,  // no beat comes before the third cycle after a reset
  parameter              File           = "",
  parameter              FlipFile       = "",
  localparam int unsigned SelectBits    = SelectWidth > 0 ? Lanes * SelectWidth : 1  // one unused bit without selector
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic                           valid_i,
  input  logic [Lanes-1:0][InWidth-1:0]  data_i,
  input  logic [SelectBits-1:0]          select_i,
  output logic                           valid_o,
  output logic [Lanes-1:0][OutWidth-1:0] data_o
);
  if (Lanes < 1 || Beats < 1 || Steps < 1 || OutWidth != $clog2(Steps + 1)) begin : gen_check
    $fatal(1, "Lanes %0d, Beats %0d, Steps %0d, OutWidth %0d: each is at least 1 and OutWidth counts to Steps",
           Lanes, Beats, Steps, OutWidth);
  end
  if (OutKind != "bipolar" && OutKind != "unsigned" && OutKind != "signed" || OutKind == "bipolar" && OutWidth != 1)
  begin : gen_check_out
    $fatal(1, "OutKind %s, OutWidth %0d: bipolar (1 bit), unsigned or signed", OutKind, OutWidth);
  end

  localparam int unsigned Sets       = Beats * 2 ** SelectWidth;  // of a lane
  localparam int unsigned ValueWidth = InKind == "bipolar" ? 2 : InWidth;
  localparam int unsigned Width      = ValueWidth > ThresholdWidth ? ValueWidth : ThresholdWidth;
  localparam logic [OutWidth-1:0] Least = OutKind == "signed" ? OutWidth'(1) << (OutWidth - 1) : '0;

  logic [Lanes-1:0][Width-1:0]    value;
  logic [Lanes-1:0][OutWidth-1:0] count;

  bnn_delay #(
    .Stages(bnn_pkg::steps_latency(Steps))
  ) u_valid (
    .clk_i,
    .rst_ni,
    .data_i(valid_i),
    .data_o(valid_o)
  );

  logic [Lanes-1:0] flip;
  bnn_beat_rom #(
    .Width(Lanes),
    .Beats(Beats),
    .Late (Late),
    .File (FlipFile)
  ) u_flips (
    .clk_i,
    .rst_ni,
    .next_i(valid_o),
    .data_o(flip)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    bnn_value #(
      .Width   (InWidth),
      .Kind    (InKind),
      .OutWidth(Width)
    ) u_value (
      .data_i(data_i[l]),
      .data_o(value[l])
    );
    assign data_o[l] = count[l] ^ Least ^ {OutWidth{flip[l]}};
  end

  if (SelectWidth == 0) begin : gen_no_select
    logic unused;
    assign unused = select_i[0];
  end

  if (Steps > bnn_pkg::Comparators) begin : gen_search
    if (Steps != 2 ** OutWidth - 1) begin : gen_check
      $fatal(1, "Steps %0d: more than %0d are one less than a power of two", Steps, bnn_pkg::Comparators);
    end
    logic [bnn_pkg::index_width(Beats)-1:0] beat, unused_ahead;
    bnn_beat #(
      .Beats(Beats)
    ) u_beat (
      .clk_i,
      .rst_ni,
      .next_i (valid_i),
      .beat_o (beat),
      .ahead_o(unused_ahead)
    );
    for (genvar l = 0; l < Lanes; l++) begin : gen_lane
      localparam int unsigned SetWidth = bnn_pkg::index_width(Sets);
      logic [SetWidth-1:0] set;
      if (SelectWidth > 0) begin : gen_select
        assign set = SetWidth'({beat, select_i[l*SelectWidth+:SelectWidth]});
      end else begin : gen_one_set
        assign set = beat;
      end
      bnn_search #(
        .Levels        (OutWidth),
        .Sets          (Sets),
        .Width         (Width),
        .Signed        (InKind != "unsigned"),
        .ThresholdWidth(ThresholdWidth),
        .File          (File),
        .Lane          (l)
      ) u_search (
        .clk_i,
        .set_i  (set),
        .value_i(value[l]),
        .count_o(count[l])
      );
    end
  end else begin : gen_compare
    logic [Lanes-1:0][2**SelectWidth-1:0][Steps-1:0][ThresholdWidth-1:0] sets;
    logic [Lanes-1:0][Steps-1:0] reached_d, reached_q;

    bnn_beat_rom #(
      .Width(Lanes * 2 ** SelectWidth * Steps * ThresholdWidth),
      .Beats(Beats),
      .Late (Late),
      .File (File)
    ) u_thresholds (
      .clk_i,
      .rst_ni,
      .next_i(valid_i),
      .data_o(sets)
    );

    for (genvar l = 0; l < Lanes; l++) begin : gen_lane
      logic [Steps-1:0][ThresholdWidth-1:0] threshold;
      if (SelectWidth > 0) begin : gen_select
        assign threshold = sets[l][select_i[l*SelectWidth+:SelectWidth]];
      end else begin : gen_one_set
        assign threshold = sets[l];
      end
      for (genvar s = 0; s < Steps; s++) begin : gen_step
        if (InKind == "unsigned") begin : gen_unsigned
          assign reached_d[l][s] = value[l] >= Width'(threshold[s]);
        end else begin : gen_signed
          assign reached_d[l][s] = $signed(value[l]) >= Width'($signed(threshold[s]));
        end
      end
    end

    always_ff @(posedge clk_i) reached_q <= reached_d;

    if (Steps == 1) begin : gen_one
      assign count = reached_q;
    end else begin : gen_count
      for (genvar l = 0; l < Lanes; l++) begin : gen_lane
        logic [OutWidth-1:0] sum;
        always_comb begin
          sum = '0;
          for (int unsigned s = 0; s < Steps; s++) sum += OutWidth'(reached_q[l][s]);
        end
        always_ff @(posedge clk_i) count[l] <= sum;
      end
    end
  end
endmodule : bnn_steps
