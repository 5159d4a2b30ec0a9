# SPDX-License-Identifier: Apache-2.0
"""The kinds of nodes that can be compiled, and what to do about those that cannot."""

from __future__ import annotations

from typing import NoReturn

from adiabit.flows.frontend.chain import Place

DOMAIN = "qonnx.custom_op.general"
BREVITAS = (DOMAIN, "onnx.brevitas", "finn.custom_op.general", "")  # where Brevitas and qonnx have put quantizers
STANDARD = ("", "ai.onnx")
ALIASES = {"IntQuant": "Quant"}  # qonnx's newer name of the same
QUANTIZERS = ("BipolarQuant", "Quant")
ELEMENTWISE = ("Add", "BatchNormalization", "Div", "Mul", "Relu", "Sub")
SHAPES = ("Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")  # the order of elements stays
PRODUCTS = ("Gemm", "MatMul")
CONVOLUTIONS = ("Conv",)
MOVES = ("AveragePool", "GlobalAveragePool", "MaxPool", "Pad", "ReduceMean")
KNOWN = sorted((*QUANTIZERS, *ELEMENTWISE, *SHAPES, *PRODUCTS, *CONVOLUTIONS, *MOVES))
LABEL = "remove it: the hardware puts out the label, which is the argmax of the logits before it"
QDQ = "export the network with Brevitas' export_qonnx, whose quantizers are BipolarQuant and Quant"
REMEDIES = {
    "ArgMax": LABEL,
    "ConvTranspose": "use Conv behind an upsampled input instead of a transposed convolution",
    "DequantizeLinear": QDQ,
    "GlobalMaxPool": "use MaxPool with a kernel of the whole image",
    "LogSoftmax": LABEL,
    "QuantizeLinear": QDQ,
    "Sigmoid": LABEL,
    "Sign": "use BipolarQuant, which has no 0",
    "Softmax": LABEL,
    "TopK": LABEL,
}
FINN = "is of FINN-ONNX, what FINN makes of a model; QONNX is needed; give the file as it was before FINN's steps"
CHANNELS_LAST = (
    "is of qonnx's channels-last form; channels must come first; give the file as it was before ConvertToChannelsLast"
)
DIALECTS = {  # by the beginning of the domain
    "finn.": FINN,
    "qonnx.custom_op.fpgadataflow": FINN,
    "qonnx.custom_op.channels_last": CHANNELS_LAST,
}


def refuse_kind(place: Place, domain: str = "") -> NoReturn:
    """Refuse a node of a kind that is not known."""
    for beginning, why in DIALECTS.items():
        if domain.startswith(beginning):
            place.refuse(f"of domain {domain!r} {why}")
    if place.op == "MultiThreshold":
        place.refuse(FINN)
    known = f"cannot be compiled; expected one of {', '.join(KNOWN)}; {REMEDIES.get(place.op, 'express it by those')}"
    place.refuse(f"of domain {domain!r} {known}" if domain else known)
