# SPDX-License-Identifier: Apache-2.0
"""Every method of training, exported: QONNX execution equals torch, or the reason why there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.flows import export as exporting
from adiabit.flows.ladder import Vectors, load_rungs
from adiabit.train.config import ModelConfig, TrainConfig
from adiabit.train.data.mnist import Digits
from adiabit.train.loop import fit
from adiabit.train.methods import METHODS, MethodTable


@pytest.mark.parametrize("table", METHODS)
def test_every_method_exports_or_tells_why_it_cannot(table: type[MethodTable], tmp_path: Path) -> None:
    method = {"name": table.model_fields["name"].default}
    config = TrainConfig.model_validate({"method": method, "epochs": 2, "batch_size": 400, "threads": 1})
    model = ModelConfig(topology="free", widths=(12, 8))
    (train := tmp_path / "train").mkdir()
    fit(Digits(), model, config, train, progress=False)
    if table.why_not:
        with pytest.raises(UserError, match=f"has no binary hardware: {table.why_not}"):
            exporting.export(train, Digits(), tmp_path)
        return
    exporting.export(train, Digits(), tmp_path, frames=200)
    assert [(r.name, r.status) for r in load_rungs(tmp_path)] == [("torch", "equal"), ("QONNX", "equal")]
    vectors = Vectors.load(tmp_path)
    hard_test = json.loads((train / "metrics.json").read_text())["hard_test"]
    accuracy = vectors.accuracy(vectors.predictions)
    assert accuracy is not None
    assert abs(accuracy - hard_test) < 0.1  # of 200 of the 1,000 frames
