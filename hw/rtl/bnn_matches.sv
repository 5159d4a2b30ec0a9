// SPDX-License-Identifier: Apache-2.0

/// The first level of a popcount of the XNOR of two words: bits of weight 1 and of weight 2 whose sum it is. Three pairs of
/// LUTs turn five positions into one bit of weight 1 and two of weight 2: a pair compares two positions and adds a
/// bit, which comes from the pair before it; the first such bit is the XNOR of a single position, and two of these
/// share a pair of LUTs.
module bnn_matches #(
  parameter  int unsigned Bits = 64,  // at least 2
  localparam int unsigned Ones = bnn_pkg::matched_ones(Bits),
  localparam int unsigned Twos = bnn_pkg::matched_twos(Bits)
) (
  input  logic [Bits-1:0] data_i,
  input  logic [Bits-1:0] weight_i,
  output logic [Ones-1:0] ones_o,
  output logic [Twos-1:0] twos_o
);
  localparam int unsigned Group = bnn_pkg::Matched;
  // Of {b, y, x, w, v}: parity and majority of v ~^ w, x ~^ y and b. Of {-, y, x, w, v}: x ~^ y and v ~^ w.
  localparam logic [31:0] Parity   = 32'h96696996;
  localparam logic [31:0] Majority = 32'hf99f9009;
  localparam logic [31:0] Second   = 32'hf00ff00f;
  localparam logic [31:0] First    = 32'h99999999;

  logic [Ones-1:0] single;

  for (genvar g = 0; g < Ones; g++) begin : gen_group
    localparam int unsigned Begin = g * Group;
    localparam int unsigned Own   = Begin + Group <= Bits ? Group : Bits - Begin;
    localparam int unsigned Pairs = Own / 2;
    logic [Pairs:0] sum;

    if (g % 2 == 0) begin : gen_single
      localparam int unsigned Next = Begin + 2 * Group - 1 < Bits ? Begin + 2 * Group - 1 : Bits - 1;
      logic second;
      bnn_lut_pair #(
        .High(Second),
        .Low (First)
      ) u_single (
        .data_i({1'b0, weight_i[Next], data_i[Next], weight_i[Begin+Own-1], data_i[Begin+Own-1]}),
        .high_o(second),
        .low_o (single[g])
      );
      if (g + 1 < Ones) begin : gen_second
        assign single[g+1] = second;
      end else begin : gen_no_second
        logic unused;
        assign unused = second;
      end
    end

    assign sum[0] = single[g] && Own % 2 == 1;
    for (genvar p = 0; p < Pairs; p++) begin : gen_pair
      localparam int unsigned Place = Begin + 2 * p;
      bnn_lut_pair #(
        .High(Parity),
        .Low (Majority)
      ) u_pair (
        .data_i({sum[p], weight_i[Place+1], data_i[Place+1], weight_i[Place], data_i[Place]}),
        .high_o(sum[p+1]),
        .low_o (twos_o[g*(Group/2)+p])
      );
    end
    assign ones_o[g] = sum[Pairs];
  end
endmodule : bnn_matches
