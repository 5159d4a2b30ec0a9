# SPDX-License-Identifier: Apache-2.0
"""The stage `simulate` on a graph: how full its FIFOs get, and a deadlock told by stages, streams and fill levels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adiabit.flows.ladder import Vectors, load_rungs
from adiabit.flows.simulate import figures
from adiabit.flows.simulate.compare import compare
from adiabit.flows.simulate.runs import Run, Traffic
from adiabit.flows.simulate.stage import simulate
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import rtl
from adiabit.hw.folding.buffers import Buffers, Rule, buffered, depths
from adiabit.hw.stages import Fifo
from tests.hw.rtl.chain import B, Chain, some_frames

FRAMES = 12


def residual() -> Accelerator:
    """A window and a product beside a shortcut."""
    chain = Chain("residual", (5, 6, 8), 1, B, 8)
    shortcut, inner = chain.fork()
    chain.at(inner).pad((1, 1), (1, 1), 1).window((3, 3)).mvu(8, 2).lanes(8)
    return chain.add(shortcut).threshold(1, B).end()


def simulated(buffers: Buffers, folder: Path) -> tuple[Accelerator, str, figures.Simulation]:
    """The accelerator with these FIFOs, the first difference, and what the simulation counted."""
    accelerator = buffered(residual(), buffers)
    for name in ("accelerator", "rtl", "out"):
        (folder / name).mkdir()
    storage.save(accelerator, folder / "accelerator")
    rtl.emit(accelerator, folder / "rtl")
    frames = some_frames(accelerator.input, np.random.default_rng(0), FRAMES)
    unknown = np.full(FRAMES, -1)
    vectors = Vectors(frames=frames, labels=unknown, logits=np.zeros((FRAMES, 2), np.float32), predictions=unknown)
    simulate(folder / "accelerator", folder / "rtl", vectors, folder / "out")
    (rung,) = load_rungs(folder / "out")
    return accelerator, rung.difference, figures.load(folder / "out")


@pytest.mark.parametrize("rule", Rule)
def test_computed_depths_suffice_and_their_high_water_marks_are_counted(rule: Rule, tmp_path: Path) -> None:
    accelerator, difference, found = simulated(rule, tmp_path)
    assert difference == ""
    assert {n: f.depth for n, f in found.fifos.items()} == {
        s.name: s.depth for s in accelerator.stages if isinstance(s, Fifo)
    }
    assert all(0 < fill.high_water <= fill.depth for fill in found.fifos.values())
    if rule is Rule.FULL_RATE:
        assert found.cycles_per_frame == accelerator.cycles


def test_a_deadlock_by_hand_is_told_with_stages_streams_and_fill_levels(tmp_path: Path) -> None:
    least = depths(residual(), Rule.LEAST)["y0_0"]
    _, difference, found = simulated({"y0_0": least - 1}, tmp_path)
    assert found.fifos["y0_0_fifo"].high_water == least - 1
    assert "then nothing moved for" in difference
    told = difference.partition("; deadlock: ")[2]
    assert told.startswith(
        "stage residual_5 waits for y4 while y0_0_held offers a beat; blocked streams: y0_0, y0_0_held; "
    )
    assert f"FIFOs: y0_0_fifo holds {least - 1} of {least - 1}; " in told
    assert told.endswith("make the FIFO before the join deeper (compile.fold.buffers)")


def test_a_stop_of_rtl_of_which_the_ends_alone_are_watched_is_told_without_its_inside(tmp_path: Path) -> None:
    """As of RTL by Vitis HLS: nothing is known of the streams between stages."""
    accelerator = buffered(residual())
    idle = Traffic(accepted=0, waiting=0, starved=0, unheld=-1, valid=1, ready=0)
    files = tuple(tmp_path / name for name in ("x", "y", "port"))
    for path in files:
        path.touch()
    ends = accelerator.input.name, accelerator.output.name
    run = Run(
        cycles=9, first=0, ends=(), wrong_last=-1, seconds=0.0, quiet=99, names=ends,
        streams=(idle,) * 3, files=files,
    )  # fmt: skip
    frames = some_frames(accelerator.input, np.random.default_rng(0), 2)
    difference = compare(accelerator, frames, run).difference
    assert difference is not None
    assert difference.what.endswith("nothing moved for 99 cycles (valid=1, ready=0)")
