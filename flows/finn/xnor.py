# SPDX-License-Identifier: Apache-2.0
"""From products of -1 and +1 to XNOR and popcount, in graphs.

A product of -1 and +1 becomes qonnx's XnorPopcountMatMul on 0 and 1, times 2, less the number of columns. qonnx's own
ConvertBipolarMatMulToXnorPopcount looks for the one threshold before a product and finds none behind a concatenation or
a fork; and it leaves another reader of the bits, such as a sum, which expects -1 and +1, with 0 and 1, silently. So we
convert every threshold from which a product reads, and put 2 x - 1 before the other readers. The value of a pad of bits
becomes a bit, too.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

PASSING = ("Concat", "Flatten", "Im2Col", "MaxPool", "MaxPoolNHWC", "Pad", "Reshape", "Transpose")  # they keep elements


def to_xnor(model: ModelWrapper) -> ModelWrapper:
    """Convert all products of -1 and +1; the rest of the graph keeps its values."""
    bipolar, bits = DataType["BIPOLAR"], set[str]()
    for node in model.get_nodes_by_op_type("MatMul"):
        if all(model.get_tensor_datatype(name) == bipolar for name in node.input):
            _collect(model, node.input[0], bits)
            _to_popcount(model, node)
    for node in list(model.graph.node):
        if node.op_type == "MultiThreshold" and node.output[0] in bits:
            _to_bits(node)
        if node.op_type == "Pad" and node.output[0] in bits:
            model.set_initializer(node.input[2], (model.get_initializer(node.input[2]) + 1) / 2)
    for name in sorted(bits):
        model.set_tensor_datatype(name, DataType["BINARY"])
        _decode(model, name, bits)
    return model


def _to_popcount(model: ModelWrapper, node: onnx.NodeProto) -> None:
    """Make a product of -1 and +1 one of bits, and its result that of before."""
    weights, result = model.get_initializer(node.input[1]), node.output[0]
    model.set_initializer(node.input[1], (weights + 1) / 2)
    model.set_tensor_datatype(node.input[1], DataType["BINARY"])
    node.op_type, node.domain = "XnorPopcountMatMul", "qonnx.custom_op.general"
    node.output[0] = model.make_new_valueinfo_name()
    model.set_tensor_shape(node.output[0], model.get_tensor_shape(result))
    model.set_tensor_datatype(node.output[0], DataType["UINT32"])
    _affine(model, node.output[0], (2.0, -float(len(weights))), list(model.graph.node).index(node) + 1, result)


def _affine(model: ModelWrapper, name: str, values: tuple[float, float], at: int, result: str) -> None:
    """Insert a Mul and an Add of integer constants, whose result gets a name."""
    shape = model.get_tensor_shape(name)
    for op, value, made in zip(("Mul", "Add"), values, (model.make_new_valueinfo_name(), result), strict=True):
        constant = f"{made}_{op.lower()}"
        model.set_initializer(constant, np.array([value], np.float32))
        model.set_tensor_datatype(constant, DataType["INT32"])
        model.graph.node.insert(at, helper.make_node(op, [name, constant], [made]))
        model.set_tensor_shape(made, shape)
        name, at = made, at + 1


def _collect(model: ModelWrapper, name: str, bits: set[str]) -> None:
    """Add the tensors whose elements a product reads as bits."""
    if name in bits or model.get_initializer(name) is not None:
        return
    bits.add(name)
    node = model.find_producer(name)
    if node is not None and node.op_type in PASSING:
        count = len(node.input) if node.op_type == "Concat" else 1
        for before in node.input[:count]:
            _collect(model, before, bits)


def _to_bits(node: onnx.NodeProto) -> None:
    """Make a threshold output 0 and 1."""
    step = getCustomOp(node)
    step.set_nodeattr("out_dtype", "BINARY")
    step.set_nodeattr("out_scale", 1.0)
    step.set_nodeattr("out_bias", 0.0)


def _decode(model: ModelWrapper, name: str, bits: set[str]) -> None:
    """Give the readers of bits that expect -1 and +1 these values."""
    readers = [
        node
        for node in model.find_consumers(name) or []
        if node.op_type != "XnorPopcountMatMul" and node.output[0] not in bits
    ]
    if not readers:
        return
    at = min(list(model.graph.node).index(node) for node in readers)
    decoded = f"{name}_decoded"
    _affine(model, name, (2.0, -1.0), at, decoded)
    model.set_tensor_datatype(decoded, DataType["BIPOLAR"])
    for node in readers:
        for i, read in enumerate(node.input):
            if read == name:
                node.input[i] = decoded
