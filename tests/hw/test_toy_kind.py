# SPDX-License-Identifier: Apache-2.0
"""A kind of stage from outside the package goes all the way: nothing of ours has to know it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.flows.report.drawing import draw
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.estimate import estimate
from adiabit.hw.folding.fold import apply, folding_of
from adiabit.hw.folding.solve import solve
from adiabit.hw.stages import Folding, WidthConverter
from tests.hw.hls.flock import simulate as simulate_c
from tests.hw.rtl.chain import B, Chain
from tests.hw.rtl.flock import simulate
from tests.hw.toy.negate import Negate


def network() -> Accelerator:
    """A product beside the negated input, added up."""
    chain = Chain("toy", (3, 8), 1, B, 2)
    first, second = chain.fork()
    product = chain.at(first).mvu(8, 2).here
    negated = chain.at(second)._add(Negate, chain._next()).here
    return chain.at(product).add(negated).end()


def folded() -> Accelerator:
    name = next(s.name for s in network().stages if isinstance(s, Negate))
    return apply(network(), {name: Folding(pe=8)})


def test_it_is_folded_and_joined_by_converters_and_fifos() -> None:
    found = folded()
    (stage,) = [s for s in found.stages if isinstance(s, Negate)]
    assert folding_of(found)[stage.name].pe == 8
    assert [s for s in found.stages if isinstance(s, WidthConverter)]
    assert solve(network(), fps=1e6, clock_hz=1e8).cycles <= 100
    with pytest.raises(UserError, match="pe=3 does not divide 8; nearest that do: "):
        apply(network(), {stage.name: Folding(pe=3)})


def test_it_computes_the_same_in_every_back_end(tmp_path: Path) -> None:
    accelerators = [folded(), apply(network(), {})]
    for name in ("rtl", "hls"):
        (tmp_path / name).mkdir()
    for outcomes in simulate(accelerators, tmp_path / "rtl"):
        assert all(outcome.right for outcome in outcomes)
    assert simulate_c(accelerators, tmp_path / "hls") == ["", ""]
    x = np.where(np.arange(24).reshape(1, 3, 8) % 3 == 0, 1, -1)
    values = {s.name: v for s, v in golden.stream_values(folded(), x)}
    (stage,) = [s for s in folded().stages if isinstance(s, Negate)]
    np.testing.assert_array_equal(values[stage.output.name], -x)


def test_it_is_saved_estimated_and_drawn(tmp_path: Path) -> None:
    accelerator = folded()
    storage.save(accelerator, tmp_path)
    assert storage.load(tmp_path) == accelerator
    (row,) = [s for s in estimate(accelerator).stages if s.kind == "Negate"]
    assert row.cycles == 3
    assert row.resources.luts > 0
    assert ">negate<" in draw(accelerator)


def test_its_own_check_refuses() -> None:
    chain = Chain("wrong", (4,), 1, B, 2)
    with pytest.raises(UserError, match=r"^stage wrong_0: input .* must have equal bipolar elements and lanes$"):
        chain._add(Negate, chain._next(lanes=1))
