# SPDX-License-Identifier: Apache-2.0
"""What the folder of a stage is keyed by: whatever can change its result, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from adiabit.flows.ladder import StageName
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import load
from adiabit.flows.stages import STAGES
from adiabit.train.data import Split
from tests.flows.conftest import Net


@pytest.fixture
def compile_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The key of `compile` for a model by someone else and overrides of its recipe."""
    monkeypatch.setattr(Pipeline, "data_digest", "the same files")
    Net(1, 4).sign().dense(np.ones((2, 4))).save(tmp_path / "net.onnx")
    (tmp_path / "net.toml").write_text('onnx = "net.onnx"\n[data]\ndataset = "spoken-digits"\n')

    def key(*sets: str) -> Any:
        return Pipeline(load(tmp_path / "net.toml", sets), tmp_path).key(StageName.COMPILE)

    return key


def test_the_split_of_labelled_data_belongs_to_the_key(compile_key: Callable[..., Any]) -> None:
    """Two recipes of the same files: the first speaker's frames were reported for the second."""
    first = compile_key("data.split=speaker", "data.speaker=theo")
    assert first == compile_key("data.split=speaker", "data.speaker=theo", "data.dir=elsewhere")
    assert first != compile_key("data.split=speaker", "data.speaker=jackson")
    assert first != compile_key()


def test_the_number_of_labelled_frames_is_limited_and_belongs_to_the_key(
    compile_key: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compile_key("export.frames=3") != compile_key("export.frames=4")
    given: dict[str, Any] = {}
    split = Split(np.arange(9, dtype=np.uint8)[:, None], np.arange(9))
    monkeypatch.setattr("adiabit.train.data.load_test", lambda _: split)
    monkeypatch.setattr("adiabit.flows.finn.stage.compile_model", lambda *_, **named: given.update(named))
    run = Pipeline(load(tmp_path / "net.toml", ["export.frames=3"]), tmp_path)
    STAGES[StageName.COMPILE].make(run, tmp_path)
    assert [part.ravel().tolist() for part in given["test"]] == [[0, 4, 8], [0, 4, 8]]


def test_the_number_of_processes_that_simulate_does_not_belong_to_a_key(tmp_path: Path) -> None:
    Net(1, 4).sign().dense(np.ones((2, 4))).save(tmp_path / "net.onnx")

    def settings(stage: StageName, *sets: str) -> Any:
        return STAGES[stage].settings(Pipeline(load(tmp_path / "net.onnx", sets), tmp_path))

    for stage in (StageName.SIMULATE, StageName.CSIM, StageName.COSIM):
        assert settings(stage) == settings(stage, "simulate.jobs=1")
        assert settings(stage) != settings(stage, "simulate.seed=2")


def test_the_board_belongs_to_the_key_where_it_chooses_the_folding(compile_key: Callable[..., Any]) -> None:
    clock, other, fixed = "target.clock_mhz=100", "target.board=zcu104", "compile.fold.luts=1000"
    assert compile_key(clock) != compile_key(clock, other)
    assert compile_key(clock, fixed) == compile_key(clock, fixed, other)


def test_constants_beside_a_model_belong_to_the_key(compile_key: Callable[..., Any], tmp_path: Path) -> None:
    model = onnx.load(tmp_path / "net.onnx")
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    before = compile_key()
    (tmp_path / "net.data").write_bytes((tmp_path / "net.data").read_bytes()[::-1])
    assert compile_key() != before
