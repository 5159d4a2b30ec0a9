# SPDX-License-Identifier: Apache-2.0
"""The public layers: torch's own signatures, imported when they are used."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import torch

import adiabit
from adiabit import nn as ann


def test_adiabit_alone_imports_no_torch() -> None:
    code = "import sys, adiabit; before = 'torch' in sys.modules; adiabit.nn.BinaryLinear; adiabit.binarize; "
    code += "print(before, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False True"
    with pytest.raises(AttributeError, match="module 'adiabit' has no attribute 'nothing'"):
        _ = adiabit.nothing


@pytest.mark.parametrize(("ours", "theirs"), [(ann.BinaryLinear, torch.nn.Linear), (ann.BinaryConv2d, torch.nn.Conv2d)])
def test_parameters_come_in_torchs_order(ours: type, theirs: type) -> None:
    own, given = (list(inspect.signature(kind).parameters) for kind in (ours, theirs))
    positional = own[: own.index("bits")]
    assert positional == given[: len(positional)]


def test_every_public_name_has_a_docstring() -> None:
    assert all(inspect.getdoc(getattr(ann, name)) for name in ann.__all__)


def test_weights_have_one_to_eight_bits() -> None:
    with pytest.raises(ValueError, match="bits = 9: weights have 1 to 8 bits"):
        ann.BinaryLinear(2, 2, bits=9)


def test_layers_work_in_a_plain_training_loop() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        ann.PixelSign(), ann.BinaryLinear(16, 8), torch.nn.BatchNorm1d(8), ann.BinaryActivation(),
        ann.BinaryLinear(8, 2), ann.TensorNorm(8),
    )  # fmt: skip
    x, y = torch.randint(0, 256, (64, 16)).float(), torch.arange(64) % 2
    optimizer, losses = torch.optim.Adam(net.parameters(), 0.01), []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
