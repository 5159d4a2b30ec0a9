# SPDX-License-Identifier: Apache-2.0
"""Runs a QONNX model by qonnx's reference execution, many frames at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from adiabit.errors import UserError
from adiabit.flows.frontend.trace import frames_at_once
from adiabit.flows.progress import counting

BLOCK = 1000  # frames in one execution at most


def run_qonnx(model_path: Path, frames: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Logits (F, classes) of frames of any dtype: (F, H, W, C) for an image input, else (F, *input shape).

    An image may also have the model's layout, (F, C, H, W). The model's batch axis is set to a block's length.
    `UserError` if the model cannot be read or the frames do not fit its input.
    """
    try:
        model = ModelWrapper(str(model_path))
    except Exception as error:  # protobuf and onnx have exceptions of their own
        raise UserError(f"{model_path}: not a readable ONNX model ({error}); export it again") from error
    shape = tuple(model.get_tensor_shape(model.graph.input[0].name))
    frames = _torch_order(frames, shape)
    if frames.shape[1:] != shape[1:]:
        raise UserError(
            f"{model_path}: takes frames of shape {shape[1:]}, but these have {frames.shape[1:]}; reshape them"
        )
    return run_model(model, frames)


def run_model(model: ModelWrapper, frames: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Logits (F, ...) of a model in float32, for frames (F, *input shape) in its own layout."""
    source, sink = model.graph.input[0].name, model.graph.output[0].name
    block = min(BLOCK, frames_at_once(model.transform(InferShapes())), len(frames))
    model = _batched(model, block)
    made = []
    with counting("QONNX execution, frames", len(frames)) as done:
        for start in range(0, len(frames), block):
            part = np.zeros((block, *frames.shape[1:]), dtype=np.float32)
            wanted = frames[start : start + block]
            part[: len(wanted)] = wanted
            made.append(execute_onnx(model, {source: part})[sink][: len(wanted)])
            done(len(wanted))
    return np.concatenate(made).astype(np.float32, copy=False)


def _batched(model: ModelWrapper, batch: int) -> ModelWrapper:
    """A copy of the model, including its reshapes to fixed shapes, with a batch axis of `batch`."""
    model = ModelWrapper(model.model, make_deepcopy=True)
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        model.set_tensor_shape(value.name, [batch, *model.get_tensor_shape(value.name)[1:]])
    for node in model.get_nodes_by_op_type("Reshape"):
        target = model.get_initializer(node.input[1]).copy()
        target[0] = batch if target[0] == 1 else target[0]
        model.set_initializer(node.input[1], target)
    return model.transform(InferShapes())


def _torch_order(frames: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Frames (F, H, W, C) as (F, C, H, W), or as (F, C, W) for sound; other frames unchanged."""
    image = (shape[1], 1, shape[2]) if len(shape) == 3 else shape[1:]
    if len(image) == 3 and frames.shape[1:] == (*image[1:], image[0]):
        return np.ascontiguousarray(frames.transpose(0, 3, 1, 2)).reshape(-1, *shape[1:])
    return frames
