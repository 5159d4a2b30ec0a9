# SPDX-License-Identifier: Apache-2.0
"""FINN's hardware graph to our `Accelerator`, one lane a stream; widths come from us, not from FINN.

FINN means: weights (MW, MH), {0, 1} for bipolar; thresholds (MH, steps) or (1, steps); y = number of T <= x.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import get_by_name

from adiabit.errors import UserError
from adiabit.flows.compile.config import CompileConfig
from adiabit.hw.accelerator import (
    Accelerator,
    Ints,
    Kind,
    LabelSelect,
    MatrixVector,
    Stage,
    Stream,
    Threshold,
    signed_bits,
)

HARDWARE = ("Thresholding", "MVAU", "LabelSelect")


def hardware_nodes(model: ModelWrapper) -> list[onnx.NodeProto]:
    """The nodes that become stages, in order."""
    return [n for n in model.graph.node if n.op_type in HARDWARE]


def lower(model: ModelWrapper, config: CompileConfig, file: Path) -> Accelerator:
    """The accelerator of a streamlined graph; `UserError` where FINN left an operation before the end of the graph."""
    nodes = list(model.graph.node)
    hardware = hardware_nodes(model)
    if nodes[: len(hardware)] != hardware or (config.label_select and len(nodes) != len(hardware)):
        left = next(n for n, h in zip(nodes, [*hardware, None], strict=False) if n is not h and n != h)
        raise UserError(f"{file}: FINN left {left.op_type} {left.name!r} among the layers; "
                        f"only {', '.join(HARDWARE)} can be built; please report this model")  # fmt: skip
    stream = _host_stream(model, config)
    stages: list[Stage] = []
    counts = dict.fromkeys(HARDWARE, 0)
    for node in hardware:
        k = counts[node.op_type]
        counts[node.op_type] += 1
        stages.append(_LOWER[node.op_type](model, node, stream, k))
        stream = stages[-1].output
    return Accelerator(name=config.name, stages=tuple(stages))


def _host_stream(model: ModelWrapper, config: CompileConfig) -> Stream:
    features = model.get_tensor_shape(model.graph.input[0].name)[-1]
    kind = Kind.BIPOLAR if config.input_bits == 1 else Kind.SIGNED if config.input_signed else Kind.UNSIGNED
    return Stream(name="image", shape=(features,), bits=config.input_bits, kind=kind, lanes=1)


def _threshold(model: ModelWrapper, node: onnx.NodeProto, stream: Stream, k: int) -> Stage:
    low, high = stream.range
    steps = _thresholds(model, node.input[1], stream.channels, low, high)
    return Threshold(
        name=f"threshold{k}",
        inputs=(stream,),
        outputs=(_levels(node, f"threshold{k}", stream.shape),),
        thresholds=steps,
    )


def _matrix_vector(model: ModelWrapper, node: onnx.NodeProto, stream: Stream, k: int) -> Stage:
    weights = model.get_initializer(node.input[1]).T.astype(np.int64)
    if DataType[_attribute(node, "weightDataType")] == DataType["BINARY"]:
        weights = 2 * weights - 1
    name = f"fc{k}"
    shape = (len(weights),)
    bare = Stream(name=f"{name}_out", shape=shape, bits=32, kind=Kind.SIGNED, lanes=1)
    probe = MatrixVector(name=name, inputs=(stream,), outputs=(bare,), weights=weights)
    low, high = probe.accumulator_range
    if len(node.input) == 3:
        steps = _thresholds(model, node.input[2], len(weights), low, high)
        return MatrixVector(
            name=name, inputs=(stream,), outputs=(_levels(node, name, shape),), weights=weights, thresholds=steps
        )
    kind, bits = (Kind.UNSIGNED, high.bit_length()) if low >= 0 else (Kind.SIGNED, signed_bits(low, high))
    out = Stream(name=f"{name}_out", shape=shape, bits=max(1, bits), kind=kind, lanes=1)
    return MatrixVector(name=name, inputs=(stream,), outputs=(out,), weights=weights)


def _label_select(_: ModelWrapper, __: onnx.NodeProto, stream: Stream, k: int) -> Stage:
    name = f"label{k or ''}"
    bits = max(1, (stream.elements - 1).bit_length())
    out = Stream(name=f"{name}_out", shape=(1,), bits=bits, kind=Kind.UNSIGNED, lanes=1)
    return LabelSelect(name=name, inputs=(stream,), outputs=(out,))


_LOWER = {"Thresholding": _threshold, "MVAU": _matrix_vector, "LabelSelect": _label_select}


def _thresholds(model: ModelWrapper, name: str, channels: int, low: int, high: int) -> Ints:
    """Thresholds (channels, steps), clipped to what makes a difference: low (always) to high + 1 (never)."""
    steps: npt.NDArray[Any] = model.get_initializer(name)
    return np.broadcast_to(np.clip(np.ceil(steps), low, high + 1), (channels, steps.shape[1])).astype(np.int64)


def _levels(node: onnx.NodeProto, name: str, shape: tuple[int, ...]) -> Stream:
    bits = DataType[_attribute(node, "outputDataType")].bitwidth()
    kind = Kind.BIPOLAR if bits == 1 else Kind.UNSIGNED
    return Stream(name=f"{name}_out", shape=shape, bits=bits, kind=kind, lanes=1)


def _attribute(node: onnx.NodeProto, name: str) -> str:
    return str(get_by_name(node.attribute, name).s.decode())
