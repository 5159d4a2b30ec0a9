# SPDX-License-Identifier: Apache-2.0
"""Opening an ONNX file; damaged files, other dialects and unsuitable inputs are refused before a library sees them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto
from qonnx.core.modelwrapper import ModelWrapper

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows.frontend import model_check
from adiabit.flows.frontend.chain import Place
from adiabit.flows.frontend.kinds import ALIASES, BREVITAS, CHANNELS_LAST, DOMAIN, QUANTIZERS, STANDARD, refuse_kind
from adiabit.flows.frontend.simplify import simplified

SIZE = 2 << 30  # bytes, protobuf's limit
OPSETS = range(7, onnx.defs.onnx_opset_version() + 1)  # older opsets broadcast differently
GIVE = "give the path of a QONNX file"


def load(path: Path) -> ModelWrapper:
    """The model of a file that `read` accepts, with constants folded and a batch of 1; names are the file's own."""
    model = simplified(path, open_model(path))
    return ModelWrapper(model, fix_missing_initializer_valueinfo=False)  # none is missing; looking takes squared time


def digest(path: Path) -> str:
    """SHA-256 of a model file and of the files beside it with its external constants; missing ones are left out.

    `UserError` if the file is not an ONNX model.
    """
    found = hashlib.sha256(files.read_bytes(path, GIVE))
    for location in model_check.locations(_parsed(path)):
        beside = path.parent / location
        if "\0" not in location and beside.is_file():
            found.update(files.read_bytes(beside, GIVE))
    return found.hexdigest()


def open_model(path: Path) -> onnx.ModelProto:
    """The model of a file, with quantizers in qonnx's current domain, a batch of 1, and external data loaded."""
    model = _parsed(path)
    graph = model.graph
    _check_graph(path, model)
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [i for i in graph.input if i.name not in constants]
    if not graph.node or len(inputs) != 1 or len(graph.output) != 1:
        raise UserError(
            f"{path}: has {len(graph.node)} nodes, inputs {[i.name for i in inputs]} and outputs "
            f"{[o.name for o in graph.output]}; nodes, one input and one output are needed; export such a network"
        )
    if graph.output[0].name not in {name for node in graph.node for name in node.output}:
        raise UserError(f"{path}: no node computes the output {graph.output[0].name!r}; one must; export it again")
    _fix_shape(path, inputs[0])
    _channels_first(model)
    for place, node in zip(places(path, model), graph.node, strict=True):
        _modernize(place, node)
        model_check.check_node(place, node)
    _fix_opsets(path, model)
    model_check.check_tensors(path, model)
    try:
        onnx.checker.check_model(model)
    except (ValueError, onnx.checker.ValidationError) as error:
        raise UserError(f"{path}: violates the ONNX standard ({model_check.reason(error)}); export it again") from error
    return model


def places(path: Path, model: onnx.ModelProto) -> list[Place]:
    """The place of each node in the file."""
    nodes = model.graph.node
    return [
        Place(file=path, name=n.name or next(iter(n.output), ""), op=n.op_type, index=i, total=len(nodes))
        for i, n in enumerate(nodes, 1)
    ]


def _parsed(path: Path) -> onnx.ModelProto:
    if (size := files.regular(path, GIVE).stat().st_size) > SIZE:
        raise UserError(f"{path}: has {size:,} bytes; an ONNX file has at most {SIZE:,}; {GIVE}")
    content = files.read_bytes(path, GIVE)
    try:
        model = onnx.load_model_from_string(content)
        model_check.check_text(model)
    except (DecodeError, ValueError) as error:
        raise UserError(
            f"{path}: not an ONNX model, or truncated ({model_check.reason(error)}); export it again"
        ) from error
    if not model.ir_version or not model.HasField("graph"):
        raise UserError(f"{path}: not an ONNX model, or truncated (no version or no graph); export it again")
    return model


def _check_graph(path: Path, model: onnx.ModelProto) -> None:
    """Refuse anything but a plain graph of nodes and constants."""
    parts = {
        "functions of its own": model.functions,
        "sparse constants": model.graph.sparse_initializer,
        "training graphs": model.training_info,
    }
    for name, part in parts.items():
        if part:
            raise UserError(f"{path}: has {name}; only plain nodes and constants can be read; export it without them")
    # FINN and qonnx evaluate the text of annotations as Python, and nothing here needs them
    del model.graph.quantization_annotation[:]


def _channels_first(model: onnx.ModelProto) -> None:
    """Replace qonnx's nodes for channels last by those of ONNX between two transposes, which they stand for."""
    nodes = list(model.graph.node)
    if not any(node.domain == CHANNELS_LAST for node in nodes):
        return
    kernels = [a.ints for node in nodes for a in node.attribute if a.name == "kernel_shape"]
    axes = list(range(2 + (len(kernels[0]) if kernels else 2)))
    to_first, to_last = [0, axes[-1], *axes[1:-1]], [0, *axes[2:], 1]
    made: list[onnx.NodeProto] = []

    def transpose(name: str, source: str, result: str, perm: list[int]) -> onnx.NodeProto:
        return onnx.helper.make_node("Transpose", [source], [result], name, perm=perm)

    for node in nodes:
        if node.domain != CHANNELS_LAST or not node.input or not node.output:
            made.append(node)
            continue
        source, result = node.input[0], node.output[0]
        node.domain, node.input[0], node.output[0] = "", f"{result}/first", f"{result}/made"
        if node.op_type == "Conv" and len(node.input) > 1:  # its weights have the channels last, too
            made.append(transpose(f"{node.name}/weights", node.input[1], f"{result}/weights", to_first))
            node.input[1] = f"{result}/weights"
        made += [transpose(f"{node.name}/first", source, node.input[0], to_first), node,
                 transpose(f"{node.name}/last", node.output[0], result, to_last)]  # fmt: skip
    del model.graph.node[:]
    model.graph.node.extend(made)


def _modernize(place: Place, node: onnx.NodeProto) -> None:
    """Give a node its current kind and domain; older Brevitas used a domain of its own without importing it."""
    node.op_type = ALIASES.get(node.op_type, node.op_type)
    if node.op_type in QUANTIZERS and node.domain in BREVITAS:
        node.domain = DOMAIN
    elif node.domain in STANDARD:
        node.domain = ""
    else:
        refuse_kind(place, node.domain)


def _fix_opsets(path: Path, model: onnx.ModelProto) -> None:
    """Import ONNX's operators exactly once, and qonnx's."""
    versions = {opset.version for opset in model.opset_import if opset.domain in STANDARD}
    if len(versions) != 1 or versions.isdisjoint(OPSETS):
        raise UserError(
            f"{path}: imports opset {sorted(versions) or 'none'} of ONNX; one of {OPSETS[0]} to {OPSETS[-1]} is "
            "needed; export it with opset_version=13"
        )
    ours = 2 if any(node.op_type == "Trunc" for node in model.graph.node) else 1  # the first with a Trunc of six inputs
    del model.opset_import[:]
    model.opset_import.extend([onnx.helper.make_opsetid("", versions.pop()), onnx.helper.make_opsetid(DOMAIN, ours)])


def _fix_shape(path: Path, given: onnx.ValueInfoProto) -> None:
    kind = given.type.tensor_type.elem_type
    if not given.type.HasField("tensor_type") or kind != TensorProto.FLOAT:
        raise UserError(
            f"{path}: input {given.name!r} has type {_type_name(given)}; a float32 tensor is needed; export it with "
            "float32 inputs"
        )
    dims = given.type.tensor_type.shape.dim
    if dims and not dims[0].HasField("dim_value"):
        dims[0].dim_value = 1
    shape = [d.dim_param or d.dim_value for d in dims]
    if not shape or any(not isinstance(d, int) or d < 1 for d in shape):
        raise UserError(
            f"{path}: input {given.name!r} has shape {shape}; every axis needs a fixed size; export with a fixed shape"
        )
    if shape[0] != 1:
        raise UserError(
            f"{path}: input {given.name!r} has shape {shape}; the batch must be 1; export with a batch of 1"
        )
    if len(shape) == 1:
        raise UserError(
            f"{path}: input {given.name!r} has shape {shape}; an axis must follow the batch; export with frames that "
            "have at least one axis"
        )


def _type_name(given: onnx.ValueInfoProto) -> str:
    if given.type.HasField("tensor_type"):
        return model_check.type_name(given.type.tensor_type.elem_type)
    return str(given.type.WhichOneof("value") or "unknown")
