// SPDX-License-Identifier: Apache-2.0

/// Counts for each lane the thresholds of its channel that the element reaches (T <= x). A pipeline without handshake,
/// shared by `bnn_mvu` and `bnn_threshold`. Latency: 1 if Steps is 1, else 2.
///
/// Beat n of a vector carries channels n*Lanes...; word n of the file holds their thresholds, lane by lane, step by
/// step. If SelectWidth is not 0, `select_i` chooses one of 2**SelectWidth sets of thresholds per lane; they follow
/// each other in the lane's part of the word. If Inverted is 1, a last entry of each lane is 1 where the channel counts
/// the thresholds that it does not reach.
module bnn_steps #(
  parameter int unsigned Lanes          = 2,
  parameter int unsigned Beats          = 1,  // of a vector
  parameter int unsigned InWidth        = 8,
  parameter string       InKind         = "unsigned",  // "bipolar", "unsigned" or "signed"
  parameter int unsigned Steps          = 1,
  parameter int unsigned ThresholdWidth = 8,  // unsigned if the input is, else two's complement
  parameter int unsigned OutWidth       = 1,
  parameter string       OutKind        = "unsigned",  // "signed": the count less 2**(OutWidth-1)
  parameter int unsigned SelectWidth    = 0,
  parameter int unsigned Inverted       = 0,
  parameter              File           = "",
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
  if (InKind != "bipolar" && InKind != "unsigned" && InKind != "signed" || InKind == "bipolar" && InWidth != 1)
  begin : gen_check_kind
    $fatal(1, "InKind %s, InWidth %0d: bipolar (1 bit), unsigned or signed", InKind, InWidth);
  end

  localparam int unsigned Sets       = 2 ** SelectWidth;
  localparam int unsigned Entries    = Sets * Steps + Inverted;
  localparam int unsigned BeatWidth  = bnn_pkg::index_width(Beats);
  localparam int unsigned ValueWidth = InKind == "bipolar" ? 2 : InWidth;
  localparam int unsigned Width      = ValueWidth > ThresholdWidth ? ValueWidth : ThresholdWidth;

  logic [BeatWidth-1:0] beat_d, beat_q;
  logic [Lanes-1:0][Entries-1:0][ThresholdWidth-1:0] entries;
  logic [Lanes-1:0][Steps-1:0][ThresholdWidth-1:0] threshold;
  logic [Lanes-1:0][Steps-1:0] reached_d, reached_q;
  logic valid_q;

  always_comb begin
    beat_d = beat_q;
    if (valid_i) beat_d = beat_q == BeatWidth'(Beats - 1) ? '0 : beat_q + 1'b1;
    if (!rst_ni) beat_d = '0;  // word 0 is read during reset
  end

  bnn_rom #(
    .Width  (Lanes * Entries * ThresholdWidth),
    .Depth  (Beats),
    .Latency(1),
    .File   (File)
  ) u_thresholds (
    .clk_i,
    .addr_i(beat_d),
    .data_o(entries)
  );

  if (SelectWidth > 0) begin : gen_select
    for (genvar l = 0; l < Lanes; l++) begin : gen_lane
      logic [Sets-1:0][Steps-1:0][ThresholdWidth-1:0] sets;
      assign sets         = entries[l][Sets*Steps-1:0];
      assign threshold[l] = sets[select_i[l*SelectWidth+:SelectWidth]];
    end
  end else begin : gen_one_set
    for (genvar l = 0; l < Lanes; l++) begin : gen_lane
      assign threshold[l] = entries[l][Steps-1:0];
    end
    logic unused;
    assign unused = select_i[0];
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic [Width-1:0] value;
    logic             invert;
    assign invert = Inverted != 0 && entries[l][Entries-1][0];
    if (InKind == "bipolar") begin : gen_bipolar
      assign value = data_i[l] == 1'b1 ? Width'(1) : '1;  // +1 or -1
    end else if (InKind == "signed") begin : gen_signed
      assign value = Width'($signed(data_i[l]));
    end else begin : gen_unsigned
      assign value = Width'(data_i[l]);
    end
    for (genvar s = 0; s < Steps; s++) begin : gen_step
      if (InKind == "unsigned") begin : gen_unsigned
        assign reached_d[l][s] = invert ^ (value >= Width'(threshold[l][s]));
      end else begin : gen_signed
        assign reached_d[l][s] = invert ^ ($signed(value) >= Width'($signed(threshold[l][s])));
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      beat_q  <= '0;
      valid_q <= 1'b0;
    end else begin
      beat_q  <= beat_d;
      valid_q <= valid_i;
    end
    reached_q <= reached_d;
  end

  if (Steps == 1) begin : gen_one
    assign {valid_o, data_o} = {valid_q, reached_q};
  end else begin : gen_count
    always_ff @(posedge clk_i) begin
      if (!rst_ni) valid_o <= 1'b0;
      else valid_o <= valid_q;
    end
    for (genvar l = 0; l < Lanes; l++) begin : gen_lane
      logic [OutWidth-1:0] count;
      always_comb begin
        count = '0;
        if (OutKind == "signed") count[OutWidth-1] = 1'b1;  // counts from -2**(OutWidth-1)
        for (int unsigned s = 0; s < Steps; s++) count += OutWidth'(reached_q[l][s]);
      end
      always_ff @(posedge clk_i) data_o[l] <= count;
    end
  end
endmodule : bnn_steps
