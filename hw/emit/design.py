# SPDX-License-Identifier: Apache-2.0
"""`design.json`: the files of an emitted design for the tools that read it, and the nets of its streams."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from adiabit.errors import UserError
from adiabit.hw.packing import beat_bytes
from adiabit.hw.stages import Stream

FILE = "design.json"
XILINX = "BNN_XILINX"  # the macro with which modules have cells of Xilinx parts


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A stream of the design. `valid`, `ready` and `data` are its nets in the top module; in C++ they are empty."""

    name: str
    width: int  # bits of a beat
    beats: int  # of a frame
    valid: str = ""
    ready: str = ""
    data: str = ""

    @classmethod
    def of(cls, stream: Stream) -> Self:
        """The wire of a stream in C++, which has no nets."""
        return cls(name=stream.name, width=stream.width, beats=stream.beats)

    @classmethod
    def in_rtl(cls, stream: Stream) -> Self:
        """The wire of a stream in SystemVerilog."""
        nets = {net: f"{stream.name}_{net}" for net in ("valid", "ready", "data")}
        return cls(name=stream.name, width=stream.width, beats=stream.beats, **nets)

    @property
    def bytes(self) -> int:
        """Bytes of a beat, rounded up."""
        return (self.width + 7) // 8


@dataclass(frozen=True, kw_only=True)
class Port:
    """An AXI-Stream port of the design."""

    name: str
    width: int
    beats: int
    tdata_bits: int

    @classmethod
    def of(cls, stream: Stream) -> Self:
        """The port of a stream; TDATA has whole bytes."""
        return cls(name=stream.name, width=stream.width, beats=stream.beats, tdata_bits=8 * beat_bytes(stream))


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stage of the design: an instance in the top."""

    name: str
    module: str
    parameters: Mapping[str, str]  # literals
    sources: tuple[str, ...]  # files of the module and of all that it needs, in reading order
    memories: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Design:
    """An emitted design: its top, the files in reading order, the ports, the streams, and in RTL the stages."""

    top: str
    sources: tuple[str, ...]
    memories: tuple[str, ...]
    input: Port
    output: Port
    streams: tuple[Wire, ...]
    parts: tuple[Part, ...] = ()

    @classmethod
    def of(
        cls, top: str, streams: Sequence[Stream], *, sources: Sequence[str], memories: Sequence[str] = (),
        wire: Any = Wire.in_rtl, parts: Sequence[Part] = (),
    ) -> Self:  # fmt: skip
        """A design with these streams, from its input to its output."""
        return cls(
            top=top,
            sources=tuple(sources),
            memories=tuple(memories),
            input=Port.of(streams[0]),
            output=Port.of(streams[-1]),
            streams=tuple(wire(s) for s in streams),
            parts=tuple(parts),
        )

    def save(self, folder: Path) -> None:
        """Write `design.json` into an existing folder."""
        document = dataclasses.asdict(self)
        document["streams"] = [{k: v for k, v in row.items() if v != ""} for row in document["streams"]]
        (folder / FILE).write_text(json.dumps(document, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `design.json`; `UserError` if it is missing or damaged."""
        path = folder / FILE
        try:
            document = json.loads(path.read_text())
            return cls(
                top=document["top"],
                sources=tuple(document["sources"]),
                memories=tuple(document["memories"]),
                input=Port(**document["input"]),
                output=Port(**document["output"]),
                streams=tuple(Wire(**row) for row in document["streams"]),
                parts=tuple(
                    Part(**{**row, "sources": tuple(row["sources"]), "memories": tuple(row["memories"])})
                    for row in document["parts"]
                ),
            )
        except FileNotFoundError as error:
            raise UserError(f"{path}: not found; `adiabit emit` makes it") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: damaged ({error!r}); emit it anew") from error
