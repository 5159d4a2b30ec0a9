# SPDX-License-Identifier: Apache-2.0
"""Emits an accelerator as a complete chip on a serial line: clock, UART and LEDs, no processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import rtl, wrapper
from adiabit.hw.emit.ip import Port, port_rows
from adiabit.hw.storage import digest

LEAST_DIVIDER = 4  # cycles per bit, as in bnn_uart.sv


def emit(
    accelerator: Accelerator, folder: Path, *, clock_hz: float, baud: int, leds: int = 8, lit: int = 1,
    idle_bits: int = 20,
) -> dict[str, Any]:  # fmt: skip
    """Write the RTL of the accelerator, the top NAME_serial and `ip.json` into an existing folder.

    A bit takes the whole number of cycles of `clock_hz` nearest to `baud`; `UserError` if the rate is off by more than
    2 %. An incomplete frame is dropped after 2**idle_bits idle cycles. The board has 3 to 8 `leds`, on at level `lit`.
    Returns the content of `ip.json`.
    """
    divider = _divider(clock_hz, baud)
    design = rtl.emit(accelerator, folder, "bnn_uart_host")
    given, result = (Port(stream=s, word_bytes=1, rounded=False) for s in (accelerator.input, accelerator.output))
    name, identity = accelerator.name, digest(accelerator)
    parameters = {
        "Divider": divider,
        "IdleBits": idle_bits,
        "InBytes": given.ratio,
        "InBeats": given.stream.beats,
        "OutBytes": result.ratio,
        "OutBeats": result.stream.beats,
    }
    line = {"clk_i": "clk", "rst_ni": "rst_n", "rx_i": "rx", "tx_o": "tx", "busy_o": "busy"}
    text = _TOP.format(
        name=name,
        led_high=leds - 1,
        shown_high=leds - 3,
        level="" if lit else "~",
        nets=wrapper.nets(8 * given.ratio, 8 * result.ratio, "last", "busy"),
        host=wrapper.host("bnn_uart_host", parameters, identity, line),
        core=wrapper.core(name, clock="clk"),
    )
    return wrapper.save(
        folder, design, f"{name}_serial", text,
        identity=identity, baud=baud, divider=divider, word_bytes=1, **port_rows(accelerator, given, result),
    )  # fmt: skip


def _divider(clock_hz: float, baud: int) -> int:
    """Cycles per bit."""
    divider = round(clock_hz / baud)
    if divider < LEAST_DIVIDER or abs(clock_hz / divider - baud) > 0.02 * baud:
        raise UserError(
            f"serial line: {baud} baud at a {clock_hz / 1e6:g} MHz clock needs a whole number of cycles per bit, at "
            f"least {LEAST_DIVIDER}, within 2 %; choose another clock"
        )
    return divider


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

{nets}
{host}
{core}
  // The result's lowest bits, and whether a frame is under way.
  reg [{shown_high}:0] shown;
  always @(posedge clk) if (out_valid && out_ready) shown <= out_data[{shown_high}:0];
  assign led = {level}{{busy, rst_n, shown}};

  wire unused = last;
endmodule
"""
