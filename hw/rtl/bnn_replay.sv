// SPDX-License-Identifier: Apache-2.0

/// Replays each vector of Words words Passes times. The first pass forwards words as they arrive. The memory is a
/// ping-pong buffer: it takes in the next vector while this one is replayed, so the output has no gaps if the source
/// keeps up.
module bnn_replay #(
  parameter int unsigned Width  = 8,
  parameter int unsigned Words  = 4,
  parameter int unsigned Passes = 2
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
  if (Width < 1 || Words < 1 || Passes < 1) begin : gen_check
    $fatal(1, "Width %0d, Words %0d, Passes %0d: each is at least 1", Width, Words, Passes);
  end

  if (Passes == 1) begin : gen_wire
    assign {valid_o, ready_o, data_o} = {valid_i, ready_i, data_i};
    logic unused;
    assign unused = &{clk_i, rst_ni};
  end else begin : gen_memory
    localparam int unsigned AddrWidth  = bnn_pkg::index_width(Words);
    localparam int unsigned PassWidth  = $clog2(Passes);
    localparam int unsigned CountWidth = $clog2(2 * Words + 1);

    typedef struct packed {
      logic                 bank;
      logic [AddrWidth-1:0] word;
    } place_t;

    place_t write_q, read_q;
    logic [PassWidth-1:0] pass_q;
    logic [CountWidth-1:0] held_d, held_q;  // words in the memory that are still needed
    logic [CountWidth-1:0] new_d, new_q;  // words among them that have not been read yet
    logic take, load, first_pass, last_pass, last_word, fetch;

    assign take       = valid_i && ready_o;
    assign load       = ready_i || !valid_o;
    assign first_pass = pass_q == '0;
    assign last_pass  = pass_q == PassWidth'(Passes - 1);
    assign last_word  = read_q.word == AddrWidth'(Words - 1);
    assign fetch      = load && (!first_pass || new_q != '0);

    always_comb begin
      held_d = held_q;
      new_d  = new_q;
      if (take && !(fetch && last_pass)) held_d = held_q + 1'b1;
      if (!take && fetch && last_pass) held_d = held_q - 1'b1;
      if (take && !(fetch && first_pass)) new_d = new_q + 1'b1;
      if (!take && fetch && first_pass) new_d = new_q - 1'b1;
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        valid_o <= 1'b0;
        ready_o <= 1'b0;
        held_q  <= '0;
        new_q   <= '0;
        write_q <= '0;
        read_q  <= '0;
        pass_q  <= '0;
      end else begin
        if (load) valid_o <= fetch;
        ready_o <= held_d != CountWidth'(2 * Words);
        held_q  <= held_d;
        new_q   <= new_d;
        if (take) begin
          write_q.word <= write_q.word + 1'b1;
          if (write_q.word == AddrWidth'(Words - 1)) write_q <= '{bank: !write_q.bank, word: '0};
        end
        if (fetch) begin
          read_q.word <= read_q.word + 1'b1;
          if (last_word) begin
            read_q <= '{bank: read_q.bank ^ last_pass, word: '0};
            pass_q <= last_pass ? '0 : pass_q + 1'b1;
          end
        end
      end
    end

    bnn_ram #(
      .Width(Width),
      .Depth(2 ** (AddrWidth + 1))
    ) u_memory (
      .clk_i,
      .write_i     (take),
      .write_addr_i(write_q),
      .data_i,
      .read_i      (load),
      .read_addr_i (read_q),
      .data_o
    );

`ifndef SYNTHESIS
    HoldBeat :
    assert property (@(posedge clk_i) disable iff (!rst_ni)
        valid_o && !ready_i |=> valid_o && $stable(data_o));
`endif
  end
endmodule : bnn_replay
