// SPDX-License-Identifier: Apache-2.0

/// Thresholds that are equal in all channels. With OutWidth = 1, whether an element reaches Threshold; a power of two is a
/// wire. Else the top OutWidth bits of the element, which count equally spaced thresholds. One register, which takes the
/// next beat in the cycle in which its reader takes this one.
module bnn_quantizer #(
  parameter int unsigned Lanes     = 2,
  parameter int unsigned InWidth   = 8,  // at most 32
  parameter string       InKind    = "unsigned",  // "bipolar", "unsigned" or "signed"
  parameter int unsigned OutWidth  = 1,
  parameter string       OutKind   = "unsigned",  // of 1 bit, "bipolar" is equal
  parameter int          Threshold = 128
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
  if (Lanes < 1 || OutWidth < 1 || OutWidth > InWidth || InWidth > 32) begin : gen_check
    $fatal(1, "Lanes %0d, InWidth %0d, OutWidth %0d: each is at least 1, and an output fits into an input of 32 bits",
           Lanes, InWidth, OutWidth);
  end

  localparam logic [OutWidth-1:0] Least = OutKind == "signed" ? OutWidth'(1) << (OutWidth - 1) : '0;

  logic [Lanes-1:0][OutWidth-1:0] count;

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    if (OutWidth == 1) begin : gen_compare
      logic [32:0] value;
      bnn_value #(
        .Width   (InWidth),
        .Kind    (InKind),
        .OutWidth(33)
      ) u_value (
        .data_i(data_i[l]),
        .data_o(value)
      );
      assign count[l] = $signed(value) >= 33'(Threshold);
    end else begin : gen_top
      localparam logic [OutWidth-1:0] First = InKind == "signed" ? OutWidth'(1) << (OutWidth - 1) : '0;
      assign count[l] = data_i[l][InWidth-1-:OutWidth] ^ First;
      logic unused;
      assign unused = &data_i[l];
    end
  end

  assign ready_o = ready_i || !valid_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_o <= 1'b0;
    else if (ready_o) valid_o <= valid_i;
    if (ready_o) data_o <= count ^ {Lanes{Least}};
  end

`ifndef SYNTHESIS
  HoldBeat :
  assert property (@(posedge clk_i) disable iff (!rst_ni) valid_o && !ready_i |=> valid_o && $stable(data_o));
`endif
endmodule : bnn_quantizer
