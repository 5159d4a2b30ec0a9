// SPDX-License-Identifier: Apache-2.0

/// The host's side of an accelerator: streams in words of the DMA, TLAST at the end of a batch, and registers.
/// An input beat of the accelerator is InRatio words, an output beat OutRatio. A batch is any number of whole frames;
/// TLAST on its last word causes TLAST on the last word of its results.
module bnn_host #(
  parameter int unsigned     WordWidth = 32,
  parameter int unsigned     InWords   = 4,  // of a frame
  parameter int unsigned     OutWords  = 1,
  parameter int unsigned     InRatio   = 2,  // words of a beat
  parameter int unsigned     OutRatio  = 1,
  parameter logic     [63:0] Identity  = 64'd0
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  // AXI4-Lite; bnn_registers.rdl has the address map
  input  logic [                   5:0] s_axi_awaddr,
  input  logic [                   2:0] s_axi_awprot,
  input  logic                          s_axi_awvalid,
  output logic                          s_axi_awready,
  input  logic [                  31:0] s_axi_wdata,
  input  logic [                   3:0] s_axi_wstrb,
  input  logic                          s_axi_wvalid,
  output logic                          s_axi_wready,
  output logic [                   1:0] s_axi_bresp,
  output logic                          s_axi_bvalid,
  input  logic                          s_axi_bready,
  input  logic [                   5:0] s_axi_araddr,
  input  logic [                   2:0] s_axi_arprot,
  input  logic                          s_axi_arvalid,
  output logic                          s_axi_arready,
  output logic [                  31:0] s_axi_rdata,
  output logic [                   1:0] s_axi_rresp,
  output logic                          s_axi_rvalid,
  input  logic                          s_axi_rready,
  // AXI4-Stream from and to the DMA
  input  logic [         WordWidth-1:0] s_axis_tdata,
  input  logic                          s_axis_tlast,
  input  logic                          s_axis_tvalid,
  output logic                          s_axis_tready,
  output logic [         WordWidth-1:0] m_axis_tdata,
  output logic                          m_axis_tlast,
  output logic                          m_axis_tvalid,
  input  logic                          m_axis_tready,
  // the accelerator
  output logic                          core_rst_no,
  output logic                          core_valid_o,
  input  logic                          core_ready_i,
  output logic [ InRatio*WordWidth-1:0] core_data_o,
  input  logic                          core_valid_i,
  output logic                          core_ready_o,
  input  logic [OutRatio*WordWidth-1:0] core_data_i
);
  if (WordWidth % 8 != 0 || InWords % InRatio != 0 || OutWords % OutRatio != 0) begin : gen_check
    $fatal(1, "WordWidth %0d, InWords %0d, InRatio %0d, OutWords %0d, OutRatio %0d: a word has whole bytes, a frame beats",
           WordWidth, InWords, InRatio, OutWords, OutRatio);
  end

  localparam logic [31:0] Magic = 32'h4144_4231;
  localparam int unsigned IndexWidth = 16;  // of a frame's number, which wraps; fewer frames are in flight at once

  bnn_registers_pkg::bnn_registers__in_t hwif_in;
  bnn_registers_pkg::bnn_registers__out_t hwif_out;
  logic clear, restart, rst_n;
  assign clear       = hwif_out.control.clear.value;
  assign restart     = hwif_out.control.restart.value;
  assign rst_n       = rst_ni && !restart;
  assign core_rst_no = rst_n;

  // Input: counts the words of a frame, and queues the numbers of the frames that end a batch.
  logic take, in_last, in_ready, inside_q, ends_ready;
  logic [IndexWidth-1:0] in_frame_q, out_frame_q, end_frame;
  assign s_axis_tready = in_ready && ends_ready && !restart;
  assign take          = s_axis_tvalid && s_axis_tready;

  bnn_last #(
    .Beats(InWords)
  ) u_in_last (
    .clk_i,
    .rst_ni (rst_n),
    .valid_i(s_axis_tvalid),
    .ready_i(s_axis_tready),
    .last_o (in_last)
  );

  bnn_width_converter #(
    .Narrow(WordWidth),
    .Ratio (InRatio),
    .Up    (1'b1)
  ) u_in (
    .clk_i,
    .rst_ni (rst_n),
    .valid_i(s_axis_tvalid && ends_ready && !restart),
    .ready_o(in_ready),
    .data_i (s_axis_tdata),
    .valid_o(core_valid_o),
    .ready_i(core_ready_i),
    .data_o (core_data_o)
  );

  // Output: TLAST on the last word of a frame that ends a batch.
  logic leave, out_last, end_valid;
  assign leave        = m_axis_tvalid && m_axis_tready;
  assign m_axis_tlast = out_last && end_valid && end_frame == out_frame_q;

  bnn_fifo #(
    .Width(IndexWidth),
    .Depth(4)
  ) u_ends (
    .clk_i,
    .rst_ni (rst_n),
    .valid_i(take && in_last && s_axis_tlast),
    .ready_o(ends_ready),
    .data_i (in_frame_q),
    .valid_o(end_valid),
    .ready_i(leave && m_axis_tlast),
    .data_o (end_frame)
  );

  bnn_width_converter #(
    .Narrow(WordWidth),
    .Ratio (OutRatio),
    .Up    (1'b0)
  ) u_out (
    .clk_i,
    .rst_ni (rst_n),
    .valid_i(core_valid_i),
    .ready_o(core_ready_o),
    .data_i (core_data_i),
    .valid_o(m_axis_tvalid),
    .ready_i(m_axis_tready),
    .data_o (m_axis_tdata)
  );

  bnn_last #(
    .Beats(OutWords)
  ) u_out_last (
    .clk_i,
    .rst_ni (rst_n),
    .valid_i(m_axis_tvalid),
    .ready_i(m_axis_tready),
    .last_o (out_last)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_n) begin
      inside_q    <= 1'b0;
      in_frame_q  <= '0;
      out_frame_q <= '0;
    end else begin
      if (take) inside_q <= !in_last;
      if (take && in_last) in_frame_q <= in_frame_q + 1'b1;
      if (leave && out_last) out_frame_q <= out_frame_q + 1'b1;
    end
  end

  // Status and counters for the host.
  logic busy, misaligned_q;
  logic [31:0] frames_in_q, frames_out_q, cycles_q, input_stalls_q, input_gaps_q, output_stalls_q;
  assign busy = inside_q || in_frame_q != out_frame_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear) begin
      misaligned_q    <= 1'b0;
      frames_in_q     <= '0;
      frames_out_q    <= '0;
      cycles_q        <= '0;
      input_stalls_q  <= '0;
      input_gaps_q    <= '0;
      output_stalls_q <= '0;
    end else begin
      if (take && s_axis_tlast && !in_last) misaligned_q <= 1'b1;
      frames_in_q     <= frames_in_q + 32'(take && in_last);
      frames_out_q    <= frames_out_q + 32'(leave && out_last);
      cycles_q        <= cycles_q + 32'(busy);
      input_stalls_q  <= input_stalls_q + 32'(s_axis_tvalid && !s_axis_tready);
      input_gaps_q    <= input_gaps_q + 32'(busy && !s_axis_tvalid && s_axis_tready);
      output_stalls_q <= output_stalls_q + 32'(m_axis_tvalid && !m_axis_tready);
    end
  end

  assign hwif_in.magic.value.next         = Magic;
  assign hwif_in.identity_low.value.next  = Identity[31:0];
  assign hwif_in.identity_high.value.next = Identity[63:32];
  assign hwif_in.word_bytes.value.next    = 32'(WordWidth / 8);
  assign hwif_in.input_words.value.next   = 32'(InWords);
  assign hwif_in.output_words.value.next  = 32'(OutWords);
  assign hwif_in.status.busy.next         = busy;
  assign hwif_in.status.misaligned.next   = misaligned_q;
  assign hwif_in.frames_in.value.next     = frames_in_q;
  assign hwif_in.frames_out.value.next    = frames_out_q;
  assign hwif_in.cycles.value.next        = cycles_q;
  assign hwif_in.input_stalls.value.next  = input_stalls_q;
  assign hwif_in.input_gaps.value.next    = input_gaps_q;
  assign hwif_in.output_stalls.value.next = output_stalls_q;

  bnn_registers u_registers (
    .clk           (clk_i),
    .rst_n         (rst_ni),
    .s_axil_awready(s_axi_awready),
    .s_axil_awvalid(s_axi_awvalid),
    .s_axil_awaddr (s_axi_awaddr),
    .s_axil_awprot (s_axi_awprot),
    .s_axil_wready (s_axi_wready),
    .s_axil_wvalid (s_axi_wvalid),
    .s_axil_wdata  (s_axi_wdata),
    .s_axil_wstrb  (s_axi_wstrb),
    .s_axil_bready (s_axi_bready),
    .s_axil_bvalid (s_axi_bvalid),
    .s_axil_bresp  (s_axi_bresp),
    .s_axil_arready(s_axi_arready),
    .s_axil_arvalid(s_axi_arvalid),
    .s_axil_araddr (s_axi_araddr),
    .s_axil_arprot (s_axi_arprot),
    .s_axil_rready (s_axi_rready),
    .s_axil_rvalid (s_axi_rvalid),
    .s_axil_rdata  (s_axi_rdata),
    .s_axil_rresp  (s_axi_rresp),
    .hwif_in,
    .hwif_out
  );
endmodule : bnn_host
