# SPDX-License-Identifier: Apache-2.0
"""The accelerator as an IP core for a host: streams of the DMA's words with TLAST, and AXI-Lite registers.

A beat of the accelerator travels in whole words, padded with zero bits to a power of two of them: so the circuit needs
no shifter, and the host packs with a reshape.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import rtl
from adiabit.hw.packing import beat_bytes, pack, unpack
from adiabit.hw.stages import Stream
from adiabit.hw.storage import digest

IP = "ip.json"
ADDRESS_BITS = 6  # of the registers' bytes


@dataclass(frozen=True, kw_only=True)
class Port:
    """How a stream travels to or from the host: each beat in `ratio` words, a power of two of them if `rounded`."""

    stream: Stream
    word_bytes: int
    rounded: bool = True

    @property
    def ratio(self) -> int:
        """Words of a beat."""
        words = -(-beat_bytes(self.stream) // self.word_bytes)
        return 1 << (words - 1).bit_length() if self.rounded else words

    @property
    def words(self) -> int:
        """Words of a frame."""
        return self.stream.beats * self.ratio

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame in the host's memory."""
        return self.words * self.word_bytes

    def pack(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Values (F, *shape) as the host lays them in memory: (F, frame_bytes)."""
        beats = pack(self.stream, values)
        padded = np.zeros((*beats.shape[:2], self.ratio * self.word_bytes), np.uint8)
        padded[..., : beats.shape[2]] = beats
        return padded.reshape(len(values), self.frame_bytes)

    def unpack(self, memory: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Memory (F, frame_bytes) to values (F, *shape)."""
        beats = memory.reshape(len(memory), self.stream.beats, self.ratio * self.word_bytes)
        return unpack(self.stream, beats[..., : beat_bytes(self.stream)])


def ports(accelerator: Accelerator, word_bytes: int) -> tuple[Port, Port]:
    """The way in and the way out."""
    first, last = (Port(stream=s, word_bytes=word_bytes) for s in (accelerator.input, accelerator.output))
    return first, last


def emit(accelerator: Accelerator, folder: Path, *, word_bytes: int = 8) -> dict[str, Any]:
    """Write the RTL of the accelerator, its host's side and the top NAME_ip into an existing folder, and `ip.json`.

    Returns what is in `ip.json`: top, sources in the order to be read, memories, identity (16 hexadecimal digits) and
    the ports.
    """
    design = rtl.emit(accelerator, folder, "bnn_host")
    given, result = ports(accelerator, word_bytes)
    name, identity = f"{accelerator.name}_ip", digest(accelerator)
    (folder / f"{name}.v").write_text(
        _TOP.format(
            name=accelerator.name, identity=identity, word=8 * word_bytes, high=8 * word_bytes - 1,
            in_words=given.words, out_words=result.words, in_ratio=given.ratio, out_ratio=result.ratio,
            in_high=8 * word_bytes * given.ratio - 1, out_high=8 * word_bytes * result.ratio - 1,
            core_in_high=8 * beat_bytes(given.stream) - 1, core_out_high=8 * beat_bytes(result.stream) - 1,
            bus=",\n".join(f"    .{port}({port})" for port in _BUS), spare=_spare(given), fill=_fill(result),
        )
    )  # fmt: skip
    document = {
        "top": name,
        "sources": [*design.sources, f"{name}.v"],
        "memories": list(design.memories),
        "identity": identity,
        "word_bytes": word_bytes,
        "address_bits": ADDRESS_BITS,
        "input": port_row(given),
        "output": port_row(result),
    }
    (folder / IP).write_text(json.dumps(document, indent=1) + "\n")
    return document


def port_row(port: Port) -> dict[str, Any]:
    """Everything that a driver without this package needs."""
    stream = dataclasses.asdict(port.stream) | {"shape": list(port.stream.shape), "kind": port.stream.kind.value}
    return {**stream, "words": port.words, "ratio": port.ratio, "frame_bytes": port.frame_bytes}


def _fill(result: Port) -> str:
    """Zeros above the bits of a result."""
    bits, wide = 8 * beat_bytes(result.stream), 8 * result.word_bytes * result.ratio
    return "" if bits == wide else f"  assign out_data[{wide - 1}:{bits}] = {wide - bits}'b0;\n"


def _spare(given: Port) -> str:
    """The bits that fill a beat up to whole words."""
    bits, wide = 8 * beat_bytes(given.stream), 8 * given.word_bytes * given.ratio
    return "" if bits == wide else f", in_data[{wide - 1}:{bits}]"


_TOP = """\
// SPDX-License-Identifier: Apache-2.0
// Written by adiabit, in Verilog-2001, as block designs want it; bnn_host.sv explains the parameters,
// bnn_registers.rdl the registers.

module {name}_ip (
  (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF s_axi:s_axis:m_axis, ASSOCIATED_RESET aresetn" *)
  input  wire aclk,
  (* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)
  input  wire aresetn,
  input  wire [5:0] s_axi_awaddr,
  input  wire [2:0] s_axi_awprot,
  input  wire s_axi_awvalid,
  output wire s_axi_awready,
  input  wire [31:0] s_axi_wdata,
  input  wire [3:0] s_axi_wstrb,
  input  wire s_axi_wvalid,
  output wire s_axi_wready,
  output wire [1:0] s_axi_bresp,
  output wire s_axi_bvalid,
  input  wire s_axi_bready,
  input  wire [5:0] s_axi_araddr,
  input  wire [2:0] s_axi_arprot,
  input  wire s_axi_arvalid,
  output wire s_axi_arready,
  output wire [31:0] s_axi_rdata,
  output wire [1:0] s_axi_rresp,
  output wire s_axi_rvalid,
  input  wire s_axi_rready,
  input  wire [{high}:0] s_axis_tdata,
  input  wire s_axis_tlast,
  input  wire s_axis_tvalid,
  output wire s_axis_tready,
  output wire [{high}:0] m_axis_tdata,
  output wire m_axis_tlast,
  output wire m_axis_tvalid,
  input  wire m_axis_tready
);
  wire core_rst_n, in_valid, in_ready, out_valid, out_ready;
  wire [{in_high}:0] in_data;
  wire [{out_high}:0] out_data;

  bnn_host #(
    .WordWidth({word}),
    .InWords({in_words}),
    .OutWords({out_words}),
    .InRatio({in_ratio}),
    .OutRatio({out_ratio}),
    .Identity(64'h{identity})
  ) u_host (
    .clk_i(aclk),
    .rst_ni(aresetn),
{bus},
    .core_rst_no(core_rst_n),
    .core_valid_o(in_valid),
    .core_ready_i(in_ready),
    .core_data_o(in_data),
    .core_valid_i(out_valid),
    .core_ready_o(out_ready),
    .core_data_i(out_data)
  );

  wire last;  // a frame's; the host wants a batch's
  {name} u_core (
    .clk_i(aclk),
    .rst_ni(core_rst_n),
    .s_axis_tdata(in_data[{core_in_high}:0]),
    .s_axis_tvalid(in_valid),
    .s_axis_tready(in_ready),
    .m_axis_tdata(out_data[{core_out_high}:0]),
    .m_axis_tvalid(out_valid),
    .m_axis_tready(out_ready),
    .m_axis_tlast(last)
  );
{fill}
  wire unused = &{{last{spare}}};
endmodule
"""
_BUS = (
    *(f"s_axi_aw{end}" for end in ("addr", "prot", "valid", "ready")),
    *(f"s_axi_w{end}" for end in ("data", "strb", "valid", "ready")),
    *(f"s_axi_b{end}" for end in ("resp", "valid", "ready")),
    *(f"s_axi_ar{end}" for end in ("addr", "prot", "valid", "ready")),
    *(f"s_axi_r{end}" for end in ("data", "resp", "valid", "ready")),
    *(f"{side}_axis_t{end}" for side in "sm" for end in ("data", "last", "valid", "ready")),
)
