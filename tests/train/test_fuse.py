# SPDX-License-Identifier: Apache-2.0
"""Fused steps of whole networks against the same steps, not fused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adiabit.train import fuse
from adiabit.train.config import ModelConfig
from adiabit.train.deferred import Deferred
from adiabit.train.fuse import fused
from adiabit.train.measure import accuracy, reestimate
from adiabit.train.methods import METHODS as METHODS_BY_NAME
from adiabit.train.network import Network
from adiabit.train.quantizers import set_quantizers
from adiabit.train.trainable import Own, Trainable
from tests.train.own_networks import Functional

CHAIN = {"topology": "free", "layers": [{"conv": 8}, {"conv": 16, "pool": 2}, {"conv": 70, "pad": 1}, {"dense": 9}]}
RESIDUAL = {
    "topology": "free",
    "layers": [
        {"conv": 8, "pad": 1},
        {"residual": [{"conv": 8, "pad": 1}, {"conv": 8, "pad": 1}], "repeat": 2},
        {"residual": [{"conv": 16, "pad": 1, "stride": 2}, {"conv": 16, "pad": 1}],
         "shortcut": [{"conv": 16, "kernel": 1, "stride": 2}]},
        {"average_pool": "global"},
    ],
}  # fmt: skip
STREAM = {**RESIDUAL, "shortcut_bits": 4, "preactivation": "norm", "rprelu": True}
BUDGET = {"kind": "budget", "noise": 0.0, "activations_until": 0.9}
SOFT = METHODS_BY_NAME.validate({"name": "adiabatic", "schedule": BUDGET})
METHODS: list[Any] = [SOFT, "adiabatic", "ste", "bi-real", "bnn+", "dorefa", "reactnet", "abc-net", "ir-net", "real"]


def network(model: dict[str, Any], method: Any = "adiabatic", **more: Any) -> Network:
    torch.manual_seed(0)
    config = ModelConfig.model_validate({**model, **more})
    net = Network(config, method, frame=(12, 12, 3)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    schedule = net.method.schedule()
    schedule.at(0.5, 100)
    set_quantizers(net, schedule.settings)
    net.method.start(net)
    return net  # type: ignore[no-any-return]


def frames(count: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (count, 3, 12, 12)
    x = torch.randint(0, 256, shape, generator=generator).float().contiguous(memory_format=torch.channels_last)
    return x, torch.randint(0, 10, (count,), generator=generator)


def step(net: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits and gradients of a step in bfloat16."""
    x, labels = frames()
    with torch.autocast("cpu", torch.bfloat16):
        out = net(x)
        loss = nn.functional.cross_entropy(out, labels)
    loss.backward()
    return out.detach().float(), {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("pool", ["before", "behind"])
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_fused_step_is_the_step(method: Any, pool: str) -> None:
    compare(network(CHAIN, method, pool=pool))


@pytest.mark.parametrize("model", [RESIDUAL, STREAM], ids=["bits", "integers"])
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_fused_step_of_a_residual_network_is_the_step(method: Any, model: dict[str, Any]) -> None:
    compare(network(model, method))


def compare(net: Trainable) -> None:
    """The other network's norms compute in float32, so that no rounding between norm and sign changes a sign."""
    net.train()
    other = copy.deepcopy(net)
    with fused(net):
        names = [name for name, m in net.named_modules() if "forward" in vars(m) and not isinstance(m, nn.MaxPool2d)]
        ours, gradients = step(net)
    for name in names:
        norm: Any = other.get_submodule(name)
        norm.forward = partial(in_float32, norm.forward)
    theirs, expected = step(other)
    assert alike(ours, theirs) > 0.99
    assert gradients.keys() == expected.keys()
    for vectors in (True, False):  # the batch norm behind makes the gradient of an alpha 0, but for rounding
        kept = [n for n, g in gradients.items() if (g.ndim == 1) == vectors and not n.endswith("alpha")]
        assert alike(*(torch.cat([g[n].flatten() for n in kept]) for g in (gradients, expected))) > 0.97
    for (name, buffer), wanted in zip(net.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(buffer, wanted, rtol=0.01, atol=0.01, msg=name)


def in_float32(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return forward(x.float())


def alike(ours: Tensor, theirs: Tensor) -> float:
    """The correlation."""
    return float(torch.corrcoef(torch.stack([ours.flatten().double(), theirs.flatten().double()]))[0, 1])


@pytest.mark.parametrize("model", [CHAIN, RESIDUAL], ids=["chain", "residual"])
def test_all_norms_before_signs_are_fused(model: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(model).train()
    found: list[nn.Module] = []
    quantize = Deferred.quantize

    def seen(self: Deferred, quantizer: Any, pad: tuple[int, int]) -> Tensor:
        found.append(self.norm)
        return quantize(self, quantizer, pad)

    monkeypatch.setattr(Deferred, "quantize", seen)
    with fused(net):
        step(net)
    assert set(found) == {m for m in net.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)}


def test_an_own_module_of_functions_is_fused() -> None:
    torch.manual_seed(0)
    own = Own(Functional(classes=10), "ste", frame=(6, 6, 2), classes=10).train()
    x = torch.randint(0, 256, (16, 2, 6, 6)).float().contiguous(memory_format=torch.channels_last)
    other = copy.deepcopy(own)
    with torch.autocast("cpu", torch.bfloat16):
        with fused(own):
            ours = own(x)
        theirs = other(x)
    assert alike(ours.detach(), theirs.detach()) > 0.9


def test_reestimated_statistics_and_accuracy_are_those_of_the_network() -> None:
    net = network(CHAIN).train()
    x, labels = frames(64)
    images = x.permute(0, 2, 3, 1).to(torch.uint8)
    other = copy.deepcopy(net)
    with torch.autocast("cpu", torch.bfloat16):
        with fused(net):
            reestimate(net, images, passes=2)
            ours = accuracy(net, images, labels)
        reestimate(other, images, passes=2)
        theirs = accuracy(other, images, labels)
    assert abs(ours - theirs) < 0.1
    for (name, buffer), wanted in zip(net.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(buffer, wanted, rtol=0.1, atol=0.1, msg=name)


def test_a_sum_of_other_tensors_and_functions_of_torch_compute_a_deferred_norm() -> None:
    norm = nn.BatchNorm2d(3)
    x = torch.randn(4, 3, 5, 5).bfloat16().contiguous(memory_format=torch.channels_last)
    made = [Deferred(x, norm.eval(), norm.forward) for _ in range(5)]
    expected = norm(x)
    assert torch.equal(made[0] + 1, expected + 1)
    assert torch.equal(torch.relu(made[1]), torch.relu(expected))  # type: ignore[arg-type]
    assert torch.equal(torch.cat([made[2], expected]), torch.cat([expected, expected]))  # type: ignore[list-item]
    both = torch.add(expected, made[3])  # type: ignore[call-overload]
    assert isinstance(both, Deferred)
    assert torch.equal(both.value(), expected + expected)
    assert torch.equal(1 + made[4], expected + 1)


def test_the_forward_passes_come_back_even_after_an_error() -> None:
    net = network(CHAIN)
    with fused(net):
        assert any("forward" in vars(module) for module in net.modules())
    assert not any("forward" in vars(module) for module in net.modules())
    with pytest.raises(ZeroDivisionError), fused(net):
        raise ZeroDivisionError
    assert not any("forward" in vars(module) for module in net.modules())


def test_in_float32_nothing_is_deferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuse, "Deferred", None)  # would fail
    net = network(CHAIN).train()
    other = copy.deepcopy(net)
    x, _ = frames()
    with fused(net):
        assert torch.equal(net(x), other(x))
