# SPDX-License-Identifier: Apache-2.0
"""Runs a QONNX model as its definition says (qonnx's reference execution), many frames at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from adiabit.errors import UserError

BLOCK = 1000  # frames of one execution; it is limited by memory alone


def run_qonnx(model_path: Path, frames: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Logits (F, classes) of frames (F, *input shape without the batch axis) of any dtype.

    The model's batch axis is set to a block's length. `UserError` where the model is not readable or the frames
    do not fit its input.
    """
    try:
        model = ModelWrapper(str(model_path))
    except Exception as error:  # protobuf and onnx raise their own
        raise UserError(f"{model_path}: cannot be read as ONNX ({error}); export it again") from error
    source, sink = model.graph.input[0].name, model.graph.output[0].name
    shape = tuple(model.get_tensor_shape(source))
    if frames.shape[1:] != shape[1:]:
        raise UserError(f"{model_path}: takes frames of shape {shape[1:]}, these are {frames.shape[1:]}; reshape them")
    block = min(BLOCK, len(frames))
    _set_batch(model, block)
    model = model.transform(InferShapes())
    made = []
    for start in range(0, len(frames), block):
        part = np.zeros((block, *shape[1:]), dtype=np.float32)
        wanted = frames[start : start + block]
        part[: len(wanted)] = wanted
        made.append(execute_onnx(model, {source: part})[sink][: len(wanted)])
    return np.concatenate(made).astype(np.float32, copy=False)


def _set_batch(model: ModelWrapper, batch: int) -> None:
    """Forget the inferred shapes and give input and output a batch axis of `batch`."""
    del model.graph.value_info[:]
    for value in (model.graph.input[0], *model.graph.output):  # further inputs are parameters
        model.set_tensor_shape(value.name, [batch, *model.get_tensor_shape(value.name)[1:]])
