# SPDX-License-Identifier: Apache-2.0
"""`adiabit explain` shows every layer, and every fault at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.flows.cli import main
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.explain import explain

Make = Callable[..., Any]
W, V = np.ones((3, 4)), np.ones((2, 3))


def test_each_layer_has_its_formats_and_operations(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = net(1, 2, 4, 4).op("Sub", 127.5).sign().conv(rng.choice([-1.0, 1.0], (6, 2, 3, 3))).max_pool((2, 2))
    model = model.quant(3, 2.0).op("Flatten").dense(rng.integers(-3, 4, (5, 6)).astype(float), 1.0, bits=3)
    path = model.save(tmp_path / "net.onnx")
    found = explain(path, CompileConfig())
    assert found.faults == ()
    shown = [(x.kind, x.shape, x.data, x.weights, x.xnor, x.multiply) for x in found.layers]
    assert shown == [
        ("input", (4, 4, 2), "8 bits unsigned", "", 0, 0),
        ("sign", (4, 4, 2), "-1, +1", "", 0, 0),
        ("convolution 3 x 3", (2, 2, 6), "6 bits signed", "1 bit", 6 * 18 * 4, 0),
        ("max pool", (1, 1, 6), "6 bits signed", "", 0, 0),
        ("quantizer", (1, 1, 6), "3 bits unsigned", "", 0, 0),
        ("dense", (5,), "8 bits signed", "3 bits", 0, 30),
    ]


def test_a_grouped_convolution_has_the_operations_of_its_groups(net: Make, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).choice([-1.0, 1.0], (8, 2, 3, 3))
    model = net(1, 4, 5, 5).op("Sub", 127.5).sign().conv(weights, group=2).op("GlobalAveragePool")
    found = explain(model.save(tmp_path / "n.onnx"), CompileConfig())
    (layer,) = (layer for layer in found.layers if layer.kind.startswith("convolution"))
    assert found.faults == ()
    assert (layer.weights, layer.xnor, layer.multiply) == ("1 bit", 8 * 2 * 9 * 9, 0)


def test_all_faults_are_told_at_once(net: Make, tmp_path: Path) -> None:
    model = net(1, 4).sign().dense(W).op("Abs").op("Add", np.ones(3, int)).quant(9, 0.5).dense(V).op("Relu")
    path = model.save(tmp_path / "net.onnx")
    found = explain(path, CompileConfig(), trusted=True)
    places = [line.partition(": ")[2].partition(":")[0] for line in found.faults]
    assert places == ["node 'abs_4' (Abs, 5 of 11)", "node 'add_5' (Add, 6 of 11)", "node 'quant_6' (Quant, 7 of 11)",
                      "node 'relu_10' (Relu, 11 of 11)"]  # fmt: skip
    kinds = [layer.kind for layer in found.layers]
    assert kinds == ["input", "sign", "dense", "Abs: not compiled", "Add: not compiled", "Quant: not compiled", "dense"]


@pytest.mark.parametrize(("bad", "code"), [(False, 0), (True, 2)])
def test_the_exit_code(net: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: bool, code: int) -> None:
    model = net(1, 4).sign().dense(W)
    path = (model.op("Abs") if bad else model).save(tmp_path / "net.onnx")
    assert main(["explain", str(path), "--out", str(tmp_path / "out")]) == code
    told = capsys.readouterr().out
    assert ("1 fault keeps it from being compiled." if bad else "It compiles.") in told
    assert "dense" in told


def test_a_file_that_cannot_be_read_has_no_layers(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_text("no model")
    found = explain(tmp_path / "net.onnx", CompileConfig())
    assert found.layers == ()
    assert len(found.faults) == 1
