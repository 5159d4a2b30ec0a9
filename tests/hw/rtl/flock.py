# SPDX-License-Identifier: Apache-2.0
"""Many accelerators in one simulation: every beat of every stream of each is compared with the golden model.

The host starts when nothing moves any more without it: padding gives its first beats before.
"""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adiabit.flows import toolchain
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import rtl
from adiabit.hw.folding.events import Events, Moves
from adiabit.hw.packing import beat_bytes, pack
from adiabit.hw.stages import Stream
from tests.hw.rtl.chain import some_frames

FRAMES = 6
BENCH = Path(__file__).with_name("flock.sv")


@dataclass(frozen=True)
class Outcome:
    """What a simulation of one accelerator showed."""

    done: bool  # all beats of all frames passed on every stream
    wrong: dict[str, int]  # by stream, the first beat that is not the golden model's
    cycles: int  # from the last frame but one to the last
    times: dict[str, int]  # by stream: the sum of its beats' cycles from the host's start, the n-th n times

    @property
    def right(self) -> bool:
        """Whether all frames came out, as the golden model has them."""
        return self.done and not self.wrong


def simulate(accelerators: Sequence[Accelerator], folder: Path) -> tuple[list[Outcome], list[Outcome]]:
    """Run each accelerator with frames of its own, back to back, and with random gaps and stalls."""
    program = _built(accelerators, folder)
    return _run(program, accelerators), _run(program, accelerators, "+stall")


def _built(accelerators: Sequence[Accelerator], folder: Path) -> Path:
    tops, sources = [], dict[str, None]()
    for number, accelerator in enumerate(accelerators):
        part = folder / f"d{number}"
        part.mkdir()
        design = rtl.emit(renamed(accelerator, number), part)
        sources |= dict.fromkeys(f"d{number}/{s}" if s == design.sources[-1] else s for s in design.sources)
        for name in (*design.sources[:-1], *design.memories):
            (part / name).replace(folder / name)
        tops.append(_instance(accelerator, number, folder))
    order = rtl.modules_of(folder / s for s in sources if "/" not in s)
    (folder / "flock.sv").write_text(BENCH.read_text() + _top(tops, max(map(_quiet, accelerators))))
    command: list[str | Path] = [
        toolchain.find("verilator"), "--binary", "--timing", "-j", "2", "-O3", "-CFLAGS", "-std=c++20 -O0",
        "--assert", "--x-assign", "unique", "--x-initial", "unique", "-Wno-fatal", "-Wno-lint", "-Wno-style",
        "--top-module", "flock",
        "-Mdir", "obj", "--output-split", "0", *(p.name for p in order), *(s for s in sources if "/" in s), "flock.sv",
    ]  # fmt: skip
    environment = toolchain.environment()
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert built.returncode == 0, (built.stdout + built.stderr)[-4000:]
    return folder / "obj" / "Vflock"


def _run(program: Path, accelerators: Sequence[Accelerator], *options: str) -> list[Outcome]:
    found: dict[int, Outcome] = {}
    command: list[str | Path] = [program, "+verilator+rand+reset+2", "+verilator+seed+7", *options]
    ran = subprocess.run(command, cwd=program.parent.parent, capture_output=True, text=True)
    for line in ran.stdout.splitlines():
        if line.startswith("RESULT"):
            which, done, before, end, *each = map(int, line.split()[1:])
            streams = [s.name for s in accelerators[which].streams]
            wrong, times = (dict(zip(streams, each[k::2], strict=True)) for k in (0, 1))
            found[which] = Outcome(bool(done), {s: w for s, w in wrong.items() if w >= 0}, end - before, times)
    assert len(found) == len(accelerators), ran.stdout[-2000:] + ran.stderr[-2000:]
    return [found[number] for number in range(len(accelerators))]


def renamed(accelerator: Accelerator, number: int) -> Accelerator:
    """With memory files of its own."""
    stages = tuple(dataclasses.replace(s, name=f"d{number}_{s.name}") for s in accelerator.stages)
    return Accelerator(name=f"top{number}", stages=stages)


def expected_times(accelerator: Accelerator) -> dict[str, int] | None:
    """The times of an outcome without gaps and stalls, by executing the schedules; None where that finds no end."""
    if (moves := _executed(accelerator, FRAMES)) is None:
        return None
    taken = {accelerator.output.name: moves[accelerator.stages[-1].name].made[0]}
    for stage in accelerator.stages:
        taken |= {s.name: t for s, t in zip(stage.inputs, moves[stage.name].taken, strict=True)}
    return {
        s.name: int(np.maximum(taken[s.name], 0) @ (1 + np.arange(len(taken[s.name])))) for s in accelerator.streams
    }


def settled_cycles(accelerator: Accelerator, frames: int = 64) -> int | None:
    """Cycles from the last frame but one to the last of many, by executing the schedules."""
    if (moves := _executed(accelerator, frames)) is None:
        return None
    ends = moves[accelerator.stages[-1].name].made[0].reshape(frames, -1)[:, -1]
    return int(ends[-1] - ends[-2])


def _executed(accelerator: Accelerator, frames: int) -> dict[str, Moves] | None:
    """The moves of each stage when the host offers beats back to back."""
    source = 1 + np.arange(frames * accelerator.input.beats)
    return Events(accelerator).bounded(source, frames, {})


def _quiet(accelerator: Accelerator) -> int:
    """More cycles than pass between two beats where nothing deadlocks."""
    return 100 + sum(s.cycles for s in accelerator.stages)


def _words(stream: Stream, values: np.ndarray) -> str:
    beats = pack(stream, values).reshape(-1, beat_bytes(stream))
    return "".join(f"{int.from_bytes(beat.tobytes(), 'little'):x}\n" for beat in beats)


def _instance(accelerator: Accelerator, number: int, folder: Path) -> str:
    frames = some_frames(accelerator.input, np.random.default_rng(number), FRAMES)
    checks, moves, name = [], [], f"d{number}"
    for k, (stream, values) in enumerate(golden.stream_values(accelerator, frames)):
        file = f"{name}_{k}.beats"
        (folder / file).write_text(_words(stream, values))
        moves.append(f"u_{name}.{stream.name}_valid && u_{name}.{stream.name}_ready")
        checks.append(
            f"  flock_check #(.Width({stream.width}), .Frame({stream.beats}), .Beats({FRAMES * stream.beats}), "
            f'.File("{file}")) {name}_check{k} (.clk_i(clk), .rst_ni(rst_n), .start_i(start), '
            f".valid_i(u_{name}.{stream.name}_valid), "
            f".ready_i(u_{name}.{stream.name}_ready), .data_i(u_{name}.{stream.name}_data));"
        )
    first, last = accelerator.input, accelerator.output
    count = len(checks) - 1
    seen = " && ".join(f"{name}_check{k}.seen_q >= {name}_check{k}.Beats" for k in range(count + 1))
    each = ", ".join(f"{name}_check{k}.wrong_q, {name}_check{k}.times_q" for k in range(count + 1))
    return f"""
  logic {name}_iv, {name}_ir, {name}_ov, {name}_or, {name}_last;
  logic [{8 * beat_bytes(first) - 1}:0] {name}_id;
  logic [{8 * beat_bytes(last) - 1}:0] {name}_od;
  flock_source #(.Width({8 * beat_bytes(first)}), .Beats({FRAMES * first.beats}), .File("{name}_0.beats"),
    .Seed({number + 1})) {name}_source
    (.clk_i(clk), .rst_ni(start), .valid_o({name}_iv), .ready_i({name}_ir), .data_o({name}_id));
  flock_sink #(.Seed({number + 99})) {name}_sink
    (.clk_i(clk), .rst_ni(rst_n), .ready_o({name}_or));
  top{number} u_{name} (.clk_i(clk), .rst_ni(rst_n), .s_axis_tdata({name}_id), .s_axis_tvalid({name}_iv),
    .s_axis_tready({name}_ir), .m_axis_tdata({name}_od), .m_axis_tvalid({name}_ov), .m_axis_tready({name}_or),
    .m_axis_tlast({name}_last));
{chr(10).join(checks)}
  logic done_{name}, over_{name};
  assign done_{name} = {seen};
  flock_end #(.Streams({count + 1}), .Quiet({_quiet(accelerator)})) {name}_end (.clk_i(clk), .rst_ni(start),
    .moved_i({{{", ".join(moves)}}}), .done_i(done_{name}), .over_o(over_{name}));
  task automatic tell_{name}();
    $display("RESULT {number} %0d %0d %0d {" ".join(["%0d"] * 2 * (count + 1))}",
      done_{name}, {name}_check{count}.before_q, {name}_check{count}.end_q,
      {each});
  endtask
"""


def _top(instances: Sequence[str], quiet: int) -> str:
    told = "\n".join(f"    tell_d{number}();" for number in range(len(instances)))
    over = " && ".join(f"over_d{number}" for number in range(len(instances)))
    return f"""
module flock;
  logic clk = 1'b0, rst_n = 1'b0, start = 1'b0;
  always #1 clk = !clk;
{"".join(instances)}
  initial begin
    repeat (4) @(negedge clk);
    rst_n = 1'b1;
    repeat ({quiet}) @(negedge clk);
    start = 1'b1;
    @(negedge clk);
    while (!({over})) @(negedge clk);
{told}
    $finish;
  end
endmodule
"""
