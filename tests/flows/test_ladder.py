# SPDX-License-Identifier: Apache-2.0
"""The ladder's vectors and rungs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.flows.ladder import Rung, RungName, Vectors, load_rungs, save_rungs


def vectors() -> Vectors:
    return Vectors(
        frames=np.arange(12, dtype=np.uint8).reshape(3, 4),
        labels=np.array([1, 0, -1]),
        logits=np.eye(3, dtype=np.float32),
        predictions=np.array([1, 2, 0]),
    )


def test_vectors_round_trip_and_accuracy(tmp_path: Path) -> None:
    vectors().save(tmp_path)
    loaded = Vectors.load(tmp_path)
    np.testing.assert_array_equal(loaded.frames, vectors().frames)
    assert loaded.accuracy(loaded.predictions) == 0.5  # the corner input counts for nothing
    assert (
        Vectors(
            frames=loaded.frames, labels=np.full(3, -1), logits=loaded.logits, predictions=loaded.predictions
        ).accuracy(loaded.predictions)
        is None
    )


def test_missing_and_damaged_vectors_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="vectors.npz: not found; `adiabit export` makes it"):
        Vectors.load(tmp_path)
    (tmp_path / Vectors.FILE).write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(UserError, match="vectors.npz: damaged"):
        Vectors.load(tmp_path)


def test_a_rung_is_equal_only_where_every_frame_is(tmp_path: Path) -> None:
    rungs = [
        Rung(name=RungName.GOLDEN, frames=10, equal=10),
        Rung(name=RungName.RTL, frames=10, equal=9, difference="stage fc0"),
        Rung(name=RungName.FINN, frames=0, equal=0),
        Rung(name=RungName.BOARD, frames=0, equal=0, why_not="no board attached"),
    ]
    assert [r.status for r in rungs] == ["equal", "DIFFERS", "DIFFERS", "not run"]
    assert [r.differs for r in rungs] == [False, True, True, False]
    save_rungs(tmp_path, rungs)
    assert load_rungs(tmp_path) == rungs
    assert load_rungs(tmp_path / "none") == []


def test_warnings_of_a_rung_survive_a_round_trip(tmp_path: Path) -> None:
    rungs = [
        Rung(name=RungName.GOLDEN, frames=9, equal=9, warnings=("one", "two")),
        Rung(name=RungName.QONNX, frames=9, equal=9),
    ]
    save_rungs(tmp_path, rungs)
    assert load_rungs(tmp_path) == rungs
    assert not rungs[0].differs


@pytest.mark.parametrize("content", ["", "{", "3", "[1]", '[{"name": "golden"}]', '[{"nam": 1}]', "[" * 100_000])
def test_damaged_rungs_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "rungs.json").write_text(content)
    with pytest.raises(UserError, match=f"rungs.json: damaged .*; delete the folder {tmp_path} and run again$"):
        load_rungs(tmp_path)


def test_rungs_of_an_older_run_have_no_warnings(tmp_path: Path) -> None:
    (tmp_path / "rungs.json").write_text('[{"name": "golden", "frames": 9, "equal": 9}]')
    assert load_rungs(tmp_path) == [Rung(name=RungName.GOLDEN, frames=9, equal=9)]
