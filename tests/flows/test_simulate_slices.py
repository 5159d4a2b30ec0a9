# SPDX-License-Identifier: Apache-2.0
"""Frames cut into slices for several processes: the results of one process, whatever happens where."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.flows.ladder import Rung, Vectors, load_rungs
from adiabit.flows.simulate import csim, passes, slices
from adiabit.flows.simulate.bench import Bench
from adiabit.flows.simulate.compare import Comparison, Difference
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.flows.simulate.runs import Run, Span
from adiabit.flows.simulate.slices import Outcome, cut, first_different, join
from adiabit.flows.simulate.stage import simulate
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import hls as emit_hls
from adiabit.hw.emit import rtl as emit_rtl
from adiabit.hw.folding.buffers import buffered
from tests.flows.test_simulate import tiny
from tests.flows.test_simulate_graphs import residual
from tests.hw.rtl.chain import some_frames

FRAMES = 90
SECONDS = ("seconds_build", "seconds_run", "cycles_per_second", "frames_per_second")  # all that may differ
Documents = tuple[dict[str, Any], str]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of ten frames, and processes for any work."""
    monkeypatch.setattr(slices, "LEAST_WORK", 1)
    monkeypatch.setattr(slices, "LEAST_FRAMES", 10)
    monkeypatch.setattr(passes, "LEAST_WORK", 1)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of processes that were started at once."""
    started: list[int] = []
    run_tools = toolchain.run_tools

    def counted(commands: Any, *, at_once: int = 1, **options: Any) -> Any:
        started.append(at_once)
        return run_tools(commands, at_once=at_once, **options)

    monkeypatch.setattr(toolchain, "run_tools", counted)
    return started


def vectors(frames: Any) -> Vectors:
    unknown = np.full(len(frames), -1)
    return Vectors(frames=frames, labels=unknown, logits=np.zeros((len(frames), 2), np.float32), predictions=unknown)


def saved(accelerator: Accelerator, folder: Path) -> tuple[Path, Path]:
    """The accelerator and its RTL."""
    for name in ("accelerator", "rtl"):
        (folder / name).mkdir()
    storage.save(accelerator, folder / "accelerator")
    emit_rtl.emit(accelerator, folder / "rtl")
    return folder / "accelerator", folder / "rtl"


def documents(
    stage: Callable[..., None], sources: tuple[Path, Path], frames: Any, out: Path, **config: Any
) -> Documents:
    """What the stage wrote, without the seconds."""
    out.mkdir()
    stage(*sources, vectors(frames), out, SimulateConfig(**config))
    found = json.loads((out / "simulation.json").read_text())
    made = {path.name for path in out.glob("*")} - {"outputs.npy"}  # which C simulation does not leave
    assert made == {"rungs.json", "simulate.log", "simulation.json"}
    return {k: v for k, v in found.items() if k not in SECONDS}, (out / "rungs.json").read_text()


def rung(out: Path) -> Rung:
    (found,) = load_rungs(out)
    return found


@pytest.mark.usefixtures("small")
def test_the_results_do_not_depend_on_the_number_of_processes(tmp_path: Path, processes: list[int]) -> None:
    for number, accelerator in enumerate((tiny(), buffered(residual()))):
        (place := tmp_path / str(number)).mkdir()
        sources = saved(accelerator, place)
        frames = some_frames(accelerator.input, np.random.default_rng(5), FRAMES)
        one = documents(simulate, sources, frames, place / "one", jobs=1)
        assert set(processes) == {1}
        assert documents(simulate, sources, frames, place / "two", jobs=2) == one
        assert 2 in processes
        processes.clear()
        assert (rung(place / "one").equal, one[0]["frames"], one[0]["counted_frames"]) == (FRAMES, FRAMES, 40)
        with pytest.MonkeyPatch.context() as patch:  # what a single slice measures
            patch.setattr(slices, "MOST", 1)
            whole = documents(simulate, sources, frames, place / "whole", jobs=1)
        assert whole[0]["counted_frames"] == FRAMES
        assert {k: v for k, v in whole[0].items() if k not in ("stalls", "counted_frames")} == {
            k: v for k, v in one[0].items() if k not in ("stalls", "counted_frames")
        }
        assert whole[1] == one[1]
        first = documents(simulate, sources, frames[:40], place / "first", jobs=1, stall_frames=0)
        assert first[0]["stalls"] == one[0]["stalls"]


@pytest.mark.usefixtures("small")
def test_a_fault_in_a_late_frame_is_the_same_in_any_number_of_processes(tmp_path: Path) -> None:
    accelerator, rtl = saved(tiny(), tmp_path)
    text = (rtl / "bnn_steps.sv").read_text()
    (rtl / "bnn_steps.sv").write_text(text.replace("value[l] >= Width", "value[l] > Width"))
    frames = np.random.default_rng(2).choice([0, 127, 129, 255], (FRAMES, 32))
    frames[72, 3] = frames[75] = 128  # the only ones in which the fault shows
    one = documents(simulate, (accelerator, rtl), frames, tmp_path / "one", jobs=1)
    assert documents(simulate, (accelerator, rtl), frames, tmp_path / "two", jobs=2) == one
    found = rung(tmp_path / "two")
    assert (found.frames, found.equal) == (FRAMES, FRAMES - 2)
    assert found.explained(["RECIPE"]) == (
        "stage binarize, frame 72, position 0, channel 3: golden +1, RTL -1; "
        "replay: adiabit simulate RECIPE --frames 72:73 --trace"
    )
    replayed(tmp_path, (accelerator, rtl), frames, found)


@pytest.mark.usefixtures("small")
def test_a_fault_that_takes_many_frames_is_replayed_from_the_start_of_its_slice(tmp_path: Path) -> None:
    """A frame of ones is read as zeros if nine frames came before it since the reset."""
    accelerator, rtl = saved(tiny(), tmp_path)
    text = (rtl / "tiny.sv").read_text()
    faulty = text.replace("= s_axis_tdata[127:0];", "= (taken_q >= 18 && &s_axis_tdata) ? '0 : s_axis_tdata;")
    assert faulty != text
    counter = (
        "int unsigned taken_q;\n"
        "always_ff @(posedge clk_i) begin\n"
        "  if (!rst_ni) taken_q <= 0; else if (s_axis_tvalid && s_axis_tready) taken_q <= taken_q + 1;\n"
        "end\n"
    )
    (rtl / "tiny.sv").write_text(faulty.replace("endmodule", f"{counter}endmodule"))
    frames = np.random.default_rng(2).choice([0, 129], (FRAMES, 32))
    frames[62] = frames[78] = 255  # the fourth and the tenth of their slices
    documents(simulate, (accelerator, rtl), frames, tmp_path / "two", jobs=2, stall_frames=9)
    found = rung(tmp_path / "two")
    assert (found.equal, found.replay[1:3]) == (FRAMES - 1, ("--frames", "69:79"))
    assert found.difference == "input, frame 78, position 0, channel 0: golden 255, RTL 0"
    replayed(tmp_path, (accelerator, rtl), frames, found)


def replayed(folder: Path, sources: tuple[Path, Path], frames: Any, found: Rung) -> None:
    """Run what a replay command says: the same difference appears again."""
    first, end = map(int, found.replay[2].split(":"))
    assert found.replay[3] == "--trace"
    (folder / "again").mkdir()
    config = SimulateConfig(first=first, frames=end - first, trace=True)
    simulate(*sources, vectors(frames), folder / "again", config)
    assert rung(folder / "again").difference == found.difference


@pytest.mark.usefixtures("small")
def test_waveforms_are_those_of_all_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = saved(tiny(), tmp_path)
    monkeypatch.chdir(tmp_path)
    (out := Path("out")).mkdir()
    frames = some_frames(tiny().input, np.random.default_rng(5), FRAMES)
    simulate(*sources, vectors(frames), out, SimulateConfig(trace=True, jobs=2))
    assert sorted(path.name for path in out.glob("*.vcd")) == ["full_speed.vcd", "stalls.vcd"]
    assert json.loads((out / "simulation.json").read_text())["counted_frames"] == FRAMES


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("told", "fault", "text"),
    [
        ("no such pin", toolchain.ToolError, r"bench exited with 3; the end of .*log:\n(?s:.*)no such pin"),
        (toolchain.FULL, UserError, r"no space left on the disk for .*; free some and run again to resume$"),
    ],
)
def test_a_simulator_that_fails_in_a_process_is_told(
    told: str, fault: type[Exception], text: str, tmp_path: Path
) -> None:
    accelerator, rtl = saved(tiny(), tmp_path)
    (program := tmp_path / "bench").write_text(f"#!/bin/sh\necho {told}\nexit 3\n")
    program.chmod(0o755)
    bench = Bench(program=program, rtl=rtl, log=tmp_path / "log", names=())
    frames = some_frames(tiny().input, np.random.default_rng(5), FRAMES)
    with pytest.raises(fault, match=text):
        passes.Passes(accelerator, tiny(), frames, bench, tmp_path, 2).run_all(cut(tiny(), FRAMES))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["accelerator", "bench", "log", "rtl"]


@pytest.mark.usefixtures("small")
def test_the_c_simulation_is_cut_as_well(tmp_path: Path, processes: list[int]) -> None:
    accelerator, _ = saved(tiny(), tmp_path)
    (hls := tmp_path / "hls").mkdir()
    emit_hls.emit(tiny(), hls, part="xc7z020clg400-1", clock_mhz=100.0)
    frames = some_frames(tiny().input, np.random.default_rng(5), FRAMES)
    one = documents(csim.simulate_c, (accelerator, hls), frames, tmp_path / "one", jobs=1)
    assert set(processes) == {1}
    assert documents(csim.simulate_c, (accelerator, hls), frames, tmp_path / "two", jobs=2) == one
    assert 2 in processes
    assert rung(tmp_path / "two").equal == FRAMES


@pytest.mark.usefixtures("small")
def test_slices_overlap_by_a_frame_and_the_first_is_the_longest() -> None:
    spans = cut(tiny(), FRAMES)
    assert [(s.start, s.end, s.shared) for s in spans] == [
        (0, 40, 0), (39, 50, 1), (49, 60, 1), (59, 70, 1), (69, 80, 1), (79, 90, 1),
    ]  # fmt: skip
    assert cut(tiny(), 49) == [Span(end=49)]


def test_a_little_work_is_not_cut_and_much_work_not_into_crumbs() -> None:
    assert cut(tiny(), 10_000) == [Span(end=10_000)]
    second = slices.LEAST_WORK // tiny().cycles + 1
    assert cut(tiny(), 4 * second) == [Span(end=4 * second)]
    assert [s.end - s.start - s.shared for s in cut(tiny(), 6 * second)] == [4 * second, second, second]
    assert len(cut(tiny(), 1000 * second)) == slices.MOST - slices.FIRST + 1


def test_the_earlier_slice_has_the_frame_that_two_share() -> None:
    def outcome(start: int, end: int, *different: int) -> Outcome:
        count = end - start
        equal = np.isin(np.arange(count), different, invert=True)
        first = Difference(min(different), 0, "stage a", f"from {start}") if different else None
        run = Run(
            cycles=0, first=0, ends=(), wrong_last=-1, seconds=0.0, quiet=0, names=(), streams=(), files=()
        )  # fmt: skip
        outputs = np.arange(start, end)[:, None] + 1000 * start
        compared = Comparison(equal=equal, difference=first, outputs=outputs)
        return Outcome(span=Span(start=start, end=end, shared=int(start > 0)), run=run, compared=compared)

    outcomes = [outcome(0, 4), outcome(3, 7, 3), outcome(6, 10, 0, 2)]
    both = join(outcomes)
    assert both.equal.tolist() == [True] * 6 + [False, True, False, True]
    assert both.difference is not None
    assert both.difference.describe(100) == "stage a, frame 106, from 3"
    assert first_different(outcomes) is outcomes[1]
    assert both.outputs[:, 0].tolist() == [0, 1, 2, 3, 3004, 3005, 3006, 6007, 6008, 6009]
    assert join(outcomes[:1]).difference is None
    assert join([outcome(0, 4, 3), outcome(3, 7)]).equal.tolist() == [True, True, True, False, True, True, True]


KILLED = """
import sys
from pathlib import Path
import numpy as np
from adiabit.flows.ladder import Vectors
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.flows.simulate.stage import simulate
folder, count = Path(sys.argv[1]), 2_000_000
unknown = np.full(count, -1)
frames, logits = np.zeros((count, 32), np.uint8), np.zeros((count, 1))
vectors = Vectors(frames=frames, labels=unknown, logits=logits, predictions=unknown)
simulate(folder / "accelerator", folder / "rtl", vectors, folder / "out", SimulateConfig(jobs=2, stall_frames=count))
"""


def test_the_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    saved(tiny(), tmp_path)
    (tmp_path / "out").mkdir()
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)]) as process:
        children: list[psutil.Process] = []
        while [child.name() for child in children].count("bench") < 2:
            assert process.poll() is None, "ended before it could be killed"
            time.sleep(0.05)
            children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < deadline, "a process goes on"
        time.sleep(0.05)
    assert list((tmp_path / "out").rglob(passes.FOUND)) == []  # which a process writes that goes on
