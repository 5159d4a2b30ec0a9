# SPDX-License-Identifier: Apache-2.0
"""Modules of one's own: a method chooses their quantizers, and the hardware's network computes the same."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adiabit import nn as ann
from adiabit.errors import UserError
from adiabit.train.absorb import absorb_scales
from adiabit.train.margins import clear_thresholds
from adiabit.train.method import method
from adiabit.train.methods import METHODS
from adiabit.train.methods.adiabatic.rules import AdiabaticQuantizer
from adiabit.train.quantizers import BipolarQuantizer, RealQuantizer, SignQuantizer, hardened, quantizers
from adiabit.train.task import digest_of
from adiabit.train.trainable import Own
from tests.train.own_networks import Functional, Mixed, TwoBits
from tests.train.shaken import shaken

FRAME = (6, 6, 2)
WITH_HARDWARE = [name for name in METHODS.names if method(name).has_hardware]


def own(net: nn.Module, name: str = "adiabatic") -> Own:
    return Own(net, name, frame=FRAME, classes=4, place="net.py:Net")


def lively(net: nn.Module, name: str) -> Own:
    """A network whose norms, scales and shifts are not what they start with."""
    torch.manual_seed(1)
    made = own(net, name)
    return shaken(made, FRAME)


def frames() -> Tensor:
    return torch.randint(0, 256, (64, 2, 6, 6), generator=torch.Generator().manual_seed(2)).float()


def test_layers_compute_signs_until_a_method_chooses_their_quantizers() -> None:
    net = Functional()
    kinds = {type(q) for q in quantizers(net)}
    assert kinds == {SignQuantizer}
    made = own(net)
    assert {type(q) for q in quantizers(made)} == {AdiabaticQuantizer}
    assert {q.role for q in quantizers(made)} == {"weight", "activation"}
    assert made.method.table.name == "adiabatic"


def test_a_quantizer_that_was_given_stays_and_integers_too() -> None:
    given = SignQuantizer("weight")
    first, last = ann.BinaryLinear(72, 5, quantizer=given), ann.BinaryLinear(5, 4, bits=4)
    net = nn.Sequential(nn.Flatten(), first, nn.BatchNorm1d(5), ann.BinaryActivation(), last)
    own(net)
    assert net[1].quantizer is given
    assert not isinstance(net[4].quantizer, BipolarQuantizer)
    assert isinstance(net[3].quantizer, AdiabaticQuantizer)


@pytest.mark.parametrize("name", WITH_HARDWARE)
def test_the_hardwares_network_of_a_module_computes_the_same(name: str) -> None:
    net = lively(Functional(), name)
    made = absorb_scales(net)
    clear_thresholds(made)
    with hardened(net), hardened(made), torch.no_grad():
        ours, theirs = net(frames()), made(frames())
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)
    assert len(ours.unique(dim=0)) > 4
    assert {type(q) for q in quantizers(made)} == {SignQuantizer}
    module: Any = made.module
    assert set(module.conv2.weight.unique().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("name", ["real", "binaryconnect", "bwn"])
def test_a_method_may_leave_weights_or_activations_real(name: str) -> None:
    net = own(Functional(), name)
    real = [type(m.quantizer) is RealQuantizer for m in net.modules() if isinstance(m, ann.BinaryConv2d)]
    assert real == [name == "real"] * 2
    x = torch.tensor([[-2.0, 3.0]])
    assert net.module.sign1(x).tolist() == [[0.0, 3.0]]  # type: ignore[operator]


@pytest.mark.parametrize("made", [TwoBits(72, 4), Mixed()], ids=["brevitas", "mixed"])
def test_absorbing_and_clearing_leave_other_layers_as_they_are(made: nn.Module) -> None:
    net = lively(made, "xnor-net")
    net.train()(frames())  # Brevitas' scales learn
    net.eval()
    before = copy.deepcopy(net.state_dict())
    hard = absorb_scales(net)
    with hardened(net), hardened(hard), torch.no_grad():
        torch.testing.assert_close(hard(frames()), net(frames()), atol=1e-5, rtol=1e-5)
    cleared = copy.deepcopy(hard.state_dict())
    clear_thresholds(hard)
    assert all(torch.equal(value, cleared[name]) for name, value in hard.state_dict().items())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_module_of_other_quantizers_is_trained_as_it_is() -> None:
    net = own(TwoBits(72, 4), "binaryconnect")
    module: Any = net.module
    weights = module[1].weight.clone()
    net.method.start(net)
    assert torch.equal(module[1].weight, weights)
    assert (net.method.table.name, net.method.has_hardware) == ("ste", True)


def test_optimizers_see_every_parameter_once() -> None:
    for name in METHODS.names:
        net = own(Mixed(), name)
        optimizer = net.method.optimizer(net, "adamw", 0.1, 0.0)
        seen = [id(p) for group in optimizer.param_groups for p in group["params"]]
        assert sorted(seen) == sorted(id(p) for p in net.parameters()), name


class Normless(nn.Sequential):
    """A product and a sign without a norm between."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), ann.BinaryLinear(72, 4), ann.BinaryActivation(), ann.BinaryLinear(4, 4))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "xnor-net",
            "net.py:Net: BinaryLinear '1' has no batch norm of its own behind it, but method 'xnor-net' scales",
        ),
        (
            "dorefa",
            "net.py:Net: BinaryLinear '1' has no batch norm of its own behind it, but method 'dorefa' scales wei",
        ),
        (
            "reactnet",
            "net.py:Net: BinaryLinear '1' has no batch norm of its own behind it, but method 'reactnet' scale",
        ),
    ],
)
def test_a_scale_that_nothing_absorbs_is_refused(name: str, told: str) -> None:
    own(Normless())  # the adiabatic method has none
    with pytest.raises(UserError) as caught:
        own(Normless(), name)
    assert str(caught.value).startswith(told)


def test_a_shift_that_nothing_absorbs_is_refused() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = ann.BinaryLinear(72, 4), ann.BinaryLinear(4, 4, bits=4)
            self.norm, self.sign = nn.BatchNorm1d(4), ann.BinaryActivation()

        def forward(self, x: Tensor) -> Any:
            x = self.norm(self.fc1(x.flatten(1)))
            return self.fc2(self.sign(x)) + x

    with pytest.raises(UserError, match="BinaryActivation 'sign' has no batch norm of its own before it"):
        own(Shared(), "reactnet")


def test_a_shared_activation_of_several_widths_is_refused() -> None:
    sign = ann.BinaryActivation()
    net = nn.Sequential(nn.Flatten(), ann.BinaryLinear(72, 5), nn.BatchNorm1d(5), sign, ann.BinaryLinear(5, 6),
                        nn.BatchNorm1d(6), sign, ann.BinaryLinear(6, 4))  # fmt: skip
    with pytest.raises(
        UserError, match=r"BinaryActivation '3' is called with \[5, 6\] channels; use a module for each"
    ):
        own(net)


@pytest.mark.parametrize(
    ("net", "told"),
    [
        (nn.Flatten(), "has no parameters, so there is nothing to train; give a module with layers"),
        (nn.Conv2d(2, 4, 3), "returns shape [2, 4, 4, 4] for 2 frames; it must return logits of shape [2, 4], one"),
        (nn.Sequential(nn.Flatten(), nn.Linear(72, 5)), "returns shape [2, 5] for 2 frames; it must return logits"),
        (nn.Linear(7, 4), "RuntimeError for frames of shape [2, 2, 6, 6]: mat1 and mat2 shapes cannot be multiplied"),
        (nn.LSTM(6, 4), "ValueError for frames of shape [2, 2, 6, 6]: LSTM: Expected input to be 2D or 3D"),
    ],
)
def test_a_module_must_return_logits_of_the_frames(net: nn.Module, told: str) -> None:
    with pytest.raises(UserError) as caught:
        own(net)
    assert str(caught.value).startswith(f"net.py:Net: {told}")


def test_the_digest_of_a_module_in_memory_tells_its_tensors_settings_and_source() -> None:
    torch.manual_seed(0)
    net = Functional()

    class Other(Functional):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + 1

    torch.manual_seed(0)
    other = Other()
    other.__class__.__name__ = "Functional"
    seen = {digest_of(net), digest_of(copy.deepcopy(net)), digest_of(other)}
    assert len(seen) == 2
    with torch.no_grad():
        net.conv1.weight[0, 0, 0, 0] += 1
    seen.add(digest_of(net))
    net.pad.value = 1.0
    assert len({*seen, digest_of(net)}) == 4
