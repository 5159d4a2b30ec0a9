# SPDX-License-Identifier: Apache-2.0
"""Running FINN's hardware graph in Python, many frames at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_node
from qonnx.util.basic import get_by_name

from adiabit.flows.compile.lower import hardware_nodes

Array = npt.NDArray[Any]


def run_finn(model: ModelWrapper, frames: Array, *, block: int = 1024) -> Iterator[tuple[slice, list[Array]]]:
    """Each block of frames (F, features) with what each hardware node made of it: (F, channels) each, in order.

    Elements are as FINN has them: a binary stream carries 0 and 1.
    """
    source = model.graph.input[0].name
    binary = model.get_tensor_datatype(source) == DataType["BINARY"]
    for start in range(0, len(frames), block):
        part = frames[start : start + block].reshape(-1, frames[0].size).astype(np.float32)
        yield slice(start, start + len(part)), _run(_batched(model, len(part)), (part + 1) / 2 if binary else part)


def _batched(model: ModelWrapper, count: int) -> ModelWrapper:
    """A copy of the graph for `count` frames at once."""
    model = ModelWrapper(model.model, make_deepcopy=True)
    source = model.graph.input[0].name
    model.set_tensor_shape(source, [count, *model.get_tensor_shape(source)[1:]])
    for node in hardware_nodes(model):
        vectors = get_by_name(node.attribute, "numInputVectors").ints
        vectors[:] = [count, *list(vectors)[1:]]
        model.set_tensor_shape(node.output[0], [count, *model.get_tensor_shape(node.output[0])[1:]])
    return model


def _run(model: ModelWrapper, frames: Array) -> list[Array]:
    context = {t.name: model.get_initializer(t.name) for t in model.graph.initializer}
    context[model.graph.input[0].name] = frames
    results = []
    for node in hardware_nodes(model):
        context[node.output[0]] = np.empty(model.get_tensor_shape(node.output[0]), np.float32)
        execute_node(node, context, model.graph, model.get_opset_imports()[""])
        results.append(context[node.output[0]].reshape(len(frames), -1))
    return results
