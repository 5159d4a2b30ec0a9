# SPDX-License-Identifier: Apache-2.0
"""QONNX execution with every tensor kept: for a model by someone else, and to find a difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from adiabit.flows.compile.config import CompileConfig
from adiabit.flows.compile.levels import host_levels
from adiabit.flows.compile.network import Network

Array = npt.NDArray[Any]
RANDOM = 96  # frames of each kind of noise
SINGLES = 16  # frames with one element at the other extreme


def trace(model: ModelWrapper, network: Network, config: CompileConfig, frames: Array) -> dict[str, Array]:
    """Every tensor of the model for frames (F, features) of integers, all at once."""
    model = _batched(model, len(frames))
    real = frames.astype(np.float32) * np.float32(config.input_scale) + np.float32(config.input_offset)
    real = real.reshape(len(frames), *network.input_shape[1:])
    return dict(execute_onnx(model, {network.input_name: real}, return_full_exec_context=True))


def logits(model: ModelWrapper, network: Network, config: CompileConfig, frames: Array) -> npt.NDArray[np.float32]:
    """The model's output (F, classes) for frames (F, features)."""
    output = trace(model, network, config, frames)[model.graph.output[0].name]
    return output.reshape(len(frames), -1).astype(np.float32)


def _batched(model: ModelWrapper, batch: int) -> ModelWrapper:
    """A copy of the model, its reshapes to a fixed shape included, with a batch axis of `batch`."""
    model = ModelWrapper(model.model, make_deepcopy=True)
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        model.set_tensor_shape(value.name, [batch, *model.get_tensor_shape(value.name)[1:]])
    for node in model.get_nodes_by_op_type("Reshape"):
        target = model.get_initializer(node.input[1]).copy()
        target[0] = batch if target[0] == 1 else target[0]
        model.set_initializer(node.input[1], target)
    return model.transform(InferShapes())


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
