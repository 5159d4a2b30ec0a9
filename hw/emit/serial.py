# SPDX-License-Identifier: Apache-2.0
"""The accelerator as a whole chip on a serial line: clock, line, LEDs, and nothing of a processor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import rtl
from adiabit.hw.emit.ip import IP, Port, port_row
from adiabit.hw.storage import digest

LEAST_DIVIDER = 4  # cycles a bit, see bnn_uart.sv


def emit(
    accelerator: Accelerator, folder: Path, *, clock_hz: float, baud: int, leds: int = 8, lit: int = 1,
    idle_bits: int = 20,
) -> dict[str, Any]:  # fmt: skip
    """Write the RTL of the accelerator and the top NAME_serial into an existing folder, and `ip.json`.

    The line runs at `clock_hz` over the nearest whole number of cycles a bit; a frame that breaks off is forgotten
    after 2**idle_bits cycles. There are 3 to 8 `leds`, which the level `lit` turns on. `UserError` where the baud rate
    is not near.
    """
    divider = round(clock_hz / baud)
    if divider < LEAST_DIVIDER or abs(clock_hz / divider - baud) > 0.02 * baud:
        raise UserError(
            f"a serial line of {baud} baud at a clock of {clock_hz / 1e6:g} MHz: no whole number of at least "
            f"{LEAST_DIVIDER} cycles a bit is within 2 %; choose another clock"
        )
    design = rtl.emit(accelerator, folder, "bnn_uart_host")
    name, identity = f"{accelerator.name}_serial", digest(accelerator)
    given, result = (Port(stream=s, word_bytes=1, rounded=False) for s in (accelerator.input, accelerator.output))
    (folder / f"{name}.v").write_text(_TOP.format(
        name=accelerator.name, identity=identity, divider=divider, idle_bits=idle_bits,
        led_high=leds - 1, shown_high=leds - 3, level="" if lit else "~",
        in_bytes=given.ratio, in_beats=given.stream.beats, in_high=8 * given.ratio - 1,
        out_bytes=result.ratio, out_beats=result.stream.beats, out_high=8 * result.ratio - 1,
    ))  # fmt: skip
    document = {
        "top": name,
        "sources": [*design.sources, f"{name}.v"],
        "memories": list(design.memories),
        "identity": identity,
        "baud": baud,
        "divider": divider,
        "input": port_row(given),
        "output": port_row(result),
        "word_bytes": 1,
    }
    (folder / IP).write_text(json.dumps(document, indent=1) + "\n")
    return document


_TOP = """\
// SPDX-License-Identifier: Apache-2.0
// Written by adiabit; bnn_uart_host.sv explains the parameters and what goes over the line.

module {name}_serial (
  input  wire clk,
  input  wire rx,
  output wire tx,
  output wire [{led_high}:0] led
);
  // Registers begin at 0 on parts that are configured at power-up; the reset is 15 cycles long.
  reg [3:0] up;
  reg rst_n;
  initial begin
    up = 4'd0;
    rst_n = 1'b0;
  end
  always @(posedge clk) begin
    if (up != 4'd15) up <= up + 4'd1;
    rst_n <= up == 4'd15;
  end

  wire core_rst_n, in_valid, in_ready, out_valid, out_ready, last, busy;
  wire [{in_high}:0] in_data;
  wire [{out_high}:0] out_data;

  bnn_uart_host #(
    .Divider({divider}),
    .IdleBits({idle_bits}),
    .InBytes({in_bytes}),
    .InBeats({in_beats}),
    .OutBytes({out_bytes}),
    .OutBeats({out_beats}),
    .Identity(64'h{identity})
  ) u_host (
    .clk_i(clk),
    .rst_ni(rst_n),
    .rx_i(rx),
    .tx_o(tx),
    .busy_o(busy),
    .core_rst_no(core_rst_n),
    .core_valid_o(in_valid),
    .core_ready_i(in_ready),
    .core_data_o(in_data),
    .core_valid_i(out_valid),
    .core_ready_o(out_ready),
    .core_data_i(out_data)
  );

  {name} u_core (
    .clk_i(clk),
    .rst_ni(core_rst_n),
    .s_axis_tdata(in_data),
    .s_axis_tvalid(in_valid),
    .s_axis_tready(in_ready),
    .m_axis_tdata(out_data),
    .m_axis_tvalid(out_valid),
    .m_axis_tready(out_ready),
    .m_axis_tlast(last)
  );

  // The result's lowest bits, and whether a frame is under way.
  reg [{shown_high}:0] shown;
  always @(posedge clk) if (out_valid && out_ready) shown <= out_data[{shown_high}:0];
  assign led = {level}{{busy, rst_n, shown}};

  wire unused = last;
endmodule
"""
