# SPDX-License-Identifier: Apache-2.0
"""An accelerator as dataflow HLS C++: a top that calls a function of `hw/hls` for each stage, and its parameters.

The text is a function of the accelerator and the target alone: the same gives the same bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import rtl
from adiabit.hw.emit.design import Design, Wire
from adiabit.hw.packing import beat_bytes
from adiabit.hw.reserved import CPP, SYSTEMVERILOG
from adiabit.hw.stages import Call, Kind, Stage, Stream
from adiabit.hw.stages.base import HLS

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
    by_stage = _calls(accelerator)
    calls = list(by_stage.values())
    for path in [*sorted(HLS.glob("*.hpp")), HLS / "testbench.cpp", *_foreign(calls)]:
        shutil.copyfile(path, folder / path.name)
    (folder / f"{name}.hpp").write_text(_header(accelerator, calls))
    (folder / f"{name}_params.hpp").write_text(_parameters(calls))
    (folder / f"{name}.cpp").write_text(_top(accelerator, by_stage))
    (folder / "testbench.hpp").write_text(_bench(accelerator))
    words = {"name": name, "part": part, "period": f"{1000 / clock_mhz:g}"}
    (folder / f"{name}.tcl").write_text(_TCL.format(**words))
    (folder / "hls_config.cfg").write_text(_CONFIG.format(**words))
    Design.of(name, list(accelerator.streams), sources=[f"{name}.cpp"], wire=Wire.of).save(folder)


def _foreign(calls: Sequence[Call]) -> list[Path]:
    """Headers from other libraries than `hw/hls`."""
    return sorted({call.library / call.header for call in calls if call.library != HLS})


def top(accelerator: Accelerator) -> str:
    """The top function: a stream a line, then a call a stage."""
    return _top(accelerator, _calls(accelerator))


def _calls(accelerator: Accelerator) -> dict[str, Call]:
    """Each stage's call; the constants of large matrices are long, so it is made once."""
    return {stage.name: stage.hls() for stage in accelerator.stages}


def _top(accelerator: Accelerator, calls: Mapping[str, Call]) -> str:
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
        *_storage(calls.values()),
        "",
        *(f'  {_type(s)} {names[s.name]}("{s.name}");  // {_shape(s)}' for s in accelerator.streams),
        *_depths(accelerator, names),
        "",
        f"  bnn::from_axis<{first.elements}>(s_axis, {a});",
        *(_call(stage, calls[stage.name], names) for stage in accelerator.stages),
        f"  bnn::to_axis<{last.elements}>({b}, m_axis);",
        "}",
        "",
    ])  # fmt: skip


def shell(accelerator: Accelerator, sources: Sequence[str], memories: Sequence[str]) -> tuple[str, Design]:
    """A module around the RTL that Vitis HLS made, with the ports of our own top, and its design.

    The module is called NAME_hls; `sources` and `memories` are Vitis' files.
    """
    name, first, last = f"{accelerator.name}_hls", accelerator.input, accelerator.output
    body = _SHELL.format(
        name=accelerator.name, first=first.name, last=last.name, high=last.width - 1, m=8 * beat_bytes(last) - 1
    )
    text = rtl.shell(name, [first, last], [body])
    return text, Design.of(name, [first, last], sources=[*sources, f"{name}.sv"], memories=memories)


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


def _storage(calls: Iterable[Call]) -> Iterator[str]:
    """Where constants lie."""
    for call in calls:
        for variable, where in call.roms.items():
            yield f"#pragma HLS BIND_STORAGE variable={variable} type=rom_1p impl={where}"


def _depths(accelerator: Accelerator, names: Mapping[str, str]) -> Iterator[str]:
    """Streams that hold more than the two beats that every stream holds."""
    for stage in accelerator.stages:
        if stage.capacity > 2:
            yield f"#pragma HLS STREAM variable={names[stage.inputs[0].name]} depth={stage.capacity}"


def _call(stage: Stage, call: Call, names: Mapping[str, str]) -> str:
    streams = call.streams or stage.streams
    given = ", ".join([*(names[s.name] for s in streams), *call.arguments])
    return f"  bnn::{call.function}<{', '.join(map(str, call.template))}>({given});"


def _header(accelerator: Accelerator, calls: Sequence[Call]) -> str:
    widest = max(8 * beat_bytes(s) for s in accelerator.streams)
    wide = f"#define AP_INT_MAX_W {-(-widest // 1024) * 1024}  // bits of the widest integer\n" if widest > 1024 else ""
    includes = "".join(f'#include "{name}"\n' for name in ["bnn.hpp", *(path.name for path in _foreign(calls))])
    return f"{_HEAD}#pragma once\n\n{wide}{includes}\n{_signature(accelerator)};\n"


def _parameters(calls: Sequence[Call]) -> str:
    constants = [constant for call in calls for constant in call.constants]
    return "\n".join([f'{_HEAD}#pragma once\n\n#include "bnn.hpp"\n', *constants])


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
