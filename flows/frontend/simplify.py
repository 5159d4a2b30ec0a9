# SPDX-License-Identifier: Apache-2.0
"""Simplifies a model: drops identities and what only names the largest class, folds constants, infers every shape.

onnx and onnxruntime do not know quantizers, so they get a stand-in with an Identity in place of each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from adiabit.errors import UserError
from adiabit.flows.frontend.kinds import CONVOLUTIONS, LABELS, PRODUCTS, QDQ, QUANTIZERS, RANKS, SHAPES
from adiabit.flows.frontend.model_check import ELEMENTS, reason
from adiabit.flows.frontend.nodes import attribute, quantized
from adiabit.flows.frontend.qdq import to_quant

UNFOLDED = (*QUANTIZERS, *QDQ, "Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike",
            "RandomUniform", "RandomUniformLike")  # fmt: skip
IR_VERSION = 8  # of the models for onnxruntime; from 4 on, constants need not be inputs


def simplified(path: Path, model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model, simplified in place; `UserError` if its constants cannot be computed."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    _replace(graph.input, [i for i in graph.input if i.name not in constants])
    _replace(graph.node, _without_identities(graph))
    _infer(path, model)
    while _fold(path, model) or to_quant(path, model) or _fold_quantizers(graph):
        _infer(path, model)
    while end := _absorbable(graph):
        graph.output[0].name = end.input[0]
        graph.node.remove(end)
        _infer(path, model)
    described = {value.name for value in graph.value_info}
    graph.value_info.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in graph.initializer
        if tensor.name not in described
    )
    return model


def stand_in(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose nodes onnx and onnxruntime all know: an Identity replaces each quantizer."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    plain.ir_version = IR_VERSION
    for node in plain.graph.node:
        if node.op_type in QUANTIZERS:
            node.op_type, node.domain = "Identity", ""
            del node.input[1:], node.attribute[:]
    _replace(plain.opset_import, [opset for opset in plain.opset_import if not opset.domain])
    return plain


def run(model: onnx.ModelProto, feed: Mapping[str, npt.NDArray[Any]]) -> list[Any]:
    """The outputs of a model of ONNX's own operators; `ValueError` if onnxruntime refuses it."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, so they need not be printed too
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return list(session.run(None, dict(feed)))
    except Exception as error:  # its exceptions have no common base
        raise ValueError(reason(error)) from error


def why_unknown(model: onnx.ModelProto) -> str:
    """onnx's reason why a shape is unknown; empty if it gives none."""
    try:
        onnx.shape_inference.infer_shapes(stand_in(model), strict_mode=True, data_prop=True)
    except (ValueError, onnx.shape_inference.InferenceError) as error:
        return reason(error).removeprefix("[ShapeInferenceError] Inference error(s): ")
    return ""


def known_shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    """The shape of a tensor; None unless every axis has a fixed size."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    return tuple(int(dim.dim_value) for dim in tensor.shape.dim)


def _replace(field: Any, items: list[Any]) -> None:
    del field[:]
    field.extend(items)


def _without_identities(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes without Identity and Dropout, which are bypassed; one that ends the network stays."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    ends = {value.name for value in graph.output}
    renamed: dict[str, str] = {}
    kept = []
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name in renamed:
                node.input[i] = renamed[name]
        if node.output[0] not in ends and _passes(node, constants, read):
            renamed[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    return kept


def _passes(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto], read: set[str]) -> bool:
    """Whether a node's output is its input."""
    if node.op_type == "Identity":
        return True
    if node.op_type != "Dropout" or any(name in read for name in node.output[1:] if name):
        return False
    training = node.input[2] if len(node.input) > 2 else ""
    return not training or (training in constants and not numpy_helper.to_array(constants[training]).any())


def _infer(path: Path, model: onnx.ModelProto) -> None:
    """Infer every shape from the input's; shapes stated in the file are ignored."""
    graph = model.graph
    del graph.value_info[:]
    for value in graph.output:
        value.ClearField("type")
    try:
        found = onnx.shape_inference.infer_shapes(stand_in(model), data_prop=True).graph
    except (ValueError, onnx.shape_inference.InferenceError) as error:
        raise UserError(f"{path}: its shapes do not fit together ({reason(error)}); export it again") from error
    ends = {value.name for value in graph.output}
    graph.value_info.extend(value for value in found.value_info if value.name not in ends)
    _replace(graph.output, list(found.output))
    for value in (*graph.input, *graph.value_info, *graph.output):
        shape = known_shape(value)
        if shape is not None and math.prod(shape) > ELEMENTS:
            raise UserError(
                f"{path}: tensor {value.name!r} has shape {list(shape)}; at most {ELEMENTS:,} elements can be "
                "computed; check the model"
            )


def _fold(path: Path, model: onnx.ModelProto) -> bool:
    """Replace the nodes that read only constants by their values, all at once; returns whether there were any."""
    graph = model.graph
    kept, folded = _split(graph)
    wanted = {name for node in kept for name in node.input} | {value.name for value in graph.output}
    names = [name for node in folded for name in node.output if name and name in wanted]
    if names:
        ends = [onnx.ValueInfoProto(name=name) for name in names]
        part = helper.make_graph(folded, "constants", [], ends, graph.initializer)
        try:
            values = run(helper.make_model(part, opset_imports=model.opset_import, ir_version=IR_VERSION), {})
            graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in zip(names, values, strict=True))
        except (TypeError, ValueError, AttributeError) as error:  # TypeError, AttributeError: a sequence, not an array
            raise UserError(f"{path}: its constants cannot be computed ({reason(error)}); export it again") from error
    _replace(graph.node, kept)
    return bool(folded)


def _split(graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """The nodes that depend on data, and those that are constant; a Shape of known shape becomes a Constant."""
    constants = {tensor.name for tensor in graph.initializer}
    described = {value.name: known_shape(value) for value in (*graph.input, *graph.value_info)}
    kept, folded = [], []
    for node in graph.node:
        shape = described.get(node.input[0]) if node.op_type == "Shape" and node.input else None
        if shape is not None:
            folded.append(_shape_constant(node, shape))
        elif _is_constant(node, constants):
            folded.append(node)
        else:
            kept.append(node)
            continue
        constants.update(node.output)
    return kept, folded


def _is_constant(node: onnx.NodeProto, constants: set[str]) -> bool:
    if node.op_type in UNFOLDED or not (node.input or node.op_type == "Constant"):
        return False
    return constants.issuperset(filter(None, node.input))


def _fold_quantizers(graph: onnx.GraphProto) -> bool:
    """Replace quantized constants other than weights by their values; returns whether there were any."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    weights = _weights(graph)
    found = [n for n in graph.node if n.op_type in QUANTIZERS and n.output[0] not in weights
             and constants.keys() >= set(n.input)]  # fmt: skip
    for node in found:
        values = quantized(node, [numpy_helper.to_array(constants[name]) for name in node.input])
        graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        graph.node.remove(node)
    return bool(found)


def _weights(graph: onnx.GraphProto) -> set[str]:
    """The tensors that are weights of products, perhaps after moves."""
    producers = {name: node for node in graph.node for name in node.output}
    waiting = [node.input[1] for node in graph.node if node.op_type in (*PRODUCTS, *CONVOLUTIONS) and node.input[1:]]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            if (node := producers.get(name)) is not None and node.op_type in ("Transpose", *SHAPES):
                waiting.append(node.input[0])
    return found


def _absorbable(graph: onnx.GraphProto) -> onnx.NodeProto | None:
    """The node that ends the network, if it only ranks the classes, or names the largest, or moves that name."""
    producers = {name: node for node in graph.node for name in node.output}
    end = producers.get(graph.output[0].name)
    label = end
    while label is not None and label.op_type in ("Cast", *SHAPES):
        label = producers.get(label.input[0])
    moved = label is not end and label is not None and label.op_type in LABELS
    return end if end is not None and (moved or _ranks(graph, end)) else None


def _ranks(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    """Whether a node keeps the order of the classes, or takes the first of the largest."""
    if node.op_type == "Sigmoid":
        return True
    rank = {v.name: len(v.type.tensor_type.shape.dim) for v in (*graph.value_info, *graph.input)}.get(node.input[0], 0)
    axis = attribute(node, "axis", {"ArgMax": 0}.get(node.op_type, -1))
    if node.op_type not in (*RANKS, *LABELS) or rank < 2 or axis % rank != 1:
        return False
    if node.op_type == "TopK":
        count = next((numpy_helper.to_array(t) for t in graph.initializer if t.name == [*node.input, ""][1]), None)
        one = count is not None and count.size == 1 and bool(count.reshape(-1)[0] == 1)
        return (one or attribute(node, "k", 0) == 1) and bool(attribute(node, "largest", 1))
    return not attribute(node, "select_last_index", 0)


def _shape_constant(node: onnx.NodeProto, shape: tuple[int, ...]) -> onnx.NodeProto:
    """The Constant that replaces a Shape."""
    limits = {a.name: a.i for a in node.attribute}
    value = np.array(shape[limits.get("start", 0) : limits.get("end", len(shape))], np.int64)
    return helper.make_node("Constant", [], list(node.output), value=numpy_helper.from_array(value))
