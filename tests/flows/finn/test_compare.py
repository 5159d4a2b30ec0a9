# SPDX-License-Identifier: Apache-2.0
"""Convolutional networks: golden equals a plain reference and each rung, whatever the shapes, pads and pools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adiabit.flows.finn.compare import Comparison
from adiabit.flows.finn.finn_setup import finn
from adiabit.flows.finn.lower import lower
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.model_file import load
from adiabit.flows.frontend.normalize import normalize
from adiabit.flows.frontend.read import read
from adiabit.flows.frontend.trace import frames_for, logits
from adiabit.flows.ladder import Rung, Vectors
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator

Make = Callable[..., Any]
Array = npt.NDArray[Any]


@dataclass
class Compiled:
    """A model lowered to one lane everywhere, with its rungs."""

    accelerator: Accelerator
    vectors: Vectors
    rungs: list[Rung]
    compared: Comparison


def compiled(path: Path, vectors: Vectors | None = None, **options: Any) -> Compiled:
    """What `compile_model` does before it folds."""
    from adiabit.flows.finn.streamline import streamline

    config = CompileConfig(**options)
    with finn(path.with_suffix(".log")):
        network, source = normalize(read(path, trusted=True), config), load(path)
        if vectors is None:
            frames = frames_for(network, config)
            vectors = given_vectors(frames, logits(source, network, config, frames))
        streamlined = streamline(network, config)
        theirs = lower(streamlined, config, network)
        compared = Comparison(source=source, network=network, config=config, streamlined=streamlined,
                              theirs=theirs)  # fmt: skip
        return Compiled(theirs.accelerator, vectors, compared.rungs(vectors), compared)


def given_vectors(frames: Array, found: Array) -> Vectors:
    return Vectors(frames=frames, labels=np.full(len(frames), -1), logits=found, predictions=found.argmax(axis=1))


def all_equal(rungs: list[Rung]) -> bool:
    return [(r.name, r.status) for r in rungs] == [("FINN graph", "equal"), ("golden", "equal")]


def norms(rng: np.random.Generator, channels: int, spread: float) -> list[Array]:
    """Batch norms with gammas of both signs, some 0, and thresholds out of range on the first channels."""
    gamma, beta = rng.normal(size=channels), rng.normal(size=channels)
    for c, corner in enumerate([(-1.0, 0.1), (0, -0.3), (0, 0.3), (1e-3, 1e3), (-1e-3, -1e3)][:channels]):
        gamma[c], beta[c] = corner
    order = rng.permutation(channels)
    return [gamma[order], beta[order], rng.normal(size=channels) * spread, (rng.random(channels) + 0.5) * spread**2]


@dataclass
class Reference:
    """Builds a model and, beside it, computes it for frames in plain NumPy (F, C, H, W)."""

    model: Any
    x: Array
    rng: np.random.Generator

    def conv(self, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]) -> None:
        """Weights of -1 and +1."""
        (kh, kw), (sy, sx), (dy, dx), (height, width) = kernel, stride, dilation, self.x.shape[2:]
        weights = self.rng.choice([-1.0, 1.0], (outputs, self.x.shape[1], kh, kw))
        self.model.conv(weights, strides=stride, dilations=dilation)
        rows, columns = (height - (kh - 1) * dy - 1) // sy + 1, (width - (kw - 1) * dx - 1) // sx + 1
        result = np.zeros((len(self.x), outputs, rows, columns))
        for i in range(kh):
            for j in range(kw):
                seen = self.x[:, :, i * dy :: sy, j * dx :: sx][:, :, :rows, :columns]
                result += np.einsum("fcyx,oc->foyx", seen, weights[:, :, i, j])
        self.x = result

    def pad(self, pads: tuple[int, int, int, int], value: float) -> None:
        """Rows above, columns on the left, rows below, columns on the right."""
        top, left, bottom, right = pads
        self.model.pad([0, 0, top, left, 0, 0, bottom, right], value)
        self.x = np.pad(self.x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)

    def pool(self, kernel: tuple[int, int], stride: tuple[int, int]) -> None:
        """Max pool."""
        (kh, kw), (sy, sx) = kernel, stride
        self.model.max_pool(kernel, stride)
        rows, columns = (self.x.shape[2] - kh) // sy + 1, (self.x.shape[3] - kw) // sx + 1
        pieces = [self.x[:, :, i::sy, j::sx][:, :, :rows, :columns] for i in range(kh) for j in range(kw)]
        self.x = np.max(pieces, axis=0)

    def norm(self) -> None:
        """Batch norm."""
        gamma, beta, mean, variance = norms(self.rng, self.x.shape[1], float(self.x.std()) or 1.0)
        self.model.norm(gamma, beta, mean, variance)
        gamma, beta, mean, variance = (v.reshape(-1, *(1,) * (self.x.ndim - 2)) for v in (gamma, beta, mean, variance))
        self.x = gamma * (self.x - mean) / np.sqrt(variance + 1e-5) + beta

    def sign(self) -> None:
        """-1 and +1."""
        self.model.sign()
        self.x = np.where(self.x >= 0, 1.0, -1.0)

    def dense(self, outputs: int) -> None:
        """Flatten and multiply with -1 and +1."""
        weights = self.rng.choice([-1.0, 1.0], (outputs, int(np.prod(self.x.shape[1:]))))
        self.model.op("Flatten").dense(weights)
        self.x = self.x.reshape(len(self.x), -1) @ weights.T

    def average(self) -> None:
        """Global average."""
        self.model.op("GlobalAveragePool")
        self.x = self.x.mean(axis=(2, 3), keepdims=True)


sides = st.tuples(st.integers(1, 3), st.integers(1, 3))
images = st.tuples(st.integers(1, 3), st.integers(3, 8), st.integers(3, 8))
sounds = st.tuples(st.just(2), st.just(1), st.integers(4, 12))
ones = st.tuples(st.integers(1, 2), st.integers(1, 2))


@st.composite
def layers(draw: st.DrawFn) -> dict[str, Any]:
    """One convolution with what may stand around it; sizes are cut to the image when it is built."""
    return {
        "outputs": draw(st.integers(1, 6)),
        "kernel": draw(sides),
        "stride": draw(ones),
        "dilation": draw(ones),
        "pads": draw(st.none() | st.tuples(*[st.integers(0, 2)] * 4)),
        "value": draw(st.sampled_from([-1.0, 1.0])),
        "pool": draw(st.sampled_from(["none", "before norm", "before sign", "behind"])),
        "window": draw(st.sampled_from([((2, 2), (2, 2)), ((1, 2), (1, 2)), ((3, 2), (2, 1)), ((2, 3), (1, 2)),
                                        ((1, 1), (2, 2))])),
    }  # fmt: skip


def grow(net: Reference, layer: dict[str, Any], *, first: bool) -> None:
    """Append a layer as far as the image allows it."""
    if layer["pads"] is not None:
        net.pad(layer["pads"], 0.0 if first else layer["value"])
    height, width = net.x.shape[2:]
    kernel = (min(layer["kernel"][0], height), min(layer["kernel"][1], width))
    dilation = tuple(
        d if (k - 1) * d < side else 1 for k, d, side in zip(kernel, layer["dilation"], (height, width), strict=True)
    )
    net.conv(layer["outputs"], kernel, layer["stride"], (dilation[0], dilation[1]))
    (kh, kw), stride = layer["window"]
    pool = layer["pool"] if kh <= net.x.shape[2] and kw <= net.x.shape[3] else "none"
    for place in ("before norm", "norm", "before sign", "sign", "behind"):
        if place == "norm":
            net.norm()
        elif place == "sign":
            net.sign()
        elif place == pool:
            net.pool((kh, kw), stride)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 999),
    shape=st.tuples(st.integers(1, 3), st.integers(3, 8), st.integers(3, 8))
    | st.tuples(st.just(2), st.just(1), st.integers(4, 12)),
    convolutions=st.lists(layers(), min_size=1, max_size=3),
    end=st.sampled_from(["dense", "two dense", "average", "average of logits", "average before a hidden layer"]),
)
def test_random_networks(
    net: Make,
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    shape: tuple[int, int, int],
    convolutions: list[dict[str, Any]],
    end: str,
) -> None:
    """8-bit images, any chain of convolutions, pads and pools: golden equals NumPy, and so do all rungs."""
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("conv")
    channels, height, width = shape
    frames = rng.integers(0, 256, (40, height, width, channels))
    made = Reference(net(1, *shape), frames.transpose(0, 3, 1, 2).astype(float), rng)
    for k, layer in enumerate(convolutions):
        grow(made, layer, first=k == 0)
    if end == "average of logits":
        made.conv(3, (1, 1), (1, 1), (1, 1))
    if "average" in end:
        made.average()
    if end in ("two dense", "average before a hidden layer"):
        made.dense(5)
        made.norm()
        made.sign()
    if end == "average of logits":
        made.model.op("Flatten")
        made.x = made.x.reshape(len(frames), -1)
    else:
        made.dense(4)
    vectors = given_vectors(frames, made.x.astype(np.float32))
    result = compiled(made.model.save(folder / "net.onnx"), vectors)
    assert all_equal(result.rungs), result.rungs
    np.testing.assert_array_equal(golden.run(result.accelerator, frames)[:, 0], vectors.predictions)
    frame = frames[0].astype(np.int32)
    ours = dict(result.compared._golden_streams(frame))
    for stage, value in (*result.compared._finn_streams(frame), *result.compared._model_streams(frame)):
        np.testing.assert_array_equal(ours[stage], value, err_msg=stage)
