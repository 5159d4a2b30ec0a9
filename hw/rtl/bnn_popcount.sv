// SPDX-License-Identifier: Apache-2.0

/// Popcount of a word, or of its XNOR with weights if Weighted, pipelined: by counters of seven bits on Xilinx parts
/// (BNN_XILINX), else by an adder tree; both have the same latency, bnn_pkg::popcount_latency(Bits, Weighted, Levels).
/// Verilator gets a twin, which it simulates many times faster, unless BNN_STRUCTURE is defined.
module bnn_popcount #(
  parameter  int unsigned Bits     = 64,
  parameter  bit          Weighted = 1'b0,
  parameter  int unsigned Levels   = 1,  // of counters or adders between registers; there is always one at the end
  localparam int unsigned OutWidth = $clog2(Bits + 1)
) (
  input  logic                clk_i,
  input  logic [Bits-1:0]     data_i,
  input  logic [Bits-1:0]     weight_i,  // read if Weighted
  output logic [OutWidth-1:0] data_o
);
`ifdef VERILATOR
`ifndef BNN_STRUCTURE
  `define BNN_TWIN
`endif
`endif
  if (Bits < 1 || Bits > 65535) begin : gen_check
    $fatal(1, "Bits %0d: 1 to 65535", Bits);
  end

  logic [OutWidth-1:0] count;
  logic [Bits-1:0] terms;
  assign terms = Weighted ? data_i ~^ weight_i : data_i;
  logic unused;
  assign unused = &{weight_i, terms};

`ifdef BNN_TWIN
  localparam int unsigned Latency = 0;
  assign count = OutWidth'($countones(terms));
`elsif BNN_XILINX
  localparam int unsigned Latency = bnn_pkg::ceil_div(bnn_pkg::counted_levels(Bits, Weighted), Levels);
  if (Weighted && Bits > 1) begin : gen_matches
    localparam int unsigned Ones = bnn_pkg::matched_ones(Bits);
    localparam int unsigned Twos = bnn_pkg::matched_twos(Bits);
    logic [Ones-1:0] ones_d, ones_q;
    logic [Twos-1:0] twos_d, twos_q;
    bnn_matches #(
      .Bits(Bits)
    ) u_matches (
      .data_i,
      .weight_i,
      .ones_o(ones_d),
      .twos_o(twos_d)
    );
    localparam bit Registered = bnn_pkg::tallest(bnn_pkg::matched(Bits)) == 1 || Levels == 1;
    if (Registered) begin : gen_register
      always_ff @(posedge clk_i) begin
        ones_q <= ones_d;
        twos_q <= twos_d;
      end
    end else begin : gen_wire
      assign ones_q = ones_d;
      assign twos_q = twos_d;
    end
    bnn_compressor #(
      .Heights (bnn_pkg::matched(Bits)),
      .OutWidth(OutWidth),
      .Levels  (Levels),
      .Depth   (Registered ? 0 : 1)
    ) u_compressor (
      .clk_i,
      .data_i({twos_q, ones_q}),
      .data_o(count)
    );
  end else begin : gen_terms
    bnn_compressor #(
      .Heights (bnn_pkg::heights_t'(Bits)),
      .OutWidth(OutWidth),
      .Levels  (Levels)
    ) u_compressor (
      .clk_i,
      .data_i(terms),
      .data_o(count)
    );
  end
`else
  localparam int unsigned Latency = bnn_pkg::sum_latency(Bits, 1, Levels);
  bnn_sum #(
    .Terms   (Bits),
    .OutWidth(OutWidth),
    .Levels  (Levels)
  ) u_sum (
    .clk_i,
    .data_i(terms),
    .data_o(count)
  );
`endif

  bnn_delay #(
    .Width (OutWidth),
    .Stages(bnn_pkg::popcount_latency(Bits, Weighted, Levels) - Latency),
    .Reset (1'b0)
  ) u_delay (
    .clk_i,
    .rst_ni(1'b1),
    .data_i(count),
    .data_o
  );
endmodule : bnn_popcount
