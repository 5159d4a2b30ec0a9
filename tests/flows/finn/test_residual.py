# SPDX-License-Identifier: Apache-2.0
"""Residual networks from end to end without training: random parameters, random blocks, and a model by others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.export import export_qonnx
from brevitas.quant import Int8ActPerTensorFloat, SignedBinaryWeightPerTensorConst
from torch import Tensor, nn

from adiabit.flows.export import verify, write_qonnx
from adiabit.flows.finn.stage import compile_model
from adiabit.flows.frontend.config import CompileConfig, FoldConfig
from adiabit.flows.ladder import Vectors, load_rungs
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Add, MatrixVector
from adiabit.train.absorb import absorb_scales
from adiabit.train.layers import RisingNorm2d, RPReLU, Shift
from adiabit.train.margins import clear_thresholds
from adiabit.train.measure import logits, reestimate
from adiabit.train.network import Network
from adiabit.train.quantizers import hardened
from adiabit.train.topology import ModelConfig
from tests.hw.hls.flock import simulate as simulate_c
from tests.hw.rtl.flock import simulate

FRAME = (8, 8, 2)
FRAMES = 40


def block(rng: np.random.Generator, channels: int, side: int, *, bits: int) -> tuple[dict[str, Any], int, int]:
    """A block that reads images of these channels and sides, and what it makes."""
    same = {"conv": channels, "pad": 1}
    kind = rng.choice(["residual", "deep", "down", "concat", "pool"])
    if kind == "residual" or side < 4:
        return {"residual": [same], "repeat": int(rng.integers(1, 3))}, channels, side
    if kind == "deep":
        return {"residual": [{"conv": channels + 2, "kernel": 1}, same]}, channels, side
    if kind == "down":
        more = channels + int(rng.integers(0, 3)) * 2
        ways = [[{"conv": more, "kernel": 1, "stride": 2}], [{"max_pool": 2}, {"channels": more}]]
        ways.append([{"average_pool": 2}, {"conv": more, "kernel": 1}])
        shortcut = ways[int(rng.integers(3 if bits > 1 else 2))]
        return {"residual": [{"conv": more, "pad": 1, "stride": 2}], "shortcut": shortcut}, more, side // 2
    if kind == "concat":
        return {"concat": [[], [{"conv": 2, "pad": 1}]], "repeat": 2}, channels + 4, side
    return {"max_pool": 2}, channels, side // 2


def model(seed: int) -> ModelConfig:
    """A random network of blocks."""
    rng = np.random.default_rng(seed)
    bits = int(rng.choice([1, 1, 2, 3, 4]))
    channels, side = 4, 8
    layers: list[dict[str, Any]] = [{"conv": channels, "pad": 1}]
    for _ in range(int(rng.integers(1, 4))):
        made, channels, side = block(rng, channels, side, bits=bits)
        layers.append(made)
    layers.append({"average_pool": "global"} if rng.random() < 0.5 else {"dense": 6})
    table: dict[str, Any] = {"topology": "free", "layers": layers, "shortcut_bits": bits}
    table |= {"first_bits": int(rng.choice([1, 4, 8])), "last_bits": int(rng.choice([1, 2, 8]))}
    if bits > 1:
        kind = str(rng.choice(["sign", "shift", "norm"]))
        table |= {"preactivation": kind, "rprelu": bool(rng.random() < 0.5)}
    return ModelConfig.model_validate(table)


@torch.no_grad()
def randomized(config: ModelConfig, seed: int, frames: Tensor) -> Network:
    """The hardware's network, with random parameters: gammas of both signs, and of 0."""
    torch.manual_seed(seed)
    net = Network(config, "xnor-net", frame=FRAME, classes=3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.weight.normal_()
            module.bias.normal_(std=0.5)
            if not isinstance(module, RisingNorm2d):
                module.weight[0] = 0
        elif isinstance(module, Shift):
            module.b.normal_(std=0.5)
        elif isinstance(module, RPReLU):
            module.g.normal_(std=0.5)
            module.z.normal_(std=0.5)
            module.slope.uniform_(0, 1)
    with hardened(net):
        reestimate(net, frames, 1)
    made = absorb_scales(net)
    clear_thresholds(made)
    return made


def compiled(seed: int, folder: Path) -> None:
    """Export and compile the network of a seed; every rung is equal."""
    frames = torch.randint(0, 256, (FRAMES, *FRAME), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    net = randomized(model(seed), seed, frames)
    with hardened(net):
        found = logits(net, frames).numpy()
        write_qonnx(net, FRAME, folder / "model.onnx")
    vectors = Vectors(frames=frames.numpy(), labels=np.full(FRAMES, -1), logits=found, predictions=found.argmax(1))
    vectors.save(folder)
    verify(folder, vectors)
    rungs = load_rungs(folder)
    compile_model(folder / "model.onnx", vectors, folder, CompileConfig(fold=FoldConfig(stages={})))
    rungs += load_rungs(folder)
    assert [(r.name, r.status) for r in rungs] == [
        ("torch", "equal"), ("QONNX", "equal"), ("FINN graph", "equal"), ("golden", "equal"),
    ], (seed, rungs)  # fmt: skip


def agree(seeds: range, folder: Path) -> None:
    """The networks of these seeds are equal at every rung, HLS and RTL included."""
    accelerators = []
    for seed in seeds:
        (folder / str(seed)).mkdir()
        compiled(seed, folder / str(seed))
        accelerators.append(storage.load(folder / str(seed)))
    simulated(accelerators, folder)


def simulated(accelerators: list[Accelerator], folder: Path) -> None:
    """HLS and RTL equal the golden model."""
    (folder / "hls").mkdir()
    (folder / "rtl").mkdir()
    assert simulate_c(accelerators, folder / "hls", frames=2) == [""] * len(accelerators)
    runs = simulate(accelerators, folder / "rtl")
    for outcomes in runs:
        assert [(n, outcome) for n, outcome in enumerate(outcomes) if not outcome.right] == []
    for accelerator, outcome in zip(accelerators, runs[0], strict=True):
        assert 0 < outcome.cycles <= accelerator.cycles


def test_random_residual_networks(tmp_path: Path) -> None:
    agree(range(4), tmp_path)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("batch", range(1, 11))
def test_a_hundred_random_residual_networks(batch: int, tmp_path: Path) -> None:
    agree(range(10 * batch, 10 * batch + 10), tmp_path)


class Block(nn.Module):
    """A residual block as users of Brevitas write it: one shared QuantIdentity before each sum."""

    def __init__(self, channels: int, shared: qnn.QuantIdentity, bits: int) -> None:
        super().__init__()
        self.relu = qnn.QuantReLU(bit_width=bits, return_quant_tensor=True)
        self.conv = qnn.QuantConv2d(channels, channels, 1, bias=False, weight_bit_width=4)
        self.norm = nn.BatchNorm2d(channels)
        self.shared = shared

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return self.shared(self.norm(self.conv(self.relu(x)))) + self.shared(x)  # type: ignore[no-any-return]


class Foreign(nn.Module):
    """A residual network in plain Brevitas, with activations of so many bits."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        shared = qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=bits, return_quant_tensor=True)
        self.first = qnn.QuantConv2d(2, 8, 3, bias=False, weight_bit_width=4)
        self.norm = nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(Block(8, shared, bits), Block(8, shared, bits))
        self.last_act = qnn.QuantReLU(bit_width=bits, return_quant_tensor=True)
        self.classes = qnn.QuantLinear(8 * 36, 3, bias=False, weight_quant=SignedBinaryWeightPerTensorConst)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2, 8, 8) -> (B, 3)."""
        x = self.blocks(self.norm(self.first(x)))
        return self.classes(self.last_act(x).value.flatten(1))  # type: ignore[no-any-return]


@pytest.mark.parametrize("bits", [4, 8])  # comparators, and binary searches
def test_a_residual_model_by_others(bits: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Foreign(bits)
    pixels = torch.randint(0, 256, (64, 2, 8, 8)).float()
    with torch.no_grad():
        for _ in range(4):  # calibrates scales and norms
            net(pixels)
        for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.weight.normal_()
            norm.bias.normal_()
    net.eval()
    export_qonnx(net, pixels[:1], str(tmp_path / "net.onnx"), dynamo=False)
    compile_model(tmp_path / "net.onnx", None, tmp_path, CompileConfig(fold=FoldConfig(stages={})))
    rungs = load_rungs(tmp_path)
    assert [(r.name, r.status) for r in rungs] == [("QONNX", "equal"), ("FINN graph", "equal"), ("golden", "equal")]
    assert len(np.unique(Vectors.load(tmp_path).logits, axis=0)) > 9
    accelerator = storage.load(tmp_path)
    simulated([accelerator], tmp_path)
    kinds = [type(stage) for stage in accelerator.stages]
    assert kinds.count(Add) == 2
    assert kinds.count(MatrixVector) == 4
