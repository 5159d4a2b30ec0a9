# SPDX-License-Identifier: Apache-2.0
"""Parameters and operations counted by hand."""

from __future__ import annotations

import pytest

from adiabit.flows import cli
from adiabit.train.network import Network
from adiabit.train.summary import summary
from adiabit.train.topology import ModelConfig

LAYERS = {"topology": "free", "layers": [{"conv": 4, "kernel": 3, "pool": 2}, {"dense": 5}]}


def test_a_convolutional_network_is_counted() -> None:
    net = Network(ModelConfig.model_validate(LAYERS), "ste", frame=(8, 6, 3), classes=2)
    conv, dense, last = summary(net)
    assert (conv.name, conv.shape, conv.out) == ("conv0", (4, 3, 3, 3), (6, 4, 4))
    assert (conv.binary, conv.real, conv.mixed, conv.xnor) == (4 * 27, 8, 6 * 4 * 4 * 27, 0)  # a norm's 4 + 4
    assert (dense.name, dense.shape, dense.out) == ("fc1", (5, 4 * 3 * 2), (5,))
    assert (dense.binary, dense.real, dense.xnor, dense.mixed) == (120, 10, 120, 0)
    assert (last.binary, last.real, last.xnor) == (10, 2, 10)
    assert conv.memory == 4 * 27 / 8 + 8 * 4
    assert net.training


def test_what_is_real_is_counted_as_that() -> None:
    config = ModelConfig(topology="free", widths=(5,))
    real = summary(Network(config, "real", frame=(6,), classes=2))
    assert [(row.binary, row.real, row.full) for row in real] == [(0, 30 + 10, 30), (0, 10 + 2, 10)]
    bwn = summary(Network(config, "bwn", frame=(6,), classes=2))
    assert [(row.xnor, row.mixed, row.full) for row in bwn] == [(30, 0, 0), (0, 10, 0)]  # pixels are signs, then ReLU
    scaled = summary(Network(config, "bnn+", frame=(6,), classes=2))
    assert [row.real for row in scaled] == [10 + 5, 2 + 1]  # norms, and scales a filter or a layer


def test_weights_of_several_bits_are_counted_apart() -> None:
    config = ModelConfig.model_validate({**LAYERS, "first_bits": 8, "last_bits": 4})
    conv, dense, last = summary(Network(config, "ste", frame=(8, 6, 3), classes=2))
    assert (conv.binary, conv.integer, conv.multiply, conv.mixed) == (0, 4 * 27, 6 * 4 * 4 * 27, 0)
    assert conv.memory == 4 * 27 + 8 * 4
    assert (dense.binary, dense.integer) == (120, 0)
    assert (last.integer, last.integer_bits, last.multiply, last.xnor) == (10, 40, 10, 0)


def test_the_command_line_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["summary", "recipes/tfc.toml"]) == 0
    told = capsys.readouterr().out
    assert "tfc: adiabatic, 784 in, 10 classes" in told
    (line,) = (line for line in told.splitlines() if line.strip().startswith("all"))
    assert line.split() == ["all", "—", "—", "59,008", "—", "386", "8.7", "59,008", "—", "—", "—"]
