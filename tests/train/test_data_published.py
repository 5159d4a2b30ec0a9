# SPDX-License-Identifier: Apache-2.0
"""The data sets as they are published: counts, classes, and what single frames hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.train import data
from adiabit.train.data import DATASETS

DATA = Path(os.environ.get("ADIABIT_DATA", "nowhere"))
SPOKEN = "free-spoken-digit-dataset"


def load(folder: str, **settings: Any) -> data.Dataset:
    if not (DATA / folder).exists():
        pytest.skip(f"{DATA / folder} is not there; set ADIABIT_DATA to the folder that holds it")
    return data.load(DATASETS.validate({"dir": DATA, **settings}))


@pytest.mark.data
def test_cifar10() -> None:
    dataset = load("cifar-10-batches-bin", dataset="cifar10")
    assert [len(s.labels) for s in (dataset.train, dataset.validation, dataset.test)] == [45_000, 5_000, 10_000]
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10
    assert dataset.test.labels[:5].tolist() == [3, 8, 8, 0, 6]  # cat, ship, ship, airplane, frog
    means = np.concatenate([dataset.train.frames, dataset.validation.frames]).mean(axis=(0, 1, 2)) / 255
    assert means == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-4)  # as everybody normalizes by them


@pytest.mark.data
def test_cifar100() -> None:
    dataset = load("cifar-100-binary", dataset="cifar100")
    assert [len(s.labels) for s in (dataset.train, dataset.validation, dataset.test)] == [45_000, 5_000, 10_000]
    assert np.bincount(dataset.test.labels).tolist() == [100] * 100
    assert dataset.test.labels[:3].tolist() == [49, 33, 72]  # mountain, forest, seal
    assert np.bincount(load("cifar-100-binary", dataset="cifar100", labels="coarse").test.labels).tolist() == [500] * 20


@pytest.mark.data
def test_cats_and_dogs() -> None:
    dataset = load("PetImages", dataset="catdog")
    sizes = [len(s.labels) for s in (dataset.train, dataset.validation, dataset.test)]
    assert sum(sizes) == 24_998
    assert sizes[2] == 5_000
    assert np.bincount(dataset.test.labels).tolist() == [2_500, 2_500]


@pytest.mark.data
def test_spoken_digits() -> None:
    dataset = load(SPOKEN, dataset="spoken-digits")
    assert [len(s.labels) for s in (dataset.train, dataset.validation, dataset.test)] == [2_430, 270, 300]
    assert np.bincount(dataset.test.labels).tolist() == [30] * 10
    assert (dataset.test.frames.max(axis=(1, 2, 3)) == 255).all()
    theo = load(SPOKEN, dataset="spoken-digits", split="speaker")
    assert len(theo.test.labels) == 500
