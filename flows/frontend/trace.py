# SPDX-License-Identifier: Apache-2.0
"""Exact execution of a model, keeping every tensor, a block of frames at a time; and frames for its corner cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qonnx.core.modelwrapper import ModelWrapper

from adiabit.flows.frontend.chain import Reals
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.exact import Tensor, execute
from adiabit.flows.frontend.levels import host_levels
from adiabit.flows.frontend.network import Network

Array = npt.NDArray[Any]
BLOCK = 1000  # frames in one execution at most
ELEMENTS = 1 << 24  # in all tensors of one execution
RANDOM = 96  # frames of each kind of noise
KEPT = 46  # bits of a logit in float64
SINGLES = 16  # frames with one element at the other extreme


def trace(model: ModelWrapper, network: Network, config: CompileConfig, frames: Array) -> dict[str, Tensor]:
    """Every tensor of the model for frames (F, *network.frame) of integers, all at once."""
    scale, offset = np.array(config.input_scale), np.array(config.input_offset)
    real = model_input(frames, network, config)
    integers = _model_order(frames, network).astype(float)
    return execute(model, Tensor(real=real, integers=integers, scale=scale, offset=offset))


def model_input(frames: Array, network: Network, config: CompileConfig) -> npt.NDArray[np.float32]:
    """The model's float32 input, in its own layout, for the host's integers (F, *network.frame)."""
    integers = _model_order(frames, network).astype(np.float32)
    return integers * np.float32(config.input_scale) + np.float32(config.input_offset)


def _model_order(frames: Array, network: Network) -> Array:
    """The host's integers (F, H, W, C) or (F, features) in the model's layout."""
    frames = frames.reshape(len(frames), *network.frame)
    if frames.ndim == 4 and not network.input_last:
        frames = frames.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(frames).reshape(len(frames), *network.input_shape[1:])


def logits(model: ModelWrapper, network: Network, config: CompileConfig, frames: Array) -> Reals:
    """The model's exact output for frames (F, *network.frame), in blocks: (F, classes) or (F, H, W, classes)."""
    block, made = frames_at_once(model), []
    for start in range(0, len(frames), block):
        part = frames[start : start + block]
        output = trace(model, network, config, part)[model.graph.output[0].name]
        made.append(channels_last(output.exact, network))
    return settled(np.concatenate(made))


def settled(logits: Reals) -> Reals:
    """Logits in float64 without their last bits, which are noise: classes that are equal in the model stay equal."""
    largest = np.abs(logits).max(initial=0)
    grid = 2.0 ** (np.frexp(largest)[1] - KEPT)
    return np.asarray(np.rint(logits / grid) * grid)


def channels_last(output: Array, network: Network) -> Array:
    """A model's output (F, classes, ...) as (F, H, W, classes), or (F, classes) if it is no image."""
    if network.output_last:
        output = np.moveaxis(output, -1, 1)
    image = output.reshape(*output.shape[:2], *(1,) * (4 - output.ndim), *output.shape[2:])
    image = np.moveaxis(image, 1, -1)
    return image.reshape(len(image), -1) if image.shape[1:3] == (1, 1) else image


def frames_at_once(model: ModelWrapper) -> int:
    """How many frames to execute together, given that every tensor is kept; the model's shapes must be known.

    Tensors that do not depend on the frames, such as quantized weights, are there once.
    """
    moving, elements = {model.graph.input[0].name}, 0
    for node in model.graph.node:
        if moving.intersection(node.input):
            moving.update(node.output)
            elements += int(np.prod(model.get_tensor_shape(node.output[0]) or 0))
    return max(1, min(BLOCK, ELEMENTS // max(1, elements)))


def frames_for(network: Network, config: CompileConfig, seed: int = 0) -> npt.NDArray[np.int64]:
    """Corner and random frames (F, *network.frame): constant, constant but for one element, noise."""
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
    found = np.concatenate([flat, singles, two, noise, np.sort(noise, axis=1)]).astype(np.int64)
    return found.reshape(-1, *network.frame)
