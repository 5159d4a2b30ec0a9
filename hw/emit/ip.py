# SPDX-License-Identifier: Apache-2.0
"""Emits an accelerator as an IP core for a host: AXI-Stream in words of the DMA, with TLAST, and AXI-Lite registers.

Each beat of the accelerator occupies a power of two of words, padded with zeros. The circuit then needs no shifter, and
the host packs frames by a reshape.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.hw.accelerator import Accelerator, Meaning
from adiabit.hw.emit import rtl, wrapper
from adiabit.hw.packing import beat_bytes, pack, unpack
from adiabit.hw.stages import Stream
from adiabit.hw.storage import digest

ADDRESS_BITS = 6  # of a byte address of the registers


@dataclass(frozen=True, kw_only=True)
class Port:
    """The layout of a stream between host and accelerator: each beat in `ratio` words, a power of two if `rounded`."""

    stream: Stream
    word_bytes: int
    rounded: bool = True

    @property
    def ratio(self) -> int:
        """Words per beat."""
        words = -(-beat_bytes(self.stream) // self.word_bytes)
        return 1 << (words - 1).bit_length() if self.rounded else words

    @property
    def words(self) -> int:
        """Words per frame."""
        return self.stream.beats * self.ratio

    @property
    def frame_bytes(self) -> int:
        """Bytes per frame in the host's memory."""
        return self.words * self.word_bytes

    def pack(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Pack values (F, *shape) into the host's memory (F, frame_bytes)."""
        beats = pack(self.stream, values)
        padded = np.zeros((*beats.shape[:2], self.ratio * self.word_bytes), np.uint8)
        padded[..., : beats.shape[2]] = beats
        return padded.reshape(len(values), self.frame_bytes)

    def unpack(self, memory: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Unpack the host's memory (F, frame_bytes) into values (F, *shape)."""
        beats = memory.reshape(len(memory), self.stream.beats, self.ratio * self.word_bytes)
        return unpack(self.stream, beats[..., : beat_bytes(self.stream)])


def ports(accelerator: Accelerator, word_bytes: int) -> tuple[Port, Port]:
    """The input port and the output port."""
    first, last = (Port(stream=s, word_bytes=word_bytes) for s in (accelerator.input, accelerator.output))
    return first, last


def emit(accelerator: Accelerator, folder: Path, *, word_bytes: int = 8) -> dict[str, Any]:
    """Write the RTL of the accelerator and its host module, the top NAME_ip and `ip.json` into an existing folder.

    Returns the content of `ip.json`: top, sources in reading order, memories, identity (16 hexadecimal digits), ports.
    """
    design = rtl.emit(accelerator, folder, "bnn_host")
    given, result = ports(accelerator, word_bytes)
    identity = digest(accelerator)
    return wrapper.save(
        folder, design, f"{accelerator.name}_ip", _top(accelerator.name, given, result, identity),
        identity=identity, word_bytes=word_bytes, address_bits=ADDRESS_BITS,
        **port_rows(accelerator, given, result),
    )  # fmt: skip


def _top(name: str, given: Port, result: Port, identity: str) -> str:
    word = 8 * given.word_bytes
    parameters = {
        "WordWidth": word,
        "InWords": given.words,
        "OutWords": result.words,
        "InRatio": given.ratio,
        "OutRatio": result.ratio,
    }
    bus = {"clk_i": "aclk", "rst_ni": "aresetn", **{port: port for port in _BUS}}
    return _TOP.format(
        name=name,
        high=word - 1,
        nets=wrapper.nets(word * given.ratio, word * result.ratio),
        host=wrapper.host("bnn_host", parameters, identity, bus),
        core=wrapper.core(
            name,
            clock="aclk",
            in_data=f"in_data[{8 * beat_bytes(given.stream) - 1}:0]",
            out_data=f"out_data[{8 * beat_bytes(result.stream) - 1}:0]",
        ),
        fill=_fill(result),
        spare=_spare(given),
    )


def port_rows(accelerator: Accelerator, given: Port, result: Port) -> dict[str, Any]:
    """Both ports as `ip.json` describes them, with what the accelerator tells of its ends."""
    legend = accelerator.legend
    encoding = {"encoding": dataclasses.asdict(legend.encoding)} if legend.encoding else {}
    names = {"names": list(legend.names)} if legend.names else {}
    return {"input": port_row(given) | encoding, "output": port_row(result, accelerator.meaning) | names}


def port_row(port: Port, meaning: Meaning | None = None) -> dict[str, Any]:
    """A port as `ip.json` describes it: all that the driver, which runs without this package, needs to know."""
    reals = dataclasses.asdict(meaning) if meaning else {}
    stream = dataclasses.asdict(port.stream) | {"shape": list(port.stream.shape), "kind": port.stream.kind.value}
    return {**stream, "words": port.words, "ratio": port.ratio, "frame_bytes": port.frame_bytes, **reals}


def _fill(result: Port) -> str:
    """Zeros in the bits of a result that pad it to whole words."""
    bits, wide = 8 * beat_bytes(result.stream), 8 * result.word_bytes * result.ratio
    return "" if bits == wide else f"  assign out_data[{wide - 1}:{bits}] = {wide - bits}'b0;\n"


def _spare(given: Port) -> str:
    """The unused bits that pad an input beat to whole words."""
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
{nets}
{host}
  wire last;  // a frame's; the host wants a batch's
{core}{fill}
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
