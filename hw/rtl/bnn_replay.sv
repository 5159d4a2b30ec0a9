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
    localparam int unsigned CountWidth = $clog2(2 * Words + 1) + 1;
    typedef logic signed [CountWidth-1:0] count_t;

    typedef struct packed {
      logic                 bank;
      logic [AddrWidth-1:0] word;
    } place_t;

    place_t write_q, read_q;
    logic [PassWidth-1:0] pass_q;
    count_t excess_d, excess_q;  // words in the memory that are still needed, less those that fit: negative if one fits
    count_t missing_d, missing_q;  // minus the words among them that have not been read yet: negative if there is one
    logic first_pass_q, last_pass_q, last_word_q;  // of the word that is read next
    logic take, load, fetch;

    assign take  = valid_i && ready_o;
    assign fetch = load && (!first_pass_q || missing_q < 0);

    always_comb begin
      excess_d  = excess_q + count_t'({1'b0, take}) - count_t'({1'b0, fetch && last_pass_q});
      missing_d = missing_q - count_t'({1'b0, take}) + count_t'({1'b0, fetch && first_pass_q});
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        ready_o      <= 1'b0;
        excess_q     <= -count_t'(2 * Words);
        missing_q    <= '0;
        write_q      <= '0;
        read_q       <= '0;
        pass_q       <= '0;
        first_pass_q <= 1'b1;
        last_pass_q  <= 1'b0;
        last_word_q  <= Words == 1;
      end else begin
        ready_o   <= excess_d < 0;
        excess_q  <= excess_d;
        missing_q <= missing_d;
        if (take) begin
          write_q.word <= write_q.word + 1'b1;
          if (write_q.word == AddrWidth'(Words - 1)) write_q <= '{bank: !write_q.bank, word: '0};
        end
        if (fetch) begin
          read_q.word <= read_q.word + 1'b1;
          last_word_q <= 32'(read_q.word) + 2 == Words || Words == 1;
          if (last_word_q) begin
            read_q       <= '{bank: read_q.bank ^ last_pass_q, word: '0};
            pass_q       <= last_pass_q ? '0 : pass_q + 1'b1;
            first_pass_q <= last_pass_q;
            last_pass_q  <= 32'(pass_q) + 2 == Passes;
          end
        end
      end
    end

    bnn_ram #(
      .Width(Width),
      .Depth(2 ** (AddrWidth + 1))
    ) u_memory (
      .clk_i,
      .rst_ni,
      .write_i     (take),
      .write_addr_i(write_q),
      .data_i,
      .load_o      (load),
      .fetch_i     (fetch),
      .read_addr_i (read_q),
      .valid_o,
      .ready_i,
      .data_o
    );
  end
endmodule : bnn_replay
