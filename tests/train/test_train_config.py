# SPDX-License-Identifier: Apache-2.0
"""Configurations are checked at construction."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from adiabit.train.config import DataConfig, ModelConfig, TrainConfig
from adiabit.train.methods.tables import Adiabatic, Budget, Patience, Target


@pytest.mark.parametrize(("kind", "table"), [("budget", Budget), ("target", Target), ("patience", Patience)])
def test_a_schedule_is_told_apart_by_its_kind(kind: str, table: type) -> None:
    assert type(Adiabatic.model_validate({"schedule": {"kind": kind}}).schedule) is table


def test_a_schedule_without_a_kind_is_a_budget() -> None:
    method = TrainConfig.model_validate({"method": {"schedule": {"noise": 0.5}}}).method
    assert method == Adiabatic(schedule=Budget(noise=0.5))


def test_a_crop_is_of_rows_and_columns() -> None:
    assert TrainConfig.model_validate({"crop": 4}).crop == (4, 4)
    assert TrainConfig.model_validate({"crop": [6, 1]}).crop == (6, 1)


def test_data_sets_tell_their_frames() -> None:
    assert (DataConfig().source.shape, DataConfig().source.classes) == ((28, 28, 1), 10)
    assert DataConfig(dataset="catdog").source.classes == 2


def test_hidden_widths() -> None:
    assert ModelConfig().hidden == (64, 64, 64)
    assert ModelConfig(topology="free", widths=(3,)).hidden == (3,)


@pytest.mark.parametrize(
    ("table", "content", "message"),
    [
        (ModelConfig, {"widths": [3]}, 'widths go with topology = "free"'),
        (ModelConfig, {"topology": "free"}, 'topology = "free" needs widths or layers'),
        (ModelConfig, {"topology": "free", "widths": [0]}, "greater than or equal to 1"),
        (ModelConfig, {"input_bits": 2}, "Input should be 1 or 8"),
        (TrainConfig, {"epoch": 3}, "Extra inputs are not permitted"),
        (Adiabatic, {"schedule": {"kind": "sudden"}}, "'budget', 'target', 'patience'"),
        (Adiabatic, {"schedule": {"weights_from": 0.9, "weights_until": 0.3}}, "must be less than weights_until"),
        (DataConfig, {"validation": 1.0}, "less than 1"),
        (DataConfig, {"dataset": "spoken-digits", "split": "index"}, "'upstream' or 'speaker'"),
        (TrainConfig, {"crop": -1}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_is_refused(table: type[Any], content: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        table.model_validate(content)


def test_configurations_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        DataConfig().dataset = "mnist"
