# SPDX-License-Identifier: Apache-2.0
"""Reading the nodes between two products: element-wise float operations, quantizers, and reshapes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import onnx

from adiabit.flows.frontend.chain import Place, Step
from adiabit.flows.frontend.nodes import CHANNELS_LAST, ROUNDINGS, attribute
from adiabit.flows.frontend.quantizer import Quantizer, Staircase
from adiabit.flows.frontend.source import TINY, Source
from adiabit.flows.frontend.value import Value
from adiabit.hw.stages import Kind, signed_bits

BITS = 8  # of a quantizer at most


def reshape(source: Source, node: onnx.NodeProto, shape: tuple[int, ...], *, last: bool = False) -> None:
    """Check a node that may change a frame's shape, (features,) or (C, H, W), but not the order of its elements.

    `last`: the tensor has the channels last.
    """
    place, made, elements = source.place(node), source.shape(node.output[0]), math.prod(shape)
    if math.prod(made) != elements:
        place.refuse(f"makes {list(made)} of {elements} elements; their number must not change; check the model")
    if len(made) < 2 or made[0] != 1 or _moves_batch(source, node):
        place.refuse(f"makes {list(made)}; the first axis must remain the batch; reshape only the axes after it")
    if node.op_type == "Dropout":
        place.refuse("drops elements at run time, or its mask is used; export the network in eval mode")
    given = (made[0], made[-1], *made[1:-1]) if last else made
    image = (given[1], 1, given[2]) if len(given) == 3 else given[1:]
    if len(shape) == 3 and len(made) in (3, 4) and image != shape:
        place.refuse(
            f"makes an image {list(made[1:])} of one of {list(shape)} (C, H, W); channels, rows and columns must not "
            "change; check the model"
        )


def _moves_batch(source: Source, node: onnx.NodeProto) -> bool:
    """Whether a node moves axis 0, which a batch of 1 does not show."""
    rank = len(source.shape(node.input[0]))
    if node.op_type == "Flatten":
        return bool(attribute(node, "axis", 1) % rank != 1)
    if node.op_type in ("Squeeze", "Unsqueeze"):
        axes = attribute(node, "axes", None) or source.optional(node, 1) or [0]
        return 0 in {axis % max(rank, len(source.shape(node.output[0]))) for axis in axes}
    return False


def step(source: Source, node: onnx.NodeProto, tensor: str, frame: tuple[int, ...], *, last: bool = False) -> Step:
    """Read an element-wise operation on `tensor`, which carries a frame (features,) or (C, H, W).

    `last`: the tensor has the channels last.
    """
    place, shape, channels = source.place(node), source.shape(tensor), frame[0]
    data = list(node.input).index(tensor)
    constants = {i: source.constant(node, i) for i, name in enumerate(node.input) if name and i != data}
    image = len(frame) == 3 and len(shape) > 2
    if node.op_type == "BatchNormalization":
        if last and image:
            place.refuse("reads an image with the channels last; they must come first; transpose it")
        _check_norm(node, place, shape, constants)
    axis = (len(shape) - 1 if last else 1) if image else None
    for i, value in constants.items():
        if node.op_type != "BatchNormalization" and not _fits(value, shape, channels, axis):
            place.refuse(
                f"constant {node.input[i]!r} has shape {value.shape}; one number, or one for each of {channels} "
                "channels, is needed; check the model"
            )
    _check_rising(node, place, data, constants)
    if node.op_type == "Div" and (data != 0 or np.any(constants[1] == 0)):
        place.refuse("divides by data or by 0; only division by non-zero constants can be compiled; check the model")
    return Step(place=place, node=node, data=data, constants={i: _flat(node, v) for i, v in constants.items()})


def _check_rising(node: onnx.NodeProto, place: Place, data: int, constants: dict[int, npt.NDArray[np.float32]]) -> None:
    """Refuse what falls somewhere; `data` is the index of the data."""
    slopes = constants[1] if node.op_type == "PRelu" else np.array(attribute(node, "alpha", 0.0))
    if node.op_type in ("HardSigmoid", "LeakyRelu", "PRelu") and (data != 0 or np.any(slopes < 0)):
        place.refuse("has a negative slope; slopes must be at least 0, so that it never falls; clamp them in training")
    if node.op_type == "Clip":
        if data != 0 or any(value.size != 1 for value in constants.values()):
            place.refuse("has limits that are data, or several; numbers are needed; clamp by constants")
        if len(constants) == 2 and constants[1] > constants[2]:
            place.refuse(
                f"has the limits {constants[1].item():g} and {constants[2].item():g}; the lower must not be above the "
                "upper; check the model"
            )


def _check_norm(
    node: onnx.NodeProto, place: Place, shape: tuple[int, ...], constants: dict[int, npt.NDArray[np.float32]]
) -> None:
    if 0 in constants:
        place.refuse("has a constant as input 0; it must be the data; check the model")
    for i, value in constants.items():
        if value.shape != (shape[1],):
            place.refuse(
                f"constant {node.input[i]!r} has shape {value.shape}; one number for each of {shape[1]} channels is "
                "needed; check the model"
            )
    if np.any(constants[4] < 0):
        place.refuse("has a negative variance; variances must be at least 0; train or export it again")


def _fits(value: npt.NDArray[np.float32], shape: tuple[int, ...], channels: int, axis: int | None) -> bool:
    """Whether a constant is one number, or one per channel of data of this shape; `axis`: of an image's channels."""
    if value.ndim > len(shape):
        return False
    aligned = (*(1,) * (len(shape) - value.ndim), *value.shape)
    if value.size == 1:
        return True
    if value.size != channels or any(side not in (1, there) for side, there in zip(aligned, shape, strict=True)):
        return False
    return axis is None or aligned[axis] == channels


def _flat(node: onnx.NodeProto, value: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return value.reshape(-1) if node.op_type == "BatchNormalization" or value.size > 1 else value.reshape(())


def quantizer(source: Source, node: onnx.NodeProto, value: Value) -> Quantizer:
    """Read a quantizer of `value`."""
    place = source.place(node)
    if node.op_type == "MultiThreshold":
        return _staircase(source, node, value)
    scale = source.scalar(node, 1, "scale")
    if scale < TINY:
        needed = "greater than 0" if scale <= 0 else f"at least {TINY:g}, where float32 keeps all its digits"
        place.refuse(f"scale is {scale:g}; it must be {needed}; export it again")
    if node.op_type == "BipolarQuant":
        if (last := value.steps[-1:]) and last[0].never_negative:
            place.refuse(
                f"quantizes a {last[0].node.op_type} to -1 and +1, so it is always +1 (Brevitas exports a 1-bit "
                "QuantReLU this way); use a 1-bit QuantIdentity instead"
            )
        return Quantizer(kind=Kind.BIPOLAR, bits=1, scale=scale)
    trunc = node.op_type == "Trunc"
    bits, zero = source.scalar(node, 5 if trunc else 3, "bit width"), source.scalar(node, 2, "zero point")
    signed, narrow = attribute(node, "signed", 1), attribute(node, "narrow", 0)
    rounding = attribute(node, "rounding_mode", "FLOOR" if trunc else "ROUND")
    if zero or rounding.upper() not in ROUNDINGS or bits not in range(2, BITS + 1):
        place.refuse(
            f"signed={signed}, narrow={narrow}, zero point {zero:g}, {bits:g} bits, rounding {rounding}; a quantizer "
            f"must be bipolar, or signed or unsigned with 2 to {BITS} bits, zero point 0 and a rounding of "
            f"{', '.join(ROUNDINGS)}; choose such a quantizer"
        )
    within = scale if trunc else None
    if trunc and (scale := source.scalar(node, 4, "output scale")) < TINY:
        place.refuse(f"output scale is {scale:g}; it must be at least {TINY:g}; export it again")
    low = -(2 ** (int(bits) - 1)) + bool(narrow) if signed else 0
    high = 2 ** (int(bits) - 1) - 1 if signed else 2 ** int(bits) - 1 - bool(narrow)
    kind = Kind.SIGNED if signed else Kind.UNSIGNED
    return Quantizer(kind=kind, bits=int(bits), scale=scale, low=low, high=high, rounding=rounding, within=within)


def _staircase(source: Source, node: onnx.NodeProto, value: Value) -> Staircase:
    """Read a MultiThreshold of FINN-ONNX."""
    place, thresholds = source.place(node), source.constant(node, 1)
    channels = value.shape[0] if len(value.shape) == 3 else math.prod(value.shape)
    layout, image = attribute(node, "data_layout", ""), len(value.shape) == 3 and len(source.shape(node.input[0])) > 2
    if thresholds.ndim != 2 or len(thresholds) not in (1, channels):
        place.refuse(f"thresholds have shape {thresholds.shape}; a row for each of {channels} channels is needed; "
                     "check the model")  # fmt: skip
    if len(thresholds) > 1 and image and layout and (layout in CHANNELS_LAST) != value.last:
        place.refuse(f"has data_layout {layout}, which its data do not have; check the model")
    if np.any(np.diff(thresholds, axis=1) < 0):
        place.refuse("has thresholds that decrease along a row; they must not; sort them")
    scale, bias = (float(attribute(node, name, default)) for name, default in (("out_scale", 1.0), ("out_bias", 0.0)))
    steps = thresholds.shape[1]
    low = np.float64(bias) / scale if scale >= TINY else np.nan
    if steps == 1 and low == -0.5:
        return Staircase(kind=Kind.BIPOLAR, bits=1, scale=scale / 2, thresholds=thresholds)
    signed, whole = low < 0, bool(low == np.rint(low))
    bits = steps.bit_length() if low == 0 else 0
    if signed and whole:
        bits = max(2, signed_bits(int(low), int(low) + steps))
    if not 1 <= bits <= BITS:
        place.refuse(
            f"has {steps} thresholds, out_scale {scale:g} and out_bias {bias:g}; the levels must be whole multiples of "
            f"a positive scale from 0 or below, of at most {BITS} bits, or -1 and +1; choose such a quantizer"
        )
    return Staircase(kind=Kind.SIGNED if signed else Kind.UNSIGNED, bits=bits, scale=scale, low=int(low),
                     high=int(low) + steps, thresholds=thresholds)  # fmt: skip
