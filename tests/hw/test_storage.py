# SPDX-License-Identifier: Apache-2.0
"""An accelerator is equal after a round trip; damaged files are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator, Meaning
from adiabit.hw.stages import Fifo, Kind, LabelSelect, MatrixVector, Stream, Threshold


def net() -> Accelerator:
    rng = np.random.default_rng(1)
    image = Stream(name="image", shape=(12,), bits=8, kind=Kind.UNSIGNED, lanes=4)
    bits = Stream(name="bits", shape=(12,), bits=1, kind=Kind.BIPOLAR, lanes=4)
    queued = Stream(name="queued", shape=(12,), bits=1, kind=Kind.BIPOLAR, lanes=4)
    sums = Stream(name="sums", shape=(3,), bits=4, kind=Kind.UNSIGNED, lanes=1)
    label = Stream(name="label", shape=(1,), bits=2, kind=Kind.UNSIGNED, lanes=1)
    return Accelerator(
        name="net",
        stages=(
            Threshold(name="binarize", inputs=(image,), outputs=(bits,), thresholds=rng.integers(0, 257, (12, 1))),
            Fifo(name="fifo", inputs=(bits,), outputs=(queued,), depth=4),
            MatrixVector(name="fc", inputs=(queued,), outputs=(sums,), weights=rng.choice([-1, 1], (3, 12))),
            LabelSelect(name="select", inputs=(sums,), outputs=(label,)),
        ),
    )


def test_round_trip(tmp_path: Path) -> None:
    storage.save(net(), tmp_path)
    assert storage.load(tmp_path) == net()
    before = (tmp_path / storage.JSON).read_bytes()
    storage.save(net(), tmp_path)
    assert (tmp_path / storage.JSON).read_bytes() == before


def test_the_meaning_of_sums_is_kept(tmp_path: Path) -> None:
    sums = Accelerator(name="net", stages=net().stages[:-1], meaning=Meaning(scale=(0.1, 2.0, -3.0), offset=(0, 1, 2)))
    storage.save(sums, tmp_path)
    assert storage.load(tmp_path) == sums
    with pytest.raises(UserError, match="accelerator net: the meaning of the output needs 3 scales and offsets"):
        Accelerator(name="net", stages=net().stages[:-1], meaning=Meaning(scale=(1.0,), offset=(0.0,)))


def test_missing_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="accelerator.json: not found; `adiabit compile` makes it"):
        storage.load(tmp_path)
    storage.save(net(), tmp_path)
    document = json.loads((tmp_path / storage.JSON).read_text())
    (tmp_path / storage.JSON).write_text(json.dumps({**document, "version": 99}))
    with pytest.raises(UserError, match=r"accelerator.json: version 99; this adiabit reads 2"):
        storage.load(tmp_path)
    document["streams"][1]["lanes"] = 5
    (tmp_path / storage.JSON).write_text(json.dumps(document))
    with pytest.raises(UserError, match=r"accelerator.json: stream bits: lanes=5 does not divide"):
        storage.load(tmp_path)
    storage.save(net(), tmp_path)
    (tmp_path / storage.NPZ).write_bytes((tmp_path / storage.NPZ).read_bytes()[:100])
    with pytest.raises(UserError, match="is damaged"):
        storage.load(tmp_path)


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    storage.save(net(), tmp_path)
    arrays = {"fc.weights": np.array([{"code": 1}], dtype=object)}
    np.savez(tmp_path / storage.NPZ, **arrays)  # type: ignore[arg-type]  # numpy types allow_pickle first
    with pytest.raises(UserError, match=r"damaged .*allow_pickle=False"):
        storage.load(tmp_path)


@pytest.mark.parametrize("values", [[[0.5]], [[np.nan]], [[np.inf]], [["1"]], [[2.0**60]], [[1 + 2j]]])
def test_parameters_that_are_no_integers_are_refused_not_cast(values: list[list[object]], tmp_path: Path) -> None:
    storage.save(net(), tmp_path)
    with np.load(tmp_path / storage.NPZ) as archive:
        arrays = {**archive, "binarize.thresholds": np.array(values).repeat(12, axis=0)}
    np.savez(tmp_path / storage.NPZ, **arrays)
    with pytest.raises(UserError, match="stage binarize: thresholds are of .*; integers below 2"):
        storage.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK", b"{"])
def test_an_emptied_file_is_damage(content: bytes, tmp_path: Path) -> None:
    for name in (storage.JSON, storage.NPZ):
        storage.save(net(), tmp_path)
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="is damaged"):
            storage.load(tmp_path)
