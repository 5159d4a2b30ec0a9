// SPDX-License-Identifier: Apache-2.0

/// Sum of bits of several weights, by 7:3 counters. Each instance replaces seven bits of one weight by three (in the end
/// three by two) in a level, and leaves the rest to an instance of itself; when no weight has more than three bits, a
/// ternary adder ends it. Latency: bnn_pkg::compressor_levels(Heights, OutWidth), if each level has registers.
module bnn_compressor #(
  parameter  bnn_pkg::heights_t Heights  = bnn_pkg::heights_t'(64),  // bits of each weight: 1, 2, 4...
  parameter  int unsigned       OutWidth = 7,  // holds the sum
  parameter  int unsigned       Levels   = 1,  // between registers; there is always one at the end
  parameter  int unsigned       Depth    = 0,  // levels since the last register
  localparam int unsigned       Inputs   = bnn_pkg::total(Heights, bnn_pkg::MostColumns)
) (
  input  logic                clk_i,
  input  logic [Inputs-1:0]   data_i,  // those of weight 1 first
  output logic [OutWidth-1:0] data_o
);
  if (OutWidth > bnn_pkg::MostColumns) begin : gen_check
    $fatal(1, "OutWidth %0d: at most %0d", OutWidth, bnn_pkg::MostColumns);
  end

  if (bnn_pkg::tallest(Heights) == 1) begin : gen_wire
    for (genvar w = 0; w < OutWidth; w++) begin : gen_weight
      if (32'(Heights[w]) == 1) begin : gen_one
        assign data_o[w] = data_i[bnn_pkg::total(Heights, w)];
      end else begin : gen_none
        assign data_o[w] = 1'b0;
      end
    end
    logic unused;
    assign unused = clk_i;
  end else if (bnn_pkg::tallest(Heights) <= 3) begin : gen_add
    // A full adder for each weight and one carry chain: a LUT6 a bit.
    logic [OutWidth-1:0] odd, carry;
    for (genvar w = 0; w < OutWidth; w++) begin : gen_weight
      localparam int unsigned First = bnn_pkg::total(Heights, w);
      localparam int unsigned Count = 32'(Heights[w]);
      logic [2:0] bits;
      if (Count > 0) begin : gen_some
        assign bits = 3'(data_i[First+:Count]);
      end else begin : gen_none
        assign bits = '0;
      end
      assign odd[w]   = ^bits;
      assign carry[w] = (bits[0] & bits[1]) | (bits[0] & bits[2]) | (bits[1] & bits[2]);
    end
    always_ff @(posedge clk_i) data_o <= OutWidth'({carry, 1'b0}) + odd;
  end else begin : gen_level
    localparam bnn_pkg::heights_t Next = bnn_pkg::compressed(Heights, OutWidth);
    localparam int unsigned Outputs    = bnn_pkg::total(Next, bnn_pkg::MostColumns);
    logic [Outputs-1:0] next_d, next_q;

    // Of each weight: the bits left over come first, then those of its own counters, then those of the weights below.
    for (genvar w = 0; w < OutWidth; w++) begin : gen_weight
      localparam int unsigned First    = bnn_pkg::total(Heights, w);
      localparam int unsigned Count    = 32'(Heights[w]);
      localparam int unsigned Counters = bnn_pkg::counters(Heights, w);
      localparam int unsigned Share    = bnn_pkg::share(Heights);
      localparam int unsigned Left     = bnn_pkg::left_over(Heights, w);
      if (Left > 0) begin : gen_left
        assign next_d[bnn_pkg::total(Next, w)+:Left] = data_i[First+Count-Left+:Left];
      end
      for (genvar c = 0; c < Counters; c++) begin : gen_counter
        localparam int unsigned Begin = First + c * Share;
        localparam int unsigned Own   = Begin + Share <= First + Count ? Share : First + Count - Begin;
        logic [2:0] count;
        bnn_count u_count (
          .data_i(7'(data_i[Begin+:Own])),
          .data_o(count)
        );
        assign next_d[bnn_pkg::total(Next, w)+Left+c] = count[0];
        if (w + 1 < OutWidth) begin : gen_two
          assign next_d[bnn_pkg::place(Heights, OutWidth, w + 1, 1)+c] = count[1];
        end
        if (w + 2 < OutWidth && Share == 7) begin : gen_four
          assign next_d[bnn_pkg::place(Heights, OutWidth, w + 2, 2)+c] = count[2];
        end
        logic unused;
        assign unused = &count;
      end
    end

    localparam bit Registered = bnn_pkg::tallest(Next) == 1 || Depth + 1 >= Levels;
    if (Registered) begin : gen_register
      always_ff @(posedge clk_i) next_q <= next_d;
    end else begin : gen_wire
      assign next_q = next_d;
    end

    bnn_compressor #(
      .Heights (Next),
      .OutWidth(OutWidth),
      .Levels  (Levels),
      .Depth   (Registered ? 0 : Depth + 1)
    ) u_rest (
      .clk_i,
      .data_i(next_q),
      .data_o
    );
  end
endmodule : bnn_compressor
