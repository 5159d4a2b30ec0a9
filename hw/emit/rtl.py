# SPDX-License-Identifier: Apache-2.0
"""Emits an accelerator as SystemVerilog: a top that only instantiates modules of `hw/rtl`, and memory files.

The output depends on the accelerator alone: equal accelerators give equal bytes.
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
from adiabit.hw.emit.design import Design, Part
from adiabit.hw.packing import beat_bytes
from adiabit.hw.reserved import SYSTEMVERILOG
from adiabit.hw.stages import Instance, Stage, Stream
from adiabit.hw.stages.base import RTL, Parameter


def emit(accelerator: Accelerator, folder: Path, *hosts: str) -> Design:
    """Write modules, top, memory files and `design.json` into an existing folder.

    `hosts`: further modules of `hw/rtl` to write, for a wrapper around the top. `UserError` if the accelerator's name
    cannot name a module.
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
        parts=[_part(stage.name, instances[stage.name]) for stage in accelerator.stages],
    )
    design.save(folder)
    return design


def _part(name: str, found: Instance) -> Part:
    return Part(
        name=name,
        module=found.module,
        parameters={key: _literal(value) for key, value in found.parameters.items()},
        sources=tuple(path.name for path in modules_of([found.library / f"{found.module}.sv"])),
        memories=tuple(sorted(found.memories)),
    )


def _check_name(name: str, used: Mapping[str, Path]) -> None:
    if name in SYSTEMVERILOG:
        raise UserError(
            f"accelerator {name}: the top cannot be named by a reserved word of SystemVerilog; choose another name"
        )
    if name in used or (RTL / f"{name}.sv").exists():
        raise UserError(f"accelerator {name}: the top cannot have the name of a library module; choose another name")


def modules_of(used: Iterable[Path]) -> list[Path]:
    """Files of the modules used and of all that they depend on, dependencies first."""
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
    """Files of the modules and packages that a file refers to, in its own folder or in `hw/rtl`."""
    code = re.sub(r"//.*", "", path.read_text())
    words = sorted(set(re.findall(r"\b\w+\b", code)) - {path.stem})
    places = [folder / f"{word}.sv" for word in words for folder in dict.fromkeys((path.parent, RTL))]
    return tuple(place for place in places if place.exists())


def _top(accelerator: Accelerator, instances: Mapping[str, Instance]) -> str:
    last = accelerator.output
    ports = {"valid_i": f"{last.name}_valid", "ready_i": f"{last.name}_ready", "last_o": "m_axis_tlast"}
    body = [_instantiate("bnn_last", "axis_last", {"Beats": last.beats}, ports)]
    body += [_instantiate_stage(stage, instances[stage.name]) for stage in accelerator.stages]
    return shell(accelerator.name, list(accelerator.streams), body)


def shell(name: str, streams: Sequence[Stream], body: Sequence[str]) -> str:
    """A module with AXI-Stream ports that declares the nets of `streams`, from its input to its output.

    `body` connects the nets and drives `m_axis_tlast`. The simulation bench observes the nets.
    """
    first, last = streams[0], streams[-1]
    blocks = [_HEADER.format(name=name, s=8 * beat_bytes(first) - 1, m=8 * beat_bytes(last) - 1)]
    blocks += [_declare(stream) for stream in streams]
    return "\n".join([*blocks, _connect_ports(first, last), *body]) + f"endmodule : {name}\n"


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


def _connect_ports(first: Stream, last: Stream) -> str:
    """Connects the AXI-Stream ports, whose TDATA is padded to whole bytes."""
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


def _instantiate_stage(stage: Stage, module: Instance) -> str:
    ports: dict[str, str] = {}
    for streams, forward, backward in ((stage.inputs, "i", "o"), (stage.outputs, "o", "i")):
        for port, net in ((f"valid_{forward}", "valid"), (f"ready_{backward}", "ready"), (f"data_{forward}", "data")):
            ports[port] = _concatenation([f"{stream.name}_{net}" for stream in streams])
    return _instantiate(module.module, f"u_{stage.name}", module.parameters, ports)


def _instantiate(module: str, name: str, parameters: Mapping[str, Parameter], ports: Mapping[str, str]) -> str:
    """An instance with the clock and reset of the top."""
    values = {key: _literal(value) for key, value in parameters.items()}
    return instance(module, name, values, {"clk_i": "clk_i", "rst_ni": "rst_ni", **ports})


def _concatenation(nets: Sequence[str]) -> str:
    """Concatenates nets, the first in the least significant bits."""
    return nets[0] if len(nets) == 1 else f"{{{', '.join(reversed(nets))}}}"


def instance(module: str, name: str, parameters: Mapping[str, str], ports: Mapping[str, str]) -> str:
    """An instance of a module, with named connections: parameter to literal, port to net."""
    values = f" #({_connections(parameters)})" if parameters else ""
    return f"  {module}{values} {name} ({_connections(ports)});\n"


def _connections(pairs: Mapping[str, str]) -> str:
    return "\n" + ",\n".join(f"    .{k}({v})" for k, v in pairs.items()) + "\n  "


def _literal(value: Parameter) -> str:
    """A literal; a list becomes a packed array of 32-bit words, the first in the least significant bits."""
    return _concatenation([f"32'd{v}" for v in value]) if isinstance(value, list) else json.dumps(value)
