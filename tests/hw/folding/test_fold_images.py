# SPDX-License-Identifier: Apache-2.0
"""Folding of convolutional accelerators: values stay, targets are met, FINN's JSON says the same."""

from __future__ import annotations

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.flows.finn.folding_json import from_finn_json, to_finn_json
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.estimate import estimate
from adiabit.hw.folding.fold import apply, foldable, folding_of
from adiabit.hw.folding.solve import solve, solve_luts
from adiabit.hw.stages import (
    Folding,
    Kind,
    LabelSelect,
    MatrixVector,
    Pad,
    Pool,
    Stage,
    Stream,
    SumPool,
    WidthConverter,
    Window,
)

B, U = Kind.BIPOLAR, Kind.UNSIGNED


def stream(name: str, *shape: int, bits: int = 1, kind: Kind = B) -> Stream:
    return Stream(name=name, shape=shape, bits=bits, kind=kind, lanes=1)


def product(name: str, source: Stream, rows: int, out: Stream) -> MatrixVector:
    rng = np.random.default_rng(len(name) + rows)
    steps = rng.integers(0, source.channels, (rows, 1)) if out.kind is B else None
    weights = rng.choice([-1, 1], (rows, source.channels))
    return MatrixVector(name=name, inputs=(source,), outputs=(out,), weights=weights, thresholds=steps)


def network() -> Accelerator:
    """8 x 8 colour pixels, two convolutions, a pad, a pool, a sum, a dense layer."""
    x, w0 = stream("x", 8, 8, 3, bits=8, kind=U), stream("w0", 6, 6, 27, bits=8, kind=U)
    c0, p0, p1 = stream("c0", 6, 6, 8), stream("p0", 3, 3, 8), stream("p1", 5, 5, 8)
    w1, c1, total = stream("w1", 3, 3, 72), stream("c1", 3, 3, 4), stream("total", 4, bits=4, kind=U)
    logits, label = stream("logits", 5, bits=7, kind=Kind.SIGNED), stream("label", 1, bits=3, kind=U)
    stages: tuple[Stage, ...] = (
        Window(name="window0", inputs=(x,), outputs=(w0,), kernel=(3, 3)),
        product("conv0", w0, 8, c0),
        Pool(name="pool0", inputs=(c0,), outputs=(p0,), kernel=(2, 2)),
        Pad(name="pad1", inputs=(p0,), outputs=(p1,), before=(1, 1), after=(1, 1), value=-1),
        Window(name="window1", inputs=(p1,), outputs=(w1,), kernel=(3, 3)),
        product("conv1", w1, 4, c1),
        SumPool(name="sum", inputs=(c1,), outputs=(total,), kernel=(c1.shape[0], c1.shape[1])),
        product("fc", total, 5, logits),
        LabelSelect(name="label", inputs=(logits,), outputs=(label,)),
    )
    return Accelerator(name="net", stages=stages)


def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3))


@pytest.mark.parametrize("cycles", [10_000, 1000, 150, 64])
def test_a_target_is_met_and_values_stay(cycles: int) -> None:
    folded = solve(network(), fps=1e8 / cycles, clock_hz=1e8)
    assert folded.cycles <= cycles
    assert (golden.run(folded, frames()) == golden.run(network(), frames())).all()
    assert apply(folded, folding_of(folded)) == folded


def test_more_speed_takes_more_luts_and_a_budget_is_kept() -> None:
    costs = [estimate(solve(network(), fps=1e8 / c, clock_hz=1e8)).resources.luts for c in (5000, 500, 64)]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]
    within = solve_luts(network(), luts=(costs[0] + costs[-1]) // 2)
    assert estimate(within).resources.luts <= (costs[0] + costs[-1]) // 2
    assert within.cycles < network().cycles


def test_what_cannot_be_reached_is_told() -> None:
    with pytest.raises(UserError, match="fully parallel it takes 64; at most fps=1562500"):
        solve(network(), fps=2e6, clock_hz=1e8)


def test_whole_windows_and_parts_are_joined_by_converters() -> None:
    folded = apply(network(), {"window0": Folding(pe=27), "conv0": Folding(pe=8, simd=9), "window1": Folding(pe=8)})
    (window,) = [s for s in folded.stages if s.name == "window0"]
    assert isinstance(window, Window)
    assert window.parallel
    assert [s.name for s in folded.stages if isinstance(s, WidthConverter)]
    assert (golden.run(folded, frames()) == golden.run(network(), frames())).all()


def test_a_window_takes_a_divisor_of_the_channels_or_itself() -> None:
    with pytest.raises(UserError, match=r"window1: pe=9 does not divide 8; nearest that do: "):
        apply(network(), {"window1": Folding(pe=9)})


def test_finns_json_goes_out_and_in() -> None:
    folded = solve(network(), fps=1e8 / 150, clock_hz=1e8)
    document = to_finn_json(folded)
    assert document["ConvolutionInputGenerator_rtl_2"]["SIMD"] == folding_of(folded)["window1"].pe  # 1 is the pool's
    pools = [s for s in folded.stages if isinstance(s, Pool)]
    assert len(document) == 1 + len(foldable(folded)) + len(pools)
    for k, pool in enumerate(pools):
        assert document[f"Pool_hls_{k}"] == {"PE": pool.input.lanes}
    assert apply(network(), from_finn_json(network(), document)) == folded


def test_a_pool_is_one_node_in_older_json_and_two_in_newer() -> None:
    kinds = [type(s).__name__ for s in network().stages]
    assert [k for k in kinds if k in ("Window", "Pool")] == ["Window", "Pool", "Window"]
    older = {"ConvolutionInputGenerator_rtl_1": {"SIMD": 4}, "StreamingMaxPool_hls_0": {"PE": 2}}
    newer = {
        "ConvolutionInputGenerator_rtl_1": {"SIMD": 2}, "Pool_hls_0": {"PE": 2},
        "ConvolutionInputGenerator_rtl_2": {"SIMD": 4},
    }  # fmt: skip
    for document in (older, newer):
        folding = from_finn_json(network(), document)
        assert (folding["pool0"].pe, folding["window1"].pe) == (2, 4)
