# SPDX-License-Identifier: Apache-2.0
"""An accelerator as SystemVerilog: a top that only instantiates the modules of `hw/rtl`, and memory files.

The text is a function of the accelerator alone: the same accelerator gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adiabit.errors import UserError
from adiabit.hw.accelerator import (
    Accelerator,
    Fifo,
    GlobalSum,
    Ints,
    Kind,
    LabelSelect,
    MatrixVector,
    Pad,
    Pool,
    Stage,
    Stream,
    Threshold,
    WidthConverter,
    Window,
)
from adiabit.hw.memory import memory_of
from adiabit.hw.packing import beat_bytes, pack_words
from adiabit.hw.parameters import steps_of, weight_rows
from adiabit.hw.reserved import SYSTEMVERILOG

RTL = Path(__file__).parent / "rtl"
DESIGN = "design.json"

# Each module with those that it instantiates, which come before it: the order in which tools read them.
MODULES: dict[str, tuple[str, ...]] = {
    "bnn_pkg": (),
    "bnn_fifo": ("bnn_pkg",),
    "bnn_credit_fifo": ("bnn_fifo",),
    "bnn_delay": (),
    "bnn_lut_rom": ("bnn_pkg",),
    "bnn_rom": ("bnn_lut_rom",),
    "bnn_replay": ("bnn_pkg",),
    "bnn_sum": ("bnn_pkg",),
    "bnn_products": ("bnn_sum",),
    "bnn_accumulate": (),
    "bnn_steps": ("bnn_rom",),
    "bnn_threshold": ("bnn_steps", "bnn_credit_fifo"),
    "bnn_mvu": ("bnn_replay", "bnn_delay", "bnn_products", "bnn_accumulate", "bnn_steps", "bnn_credit_fifo"),
    "bnn_argmax": ("bnn_pkg",),
    "bnn_label_select": ("bnn_delay", "bnn_argmax", "bnn_credit_fifo"),
    "bnn_raster": ("bnn_pkg",),
    "bnn_window": ("bnn_raster",),
    "bnn_window_parallel": ("bnn_raster", "bnn_fifo"),
    "bnn_pad": ("bnn_raster", "bnn_fifo"),
    "bnn_reduce": ("bnn_raster", "bnn_fifo"),
    "bnn_width_converter": ("bnn_fifo",),
    "bnn_last": ("bnn_pkg",),
    "bnn_registers_pkg": (),
    "bnn_registers": ("bnn_registers_pkg",),
    "bnn_uart": (),
    "bnn_uart_host": ("bnn_uart", "bnn_width_converter"),
    "bnn_host": ("bnn_registers", "bnn_last", "bnn_fifo", "bnn_width_converter"),
}


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One stage as an instance: the module, its parameters, and the memory files that it reads."""

    module: str
    parameters: dict[str, int | str]
    memories: dict[str, str] = field(default_factory=dict)  # file name -> text


def emit(accelerator: Accelerator, folder: Path) -> None:
    """Write modules, top, memory files and `design.json` into an existing folder.

    `UserError` where the accelerator's name cannot be a module's.
    """
    _check_name(accelerator.name)
    instances = {stage.name: instance_of(stage) for stage in accelerator.stages}
    modules = modules_of({"bnn_last", *(i.module for i in instances.values())})
    for module in modules:
        shutil.copyfile(RTL / f"{module}.sv", folder / f"{module}.sv")
    memories = {name: text for i in instances.values() for name, text in i.memories.items()}
    for name, text in memories.items():
        (folder / name).write_text(text)
    top = f"{accelerator.name}.sv"
    (folder / top).write_text(_top(accelerator, instances))
    sources = [*(f"{m}.sv" for m in modules), top]
    design = describe(accelerator.name, list(accelerator.streams), sources=sources, memories=sorted(memories))
    (folder / DESIGN).write_text(json.dumps(design, indent=1) + "\n")


def emit_inside(accelerator: Accelerator, folder: Path, host: str) -> tuple[list[str], list[str]]:
    """Write what `emit` writes, and `host`, the module that will stand beside the top, with all that it needs.

    Returns the sources in the order to be read, and the memory files.
    """
    emit(accelerator, folder)
    design = json.loads((folder / DESIGN).read_text())
    modules = modules_of({host, *(Path(source).stem for source in design["sources"])})
    for module in modules:
        shutil.copyfile(RTL / f"{module}.sv", folder / f"{module}.sv")
    return [*(f"{m}.sv" for m in modules), f"{accelerator.name}.sv"], design["memories"]


def _check_name(name: str) -> None:
    if name in SYSTEMVERILOG:
        raise UserError(
            f"accelerator {name}: a reserved word of SystemVerilog, and the top bears this name; choose another"
        )
    if name in MODULES:
        raise UserError(f"accelerator {name}: a module of hw/rtl bears this name, and so would the top; choose another")


def instance_of(stage: Stage) -> Instance:
    """The stage's module, parameters and memory files."""
    return _INSTANCES[type(stage)](stage)


def _threshold(stage: Threshold) -> Instance:
    a, b = stage.input, stage.output
    parameters, text = _steps(stage)
    name = f"{stage.name}_thresholds.mem"
    return Instance(
        module="bnn_threshold",
        parameters={
            "Lanes": a.lanes,
            "Beats": a.channels // a.lanes,
            "InWidth": a.bits,
            "InKind": a.kind.value,
            **parameters,
            "OutWidth": b.bits,
            "File": name,
        },
        memories={name: text},
    )


def _matrix_vector(stage: MatrixVector) -> Instance:
    rows, columns = stage.weights.shape
    weights, thresholds = f"{stage.name}_weights.mem", f"{stage.name}_thresholds.mem"
    memories = {weights: _file(weight_rows(stage).reshape(stage.fold, -1), stage.weight_bits)}
    parameters: dict[str, int | str] = {
        "Columns": columns,
        "Rows": rows,
        "Simd": stage.simd,
        "Pe": stage.pe,
        "InWidth": stage.input.bits,
        "InKind": stage.input.kind.value,
        "WeightWidth": stage.weight_bits,
        "AccWidth": stage.accumulator_bits,
        "OutWidth": stage.output.bits,
        "Memory": memory_of(stage).value,
        "WeightFile": weights,
    }
    if stage.thresholds is not None:
        steps, text = _steps(stage)
        parameters |= {**steps, "ThresholdFile": thresholds}
        memories[thresholds] = text
    return Instance(module="bnn_mvu", parameters=parameters, memories=memories)


def _window(stage: Window) -> Instance:
    a = stage.input
    parameters: dict[str, int | str] = {"Width": a.width}
    if not stage.parallel:
        parameters["Words"] = a.channels // a.lanes
    parameters |= {"Rows": a.shape[0], "Columns": a.shape[1]}
    for name, pair in (("Kernel", stage.kernel), ("Stride", stage.stride), ("Dilation", stage.dilation)):
        parameters |= {f"{name}Rows": pair[0], f"{name}Columns": pair[1]}
    if stage.parallel:
        parameters["Queue"] = stage.queue
    return Instance(module="bnn_window_parallel" if stage.parallel else "bnn_window", parameters=parameters)


def _pad(stage: Pad) -> Instance:
    a = stage.input
    (top, left), (bottom, right) = stage.before, stage.after
    parameters: dict[str, int | str] = {
        **_raster(a), "Width": a.width, "Lanes": a.lanes, "Top": top, "Left": left, "Bottom": bottom, "Right": right,
        "Value": int(stage.value > 0) if a.kind is Kind.BIPOLAR else stage.value % 2**a.bits, "Queue": stage.queue,
    }  # fmt: skip
    return Instance(module="bnn_pad", parameters=parameters)


def _pool(stage: Pool) -> Instance:
    return _reduce(stage, "max", stage.kernel)


def _global_sum(stage: GlobalSum) -> Instance:
    return _reduce(stage, "sum", stage.input.shape[:2])


def _reduce(stage: Pool | GlobalSum, operation: str, kernel: Sequence[int]) -> Instance:
    a = stage.input
    parameters: dict[str, int | str] = {
        **_raster(a), "Lanes": a.lanes, "InWidth": a.bits, "InKind": a.kind.value, "OutWidth": stage.output.bits,
        "Operation": operation, "KernelRows": kernel[0], "KernelColumns": kernel[1],
    }  # fmt: skip
    return Instance(module="bnn_reduce", parameters=parameters)


def _raster(stream: Stream) -> dict[str, int | str]:
    """Rows, columns and beats of a pixel of an image."""
    return {"Words": stream.channels // stream.lanes, "Rows": stream.shape[0], "Columns": stream.shape[1]}


def _label_select(stage: LabelSelect) -> Instance:
    a = stage.input
    signed = int(a.kind is Kind.SIGNED)
    parameters = {"Elements": a.elements, "Lanes": a.lanes, "InWidth": a.bits, "Signed": signed}
    return Instance(module="bnn_label_select", parameters={**parameters, "OutWidth": stage.output.bits})


def _width_converter(stage: WidthConverter) -> Instance:
    up = stage.output.lanes >= stage.input.lanes
    narrow, wide = sorted((stage.input.width, stage.output.width))
    return Instance(module="bnn_width_converter", parameters={"Narrow": narrow, "Ratio": wide // narrow, "Up": int(up)})


def _fifo(stage: Fifo) -> Instance:
    return Instance(module="bnn_fifo", parameters={"Width": stage.input.width, "Depth": stage.depth})


_INSTANCES: dict[type[Stage], Callable[[Any], Instance]] = {
    Threshold: _threshold,
    MatrixVector: _matrix_vector,
    Window: _window,
    Pad: _pad,
    Pool: _pool,
    GlobalSum: _global_sum,
    WidthConverter: _width_converter,
    Fifo: _fifo,
    LabelSelect: _label_select,
}


def _steps(stage: Threshold | MatrixVector) -> tuple[dict[str, int | str], str]:
    """Parameters and file of a stage's thresholds."""
    steps = steps_of(stage)
    return {"Steps": steps.steps, "ThresholdWidth": steps.bits}, _file(steps.rows, steps.bits)


def _file(codes: Ints, bits: int) -> str:
    """A word a line, in hexadecimal."""
    digits = (codes.shape[1] * bits + 3) // 4
    return "".join(f"{word:0{digits}x}\n" for word in pack_words(codes, bits))


def modules_of(used: set[str]) -> list[str]:
    """The modules that are used and those that they need, in the order to be read."""
    needed = set(used)
    for module in reversed(MODULES):
        if module in needed:
            needed |= set(MODULES[module])
    return [module for module in MODULES if module in needed]


def _stream(stream: Stream) -> dict[str, Any]:
    return {"name": stream.name, "width": stream.width, "beats": stream.beats}


def _port(stream: Stream) -> dict[str, Any]:
    return {**_stream(stream), "tdata_bits": 8 * beat_bytes(stream)}


def _nets(stream: Stream) -> dict[str, str]:
    return {net: f"{stream.name}_{net}" for net in ("valid", "ready", "data")}


def _top(accelerator: Accelerator, instances: dict[str, Instance]) -> str:
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


def describe(
    name: str, streams: Sequence[Stream], *, sources: Sequence[str], memories: Sequence[str]
) -> dict[str, Any]:
    """`design.json`: what the tools read, and the streams of a :func:`shell` with their nets."""
    return {
        "top": name,
        "sources": list(sources),
        "memories": list(memories),
        "input": _port(streams[0]),
        "output": _port(streams[-1]),
        "streams": [{**_stream(s), **_nets(s)} for s in streams],
    }


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
    for stream, end, back in ((stage.input, "i", "o"), (stage.output, "o", "i")):
        ports |= {
            f"valid_{end}": f"{stream.name}_valid",
            f"ready_{back}": f"{stream.name}_ready",
            f"data_{end}": f"{stream.name}_data",
        }
    return _instance_text(instance.module, f"u_{stage.name}", instance.parameters, ports)


def _instance_text(module: str, name: str, parameters: dict[str, int | str], ports: dict[str, str]) -> str:
    given = ",\n".join(f"    .{k}({json.dumps(v)})" for k, v in parameters.items())
    wired = ",\n".join(f"    .{k}({v})" for k, v in {"clk_i": "clk_i", "rst_ni": "rst_ni", **ports}.items())
    return f"  {module} #(\n{given}\n  ) {name} (\n{wired}\n  );\n"
