# SPDX-License-Identifier: Apache-2.0
"""Fusion keeps the function, and is done where it is cheaper."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.fuse import fused
from adiabit.hw.stages import Add, Fork, Kind, MatrixVector, Stage, Threshold
from tests.hw.rtl.chain import B, Chain, S, U, some_frames


def joined(bits: int, kind: Kind, *, product: bool, out: tuple[int, Kind] = (1, B)) -> Accelerator:
    """A branch of 2-bit thresholds and a shortcut of these elements, their sum, and its thresholds."""
    chain = Chain("fuse", (3, 2, 4), 3, S, 1)
    left, right = chain.fork(2)
    shortcut = chain.at(right).threshold(bits, kind).here
    chain.at(left)
    branch = chain.mvu(4, 1, out=(2, U)).here if product else chain.threshold(2, U).here
    return chain.at(branch).add(shortcut).threshold(*out).end()


def kinds(accelerator: Accelerator) -> list[type[Stage]]:
    return [type(stage) for stage in accelerator.stages]


@pytest.mark.parametrize(("bits", "kind"), [(1, B), (2, U), (2, S), (1, U), (4, U)])
@pytest.mark.parametrize("product", [True, False])
@pytest.mark.parametrize("out", [(1, B), (2, U)])
def test_the_function_stays(bits: int, kind: Kind, product: bool, out: tuple[int, Kind]) -> None:
    before = joined(bits, kind, product=product, out=out)
    frames = some_frames(before.input, np.random.default_rng(0), 64)
    want = golden.run(before, frames)
    after = fused(before)
    np.testing.assert_array_equal(golden.run(after, frames), want)
    if out == (1, B) and bits == 1:
        assert Add not in kinds(after)
        assert after.stages[-1].name == before.stages[2].name
        assert after.output == before.output


def test_an_inverted_sign_of_the_sum() -> None:
    before = joined(1, B, product=True)
    last = before.stages[-1]
    assert isinstance(last, Threshold)
    flips = np.array([0, 1, 1, 0])
    before = dataclasses.replace(before, stages=(*before.stages[:-1], dataclasses.replace(last, inverted=flips)))
    frames = some_frames(before.input, np.random.default_rng(1), 64)
    after = fused(before)
    assert kinds(after) == [Fork, Threshold, MatrixVector]
    np.testing.assert_array_equal(golden.run(after, frames), golden.run(before, frames))


def test_tables_of_many_codes_are_no_cheaper_than_a_sum() -> None:
    chain = Chain("fuse", (3, 2, 4), 3, S, 1)
    left, right = chain.fork(2)
    shortcut = chain.at(right).threshold(8, U).here
    before = chain.at(left).threshold(8, U).add(shortcut).threshold(8, U).end()
    assert fused(before) == before  # 255 thresholds for each of 256 codes would fill block RAMs


def test_a_sum_that_has_other_readers_stays() -> None:
    chain = Chain("fuse", (3, 2, 4), 3, S, 1)
    left, right = chain.fork(2)
    shortcut = chain.at(right).threshold(1, B).here
    chain.at(left).mvu(4, 1, out=(2, U)).add(shortcut)
    one, two = chain.fork(2)
    other = chain.at(two).threshold(1, B).here
    accelerator = chain.at(one).threshold(1, B).concat(other).end()
    assert fused(accelerator) == accelerator


def test_a_dearer_selection_stays_a_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator = joined(1, B, product=True)
    monkeypatch.setattr("adiabit.hw.fuse._price", lambda stage: 9.0 if len(stage.inputs) > 1 else 1.0)
    assert kinds(fused(accelerator)) == [Fork, Threshold, MatrixVector]  # 9 against 11
    monkeypatch.setattr("adiabit.hw.fuse._price", lambda stage: 12.0 if len(stage.inputs) > 1 and stage.arrays else 1.0)
    assert fused(accelerator) == accelerator


def test_a_table_too_large_is_not_made() -> None:
    chain = Chain("fuse", (3, 2, 4), 24, U, 1)
    left, right = chain.fork(2)
    accelerator = chain.at(left).threshold(2, U).add(right).threshold(1, B).end()
    assert fused(accelerator) == accelerator
