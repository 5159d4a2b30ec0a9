# SPDX-License-Identifier: Apache-2.0
"""QONNX execution of single frames with every tensor kept: for a model by someone else, and to find a difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from adiabit.flows.compile.config import CompileConfig
from adiabit.flows.compile.levels import host_levels
from adiabit.flows.compile.network import Network

Array = npt.NDArray[Any]
RANDOM = 96  # frames of each kind of noise
SINGLES = 16  # frames with one element at the other extreme


def trace(model: ModelWrapper, network: Network, config: CompileConfig, frame: Array) -> dict[str, Array]:
    """Every tensor of the model for one frame of integers."""
    real = frame.astype(np.float32) * np.float32(config.input_scale) + np.float32(config.input_offset)
    return dict(
        execute_onnx(model, {network.input_name: real.reshape(network.input_shape)}, return_full_exec_context=True)
    )


def logits(model: ModelWrapper, network: Network, config: CompileConfig, frames: Array) -> npt.NDArray[np.float32]:
    """The model's output (F, classes) for frames (F, features), one after the other."""
    output = model.graph.output[0].name
    return np.stack([trace(model, network, config, f)[output].reshape(-1) for f in frames]).astype(np.float32)


def frames_for(network: Network, config: CompileConfig, seed: int = 0) -> npt.NDArray[np.int64]:
    """Corner and random frames (F, features): all at an extreme, one element at the other, noise, two-valued noise."""
    host, features, rng = host_levels(config), network.features, np.random.default_rng(seed)
    low, high = host.low, host.high
    flat = [np.full(features, value) for value in ((low, high) if host.bipolar else (low, (low + high + 1) // 2, high))]
    singles = []
    for position in np.unique(np.linspace(0, features - 1, SINGLES).astype(int)):
        frame = np.full(features, low)
        frame[position] = high
        singles += [frame, low + high - frame]
    two = rng.choice([low, high], size=(RANDOM, features))
    noise = two[::-1] if host.bipolar else rng.integers(low, high + 1, size=(RANDOM, features))
    return np.concatenate([flat, singles, two, noise, np.sort(noise, axis=1)]).astype(np.int64)
