# SPDX-License-Identifier: Apache-2.0
"""An accelerator as dataflow HLS C++: a top that calls a function of `hw/hls` for each stage, and its parameters.

The text is a function of the accelerator and the target alone: the same gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from adiabit.errors import UserError
from adiabit.hw import emit_rtl
from adiabit.hw.accelerator import (
    Accelerator,
    Fifo,
    GlobalSum,
    Ints,
    Kind,
    LabelSelect,
    MatrixVector,
    Memory,
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
from adiabit.hw.parameters import Steps, steps_of, weight_rows
from adiabit.hw.reserved import CPP, SYSTEMVERILOG

HLS = Path(__file__).parent / "hls"
DESIGN = "design.json"
WORD = 64  # bits of a ROM's word at most, as in bnn_mvu.hpp
MOST_BITS = 4096  # of an ap_uint and of TDATA, in Vitis HLS
_TAKEN = frozenset({"bnn", "hls", "std", "main", "s_axis", "m_axis"})


def emit(accelerator: Accelerator, folder: Path, *, part: str, clock_mhz: float) -> None:
    """Write the library, the top, its parameters, a test bench and the scripts of Vitis HLS into an existing folder.

    `part` is the FPGA in the vendor's words. `UserError` where the accelerator's name cannot be a function's.
    """
    name = accelerator.name
    if name in CPP | SYSTEMVERILOG | _TAKEN:
        raise UserError(
            f"accelerator {name}: a reserved word of C++, SystemVerilog or ours, and the top bears this name; "
            "choose another"
        )
    for path in sorted(HLS.glob("*.hpp")):
        shutil.copyfile(path, folder / path.name)
    shutil.copyfile(HLS / "testbench.cpp", folder / "testbench.cpp")
    (folder / f"{name}.hpp").write_text(_header(accelerator))
    (folder / f"{name}_params.hpp").write_text(_parameters(accelerator))
    (folder / f"{name}.cpp").write_text(top(accelerator))
    (folder / "testbench.hpp").write_text(_bench(accelerator))
    words = {"name": name, "part": part, "period": f"{1000 / clock_mhz:g}"}
    (folder / f"{name}.tcl").write_text(_TCL.format(**words))
    (folder / "hls_config.cfg").write_text(_CONFIG.format(**words))
    design = {
        "top": name,
        "sources": [f"{name}.cpp"],
        "memories": [],
        "input": _stream_row(accelerator.input),
        "output": _stream_row(accelerator.output),
        "streams": [_stream_row(s) for s in accelerator.streams],
    }
    write_design(design, folder)


def write_design(design: dict[str, Any], folder: Path) -> None:
    """Write `design.json`."""
    (folder / DESIGN).write_text(json.dumps(design, indent=1) + "\n")


def top(accelerator: Accelerator) -> str:
    """The top function: a stream a line, then a call a stage."""
    first, last, names = accelerator.input, accelerator.output, _variables(accelerator)
    a, b = names[first.name], names[last.name]
    return "\n".join([
        f"{_HEAD}// {_shape(first)} elements in, {_shape(last)} out, folded for {accelerator.cycles} cycles a frame.",
        "",
        f'#include "{accelerator.name}.hpp"',
        "",
        f'#include "{accelerator.name}_params.hpp"',
        "",
        f"{_signature(accelerator)} {{",
        "#pragma HLS INTERFACE mode=axis port=s_axis",
        "#pragma HLS INTERFACE mode=axis port=m_axis",
        "#pragma HLS INTERFACE mode=ap_ctrl_none port=return",
        "#pragma HLS DATAFLOW",
        *_storage(accelerator),
        "",
        *(f'  {_type(s)} {names[s.name]}("{s.name}");  // {_shape(s)}' for s in accelerator.streams),
        *_depths(accelerator, names),
        "",
        f"  bnn::from_axis<{first.elements}>(s_axis, {a});",
        *(_call(stage, names) for stage in accelerator.stages),
        f"  bnn::to_axis<{last.elements}>({b}, m_axis);",
        "}",
        "",
    ])  # fmt: skip


def shell(accelerator: Accelerator, sources: Sequence[str], memories: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """A module around the RTL that Vitis HLS made, with the ports of our own top, and its `design.json`.

    The module is called NAME_hls; `sources` and `memories` are Vitis' files.
    """
    name, first, last = f"{accelerator.name}_hls", accelerator.input, accelerator.output
    body = _SHELL.format(
        name=accelerator.name, first=first.name, last=last.name, high=last.width - 1, m=8 * beat_bytes(last) - 1
    )
    text = emit_rtl.shell(name, [first, last], [body])
    return text, emit_rtl.describe(name, [first, last], sources=[*sources, f"{name}.sv"], memories=memories)


_SHELL = """\
  logic [{m}:0] result;
  assign {last}_data = result[{high}:0];

  {name} u_hls (
    .ap_clk(clk_i),
    .ap_rst_n(rst_ni),
    .s_axis_TDATA(s_axis_tdata),
    .s_axis_TVALID({first}_valid),
    .s_axis_TREADY({first}_ready),
    .m_axis_TDATA(result),
    .m_axis_TVALID({last}_valid),
    .m_axis_TREADY({last}_ready),
    .m_axis_TLAST(m_axis_tlast)
  );
"""


_HEAD = "// SPDX-License-Identifier: Apache-2.0\n// Written by adiabit; the library's headers explain the stages.\n"


def _variables(accelerator: Accelerator) -> dict[str, str]:
    """The C++ variable of each stream: its name, with underscores behind it where that means something else."""
    taken = set(CPP | _TAKEN | {accelerator.name})
    taken |= {f"{stage.name}_{array}" for stage in accelerator.stages for array in stage.arrays}
    found = {}
    for stream in accelerator.streams:
        name = stream.name
        while name in taken:
            name += "_"
        taken.add(name)
        found[stream.name] = name
    return found


def _signature(accelerator: Accelerator) -> str:
    s, m = (8 * beat_bytes(stream) for stream in (accelerator.input, accelerator.output))
    return f"void {accelerator.name}(hls::stream<bnn::AxisIn<{s}>>& s_axis, hls::stream<bnn::AxisOut<{m}>>& m_axis)"


def _shape(stream: Stream) -> str:
    return "x".join(map(str, stream.shape))


def _element(stream: Stream) -> str:
    return "bnn::Bipolar" if stream.kind is Kind.BIPOLAR else f"bnn::{stream.kind.value.capitalize()}<{stream.bits}>"


def _type(stream: Stream) -> str:
    return f"bnn::Stream<{_element(stream)}, {stream.lanes}>"


def _stream_row(stream: Stream) -> dict[str, Any]:
    return {"name": stream.name, "width": stream.width, "beats": stream.beats}


_ROMS = {Memory.BLOCK: "bram", Memory.LUT: "lutram"}


def _storage(accelerator: Accelerator) -> Iterator[str]:
    """Where the weights lie; constants of a fold of 1 need no memory."""
    for stage in accelerator.stages:
        if isinstance(stage, MatrixVector) and (where := _ROMS.get(memory_of(stage))):
            yield f"#pragma HLS BIND_STORAGE variable={stage.name}_weights.rom type=rom_1p impl={where}"


def _depths(accelerator: Accelerator, names: dict[str, str]) -> Iterator[str]:
    """Streams that hold more than the two beats that every stream holds."""
    for stage in accelerator.stages:
        depth, stream = 0, stage.input
        if isinstance(stage, Fifo):
            depth = stage.depth
        elif isinstance(stage, Pad):
            depth = stage.queue
        elif isinstance(stage, Window):
            depth, stream = stage.queue, stage.output
        if depth > 2:
            yield f"#pragma HLS STREAM variable={names[stream.name]} depth={depth}"


def _call(stage: Stage, names: dict[str, str]) -> str:
    function, fixed, more = _CALLS[type(stage)](stage)
    given = ", ".join([names[stage.input.name], names[stage.output.name], *more])
    return f"  bnn::{function}<{', '.join(map(str, fixed))}>({given});"


Call = tuple[str, list[object], list[str]]  # function, template arguments, arguments behind the streams


def _image(stream: Stream) -> str:
    return f"bnn::Image<{', '.join(map(str, stream.shape))}>"


def _pair(name: str, pair: tuple[int, int]) -> str:
    return f"bnn::{name}<{pair[0]}, {pair[1]}>"


def _threshold(stage: Threshold) -> Call:
    return "threshold", [stage.input.elements], [f"{stage.name}_thresholds"]


def _matrix_vector(stage: MatrixVector) -> Call:
    accumulator = f"ap_{'u' if stage.xnor else ''}int<{stage.accumulator_bits}>"
    given = [f"{stage.name}_weights"]
    if stage.thresholds is not None:
        given.append(f"{stage.name}_thresholds")
    return "mvu", [stage.vectors, accumulator], given


def _window(stage: Window) -> Call:
    pairs = [_pair("Kernel", stage.kernel)]
    if (stage.stride, stage.dilation) != ((1, 1), (1, 1)):
        pairs.append(_pair("Stride", stage.stride))
    if stage.dilation != (1, 1):
        pairs.append(_pair("Dilation", stage.dilation))
    return "window", [_image(stage.input), *pairs], []


def _pad(stage: Pad) -> Call:
    value = int(stage.value > 0) if stage.input.kind is Kind.BIPOLAR else stage.value
    return "pad", [_image(stage.input), _pair("Before", stage.before), _pair("After", stage.after), value], []


def _pool(stage: Pool) -> Call:
    return "pool", [_image(stage.input), _pair("Kernel", stage.kernel)], []


def _global_sum(stage: GlobalSum) -> Call:
    return "global_sum", [_image(stage.input)], []


def _width_converter(stage: WidthConverter) -> Call:
    return "width_converter", [stage.input.elements], []


def _fifo(stage: Fifo) -> Call:
    return "fifo", [stage.input.elements], []


def _label_select(stage: LabelSelect) -> Call:
    return "label_select", [stage.input.elements], []


_CALLS: dict[type[Stage], Callable[[Any], Call]] = {
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


def _header(accelerator: Accelerator) -> str:
    widest = max(8 * beat_bytes(s) for s in accelerator.streams)
    wide = f"#define AP_INT_MAX_W {-(-widest // 1024) * 1024}  // bits of the widest integer\n" if widest > 1024 else ""
    return f'{_HEAD}#pragma once\n\n{wide}#include "bnn.hpp"\n\n{_signature(accelerator)};\n'


def _parameters(accelerator: Accelerator) -> str:
    blocks = [f'{_HEAD}#pragma once\n\n#include "bnn.hpp"\n']
    for stage in accelerator.stages:
        if isinstance(stage, MatrixVector):
            blocks.append(_weights(stage))
        if isinstance(stage, Threshold) or (isinstance(stage, MatrixVector) and stage.thresholds is not None):
            blocks.append(_thresholds(stage.name, steps_of(stage), stage.output.lanes))
    return "\n".join(blocks)


def _weights(stage: MatrixVector) -> str:
    rows, columns = stage.weights.shape
    element = "bnn::Bipolar" if stage.bipolar_weights else f"bnn::Signed<{stage.weight_bits}>"
    return (
        f"// {rows}x{columns}: +1 is 1, -1 is 0\n" if stage.bipolar_weights else f"// {rows}x{columns}\n"
    ) + _rom(f"bnn::Weights<{element}, {rows}, {columns}, {stage.pe}, {stage.simd}> {stage.name}_weights",
             (", ".join(_words(fold, stage.weight_bits)) for fold in weight_rows(stage)))  # fmt: skip


def _words(rows: Ints, bits: int) -> Iterator[str]:
    """The rows (PE, SIMD) of one fold, each in as few equal words as hold it."""
    width = rows.shape[1] * bits
    count = -(-width // WORD)
    word = -(-width // count)
    for row in pack_words(rows, bits):
        for i in range(count):
            yield f"{row >> (i * word) & ((1 << word) - 1):#x}"


def _thresholds(name: str, steps: Steps, lanes: int) -> str:
    bits = steps.bits + (not steps.signed)  # the ROM is of signed integers
    kind = f"bnn::Thresholds<{bits}, {len(steps.rows)}, {lanes}, {steps.steps}>"
    return _rom(f"{kind} {name}_thresholds", (", ".join(map(str, row)) for row in steps.rows))


def _rom(declared: str, rows: Iterator[str]) -> str:
    lines = ",\n".join(f"    {{{row}}}" for row in rows)
    return f"static const {declared} = {{{{\n{lines},\n}}}};\n"


def _bench(accelerator: Accelerator) -> str:
    s, m = accelerator.input, accelerator.output
    return (
        f'{_HEAD}#pragma once\n\n#include "{accelerator.name}.hpp"\n\n'
        f"constexpr int kInputBeats = {s.beats}, kOutputBeats = {m.beats};  // a frame\n"
        f"constexpr int kInputBytes = {beat_bytes(s)}, kOutputBytes = {beat_bytes(m)};  // a beat\n"
        f"constexpr auto& kAccelerator = {accelerator.name};\n"
    )


_TCL = """\
# Written by adiabit. Vitis HLS 2022.2 to 2024.1: vitis_hls -f {name}.tcl
# C simulation, synthesis, co-simulation and export as IP; ADIABIT_HLS_STEPS="csynth" takes some of these alone.
set steps [expr {{[info exists ::env(ADIABIT_HLS_STEPS)] ? $::env(ADIABIT_HLS_STEPS) : "csim csynth cosim export"}}]
set here [file dirname [file normalize [info script]]]
cd $here

open_project -reset vitis
set_top {name}
add_files {name}.cpp -cflags "-std=c++17 -I$here"
add_files -tb testbench.cpp -cflags "-std=c++17 -I$here -Wno-unknown-pragmas"
open_solution -reset hls -flow_target vivado
set_part {part}
create_clock -period {period}

set vectors "$here/frames.bin $here/results.bin $here/expected.bin"
if {{"csim" in $steps}} {{ csim_design -argv $vectors }}
if {{"csynth" in $steps}} {{ csynth_design }}
if {{"cosim" in $steps}} {{ cosim_design -argv $vectors }}
if {{"export" in $steps}} {{ export_design -format ip_catalog -output $here/{name}.zip }}
exit
"""

_CONFIG = """\
# Written by adiabit. Vitis 2024.2 and later:
#   vitis-run --mode hls --csim --config hls_config.cfg --work_dir vitis
#   v++ -c --mode hls --config hls_config.cfg --work_dir vitis
#   vitis-run --mode hls --cosim --config hls_config.cfg --work_dir vitis
#   vitis-run --mode hls --package --config hls_config.cfg --work_dir vitis
part={part}

[hls]
flow_target=vivado
clock={period}ns
syn.top={name}
syn.file={name}.cpp
syn.cflags=-std=c++17
tb.file=testbench.cpp
tb.cflags=-std=c++17 -Wno-unknown-pragmas
tb.file=frames.bin
tb.file=expected.bin
csim.argv=frames.bin results.bin expected.bin
cosim.argv=frames.bin results.bin expected.bin
package.output.format=ip_catalog
package.output.file={name}.zip
"""
