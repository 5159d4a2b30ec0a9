# SPDX-License-Identifier: Apache-2.0
"""Runs FINN's hardware graph in Python, many frames at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_node
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import get_by_name

from adiabit.flows.finn.lower import hardware_nodes
from adiabit.flows.progress import counting

Array = npt.NDArray[Any]
BLOCK = 1024  # frames at a time at most
ELEMENTS = 1 << 22  # in the largest tensor of a block; windows of images are large


def run_finn(
    model: ModelWrapper, frames: Array, keep: Collection[str] | None = None
) -> Iterator[tuple[slice, dict[str, Array]]]:
    """For each block of frames (F, *input shape), the outputs of FINN's hardware nodes: name to (F, elements).

    Elements have FINN's encoding: a binary stream carries 0 and 1. `keep` names the tensors to return, by default all.
    """
    source = model.graph.input[0].name
    binary = model.get_tensor_datatype(source) == DataType["BINARY"]
    shape = model.get_tensor_shape(source)[1:]
    largest = max(int(np.prod(model.get_tensor_shape(n.output[0]))) for n in hardware_nodes(model))
    block = max(1, min(BLOCK, ELEMENTS // largest))
    with counting("FINN execution, frames", len(frames)) as done:
        for start in range(0, len(frames), block):
            part = frames[start : start + block].reshape(-1, *shape).astype(np.float32)
            tensors = _run(_batched(model, len(part)), (part + 1) / 2 if binary else part, keep)
            yield slice(start, start + len(part)), tensors
            done(len(part))


def _batched(model: ModelWrapper, count: int) -> ModelWrapper:
    """A copy of the graph for `count` frames at a time."""
    model = ModelWrapper(model.model, make_deepcopy=True)
    source = model.graph.input[0].name
    model.set_tensor_shape(source, [count, *model.get_tensor_shape(source)[1:]])
    for node in hardware_nodes(model):
        vectors = get_by_name(node.attribute, "numInputVectors")
        if node.op_type == "MVAU":  # one product for all pixels is many times faster than one per row
            vectors.ints[:] = [count * int(np.prod(list(vectors.ints)))]
        elif vectors is not None and vectors.ints:
            vectors.ints[:] = [count, *list(vectors.ints)[1:]]
        for name in node.output:
            model.set_tensor_shape(name, [count, *model.get_tensor_shape(name)[1:]])
    return model


def _run(model: ModelWrapper, frames: Array, keep: Collection[str] | None) -> dict[str, Array]:
    context = {t.name: model.get_initializer(t.name) for t in model.graph.initializer}
    context[model.graph.input[0].name] = frames
    results = {}
    nodes = hardware_nodes(model)
    last_reader = {name: k for k, node in enumerate(nodes) for name in node.input}
    for k, node in enumerate(nodes):
        data, name = node.input[0], node.output[0]
        if node.op_type == "Reshape":
            context[name] = context[data].reshape(len(frames), -1)
        elif node.op_type == "ConvolutionInputGenerator":
            context[name] = _windows(model, node, context[data])
        elif node.op_type == "DuplicateStreams":
            context.update(dict.fromkeys(node.output, context[data]))
        elif node.op_type == "VVAU":  # it takes one image, so the rows of all frames are one
            image = {**context, data: context[data].reshape(1, -1, *context[data].shape[2:])}
            execute_node(node, image, model.graph, model.get_opset_imports()[""])
            context[name] = image[name].reshape(model.get_tensor_shape(name))
        else:
            context[name] = np.empty(model.get_tensor_shape(name), np.float32)
            execute_node(node, context, model.graph, model.get_opset_imports()[""])
        if keep is None or name in keep:
            results[name] = context[name].reshape(len(frames), -1)
        for read in node.input:
            if last_reader[read] == k:
                del context[read]
    return results


def _windows(model: ModelWrapper, node: onnx.NodeProto, frames: Array) -> Array:
    """Windows (F, OH, OW, KH * KW * C) of frames (F, H, W, C). FINN's code takes one frame, so F goes into channels."""
    count, height, width, channels = frames.shape
    shape = model.get_tensor_shape(node.output[0])
    context = {
        node.input[0]: frames.transpose(1, 2, 0, 3).reshape(1, height, width, count * channels),
        node.output[0]: np.empty((1, *shape[1:3], count * shape[3]), np.float32),
    }
    getCustomOp(node).execute_node(context, model.graph)
    windows: Array = context[node.output[0]].reshape(*shape[1:3], -1, count, channels)
    return windows.transpose(3, 0, 1, 2, 4).reshape(count, *shape[1:])
