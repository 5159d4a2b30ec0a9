# SPDX-License-Identifier: Apache-2.0
"""What single nodes compute: ONNX's by onnxruntime, quantizers by qonnx."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper
from qonnx.custom_op.general.bipolar_quant import binary_quant
from qonnx.custom_op.general.quant import quant, resolve_rounding_mode
from qonnx.custom_op.general.trunc import trunc_v2

Reals = npt.NDArray[np.float64]
CHANNELS_LAST = ("NHWC", "NWC")  # layouts of qonnx
ROUNDINGS = ("CEIL", "DOWN", "FLOOR", "HALF_DOWN", "HALF_EVEN", "HALF_UP", "ROUND", "UP")  # qonnx's modes
SMOOTH: dict[str, Callable[[Reals], Reals]] = {  # computed in float64, because onnxruntime's float32 ones may fall
    "Sigmoid": lambda x: np.exp(-np.logaddexp(0, -x)),
    "Tanh": np.tanh,
}


def run_node(node: onnx.NodeProto, inputs: Sequence[npt.NDArray[Any]], opset: int) -> npt.NDArray[Any]:
    """A node's first output, computed by onnxruntime from its inputs; run alone, it is not fused with other nodes.

    Sigmoid and Tanh are computed in float64 and rounded once.
    """
    if smooth := SMOOTH.get(node.op_type):
        return smooth(inputs[0].astype(float)).astype(np.float32)
    session = _session(node.SerializeToString(), opset, tuple((str(x.dtype), x.ndim) for x in inputs))
    made = session.run(None, {f"x{k}": np.ascontiguousarray(x) for k, x in enumerate(inputs)})
    return np.asarray(made[0])


@lru_cache(maxsize=512)
def _session(content: bytes, opset: int, kinds: tuple[tuple[str, int], ...]) -> onnxruntime.InferenceSession:
    node = onnx.NodeProto.FromString(content)
    names = iter(f"x{k}" for k in range(len(kinds)))
    for i, name in enumerate(node.input):
        node.input[i] = next(names) if name or len(node.input) == len(kinds) else ""
    del node.output[1:]
    node.output[0] = "y"
    types = [helper.np_dtype_to_tensor_dtype(np.dtype(kind)) for kind, _ in kinds]
    sources = [
        helper.make_tensor_value_info(f"x{k}", kind, [None] * rank)
        for k, (kind, (_, rank)) in enumerate(zip(types, kinds, strict=True))
    ]
    graph = helper.make_graph([node], "node", sources, [helper.make_tensor_value_info("y", types[0], None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def quantized(node: onnx.NodeProto, inputs: list[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """What a quantizer makes of its inputs, in float32."""
    x, scale, *rest = inputs
    if node.op_type == "MultiThreshold":
        factor, bias = float(attribute(node, "out_scale", 1.0)), float(attribute(node, "out_bias", 0.0))
        last = x.ndim < 3 or attribute(node, "data_layout", "") in CHANNELS_LAST
        return (factor * counted(x, scale, x.ndim - 1 if last else 1) + bias).astype(np.float32)
    if node.op_type == "BipolarQuant":
        return np.asarray(binary_quant(x, scale)).astype(np.float32)
    signed, narrow = attribute(node, "signed", 1), attribute(node, "narrow", 0)
    rounding = attribute(node, "rounding_mode", "FLOOR" if node.op_type == "Trunc" else "ROUND")
    if node.op_type == "Trunc":
        zero, bits, made, made_bits = rest
        return np.asarray(trunc_v2(x, scale, zero, bits, narrow, signed, made, made_bits, rounding)).astype(np.float32)
    return np.asarray(quant(x, scale, *rest, signed, narrow, rounding)).astype(np.float32)


def counted(x: npt.NDArray[Any], thresholds: npt.NDArray[Any], axis: int) -> npt.NDArray[np.int64]:
    """How many thresholds (C, steps), or (1, steps), each x reaches (T <= x); `axis`: of its channels."""
    moved = np.moveaxis(x, axis, -1)
    count = np.zeros(moved.shape, np.int64)
    for step in thresholds.T:
        count += moved >= step
    return np.moveaxis(count, -1, axis)


def rounded(x: npt.NDArray[Any], mode: str) -> npt.NDArray[np.float32]:
    """Numbers rounded to integers by one of qonnx's modes."""
    return np.asarray(resolve_rounding_mode(mode)(x), np.float32)


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """An attribute of a node, with text as str."""
    for found in node.attribute:
        if found.name == name:
            value = onnx.helper.get_attribute_value(found)
            return value.decode() if isinstance(value, bytes) else value
    return default
