# SPDX-License-Identifier: Apache-2.0
"""The emitted C++ as a program, and as the RTL that a stand-in for Vitis HLS makes of it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.flows.ladder import Rung, Vectors, load_rungs
from adiabit.flows.simulate import cosim, csim, program, share
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import hls as emit_hls
from adiabit.hw.stages import MatrixVector
from adiabit.hw.stages.base import HLS
from tests.hw.hls.vitis import play
from tests.hw.rtl.chain import B, Chain, U, some_frames

FRAMES = 24


def little() -> Accelerator:
    return Chain("little", (32,), 8, U, 4).threshold(1, B).mvu(8, 2).lanes(8).mvu(5, 1, out=None).label().end()


def wrong() -> Accelerator:
    """The same with the weights of a layer turned."""
    stages = list(little().stages)
    assert isinstance(stages[1], MatrixVector)
    weights = stages[1].weights.copy()
    weights *= -1
    stages[1] = dataclasses.replace(stages[1], weights=weights)
    return dataclasses.replace(little(), stages=tuple(stages))


def vectors() -> Vectors:
    """One label is wrong, and one frame has none."""
    frames = some_frames(little().input, np.random.default_rng(3), FRAMES)
    labels = golden.run(little(), frames)[:, 0].astype(np.int64)
    predictions = labels.copy()
    labels[0], labels[1] = -1, (labels[1] + 1) % 5
    return Vectors(frames=frames, labels=labels, logits=np.zeros((FRAMES, 5), np.float32), predictions=predictions)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("accelerator")
    storage.save(little(), folder)
    return folder


def emitted(accelerator: Accelerator, folder: Path) -> Path:
    folder.mkdir()
    emit_hls.emit(accelerator, folder, part="xc7z020clg400-1", clock_mhz=100.0)
    share.share_vectors(accelerator, vectors(), folder)
    return folder


def run(stage: Callable[..., None], saved: Path, hls: Path, out: Path, **config: Any) -> tuple[Rung, dict[str, Any]]:
    out.mkdir()
    stage(saved, hls, vectors(), out, SimulateConfig(**config))
    (rung,) = load_rungs(out)
    return rung, json.loads((out / "simulation.json").read_text())


def test_every_beat_equals_the_golden_model(saved: Path, tmp_path: Path) -> None:
    rung, figures = run(csim.simulate_c, saved, emitted(little(), tmp_path / "hls"), tmp_path / "out")
    assert (rung.name, rung.status, rung.frames, rung.equal) == ("HLS C simulation", "equal", FRAMES, FRAMES)
    assert rung.accuracy == pytest.approx((FRAMES - 2) / (FRAMES - 1))
    assert rung.compared == "every stream, every beat"
    assert (figures["frames"], figures["first"]) == (FRAMES, 0)
    assert figures["frames_per_second"] > 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["rungs.json", "simulate.log", "simulation.json"]


def test_a_difference_names_stage_frame_channel_and_command(saved: Path, tmp_path: Path) -> None:
    right, turned = ([v for _, v in golden.stream_values(a, vectors().frames)][2] for a in (little(), wrong()))
    frame, channel = (int(i) for i in np.argwhere(right != turned)[0])
    rung, _ = run(csim.simulate_c, saved, emitted(wrong(), tmp_path / "hls"), tmp_path / "out")
    assert rung.status == "DIFFERS"
    assert rung.equal == np.count_nonzero((right == turned).all(axis=1))
    assert rung.explained(["my net.toml", "--set", "a=1"]) == (
        f"stage little_1, frame {frame}, position 0, channel {channel}: golden {right[frame, channel]:+d}, "
        f"HLS {turned[frame, channel]:+d}; "
        f"replay: adiabit simulate 'my net.toml' --set a=1 --backend hls --frames {frame}:{frame + 1}"
    )
    again, _ = run(csim.simulate_c, saved, tmp_path / "hls", tmp_path / "again", first=frame, frames=1)
    assert again.difference == rung.difference


def test_the_test_bench_finds_a_result_that_is_not_expected(tmp_path: Path) -> None:
    """What Vitis HLS runs: the sources and vectors alone, without our recorder."""
    hls = emitted(little(), tmp_path / "hls")
    build: list[str | Path] = [
        toolchain.find("g++"), *program.OPTIONS, "-I.", "-isystem", HLS / "sim", "-isystem",
        toolchain.ap_types(), "little.cpp", "testbench.cpp", "-o", "bench",
    ]  # fmt: skip
    subprocess.run(build, cwd=hls, check=True)
    bench = ["./bench", "frames.bin", "results.bin", "expected.bin"]
    done = subprocess.run(bench, cwd=hls, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    expected = (hls / "expected.bin").read_bytes()
    assert len(expected) == share.SHARE
    (hls / "expected.bin").write_bytes(expected[:5] + bytes([expected[5] ^ 1]) + expected[6:])
    done = subprocess.run(bench, cwd=hls, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "beat 5 of the results is not as expected")


def test_an_empty_stream_that_is_read_stops_the_program(saved: Path, tmp_path: Path) -> None:
    hls = emitted(little(), tmp_path / "hls")
    text = (hls / "little.cpp").read_text()
    (hls / "little.cpp").write_text(text.replace("from_axis<32>", "from_axis<28>"))
    with pytest.raises(
        toolchain.ToolError, match=r"csim exited with 3; the end of .*:\nstream x was read while it was"
    ):
        run(csim.simulate_c, saved, hls, tmp_path / "out")


def test_missing_ap_types_are_told_with_the_remedy(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError) as caught:
        run(csim.simulate_c, saved, emitted(little(), tmp_path / "hls"), tmp_path / "out")
    assert str(caught.value) == (
        "ap_int.h: not found; C simulation needs hls4ml's copy; install it: pip install 'adiabit[hls]'"
    )


def test_sources_of_another_accelerator_are_refused(saved: Path, tmp_path: Path) -> None:
    other = Chain("little", (32,), 8, U, 4).threshold(1, B).end()
    hls = tmp_path / "hls"
    hls.mkdir()
    emit_hls.emit(other, hls, part="xc7z020clg400-1", clock_mhz=100.0)
    with pytest.raises(UserError, match=r"hls: its streams are not those of accelerator little; emit it again$"):
        run(csim.simulate_c, saved, hls, tmp_path / "out")


# Co-simulation.


@pytest.mark.parametrize("name", cosim.TOOLS)
def test_rtl_by_vitis_runs_on_our_bench(
    name: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(little(), tmp_path, name, monkeypatch)
    rung, figures = run(cosim.cosimulate, saved, emitted(little(), tmp_path / "hls"), tmp_path / "out")
    assert (rung.name, rung.status, rung.equal) == ("HLS co-simulation", "equal", FRAMES)
    assert rung.compared == "input and output, every beat"
    assert figures["cycles_per_frame"] == little().cycles
    told = (tmp_path / "out" / "vitis.log").read_text()
    assert ("-f little.tcl, steps csynth" if name == "vitis_hls" else "--config hls_config.cfg") in told
    assert sorted(p.name for p in (tmp_path / "out" / "rtl").iterdir() if p.suffix != ".dat") == [
        "design.json", "little.v", "little_hls.sv",
    ]  # fmt: skip


def test_rtl_by_vitis_that_differs_is_told(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = dataclasses.replace(little(), stages=tuple(
        dataclasses.replace(s, weights=-s.weights) if s.name == "little_3" and isinstance(s, MatrixVector) else s
        for s in little().stages
    ))  # fmt: skip
    play(other, tmp_path, "vitis_hls", monkeypatch)
    rung, _ = run(cosim.cosimulate, saved, emitted(little(), tmp_path / "hls"), tmp_path / "out")
    assert rung.status == "DIFFERS"
    assert rung.difference.startswith("stage little_4, frame 0, position 0, channel 0: golden ")
    assert rung.explained(["RECIPE"]).endswith("; replay: adiabit simulate RECIPE --backend cosim --frames 0:1 --trace")


def test_without_vitis_one_line_tells_it(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosim, "TOOLS", ("vitis_hls_that_is_not_here", "v++_that_is_not_here"))
    with pytest.raises(UserError) as caught:
        run(cosim.cosimulate, saved, emitted(little(), tmp_path / "hls"), tmp_path / "out")
    assert str(caught.value) == (
        "vitis_hls_that_is_not_here and v++_that_is_not_here: not found on PATH; co-simulation needs Vitis HLS; "
        "source its settings script"
    )


def test_a_vitis_that_fails_shows_the_end_of_its_log(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(little(), tmp_path, "vitis_hls", monkeypatch)
    (tmp_path / "bin" / "vitis_hls").write_text("#!/bin/sh\necho no license\nexit 4\n")
    with pytest.raises(toolchain.ToolError, match=r"vitis_hls exited with 4; the end of .*:\nno license"):
        run(cosim.cosimulate, saved, emitted(little(), tmp_path / "hls"), tmp_path / "out")
    (tmp_path / "bin" / "vitis_hls").write_text("#!/bin/sh\n")
    with pytest.raises(toolchain.ToolError, match=r"vitis_hls: left no vitis/hls/syn/verilog/little.v; see "):
        run(cosim.cosimulate, saved, tmp_path / "hls", tmp_path / "again")


def test_a_stream_too_wide_for_vitis_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Chain("wide", (4200,), 1, B, 4200).mvu(2, 1).end()
    (made := tmp_path / "wide").mkdir()
    storage.save(wide, made)
    play(little(), tmp_path, "vitis_hls", monkeypatch)
    with pytest.raises(UserError) as caught:
        run(cosim.cosimulate, made, emitted(little(), tmp_path / "hls"), tmp_path / "out")
    assert str(caught.value) == (
        "accelerator wide: a stream has 4200 bits; Vitis HLS allows at most 4096; fold it more"
    )
