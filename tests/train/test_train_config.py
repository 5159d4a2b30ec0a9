# SPDX-License-Identifier: Apache-2.0
"""Configurations are checked at construction."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from adiabit.errors import UserError
from adiabit.train.config import ModelConfig, TrainConfig, check_sizes
from adiabit.train.data.mnist import Digits
from adiabit.train.data.pets import CatDog
from adiabit.train.data.speech import SpokenDigits
from adiabit.train.methods.adiabatic import Adiabatic, Budget, Patience, Target

UNBOUNDED = (
    "epochs", "early_stopping", "batch_size", "learning_rate", "weight_decay", "reestimation", "devices", "machines",
    "threads", "crop",
)  # fmt: skip
FLOATS = (
    ("bnn+", "beta"), ("bnn+", "strength"), ("mirror-descent", "growth"), ("bop", "threshold"), ("bnew", "strength"),
)  # fmt: skip


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
    assert (Digits().source.shape, Digits().source.classes) == ((28, 28, 1), 10)
    assert CatDog().source.classes == 2


def test_hidden_widths() -> None:
    assert ModelConfig().hidden == (64, 64, 64)
    assert ModelConfig(topology="free", widths=(3,)).hidden == (3,)


@pytest.mark.parametrize(
    ("table", "content", "message"),
    [
        (ModelConfig, {"widths": [3]}, 'widths need topology = "free"'),
        (ModelConfig, {"topology": "free"}, 'topology = "free" needs either widths or layers'),
        (ModelConfig, {"topology": "free", "widths": [0]}, "greater than or equal to 1"),
        (ModelConfig, {"input_bits": 2}, "Input should be 1 or 8"),
        (TrainConfig, {"epoch": 3}, "Extra inputs are not permitted"),
        (Adiabatic, {"schedule": {"kind": "sudden"}}, "'budget', 'target', 'patience'"),
        (Adiabatic, {"schedule": {"weights_from": 0.9, "weights_until": 0.3}}, "must be less than weights_until"),
        (Digits, {"validation": 1.0}, "less than 1"),
        (SpokenDigits, {"split": "index"}, "'upstream' or 'speaker'"),
        (TrainConfig, {"crop": -1}, "greater than or equal to 0"),
        *((TrainConfig, {key: 10**7}, "less than or equal to") for key in UNBOUNDED),
        *(
            (TrainConfig, {key: math.inf}, "finite number")
            for key in ("learning_rate", "weight_decay", "shift", "zoom")
        ),
        *((TrainConfig, {"distill": {key: math.inf}}, "finite number") for key in ("temperature", "features")),
        *((TrainConfig, {"method": {"name": name, key: math.nan}}, "finite number") for name, key in FLOATS),
        (Adiabatic, {"schedule": {"noise": math.inf}}, "finite number"),
        (Adiabatic, {"schedule": {"kind": "target", "factor": math.inf}}, "finite number"),
        (TrainConfig, {"seed": -1}, "greater than or equal to 0"),
        (Digits, {"seed": 2**32}, "less than or equal to 4294967295"),
        (SpokenDigits, {"speaker": "a" * 300}, "at most 64 characters"),
        (ModelConfig, {"init": math.nan}, "finite number"),
        (ModelConfig, {"topology": "free", "widths": [1] * 1001}, "at most 1000 items"),
        (ModelConfig, {"topology": "free", "widths": [10**7]}, "less than or equal to 1000000"),
    ],
)
def test_what_cannot_be_is_refused(table: type[Any], content: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        table.model_validate(content)


@pytest.mark.parametrize("crop", [29, (29, 1), (1, 29)])
def test_a_crop_beyond_the_frame_is_told(crop: Any) -> None:
    train = TrainConfig.model_validate({"crop": crop})
    with pytest.raises(
        UserError, match=r"^recipe: \[train\]: crop = \[.*\]: frames of digits have 28 x 28 pixels; crop"
    ):
        check_sizes(Digits(), ModelConfig(), train)
    check_sizes(Digits(), ModelConfig(), TrainConfig(crop=(28, 28)))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [{"dense": 10**6}],
            r"layer 0, { dense = 1000000 }, brings the network to 3,152,000,000 bytes of parameters; at",
        ),
        ([{"dense": 20_000}, {"dense": 10**5}], "layer 1, .* brings the network to 8,0.* at most 2,147,483,648 are al"),
        (
            [{"conv": 10**5, "kernel": [1, 1]}],
            r"layer 0, .* takes or returns 313,600,000 bytes per frame; at most 67",
        ),
        ([{"conv": 1, "pad": 10**6}], "layer 0, .* takes or returns 16,000,448,003,136 bytes per frame; .*; use fewer"),
        ([{"conv": 8, "pad": 1000, "pool": 100}], "layer 0, .* takes or returns .* bytes per frame"),
    ],
)
def test_a_network_beyond_memory_is_told_before_it_is_made(layers: Any, message: str) -> None:
    model = ModelConfig.model_validate({"topology": "free", "layers": layers})
    with pytest.raises(UserError, match=message):
        check_sizes(Digits(), model, TrainConfig())


def test_configurations_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Digits().seed = 1
