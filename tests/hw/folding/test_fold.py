# SPDX-License-Identifier: Apache-2.0
"""Folding changes lanes and cycles, never values; what cannot be reached is told with what can."""

from __future__ import annotations

import dataclasses
import itertools
import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adiabit.errors import UserError
from adiabit.flows.finn.folding_json import from_finn_json, to_finn_json
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.estimate import estimate
from adiabit.hw.folding.buffers import buffered
from adiabit.hw.folding.fold import (
    apply,
    foldable,
    folding_of,
)
from adiabit.hw.folding.memories import placed
from adiabit.hw.folding.solve import fits, solve, solve_luts, solve_room
from adiabit.hw.stages import (
    Fifo,
    Folding,
    Kind,
    LabelSelect,
    MatrixVector,
    Memory,
    Stage,
    Stream,
    Threshold,
    WidthConverter,
    divisors,
    signed_bits,
)
from adiabit.hw.stages.cost import Resources

NO_LIMIT = 1 << 62


def dense(*widths: int, seed: int = 0, sign: bool = True) -> Accelerator:
    """Pixels, thresholds (or none: then 8-bit products), layers, label; all at one lane."""
    rng = np.random.default_rng(seed)
    stream = Stream(name="image", shape=(widths[0],), bits=8, kind=Kind.UNSIGNED, lanes=1)
    stages: list[Stage] = []

    def bipolar(name: str, channels: int) -> Stream:
        return Stream(name=f"{name}_out", shape=(channels,), bits=1, kind=Kind.BIPOLAR, lanes=1)

    if sign:
        steps = rng.integers(0, 257, (widths[0], 1))
        out = bipolar("threshold0", widths[0])
        stages.append(Threshold(name="threshold0", inputs=(stream,), outputs=(out,), thresholds=steps))
        stream = out
    for k, (mw, mh) in enumerate(itertools.pairwise(widths)):
        weights = rng.choice([-1, 1], (mh, mw))
        out = Stream(name=f"fc{k}_out", shape=(mh,), bits=32, kind=Kind.SIGNED, lanes=1)
        low, high = MatrixVector(name="p", inputs=(stream,), outputs=(out,), weights=weights).accumulator_range
        if k < len(widths) - 2:
            out = bipolar(f"fc{k}", mh)
        else:
            out = Stream(name=f"fc{k}_out", shape=(mh,), bits=signed_bits(low, high), kind=Kind.SIGNED, lanes=1)
        limits = rng.integers(low, high + 2, (mh, 1)) if out.kind is Kind.BIPOLAR else None
        stages.append(MatrixVector(name=f"fc{k}", inputs=(stream,), outputs=(out,), weights=weights, thresholds=limits))
        stream = out
    bits = max(1, (widths[-1] - 1).bit_length())
    label = Stream(name="label_out", shape=(1,), bits=bits, kind=Kind.UNSIGNED, lanes=1)
    stages.append(LabelSelect(name="label", inputs=(stream,), outputs=(label,)))
    return Accelerator(name="net", stages=tuple(stages))


TFC = dense(784, 64, 64, 64, 10)
SMALL = st.builds(
    dense,
    *(st.sampled_from([1, 2, 6, 12, 15, 24]) for _ in range(2)),
    st.integers(2, 10),
    seed=st.integers(0, 9),
    sign=st.booleans(),
)


def same_values(a: Accelerator, b: Accelerator) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (16, *a.input.shape))
    before = {s.name: v for s, v in golden.stream_values(a, frames)}
    after = {s.name: v for s, v in golden.stream_values(b, frames)}
    assert before.keys() <= after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])


@settings(max_examples=40, deadline=None)
@given(accelerator=SMALL, data=st.data())
def test_any_folding_keeps_values_and_names(accelerator: Accelerator, data: st.DataObject) -> None:
    folding = {}
    for stage in accelerator.stages:
        rows = (stage.outputs if isinstance(stage, MatrixVector) else stage.inputs)[0].channels
        pe = data.draw(st.sampled_from(divisors(rows)))
        simd = data.draw(st.sampled_from(divisors(stage.inputs[0].channels))) if isinstance(stage, MatrixVector) else 1
        folding[stage.name] = Folding(pe=pe, simd=simd)
    folded = apply(accelerator, folding)
    same_values(accelerator, folded)
    assert [s.name for s in foldable(folded)] == [s.name for s in accelerator.stages]
    for name, chosen in folding_of(folded).items():
        assert (chosen.pe, chosen.simd) == (folding[name].pe, folding[name].simd)
    # converters never slow the accelerator down
    assert folded.cycles == max(s.cycles for s in foldable(folded))
    assert apply(folded, {}) == folded
    assert from_finn_json(accelerator, to_finn_json(folded)) == {
        n: Folding(pe=f.pe, simd=f.simd, memory=Memory.AUTO) for n, f in folding.items()
    }


@settings(max_examples=30, deadline=None)
@given(accelerator=SMALL, cycles=st.integers(1, 600))
def test_solve_keeps_its_promise(accelerator: Accelerator, cycles: int) -> None:
    folded = solve(accelerator, fps=1e8 / cycles, clock_hz=1e8)
    assert folded.cycles <= cycles
    same_values(accelerator, folded)


@settings(max_examples=20, deadline=None)
@given(accelerator=SMALL, share=st.floats(1.0, 20.0))
def test_solve_luts_stays_within_its_budget(accelerator: Accelerator, share: float) -> None:
    smallest = estimate(solve(accelerator, fps=1, clock_hz=1e8)).resources.luts
    folded = solve_luts(accelerator, luts=int(smallest * share))
    assert estimate(folded).resources.luts <= smallest * share
    assert folded.cycles <= accelerator.cycles
    same_values(accelerator, folded)


def test_solve_is_the_cheapest_of_all() -> None:
    """Against every folding of a small network."""
    accelerator = dense(6, 4, 2)
    options = [
        [Folding(pe=p) for p in divisors(6)],
        [Folding(pe=p, simd=s) for p in divisors(4) for s in divisors(6)],
        [Folding(pe=p, simd=s) for p in divisors(2) for s in divisors(4)],
        [Folding(pe=p) for p in divisors(2)],
    ]
    names = [s.name for s in accelerator.stages]
    every = [apply(accelerator, dict(zip(names, choice, strict=True))) for choice in itertools.product(*options)]
    for cycles in (1, 2, 3, 6, 12, 24):
        cheapest = min(estimate(a).resources.luts for a in every if a.cycles <= cycles)
        assert estimate(solve(accelerator, fps=1e8 / cycles, clock_hz=1e8)).resources.luts == cheapest


def test_tfc_at_a_million_frames_a_second() -> None:
    folded = solve(TFC, fps=1e6, clock_hz=1e8)
    assert folded.cycles <= 100
    assert max(s.cycles for s in folded.stages if isinstance(s, MatrixVector)) > 50  # not faster than it must be
    faster = solve_luts(TFC, luts=estimate(folded).resources.luts)
    assert faster.cycles <= folded.cycles


def test_converters_go_through_the_gcd_or_the_lcm() -> None:
    accelerator = dense(12, 4, 2)
    slow = apply(accelerator, {"threshold0": Folding(pe=4), "fc0": Folding(pe=1, simd=6)})
    assert [(s.name, s.input.lanes, s.output.lanes) for s in slow.stages if isinstance(s, WidthConverter)] == [
        ("fc0_width0", 4, 2), ("fc0_width1", 2, 6),
    ]  # fmt: skip
    most = {"fc0": Folding(pe=4, simd=6), "fc1": Folding(pe=2, simd=4), "label": Folding(pe=2)}
    fast = apply(accelerator, {"threshold0": Folding(pe=4), **most})
    assert fast.cycles == 3
    assert [(s.name, s.input.lanes, s.output.lanes) for s in fast.stages if isinstance(s, WidthConverter)] == [
        ("fc0_width0", 4, 12), ("fc0_width1", 12, 6),
    ]  # fmt: skip


def test_fifos_are_replaced_and_memories_stay() -> None:
    accelerator = dense(6, 4, 2)
    stages = list(accelerator.stages)
    (old,) = stages[1].outputs
    new = dataclasses.replace(old, name="deep")
    fifo = Fifo(name="fifo0", inputs=(old,), outputs=(new,), depth=4)
    stages[2:3] = [fifo, dataclasses.replace(stages[2], inputs=(new,))]
    deep = Accelerator(name="net", stages=tuple(stages))
    folded = apply(deep, {"fc0": Folding(pe=2, simd=3, memory=Memory.LUT)})
    assert not [s for s in folded.stages if isinstance(s, Fifo)]  # an even chain needs none
    assert next(s for s in folded.stages if isinstance(s, MatrixVector)).memory is Memory.LUT
    frames = np.random.default_rng(1).integers(0, 256, (16, *deep.input.shape))
    np.testing.assert_array_equal(golden.run(deep, frames), golden.run(folded, frames))


@pytest.mark.parametrize(
    ("folding", "message"),
    [
        ({"fc1": Folding(simd=50)}, "folding: fc1: simd=50 does not divide 64; nearest that do: [16, 32, 64]"),
        ({"fc0": Folding(simd=50)}, "folding: fc0: simd=50 does not divide 784; nearest that do: [28, 49, 56]"),
        ({"fc3": Folding(pe=4)}, "folding: fc3: pe=4 does not divide 10; nearest that do: [1, 2, 5]"),
        ({"label": Folding(pe=0)}, "folding: label: pe=0 does not divide 10; nearest that do: [1, 2, 5]"),
        ({"threshold0": Folding(pe=3)}, "folding: threshold0: pe=3 does not divide 784; nearest that do: [1, 2, 4]"),
        ({"fc9": Folding()}, f"folding: fc9: unknown stage; there are {sorted(s.name for s in TFC.stages)}"),
        ({"fc1": Folding(pe=64, simd=32, memory=Memory.HARDWIRED)},
         "folding: fc1: hard-wired weights need a fold of 1; use pe=64 and simd=64, or another memory"),
    ],
)  # fmt: skip
def test_illegal_foldings(folding: dict[str, Folding], message: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        apply(TFC, folding)


def test_targets_out_of_reach() -> None:
    fps = (
        r"folding: fps=2e\+08 leaves 0 cycles a frame at 100 MHz; fully parallel it takes 1; at most fps=100000000 can"
    )
    with pytest.raises(UserError, match=fps):
        solve(TFC, fps=2e8, clock_hz=1e8)
    luts = r"folding: luts=10 is too few; the smallest folding takes about (\d+); use luts=\1 or more$"
    with pytest.raises(UserError, match=luts) as caught:
        solve_luts(TFC, luts=10)
    smallest = int(str(caught.value).rsplit("luts=", maxsplit=1)[1].split()[0])
    assert estimate(solve_luts(TFC, luts=smallest)).resources.luts <= smallest


@cache
def every_rate() -> list[Accelerator]:
    """The cheapest foldings of all cycles that a stage can take."""
    products = [s.weights.shape for s in TFC.stages if isinstance(s, MatrixVector)]
    cycles = {(mh // pe) * (mw // simd) for mh, mw in products for pe in divisors(mh) for simd in divisors(mw)}
    return [solve(TFC, fps=1e8 / n, clock_hz=1e8, buffers={}) for n in sorted(cycles | set(divisors(784)))]


@pytest.mark.parametrize("luts", [1000, 3000, 9000, 60_000])
@pytest.mark.parametrize("blocks", [0, 12, NO_LIMIT])
def test_the_fastest_folding_that_fits(luts: int, blocks: int) -> None:
    """No folding for a frame rate that is faster fits too; where none fits the smallest is given."""
    room = Resources(luts=luts, ffs=NO_LIMIT, bram18=blocks, dsps=0)
    found = solve_room(TFC, room)
    rates = [buffered(placed(a, blocks)) for a in every_rate()]
    fitting = [a.cycles for a in rates if fits(a, room)]
    if fitting:
        assert fits(found, room)
        assert found.cycles == min(fitting)
    else:
        assert estimate(found).resources.luts == min(estimate(a).resources.luts for a in (found, *rates))


def test_finn_json_in_and_out() -> None:
    document = {
        "Defaults": {},
        "Thresholding_rtl_0": {"PE": 49},
        "MVAU_hls_0": {"PE": 16, "SIMD": 49, "ram_style": "block"},
        "MVAU_hls_1": {"PE": 8, "SIMD": 8, "ram_style": "distributed"},
        "MVAU_hls_2": {"PE": 8, "SIMD": 8, "ram_style": "auto"},
        "MVAU_hls_3": {"PE": 10, "SIMD": 8, "ram_style": "auto"},
        "LabelSelect_hls_0": {"PE": 1},
    }
    folded = apply(TFC, from_finn_json(TFC, document))
    assert to_finn_json(folded) == document
    assert folded.cycles == 64
    old = {"MatrixVectorActivation_0": {"PE": 16, "SIMD": 49}, "StreamingFIFO_0": {"depth": 4}}
    assert from_finn_json(TFC, old)["fc0"] == Folding(pe=16, simd=49, memory=Memory.AUTO)
    assert from_finn_json(TFC, old)["fc1"] == Folding()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"MVAU_hls_4": {}},
            "folding: 'MVAU_hls_4': no such node in this accelerator, or not an object; use one of ['T",
        ),
        ({"ConvolutionInputGenerator_0": {}}, "folding: 'ConvolutionInputGenerator_0': no such node in this accelerat"),
        ({"MVAU_hls_0": 3}, "folding: 'MVAU_hls_0': no such node in this accelerator, or not an object"),
        ({"MVAU_hls_0": {"PE": "all"}}, "folding: MVAU_hls_0: PE='all'; must be an integer of at least 1"),
        ({"MVAU_hls_0": {"SIMD": 0}}, "folding: MVAU_hls_0: SIMD=0; must be an integer of at least 1"),
        (
            {"MVAU_hls_0": {"ram_style": "tape"}},
            "folding: MVAU_hls_0: ram_style='tape'; must be one of ['auto', 'block'",
        ),
    ],
)
def test_finn_json_that_does_not_fit(document: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        from_finn_json(TFC, document)
