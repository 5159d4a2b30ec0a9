# SPDX-License-Identifier: Apache-2.0
"""Splits read their frames as they are asked for, so that a file may exceed the memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningModule
from numpy.typing import NDArray

from adiabit.train import measure
from adiabit.train.anneal import Anneal
from adiabit.train.augment import Augmentation
from adiabit.train.batches import Batches
from adiabit.train.config import ModelConfig, TrainConfig
from adiabit.train.data import Dataset, Split
from adiabit.train.network import Network

COUNT = 40


class Counted(np.ndarray[Any, Any]):
    """An array that counts the elements that are copied out of it."""

    copied = 0

    def __getitem__(self, rows: Any) -> Any:
        found = np.asarray(self)[rows]
        Counted.copied += found.size if found.base is None else 0
        return found


def split() -> Split:
    frames = np.random.default_rng(0).integers(0, 256, (COUNT, 12), dtype=np.uint8)
    return Split(frames, np.arange(COUNT) % 4)


@pytest.fixture
def counted() -> Split:
    whole = split()
    Counted.copied = 0
    return Split(whole.stored.view(Counted), whole.labels)


def read(part: Split) -> NDArray[np.uint8]:
    return part.read(np.arange(len(part)))


@pytest.mark.parametrize("rows", [np.arange(COUNT) % 3 == 0, np.array([7, 3, 3, 39])], ids=["mask", "index"])
def test_what_is_taken_twice_is_the_same_frames(rows: NDArray[Any]) -> None:
    whole = split()
    part = whole.take(rows)
    assert np.array_equal(part.frames, whole.frames[rows])
    assert np.array_equal(part.labels, whole.labels[rows])
    again = part.take(np.array([2, 0])).shaped((3, 4))
    assert np.array_equal(again.frames.reshape(2, 12), whole.frames[rows][[2, 0]])
    assert np.array_equal(again.labels, whole.labels[rows][[2, 0]])
    assert np.array_equal(read(again), again.frames)
    assert np.array_equal(read(whole), whole.frames)


@pytest.mark.parametrize("count", [1, 7, COUNT - 1, COUNT, COUNT + 1, None])
def test_a_spread_split_keeps_both_ends(count: int | None) -> None:
    part = split().spread(count)
    assert len(part) == min(count or COUNT, COUNT)
    if len(part) > 1:
        assert np.array_equal(part.frames[[0, -1]], split().frames[[0, -1]])


def test_selecting_reads_no_frame(counted: Split) -> None:
    part = counted.take(counted.labels < 2).shaped((3, 4)).spread(5)
    assert Counted.copied == 0
    assert part.frames.shape == (5, 3, 4)
    assert Counted.copied == 5 * 12


def test_a_batch_reads_its_own_frames(counted: Split) -> None:
    learner = LightningModule()
    half = counted.take(counted.labels < 2)
    config = TrainConfig(batch_size=4, seed=3)
    batches = Batches(half, Augmentation(config, (12,)), config, learner)
    frames, labels = next(iter(batches))
    assert Counted.copied == 4 * 12
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3 * 1_000_003))[:4].numpy()
    assert np.array_equal(frames.numpy(), half.frames[order])
    assert np.array_equal(labels.numpy(), half.labels[order])


def test_the_anneal_reads_its_sample_alone(counted: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adiabit.train.anneal.SAMPLE", 6)
    net = Network(ModelConfig(topology="free", widths=(4,)), "ste", frame=(12,), classes=4)
    config = TrainConfig()
    anneal = Anneal(config, net, Dataset(counted, counted, counted), {}, Augmentation(config, (12,)))
    assert (len(anneal.sample), Counted.copied) == (6, 6 * 12)


def test_measurements_of_a_split_and_of_its_tensor_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "BLOCK", 7)
    part = split().take(split().labels != 1)
    frames, labels = measure.tensors(part)
    found = []
    for given in (frames, torch.from_numpy(part.frames)):
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(12, 4), torch.nn.BatchNorm1d(4))
        measure.reestimate(net, given, passes=2)
        found.append(
            (measure.logits(net, given), measure.accuracy(net, given, labels), net[1].state_dict()["running_var"])
        )
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][2], found[1][2])
    assert found[0][1] == found[1][1]


def test_a_file_that_is_mapped_is_not_read_into_memory(tmp_path: Path) -> None:
    whole = split()
    whole.stored.tofile(tmp_path / "frames")
    part = Split(np.memmap(tmp_path / "frames", np.uint8, "r", shape=(COUNT, 12)), whole.labels)
    half = part.take(whole.labels < 2).shaped((3, 4))
    assert isinstance(half.stored, np.memmap)
    frames, _ = measure.tensors(half)
    batch = frames[torch.tensor([3, 1])]
    assert np.array_equal(batch.numpy(), whole.take(whole.labels < 2).frames[[3, 1]].reshape(2, 3, 4))
    batch[:] = 0  # a copy, so augmentation may write to it
