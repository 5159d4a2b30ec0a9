# SPDX-License-Identifier: Apache-2.0
"""The kinds of nodes that can be compiled, and remedies for those that cannot."""

from __future__ import annotations

from typing import NoReturn

from adiabit.flows.frontend.chain import Place

DOMAIN = "qonnx.custom_op.general"
BREVITAS = (DOMAIN, "onnx.brevitas", "finn.custom_op.general", "")  # domains that Brevitas and qonnx have used
STANDARD = ("", "ai.onnx")
ALIASES = {"IntQuant": "Quant"}  # qonnx's newer name
QUANTIZERS = ("BipolarQuant", "MultiThreshold", "Quant", "Trunc")
ELEMENTWISE = ("Add", "BatchNormalization", "Clip", "Div", "HardSigmoid", "LeakyRelu", "Mul", "PRelu", "Relu",
               "Sigmoid", "Sub", "Tanh")  # fmt: skip
JOINS = ("Add", "Concat")  # of two or more branches
TRANSPOSES = ("Transpose",)  # from channels first to channels last, and back
SHAPES = ("Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")  # they keep the order of elements
PRODUCTS = ("Gemm", "MatMul")
CONVOLUTIONS = ("Conv",)
MOVES = ("AveragePool", "GlobalAveragePool", "MaxPool", "Pad", "ReduceMean", "ReduceSum")
KNOWN = sorted((*QUANTIZERS, *ELEMENTWISE, *SHAPES, *PRODUCTS, *CONVOLUTIONS, *MOVES, *TRANSPOSES, "Concat"))
RANKS = ("LogSoftmax", "Sigmoid", "Softmax")  # they keep the order of the classes
LABELS = ("ArgMax", "TopK")
LABEL = "it can only end the network, over the classes: the hardware outputs the label, the argmax of the logits"
QDQ = ("QuantizeLinear", "DequantizeLinear")  # converted to Quant where they come in pairs of one scale
UNPAIRED = "it has no partner of the same constant scale; export the network with Brevitas' export_qonnx"
REMEDIES = {
    "ArgMax": LABEL,
    "ConvTranspose": "end the network with Conv, whose label or sums for each pixel are scaled up by the host",
    "DepthToSpace": "give the channels out as they are, and let the host rearrange them",
    "Resize": "end the network at the lower resolution; the host scales its labels or sums up",
    "Upsample": "end the network at the lower resolution; the host scales its labels or sums up",
    "DequantizeLinear": UNPAIRED,
    "GlobalMaxPool": "use MaxPool with a kernel as large as the image",
    "LogSoftmax": LABEL,
    "QuantizeLinear": UNPAIRED,
    "Sign": "use BipolarQuant, which has no 0",
    "Softmax": LABEL,
    "TopK": LABEL,
}
FINN = "belongs to FINN-ONNX, FINN's internal dialect; QONNX is needed; give the file from before FINN's steps"
CHANNELS_LAST = "qonnx.custom_op.channels_last"
DIALECTS = {  # by prefix of the domain
    "finn.": FINN,
    "qonnx.custom_op.fpgadataflow": FINN,
}


def refuse_kind(place: Place, domain: str = "") -> NoReturn:
    """Refuse a node of an unknown kind."""
    for prefix, why in DIALECTS.items():
        if domain.startswith(prefix):
            place.refuse(f"has domain {domain!r}, which {why}")
    known = f"cannot be compiled; expected one of {', '.join(KNOWN)}; {REMEDIES.get(place.op, 'use those instead')}"
    place.refuse(f"has domain {domain!r} and {known}" if domain else known)
