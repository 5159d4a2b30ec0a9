# SPDX-License-Identifier: Apache-2.0
"""ONNX's own quantization, QuantizeLinear and DequantizeLinear, as QONNX, by qonnx."""

from __future__ import annotations

from pathlib import Path

import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.qcdq_to_qonnx import QCDQToQuant

from adiabit.errors import UserError
from adiabit.flows.frontend.kinds import QDQ
from adiabit.flows.frontend.model_check import reason


def to_quant(path: Path, model: onnx.ModelProto) -> bool:
    """Replace QuantizeLinear, Clip and DequantizeLinear by Quant, by qonnx; returns whether there were any."""
    pairs = sum(node.op_type in QDQ for node in model.graph.node)
    if not pairs:
        return False
    try:
        made = ModelWrapper(model, make_deepcopy=True).transform(QCDQToQuant()).model
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: its QuantizeLinear nodes cannot be converted ({reason(error)}); export QONNX"
        ) from error
    if sum(node.op_type in QDQ for node in made.graph.node) == pairs:
        return False
    model.graph.CopyFrom(made.graph)
    return True
