# SPDX-License-Identifier: Apache-2.0
"""Malformed and odd model files, made from good ones: bytes damaged, and the parts of the protobuf changed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from tests.fuzz.damage import cut, flip, zero
from tests.fuzz.networks import good

BYTES = 0.25  # the share of cases whose bytes are damaged
INTEGERS = (-(1 << 63), -(1 << 31), -3, -1, 0, 1, 2, 3, 5, 99, 1 << 16, 1 << 31, (1 << 63) - 1)
FLOATS = (float("nan"), float("inf"), -1.0, 0.0, 1e-45, 0.3, 1.5, 33.0, 3e38)
TEXTS = ("", "x", "t0", "t3", "c0", "c1", "SAME_UPPER", "VALID", "FLOOR", "reflect", "../../etc/passwd", "a\nb", "\0")
KINDS = (
    "Abs", "Add", "ArgMax", "AveragePool", "BatchNormalization", "BipolarQuant", "Cast", "Clip", "Concat",
    "Constant", "Conv", "ConvTranspose", "Div", "Dropout", "Expand", "Flatten", "Gather", "Gemm",
    "GlobalAveragePool", "Identity", "If", "HardSigmoid", "LSTM", "LeakyRelu", "LogSoftmax", "LpPool", "MatMul",
    "MaxPool", "Mul", "MultiThreshold", "Pad", "Quant", "RandomNormalLike", "ReduceMean", "Relu", "Reshape",
    "Resize", "SequenceConstruct", "Shape", "Sigmoid", "Sign", "Slice", "Softmax", "Squeeze", "Sub", "Tanh",
    "Tile", "TopK", "Transpose", "Trunc", "Unsqueeze",
)  # fmt: skip
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "finn.custom_op.fpgadataflow", "finn.custom_op.general",
           "onnx.brevitas", "qonnx.custom_op.channels_last", "qonnx.custom_op.general", "none")  # fmt: skip
NAMES = (
    "alpha", "auto_pad", "axes", "axis", "count_include_pad", "ceil_mode", "dilations", "epsilon", "group",
    "kernel_shape", "mode", "narrow", "pads", "perm", "rounding_mode", "signed", "strides", "training_mode",
    "value",
)  # fmt: skip
TYPES = (TensorProto.DOUBLE, TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.INT8,
         TensorProto.STRING, TensorProto.UNDEFINED, 99)  # fmt: skip
Change = Callable[[random.Random, onnx.ModelProto], None]


def cases(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """`count` files with their names; the same for the same seed."""
    files = good()
    for index in range(count):
        rng = random.Random(f"{seed} {index}")  # noqa: S311  # no secret
        base = rng.choice(sorted(files))
        if rng.random() < BYTES:
            change = rng.choice((cut, flip, zero))
            yield f"{index}: {base} {change.__name__}", change(rng, files[base])
            continue
        model = onnx.load_model_from_string(files[base])
        changes = [rng.choice(CHANGES) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        for each in changes:
            if model.graph.input and model.graph.output:
                each(rng, model)
        yield f"{index}: {base} {' '.join(c.__name__.strip('_') for c in changes)}", model.SerializeToString()


def _node(rng: random.Random, model: onnx.ModelProto) -> onnx.NodeProto:
    return rng.choice(model.graph.node or [model.graph.node.add()])


def _tensor(rng: random.Random, model: onnx.ModelProto) -> onnx.TensorProto:
    return rng.choice(model.graph.initializer or [model.graph.initializer.add()])


def _names(model: onnx.ModelProto) -> list[str]:
    """Of all tensors, and two that are none."""
    return sorted({"", "nothing", *(name for n in model.graph.node for name in (*n.input, *n.output))})


def _drop_node(rng: random.Random, model: onnx.ModelProto) -> None:
    if model.graph.node:
        del model.graph.node[rng.randrange(len(model.graph.node))]


def _bypass_node(rng: random.Random, model: onnx.ModelProto) -> None:
    """Remove a node and join its ends."""
    if len(model.graph.node) > 1:
        gone = model.graph.node.pop(rng.randrange(len(model.graph.node) - 1))
        for node in model.graph.node:
            for i, name in enumerate(node.input):
                if gone.output and gone.input and name == gone.output[0]:
                    node.input[i] = gone.input[0]


def _repeat_node(rng: random.Random, model: onnx.ModelProto) -> None:
    """Put a second node of the same kind behind one."""
    node = _node(rng, model)
    if not node.input or not node.output:
        return
    again = onnx.NodeProto()
    again.CopyFrom(node)
    again.name = "again"
    node.output[0] = again.input[0] = "between"
    model.graph.node.insert(list(model.graph.node).index(node) + 1, again)


def _copy_node(rng: random.Random, model: onnx.ModelProto) -> None:
    model.graph.node.append(_node(rng, model))


def _reorder(rng: random.Random, model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    rng.shuffle(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _kind(rng: random.Random, model: onnx.ModelProto) -> None:
    node = _node(rng, model)
    node.op_type = rng.choice(KINDS)
    if rng.random() < 0.5:
        del node.attribute[:]


def _domain(rng: random.Random, model: onnx.ModelProto) -> None:
    _node(rng, model).domain = rng.choice(DOMAINS)


def _value(rng: random.Random) -> Any:
    kind = rng.choice(("int", "ints", "float", "text", "tensor", "graph"))
    if kind == "ints":
        return [rng.choice(INTEGERS) for _ in range(rng.choice((1, 2, 2, 4, 4, 8)))]
    if kind == "tensor":
        return numpy_helper.from_array(np.array([rng.choice(FLOATS)], np.float32))
    if kind == "graph":
        return helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "inner", [], [])
    return rng.choice({"int": INTEGERS, "float": FLOATS, "text": TEXTS}[kind])


def _attribute(rng: random.Random, model: onnx.ModelProto) -> None:
    """Change one, or the values in a list, or add one."""
    node = _node(rng, model)
    name = rng.choice([a.name for a in node.attribute] or NAMES) if rng.random() < 0.8 else rng.choice(NAMES)
    found = [a for a in node.attribute if a.name == name]
    if found and found[0].type == AttributeProto.INTS and found[0].ints and rng.random() < 0.6:
        found[0].ints[rng.randrange(len(found[0].ints))] = rng.choice(INTEGERS)
    elif found and found[0].type == AttributeProto.INT and rng.random() < 0.6:
        found[0].i = rng.choice(INTEGERS)
    else:
        for old in found:
            node.attribute.remove(old)
        node.attribute.append(helper.make_attribute(name, _value(rng)))


def _drop_attribute(rng: random.Random, model: onnx.ModelProto) -> None:
    node = _node(rng, model)
    if node.attribute:
        del node.attribute[rng.randrange(len(node.attribute))]


def _input_shape(rng: random.Random, model: onnx.ModelProto) -> None:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    if rng.random() < 0.3 or not dims:
        dims.add(dim_value=rng.choice(INTEGERS))
    elif rng.random() < 0.3:
        dims.pop()
    else:
        rng.choice(dims).dim_value = rng.choice(INTEGERS)


def _type(rng: random.Random, model: onnx.ModelProto) -> None:
    """Of a constant, or of the input or output."""
    if rng.random() < 0.5:
        _tensor(rng, model).data_type = rng.choice(TYPES)
    else:
        rng.choice((*model.graph.input, *model.graph.output)).type.tensor_type.elem_type = rng.choice(TYPES)


def _version(rng: random.Random, model: onnx.ModelProto) -> None:
    """Of the format, or of the operators, which may be missing."""
    if rng.random() < 0.3:
        model.ir_version = rng.choice((0, 1, 3, 4, 10, 99, 1 << 40))
    elif rng.random() < 0.2:
        model.opset_import.pop()
    elif model.opset_import:
        rng.choice(model.opset_import).version = rng.choice((0, 1, 6, 7, 8, 9, 10, 11, 12, 14, 17, 18, 20, 26, 99))


def _drop_constant(rng: random.Random, model: onnx.ModelProto) -> None:
    if model.graph.initializer:
        del model.graph.initializer[rng.randrange(len(model.graph.initializer))]


def _constant_shape(rng: random.Random, model: onnx.ModelProto) -> None:
    """Another shape of the same numbers, or a shape that they do not fill."""
    tensor = _tensor(rng, model)
    dims = list(tensor.dims)
    if rng.random() < 0.6:
        dims = rng.choice(([*dims, 1], [1, *dims], dims[::-1], [int(np.prod(dims))]))
    else:
        dims = [rng.choice(INTEGERS) for _ in range(rng.choice((0, 1, 2, 4)))]
    del tensor.dims[:]
    tensor.dims.extend(dims)


def _constant_value(rng: random.Random, model: onnx.ModelProto) -> None:
    """One number of a constant, or all of them, of its type or another."""
    tensor = _tensor(rng, model)
    try:
        values = np.array(numpy_helper.to_array(tensor))
    except (KeyError, TypeError, ValueError, onnx.checker.ValidationError):  # damaged before
        return
    if values.size and rng.random() < 0.5:
        values.reshape(-1)[rng.randrange(values.size)] = rng.choice((-7, -1, 0, 1, 3, 100))
    elif rng.random() < 0.5 and values.dtype.kind == "f":
        values = np.full_like(values, rng.choice(FLOATS))
    else:
        values = values.astype(rng.choice((np.float64, np.float16, np.int64, np.int32, np.int8, np.bool_)))
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _constant_size(rng: random.Random, model: onnx.ModelProto) -> None:
    """A constant of other sides, filled."""
    tensor = _tensor(rng, model)
    shape = [rng.choice((1, 2, 3, 4, 8)) for _ in range(rng.choice((0, 1, 2, 2, 4)))]
    tensor.CopyFrom(numpy_helper.from_array(np.ones(shape, np.float32), tensor.name))


def _external(rng: random.Random, model: onnx.ModelProto) -> None:
    tensor = _tensor(rng, model)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=rng.choice(TEXTS))
    if rng.random() < 0.5:
        tensor.external_data.add(key=rng.choice(("offset", "length", "other")), value=rng.choice(("-1", "9" * 30, "x")))


def _rename(rng: random.Random, model: onnx.ModelProto) -> None:
    """Let a node read or write another tensor."""
    node = _node(rng, model)
    names = node.input if rng.random() < 0.7 and node.input else node.output
    if names:
        names[rng.randrange(len(names))] = rng.choice(_names(model))


def _more_inputs(rng: random.Random, model: onnx.ModelProto) -> None:
    node = _node(rng, model)
    names = node.input if rng.random() < 0.7 else node.output
    if names and rng.random() < 0.5:
        names.pop()
    else:
        names.append(rng.choice(_names(model)))


def _branch(rng: random.Random, model: onnx.ModelProto) -> None:
    """A node that reads two tensors of the path."""
    names = [name for node in model.graph.node for name in node.output]
    if names:
        kind = rng.choice(("Add", "Concat", "MatMul", "Mul"))
        attributes = {"axis": 1} if kind == "Concat" else {}
        inputs = [rng.choice(names), rng.choice(names)]
        model.graph.node.append(helper.make_node(kind, inputs, ["branch"], name="branch", **attributes))


def _output(rng: random.Random, model: onnx.ModelProto) -> None:
    if rng.random() < 0.3:
        model.graph.output.add(name=rng.choice(_names(model)))
    else:
        model.graph.output[0].name = rng.choice(_names(model))


def _extra(rng: random.Random, model: onnx.ModelProto) -> None:
    """What a chain of nodes has no use for."""
    graph = model.graph
    rng.choice((
        lambda: graph.input.add(name="second"),
        lambda: graph.sparse_initializer.add(),
        lambda: model.functions.add(name="f", domain="d"),
        lambda: graph.input[0].type.sequence_type.SetInParent(),
        lambda: graph.input[0].type.optional_type.elem_type.tensor_type.SetInParent(),
        lambda: graph.initializer.append(_tensor(rng, model)),
        lambda: graph.value_info.append(helper.make_tensor_value_info("t1", rng.choice((1, 7)), [9, 9])),
        lambda: graph.quantization_annotation.add(tensor_name="t1"),
        lambda: model.training_info.add(),
        lambda: model.ClearField("graph"),
    ))()  # fmt: skip


CHANGES: tuple[Change, ...] = (
    _drop_node, _bypass_node, _repeat_node, _copy_node, _reorder, _kind, _kind, _domain, _attribute, _attribute,
    _attribute, _drop_attribute, _input_shape, _type, _type, _version, _drop_constant, _constant_shape, _constant_value,
    _constant_value, _constant_size, _external, _rename, _rename, _more_inputs, _branch, _output, _extra,
)  # fmt: skip
