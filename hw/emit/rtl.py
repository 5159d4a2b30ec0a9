# SPDX-License-Identifier: Apache-2.0
"""An accelerator as SystemVerilog: a top that only instantiates the modules of `hw/rtl`, and memory files.

The text is a function of the accelerator alone: the same accelerator gives the same bytes.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit.design import Design
from adiabit.hw.packing import beat_bytes
from adiabit.hw.reserved import SYSTEMVERILOG
from adiabit.hw.stages import Instance, Stage, Stream
from adiabit.hw.stages.base import RTL, Parameter


def emit(accelerator: Accelerator, folder: Path, *hosts: str) -> Design:
    """Write modules, top, memory files and `design.json` into an existing folder.

    `hosts`: modules that will stand beside the top; they come too, with all that they need. `UserError` where the
    accelerator's name cannot be a module's.
    """
    instances = {stage.name: stage.rtl() for stage in accelerator.stages}
    used = {i.module: i.library / f"{i.module}.sv" for i in instances.values()}
    used |= {name: RTL / f"{name}.sv" for name in ("bnn_last", *hosts)}
    _check_name(accelerator.name, used)
    modules = modules_of(used.values())
    for path in modules:
        shutil.copyfile(path, folder / path.name)
    memories = {name: text for i in instances.values() for name, text in i.memories.items()}
    for name, text in memories.items():
        (folder / name).write_text(text)
    top = f"{accelerator.name}.sv"
    (folder / top).write_text(_top(accelerator, instances))
    design = Design.of(
        accelerator.name,
        list(accelerator.streams),
        sources=[*(path.name for path in modules), top],
        memories=sorted(memories),
    )
    design.save(folder)
    return design


def _check_name(name: str, used: Mapping[str, Path]) -> None:
    if name in SYSTEMVERILOG:
        raise UserError(
            f"accelerator {name}: a reserved word of SystemVerilog, and the top bears this name; choose another"
        )
    if name in used or (RTL / f"{name}.sv").exists():
        raise UserError(f"accelerator {name}: a module of hw/rtl bears this name, and so would the top; choose another")


def modules_of(used: Iterable[Path]) -> list[Path]:
    """The files of modules that are used and of those that they need, each behind what it needs."""
    found: dict[Path, None] = {}

    def visit(path: Path) -> None:
        for needed in needs(path):
            if needed not in found:
                visit(needed)
        found[path] = None

    for path in sorted(used, key=lambda path: path.name):
        if path not in found:
            visit(path)
    return list(found)


@cache
def needs(path: Path) -> tuple[Path, ...]:
    """The files of the modules and packages that a file names, beside it or in `hw/rtl`."""
    code = re.sub(r"//.*", "", path.read_text())
    words = sorted(set(re.findall(r"\b\w+\b", code)) - {path.stem})
    places = [folder / f"{word}.sv" for word in words for folder in dict.fromkeys((path.parent, RTL))]
    return tuple(place for place in places if place.exists())


def _top(accelerator: Accelerator, instances: Mapping[str, Instance]) -> str:
    last = accelerator.output
    ports = {"valid_i": f"{last.name}_valid", "ready_i": f"{last.name}_ready", "last_o": "m_axis_tlast"}
    body = [_instance_text("bnn_last", "axis_last", {"Beats": last.beats}, ports)]
    body += [_instantiate(stage, instances[stage.name]) for stage in accelerator.stages]
    return shell(accelerator.name, list(accelerator.streams), body)


def shell(name: str, streams: Sequence[Stream], body: Sequence[str]) -> str:
    """A module with AXI-Stream ends that declares the streams, of which the first comes in and the last goes out.

    `body` joins them and drives `m_axis_tlast`. The simulation bench watches the streams.
    """
    first, last = streams[0], streams[-1]
    blocks = [_HEADER.format(name=name, s=8 * beat_bytes(first) - 1, m=8 * beat_bytes(last) - 1)]
    blocks += [_declare(stream) for stream in streams]
    return "\n".join([*blocks, _ends(first, last), *body]) + f"endmodule : {name}\n"


_HEADER = """\
// SPDX-License-Identifier: Apache-2.0
// Written by adiabit; the modules' own files explain the parameters.

module {name} (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic [{s}:0] s_axis_tdata,
  input  logic s_axis_tvalid,
  output logic s_axis_tready,
  output logic [{m}:0] m_axis_tdata,
  output logic m_axis_tvalid,
  input  logic m_axis_tready,
  output logic m_axis_tlast
);
"""


def _declare(stream: Stream) -> str:
    mark = "/* verilator public_flat_rd */"
    shape = "x".join(map(str, stream.shape))
    return (
        f"  // {stream.name}: {shape} elements of {stream.bits} bits, {stream.kind.value}, {stream.lanes} a beat\n"
        f"  logic [{stream.width - 1}:0] {stream.name}_data {mark};\n"
        f"  logic {stream.name}_valid {mark};\n"
        f"  logic {stream.name}_ready {mark};\n"
    )


def _ends(first: Stream, last: Stream) -> str:
    """AXI-Stream at both ends, padded to whole bytes."""
    spare = 8 * beat_bytes(first) - first.width
    lines = [
        f"  assign {first.name}_data  = s_axis_tdata[{first.width - 1}:0];",
        f"  assign {first.name}_valid = s_axis_tvalid;",
        f"  assign s_axis_tready = {first.name}_ready;",
        f"  assign m_axis_tdata  = {8 * beat_bytes(last)}'({last.name}_data);",
        f"  assign m_axis_tvalid = {last.name}_valid;",
        f"  assign {last.name}_ready = m_axis_tready;",
    ]
    if spare:
        lines += [
            "  logic unused;  // the padding of the input",
            f"  assign unused = &s_axis_tdata[{8 * beat_bytes(first) - 1}:{first.width}];",
        ]
    return "\n".join(lines) + "\n"


def _instantiate(stage: Stage, instance: Instance) -> str:
    ports: dict[str, str] = {}
    for streams, end, back in ((stage.inputs, "i", "o"), (stage.outputs, "o", "i")):
        for port, net in ((f"valid_{end}", "valid"), (f"ready_{back}", "ready"), (f"data_{end}", "data")):
            ports[port] = _concatenated([f"{stream.name}_{net}" for stream in streams])
    return _instance_text(instance.module, f"u_{stage.name}", instance.parameters, ports)


def _concatenated(nets: Sequence[str]) -> str:
    """The first net in the least significant bits."""
    return nets[0] if len(nets) == 1 else f"{{{', '.join(reversed(nets))}}}"


def _instance_text(module: str, name: str, parameters: Mapping[str, Parameter], ports: Mapping[str, str]) -> str:
    given = ",\n".join(f"    .{k}({_literal(v)})" for k, v in parameters.items())
    wired = ",\n".join(f"    .{k}({v})" for k, v in {"clk_i": "clk_i", "rst_ni": "rst_ni", **ports}.items())
    return f"  {module} #(\n{given}\n  ) {name} (\n{wired}\n  );\n"


def _literal(value: Parameter) -> str:
    """Of a list a packed array of 32-bit words, the first in the least significant bits."""
    return _concatenated([f"32'd{v}" for v in value]) if isinstance(value, list) else json.dumps(value)
