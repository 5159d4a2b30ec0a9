# SPDX-License-Identifier: Apache-2.0
"""TFC_1W1A of the QONNX model zoo: a network that this project did not make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adiabit.flows.finn.stage import compile_model
from adiabit.flows.frontend.config import CompileConfig, FoldConfig
from adiabit.flows.ladder import load_rungs
from adiabit.hw import storage
from adiabit.hw.stages import MatrixVector

MODEL = Path(os.environ.get("ADIABIT_DATA", "nowhere")) / "TFC_1W1A.onnx"


@pytest.mark.data
@pytest.mark.skipif(not MODEL.exists(), reason=f"{MODEL} is not there; set ADIABIT_DATA to the folder that holds it")
def test_tfc_of_the_model_zoo(tmp_path: Path) -> None:
    config = CompileConfig(name="tfc", input_scale=1 / 255, fold=FoldConfig(fps=1_000_000))
    compile_model(MODEL, None, tmp_path, config, clock_mhz=100)
    assert [(r.name, r.status) for r in load_rungs(tmp_path)] == [
        ("QONNX", "equal"), ("FINN graph", "equal"), ("golden", "equal"),
    ]  # fmt: skip
    accelerator = storage.load(tmp_path)
    layers = [s for s in accelerator.stages if isinstance(s, MatrixVector)]
    assert [s.weights.shape for s in layers] == [(64, 784), (64, 64), (64, 64), (10, 64)]
    assert all(s.xnor for s in layers)
    assert [s.accumulator_bits for s in layers] == [10, 7, 7, 7]
    assert accelerator.cycles <= 100
