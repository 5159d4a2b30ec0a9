# SPDX-License-Identifier: Apache-2.0
"""Whole networks drawn by hypothesis, through the emitter, Verilator and the comparison with the golden model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adiabit.flows.ladder import Vectors, load_rungs
from adiabit.flows.simulate import csim
from adiabit.flows.simulate import stage as simulation
from adiabit.flows.simulate.compare import ahead
from adiabit.hw import emit_hls, emit_rtl, golden, storage
from adiabit.hw.accelerator import Accelerator, Memory, divisors
from adiabit.hw.queues import queued
from tests.hw.rtl.chain import B, Chain, S, U, some_frames


def regroup(chain: Chain, draw: st.DrawFn) -> Chain:
    """Lanes that one width converter reaches."""
    have = chain.here.lanes
    return chain.lanes(
        draw(st.sampled_from([n for n in divisors(chain.here.channels) if n % have == 0 or have % n == 0]))
    )


def multiply(chain: Chain, rows: int, draw: st.DrawFn, **fields: Any) -> Chain:
    """A matrix whose weights lie anywhere they may."""
    parallel = chain.here.lanes == chain.here.channels
    memory = draw(st.sampled_from([m for m in Memory if parallel or m is not Memory.HARDWIRED]))
    pe = rows if memory is Memory.HARDWIRED else draw(st.sampled_from(divisors(rows)))
    weights = draw(st.sampled_from([(-1, 1), (-1, 1), (-1, 0), (0, 1), (-1, 0, 1), (-4, 3)]))
    return chain.mvu(rows, pe, weights=weights, out=draw(st.sampled_from([(1, B), (2, U)])), memory=memory, **fields)


side = st.integers(2, 9)


@st.composite
def dense(draw: st.DrawFn) -> Accelerator:
    """A whole dense network: any depth and width, pixels or signed numbers, folding and memory of each layer."""
    bits, kind = draw(st.sampled_from([(8, U), (4, S), (1, B)]))
    pixels = draw(st.integers(1, 20))
    chain = Chain(f"random{draw(st.integers(0, 999))}", (pixels,), bits, kind, draw(st.sampled_from(divisors(pixels))))
    if kind is U and draw(st.booleans()):
        chain.threshold(1, B)
    for width in draw(st.lists(st.integers(1, 20), min_size=1, max_size=4)):
        multiply(regroup(chain, draw), width, draw)
    return chain.mvu(draw(st.integers(1, 10)), 1, out=None).label().end()


@st.composite
def images(draw: st.DrawFn) -> Accelerator:
    """A whole convolutional network: images or sound, pads, kernels, strides, dilations, pools, folding, sums."""
    bits, kind = draw(st.sampled_from([(8, U), (4, S), (1, B)]))
    height, width, channels = draw(st.one_of(st.just(1), side)), draw(side), draw(st.integers(1, 4))
    lanes = draw(st.sampled_from(divisors(channels)))
    chain = Chain(f"random{draw(st.integers(0, 999))}", (height, width, channels), bits, kind, lanes)
    for rows in draw(st.lists(st.integers(1, 8), min_size=1, max_size=3)):
        convolve(chain, rows, draw)
    rows = draw(st.integers(1, 10))
    if draw(st.booleans()):
        most = chain.here.range[1] * (chain.here.elements // chain.here.channels)
        chain.total(most.bit_length(), U)
    else:
        multiply(regroup(chain, draw), rows, draw, flat=True)
        regroup(chain, draw)
    return chain.mvu(rows, 1, out=None, flat=True).label().end()


def convolve(chain: Chain, rows: int, draw: st.DrawFn) -> None:
    """Maybe a pad, a window, a matrix, and maybe a pool."""
    pads = st.tuples(*[st.integers(0, 2 if length > 1 else 0) for length in chain.here.shape[:2]])
    if draw(st.booleans()):
        values = [-1, 1] if chain.here.kind is B else [0, *chain.here.range]
        regroup(chain, draw).pad(draw(pads), draw(pads), draw(st.sampled_from(values)))
    sides = chain.here.shape[:2]
    kernel = tuple(draw(st.integers(1, min(3, length))) for length in sides)
    dilation = tuple(
        draw(st.integers(1, min(3, (length - 1) // (k - 1)) if k > 1 else 3))
        for k, length in zip(kernel, sides, strict=True)
    )
    parallel = draw(st.booleans())
    regroup(chain, draw)
    if parallel and chain.here.lanes != chain.here.channels:
        chain.lanes(chain.here.channels)
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    chain.window(kernel, parallel=parallel, stride=stride, dilation=dilation)  # type: ignore[arg-type]
    if parallel:  # the matrix need not be
        regroup(chain, draw)
    multiply(chain, rows, draw)
    if draw(st.booleans()):
        height, width = chain.here.shape[:2]
        regroup(chain, draw).pool((draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width)))))


def agree(drawn: Accelerator, folder: Path) -> None:
    """Every beat of every stream of either back end is the golden model's; a frame takes its slowest stage's fold."""
    accelerator = queued(drawn)
    assume(not len(ahead(accelerator)[-2]))  # a network of pads alone has its label before its frame
    frames = some_frames(accelerator.input, np.random.default_rng(0), 40)
    labels = golden.run(accelerator, frames)[:, 0].astype(np.int64)
    for name in ("accelerator", "rtl", "hls", "csim"):
        (folder / name).mkdir()
    storage.save(accelerator, folder / "accelerator")
    emit_rtl.emit(accelerator, folder / "rtl")
    vectors = Vectors(frames=frames, labels=labels, logits=np.zeros((len(frames), 1), np.float32), predictions=labels)
    simulation.simulate(folder / "accelerator", folder / "rtl", vectors, folder)
    (rung,) = load_rungs(folder)
    assert (rung.status, rung.equal, rung.difference) == ("equal", len(frames), "")
    figures = json.loads((folder / "simulation.json").read_text())
    assert figures["cycles_per_frame"] == accelerator.cycles
    emit_hls.emit(accelerator, folder / "hls", part="xc7z020clg400-1", clock_mhz=100.0)
    csim.simulate_c(folder / "accelerator", folder / "hls", vectors, folder / "csim")
    (rung,) = load_rungs(folder / "csim")
    assert (rung.status, rung.equal, rung.difference) == ("equal", len(frames), "")


@settings(max_examples=2, deadline=None, derandomize=True)
@given(accelerator=dense())
def test_random_dense_networks(accelerator: Accelerator, tmp_path_factory: pytest.TempPathFactory) -> None:
    agree(accelerator, tmp_path_factory.mktemp("random"))


@settings(max_examples=3, deadline=None, derandomize=True)
@given(accelerator=images())
def test_random_convolutional_networks(accelerator: Accelerator, tmp_path_factory: pytest.TempPathFactory) -> None:
    agree(accelerator, tmp_path_factory.mktemp("random"))


@pytest.mark.full
@pytest.mark.timeout(3600)
@settings(max_examples=100, deadline=None)
@given(accelerator=st.one_of(dense(), images()))
def test_many_random_networks(accelerator: Accelerator, tmp_path_factory: pytest.TempPathFactory) -> None:
    agree(accelerator, tmp_path_factory.mktemp("random"))
