# SPDX-License-Identifier: Apache-2.0
"""Checks of what onnx takes for granted and crashes on: attributes in range, complete constants, valid text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows.frontend.chain import Place

SIDE = 1 << 16  # largest kernel, stride or pad
ELEMENTS = 1 << 28  # in a tensor at most: 1 GiB of float32
AXES = 8  # of a tensor at most
SHOWN = 200  # characters of a library's own message


@dataclass(frozen=True)
class Rule:
    """The constraint on an attribute: its type, and its smallest and largest number."""

    type: int
    low: float = -math.inf
    high: float = math.inf

    def broken(self, found: onnx.AttributeProto) -> str:
        """What is needed instead; empty if the attribute meets the rule."""
        if found.type != self.type:
            return f"{AttributeProto.AttributeType.Name(self.type)} is needed"
        if self.type == AttributeProto.STRING:
            return ""
        value = onnx.helper.get_attribute_value(found)
        values = value if isinstance(value, list) else [value]
        kept = all(math.isfinite(v) and self.low <= v <= self.high for v in values)
        return "" if kept else f"{self.low:g} to {self.high:g} is needed"


TEXT = Rule(AttributeProto.STRING)
FLAG = Rule(AttributeProto.INT, 0, 1)
OFF = Rule(AttributeProto.INT, 0, 0)
ON = Rule(AttributeProto.INT, 1, 1)
NUMBER = Rule(AttributeProto.FLOAT)
SIDES = Rule(AttributeProto.INTS, 1, SIDE)
AXIS = Rule(AttributeProto.INT, -AXES, AXES)
AXIS_LIST = Rule(AttributeProto.INTS, -AXES, AXES)
PADS = Rule(AttributeProto.INTS, -SIDE, SIDE)
WINDOW = {"auto_pad": TEXT, "ceil_mode": FLAG, "dilations": SIDES, "kernel_shape": SIDES, "pads": PADS,
          "strides": SIDES}  # fmt: skip
RULES: dict[str, dict[str, Rule]] = {
    "ArgMax": {"axis": AXIS, "keepdims": FLAG, "select_last_index": FLAG},
    "AveragePool": {**WINDOW, "count_include_pad": FLAG},
    "BatchNormalization": {"epsilon": Rule(AttributeProto.FLOAT, 0, 1), "spatial": ON, "training_mode": OFF},
    "Clip": {"max": NUMBER, "min": NUMBER},
    "Conv": {**WINDOW, "group": Rule(AttributeProto.INT, 1, SIDE)},
    "Flatten": {"axis": AXIS},
    "Gemm": {"alpha": NUMBER, "beta": NUMBER, "transA": FLAG, "transB": FLAG},
    "HardSigmoid": {"alpha": NUMBER, "beta": NUMBER},
    "LeakyRelu": {"alpha": NUMBER},
    "LogSoftmax": {"axis": AXIS},
    "MaxPool": WINDOW,
    "MultiThreshold": {"data_layout": TEXT, "out_bias": NUMBER, "out_dtype": TEXT, "out_scale": NUMBER},
    "Pad": {"mode": TEXT, "pads": PADS, "value": NUMBER},
    "Quant": {"narrow": FLAG, "rounding_mode": TEXT, "signed": FLAG},
    "ReduceMean": {"axes": AXIS_LIST, "keepdims": FLAG},
    "Softmax": {"axis": AXIS},
    "Squeeze": {"axes": AXIS_LIST},
    "Trunc": {"narrow": FLAG, "rounding_mode": TEXT, "signed": FLAG},
    "TopK": {"axis": AXIS, "k": Rule(AttributeProto.INT, 1, SIDE), "largest": FLAG, "sorted": FLAG},
    "Transpose": {"perm": Rule(AttributeProto.INTS, 0, AXES)},
    "Unsqueeze": {"axes": AXIS_LIST},
}
REQUIRED = {"Quant": ("narrow", "signed")}  # for the kinds that onnx's checker does not know
NUMBERS = (
    "bool",
    "double",
    "float",
    "float16",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
)
INPUTS = {
    "BipolarQuant": ("data", "scale"),
    "MultiThreshold": ("data", "thresholds"),
    "Quant": ("data", "scale", "zero point", "bit width"),
    "Trunc": ("data", "scale", "zero point", "bit width", "output scale", "output bit width"),
}


def reason(error: Exception) -> str:
    """A library's own message as one short line, without its source locations."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    text = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    text = text.rpartition("[ONNXRuntimeError] : ")[2].removesuffix(".")
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def type_name(kind: int) -> str:
    """The name of an element type."""
    known = kind in TensorProto.DataType.values()
    return str(TensorProto.DataType.Name(kind)).lower() if known else str(kind)


def check_text(model: onnx.ModelProto) -> None:
    """Raise `ValueError` for a name that is not UTF-8, which protobuf returns as bytes."""
    for text in _texts(model):
        if isinstance(text, bytes):
            raise ValueError(f"{text!r:.60} is not text")  # noqa: TRY004  # a fault of the file, not of a caller


def _texts(model: onnx.ModelProto) -> Iterator[str | bytes]:
    yield from (opset.domain for opset in model.opset_import)
    for node in model.graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (found.name for found in node.attribute)
    for value in (*model.graph.input, *model.graph.output):
        yield from (value.name, *(dim.dim_param for dim in value.type.tensor_type.shape.dim))
    for tensor in model.graph.initializer:
        yield tensor.name
        yield from (part for entry in tensor.external_data for part in (entry.key, entry.value))


def check_node(place: Place, node: onnx.NodeProto) -> None:
    """Refuse a node with wrong attributes or a wrong number of inputs or outputs."""
    if not node.output or not node.output[0]:
        place.refuse("has no output; each node needs one; export it again")
    if (wanted := INPUTS.get(node.op_type)) and (len(node.input) != len(wanted) or not all(node.input)):
        place.refuse(f"has inputs {list(node.input)}; {', '.join(wanted)} are needed; export it again")
    for found in node.attribute:
        _check_attribute(place, found, RULES.get(node.op_type, {}).get(found.name))
    names = Counter(found.name for found in node.attribute)
    if twice := [name for name, count in names.items() if count > 1]:
        place.refuse(f"has attribute {twice[0]!r} twice; names must be unique; export it again")
    if missing := [name for name in REQUIRED.get(node.op_type, ()) if name not in names]:
        place.refuse(f"lacks attribute {missing[0]!r}, which is required; export it again")


def _check_attribute(place: Place, found: onnx.AttributeProto, rule: Rule | None) -> None:
    if found.g.node or found.graphs or found.ref_attr_name:
        place.refuse(
            f"attribute {found.name!r} holds a graph or refers to a function; only plain nodes can be read; "
            "export a network without control flow"
        )
    if found.type == AttributeProto.STRING:
        try:
            found.s.decode()
        except UnicodeDecodeError:
            place.refuse(f"attribute {found.name!r} is not text; UTF-8 is needed; export it again")
    if rule and (needed := rule.broken(found)):
        place.refuse(f"attribute {found.name} is {_shown(found)}; {needed}; export it again")


def _shown(found: onnx.AttributeProto) -> str:
    value = found.type and onnx.helper.get_attribute_value(found)
    return f"{value!r:.60}" if found.type in (AttributeProto.INT, AttributeProto.INTS, AttributeProto.FLOAT) else (
        f"of type {AttributeProto.AttributeType.Name(found.type)}"
    )  # fmt: skip


def check_tensors(path: Path, model: onnx.ModelProto) -> None:
    """Refuse constants that are damaged or too large; loads external data from the model's own folder."""
    names = Counter(tensor.name for tensor in model.graph.initializer)
    if twice := [name for name, count in names.items() if count > 1]:
        raise UserError(f"{path}: constant {twice[0]!r} exists twice; names must be unique; export it again")
    for tensor in _tensors(model):
        where = f"{path}: constant {tensor.name!r}"
        if any(d < 0 for d in tensor.dims) or math.prod(tensor.dims) > ELEMENTS:
            raise UserError(
                f"{where} has shape {list(tensor.dims)}; at most {ELEMENTS:,} elements can be read; export it again"
            )
        if tensor.data_location == TensorProto.EXTERNAL:
            _load_external(where, path, tensor)
        if type_name(tensor.data_type) not in NUMBERS:
            raise UserError(
                f"{where} has type {type_name(tensor.data_type)}; one of {', '.join(NUMBERS)} is needed; export it "
                "again"
            )
        try:
            numpy_helper.to_array(tensor)
        except (TypeError, ValueError) as error:
            raise UserError(f"{where} is damaged ({reason(error)}); export it again") from error


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for found in node.attribute:
            if found.type == AttributeProto.TENSOR:
                yield found.t
            yield from found.tensors


def locations(model: onnx.ModelProto) -> list[str]:
    """The files, as the model names them, that hold its external constants."""
    return sorted({_location(t) for t in _tensors(model) if t.data_location == TensorProto.EXTERNAL})


def _location(tensor: onnx.TensorProto) -> str:
    return next((str(entry.value) for entry in tensor.external_data if entry.key == "location"), "")


def _load_external(where: str, path: Path, tensor: onnx.TensorProto) -> None:
    """Load a tensor's external data; only a regular file in the model's own folder is opened."""
    location = _location(tensor)
    folder, place = path.parent.resolve(), Path(location)
    inside = location and "\0" not in location and (folder / place).resolve().is_relative_to(folder)
    if not inside or place.is_absolute():
        raise UserError(
            f"{where} is stored in {location!r}; external data must be in the model's own folder; save it as one file"
        )
    try:
        files.regular(path.parent / place, "put it beside the model")
    except UserError as error:
        raise UserError(f"{where} is stored externally: {error}") from error
    try:
        onnx.external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise UserError(f"{where}: its external data does not fit ({reason(error)}); save it as one file") from error
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]
