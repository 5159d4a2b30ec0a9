# SPDX-License-Identifier: Apache-2.0
"""Opening an ONNX file: damaged files, unknown domains and unfit inputs are refused here."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import RemoveStaticGraphInputs
from qonnx.transformation.infer_shapes import InferShapes

from adiabit.errors import UserError
from adiabit.flows.compile.chain import Place

DOMAIN = "qonnx.custom_op.general"
QUANTIZERS = ("BipolarQuant", "Quant")
ELEMENTWISE = ("Add", "BatchNormalization", "Div", "Mul", "Relu", "Sub")
SHAPES = ("Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")  # the order of elements stays
PRODUCTS = ("Gemm", "MatMul")
CONVOLUTIONS = ("Conv",)
MOVES = ("AveragePool", "GlobalAveragePool", "MaxPool", "Pad", "ReduceMean")
KNOWN = sorted((*QUANTIZERS, *ELEMENTWISE, *SHAPES, *PRODUCTS, *CONVOLUTIONS, *MOVES))
HELP = "see docs/compile.md for what can be compiled"
REMEDIES = {
    "ConvTranspose": "use Conv behind an upsampled input instead of a transposed convolution",
    "GlobalMaxPool": "use MaxPool with a kernel of the whole image",
}


def load(path: Path) -> ModelWrapper:
    """The model of a file with constants folded and a batch of 1; names are the file's own."""
    try:
        wrapped = ModelWrapper(open_model(path))
        for step in (InferShapes(), FoldConstants(exclude_op_types=list(QUANTIZERS)), RemoveStaticGraphInputs()):
            wrapped = wrapped.transform(step)
    except UserError:
        raise
    except Exception as error:  # onnx, onnxruntime and qonnx raise whatever they meet
        reason = str(error).strip().split("\n", maxsplit=1)[0]
        raise UserError(f"{path}: shapes and constants do not fit ({reason}); export it anew") from error
    return wrapped


def open_model(path: Path) -> onnx.ModelProto:
    """The file's own model, in today's domain and with a batch of 1."""
    try:
        model = onnx.load(path)
        _one_domain(model)
        onnx.checker.check_model(model)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; give the path of a QONNX file") from error
    except (DecodeError, ValueError, onnx.checker.ValidationError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise UserError(f"{path}: not an ONNX model, or cut short ({reason}); export it anew") from error
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in constants]
    if not model.graph.node or len(inputs) != 1 or len(model.graph.output) != 1:
        raise UserError(
            f"{path}: {len(model.graph.node)} nodes, inputs {[i.name for i in inputs]}, outputs "
            f"{[o.name for o in model.graph.output]}; nodes, one input and one output are needed; export such a network"
        )
    _fix_shape(path, inputs[0])
    for index, node in enumerate(model.graph.node, 1):
        if node.domain not in ("", "ai.onnx") and node.op_type not in QUANTIZERS:
            name = node.name or node.output[0]
            place = Place(file=path, name=name, op=node.op_type, index=index, total=len(model.graph.node))
            place.refuse(f"of domain {node.domain!r} cannot be compiled; expected one of {', '.join(KNOWN)}; {HELP}")
    return model


def _one_domain(model: onnx.ModelProto) -> None:
    """Put quantizers into qonnx's domain of today: Brevitas of old had one of its own, and did not import it."""
    for node in model.graph.node:
        if node.op_type in QUANTIZERS:
            node.domain = DOMAIN
    if not any(opset.domain == DOMAIN for opset in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))


def _fix_shape(path: Path, given: onnx.ValueInfoProto) -> None:
    dims = given.type.tensor_type.shape.dim
    if dims and dims[0].dim_param:
        dims[0].dim_value = 1
    shape = [d.dim_param or d.dim_value for d in dims]
    if not shape or any(not isinstance(d, int) or d < 1 for d in shape):
        raise UserError(
            f"{path}: input {given.name!r} has shape {shape}; every side must be a number; export with a fixed shape"
        )
    if shape[0] != 1:
        raise UserError(
            f"{path}: input {given.name!r} has shape {shape}; the batch must be 1; export with a batch of 1"
        )
