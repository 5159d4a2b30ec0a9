# SPDX-License-Identifier: Apache-2.0
"""Distillation against the closed forms; the twin as teacher; teachers that do not fit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from adiabit.errors import UserError
from adiabit.train import loop
from adiabit.train.checkpoint import ModelCard, load_card, save_model
from adiabit.train.config import Distill, ModelConfig, TrainConfig
from adiabit.train.data.mnist import Digits
from adiabit.train.distill import Teacher, captured, distance, divergence
from adiabit.train.methods.real import Real
from adiabit.train.network import Network

SMALL = ModelConfig(topology="free", widths=(16, 8))


def test_divergence_is_of_softened_softmaxes() -> None:
    teacher, student = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    high = math.exp(1) / (math.exp(1) + 1)  # of T = 2
    expected = 4 * (high * math.log(high / (1 - high)) + (1 - high) * math.log((1 - high) / high)) / 2
    assert divergence(teacher, student, 2.0).item() == pytest.approx(expected)


def test_distances_are_of_normalized_maps() -> None:
    student, teacher = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, -2.0]])
    assert distance(student, teacher, "l2").item() == pytest.approx(0.6**2 + 1.8**2)
    squares = [9 / math.sqrt(81 + 256), 16 / math.sqrt(81 + 256)]
    assert distance(student, teacher, "attention").item() == pytest.approx(squares[0] ** 2 + (squares[1] - 1) ** 2)
    images = torch.tensor([[[[1.0, 0.0]], [[1.0, 2.0]]]])  # (1, 2, 1, 2): maps 2 and 4
    other = torch.tensor([[[[0.0, 3.0]]]])  # another number of channels
    expected = (2 / math.sqrt(20)) ** 2 + (4 / math.sqrt(20) - 1) ** 2
    assert distance(images, other, "attention").item() == pytest.approx(expected)


@pytest.mark.parametrize("compare", ["l2", "attention"])
def test_the_loss_joins_labels_logits_and_features(compare: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_model(tmp_path, Network(SMALL, "real"), ModelCard(model=SMALL, method=Real(), hard=False))
    student = Network(SMALL, "ste")
    teacher = Teacher(Distill(logits=0.3, temperature=2.0, features=0.5, compare=compare), tmp_path, student)
    x = torch.rand(6, 784) * 255
    with captured(student) as seen:
        out = student(x)
    with torch.no_grad(), captured(teacher.net) as theirs:
        told = teacher.net(x)
    assert [tuple(f.shape) for f in seen] == [(6, 16), (6, 8)]
    assert not teacher.net.training
    labels = torch.nn.functional.cross_entropy(out, torch.arange(6))
    expected = 0.7 * labels + 0.3 * divergence(told, out, 2.0)
    expected = expected + 0.5 * sum(distance(s, t, compare) for s, t in zip(seen, theirs, strict=True))
    found = teacher.loss(labels, out, seen, x)
    torch.testing.assert_close(found, expected)
    found.backward()
    assert all(p.grad is None for p in teacher.net.parameters())
    with captured(student) as after:
        pass
    student(x)
    assert after == []  # the hooks are gone


def test_the_twin_is_trained_first_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"epochs": 2, "batch_size": 400, "threads": 1, "method": "bop", "distill": {"features": 0.1}}
    train = TrainConfig.model_validate(settings)
    loop.fit(Digits(), SMALL, train, tmp_path, progress=False)
    card, twin = load_card(tmp_path), load_card(tmp_path / "twin")
    assert (card.method.name, card.hard, twin.method.name) == ("bop", True, "real")
    metrics = json.loads((tmp_path / "twin" / "metrics.json").read_text())
    assert metrics["epochs"] == 2
    again = TrainConfig.model_validate({**settings, "distill": {"teacher": tmp_path / "twin", "features": 0.1}})
    (other := tmp_path / "other").mkdir()
    loop.fit(Digits(), SMALL, again, other, progress=False)
    assert not (other / "twin").exists()
    one, two = (json.loads((folder / "history.json").read_text()) for folder in (tmp_path, other))
    assert one == two


def test_teachers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    wide = ModelConfig(topology="free", widths=(16, 9))
    save_model(tmp_path, Network(wide, "real"), ModelCard(model=wide, method=Real(), hard=False))
    Teacher(Distill(), tmp_path, Network(SMALL, "ste"))
    with pytest.raises(UserError, match=r"layers have widths \[16, 9\], but the student's have \[16, 8\]"):
        Teacher(Distill(features=1.0), tmp_path, Network(SMALL, "ste"))
    with pytest.raises(
        UserError, match=r"the teacher takes frames \[784\] and has 10 classes, but the student takes \[784\] and has 3"
    ):
        Teacher(Distill(), tmp_path, Network(SMALL, "ste", classes=3))
    with pytest.raises(UserError, match=r"model\.json: No such file or directory; `adiabit train` makes it"):
        Teacher(Distill(), tmp_path / "none", Network(SMALL, "ste"))
