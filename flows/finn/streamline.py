# SPDX-License-Identifier: Apache-2.0
"""Streamlining with FINN's library transformations, in the order that works for chains and without FINN's builder.

Call inside :func:`adiabit.flows.finn.finn_setup.finn`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.transformation.bipolar_to_xnor import ConvertBipolarMatMulToXnorPopcount
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames, RemoveStaticGraphInputs
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.insert_topk import InsertTopK
from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul

from adiabit.errors import UserError
from adiabit.flows.finn.canonical import canonical
from adiabit.flows.frontend import thresholds
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.levels import Sums, host_levels, layer_inputs
from adiabit.flows.frontend.network import Layer, Levels, Network
from adiabit.hw.stages import Ints

FINN = "finn.custom_op.fpgadataflow"
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Streamlined:
    """FINN's hardware graph of a network, and which weight rows FINN negated."""

    model: ModelWrapper  # hardware nodes, then the nodes that stay on the host
    flips: tuple[Ints, ...]  # for each layer, (MH,) of -1 and +1


def input_type(config: CompileConfig) -> str:
    """FINN's data type of an element from the host."""
    if config.input_bits == 1:
        return "BIPOLAR"
    return f"{'INT' if config.input_signed else 'UINT'}{config.input_bits}"


def streamline(network: Network, config: CompileConfig) -> Streamlined:
    """Turn a normalized network into FINN's hardware layers, with exact thresholds."""
    from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN
    from finn.transformation.streamline import Streamline
    from finn.transformation.streamline.absorb import AbsorbConsecutiveTransposes, AbsorbScalarMulAddIntoTopK
    from finn.transformation.streamline.reorder import MakeMaxPoolNHWC
    from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds

    model = _tidy(canonical(network, config).transform(ConvertQONNXtoFINN()))
    model.set_tensor_datatype(model.graph.input[0].name, DataType[input_type(config)])
    if config.label_select:
        model = _tidy(model.transform(InsertTopK(k=1)))
    for step in (LowerConvsToMatMul(), AbsorbConsecutiveTransposes(), MakeMaxPoolNHWC(), AbsorbConsecutiveTransposes()):
        model = model.transform(step)
    _full_products(model)
    model = _tidy(model).transform(Streamline())
    flips = _set_exact_thresholds(model, network, config)
    model = model.transform(ConvertBipolarMatMulToXnorPopcount())
    _convert_pads(model)
    _lower_sums(model)
    for step in (
        InferShapes(),
        InferDataTypes(),
        Streamline(),
        AbsorbScalarMulAddIntoTopK(),
        InferDataTypes(),
        RoundAndClipThresholds(),
    ):
        model = model.transform(step)
    _mark_channels_last(model)
    products, others = _to_hardware()
    for step in products:
        model = model.transform(step)
    _drop_sign_scaling(model)
    for step in others:
        model = model.transform(step)
    return Streamlined(model=_tidy(model), flips=flips)


def _to_hardware() -> tuple[list[Transformation], list[Transformation]]:
    """FINN's transformations to hardware layers, in order: products with the steps after them, then all others."""
    from finn.transformation.fpgadataflow.convert_to_hw.binary_matrix_vector_activation import (
        InferBinaryMatrixVectorActivation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen
    from finn.transformation.fpgadataflow.convert_to_hw.fm_padding import InferFMPadding
    from finn.transformation.fpgadataflow.convert_to_hw.label_select import InferLabelSelectLayer
    from finn.transformation.fpgadataflow.convert_to_hw.pool import InferPool
    from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
        InferQuantizedMatrixVectorActivation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer

    products = [InferBinaryMatrixVectorActivation(), InferQuantizedMatrixVectorActivation()]
    others = [
        InferThresholdingLayer(),
        InferFMPadding(),
        InferPool(),
        InferConvInpGen(),
        InferLabelSelectLayer(),
    ]
    return products, others


def _full_products(model: ModelWrapper) -> None:
    """Undo the depthwise marking by QONNX's lowering, which it applies to every convolution of 1 channel to 1."""
    for node in model.get_nodes_by_op_type("Im2Col"):
        getCustomOp(node).set_nodeattr("depthwise", 0)
    for annotation in model.graph.quantization_annotation:
        kept = [p for p in annotation.quant_parameter_tensor_names if p.key != "tensor_sparsity"]
        del annotation.quant_parameter_tensor_names[:]
        annotation.quant_parameter_tensor_names.extend(kept)


def _mark_channels_last(model: ModelWrapper) -> None:
    """Mark images as NHWC at every threshold; FINN's guess would transpose them."""
    for node in model.get_nodes_by_op_type("MultiThreshold"):
        if len(model.get_tensor_shape(node.input[0])) == 4:
            getCustomOp(node).set_nodeattr("data_layout", "NHWC")
            for tensor in (node.input[0], node.output[0]):
                model.set_tensor_layout(tensor, ["N", "H", "W", "C"])


def _drop_sign_scaling(model: ModelWrapper) -> None:
    """Remove scale and bias from a sign of the input: FINN's Thresholding maps 0 and 1 to -1 and +1 by itself."""
    for node in model.get_nodes_by_op_type("MultiThreshold"):
        step = getCustomOp(node)
        if step.get_nodeattr("out_dtype") == "BIPOLAR":
            step.set_nodeattr("out_scale", 1.0)
            step.set_nodeattr("out_bias", 0.0)


def _convert_pads(model: ModelWrapper) -> None:
    """Convert the constants of pads in streams that FINN has converted from -1 and +1 to 0 and 1."""
    for node in model.get_nodes_by_op_type("Pad"):
        if model.get_tensor_datatype(node.input[0]) == DataType["BINARY"]:
            model.set_initializer(node.input[2], (model.get_initializer(node.input[2]) + 1) / 2)


def _lower_sums(model: ModelWrapper) -> None:
    """Replace each sum over an image by FINN's GlobalAccPool, and move a factor and addend from before to after it.

    The addend becomes its sum over all pixels.
    """
    nodes = model.graph.node
    for node in model.get_nodes_by_op_type("ReduceSum"):
        _, height, width, channels = model.get_tensor_shape(node.input[0])
        chain = [node]
        while (before := model.find_producer(chain[0].input[0])).op_type in ("Mul", "Add"):
            chain.insert(0, before)
            if before.op_type == "Add":
                model.set_initializer(before.input[1], height * width * model.get_initializer(before.input[1]))
        data, place = chain[0].input[0], list(nodes).index(chain[0])
        made = [
            helper.make_node("GlobalAccPool", [data], [model.make_new_valueinfo_name()], domain=FINN, PE=1,
                             NumChannels=channels, inputDataType=model.get_tensor_datatype(data).name,
                             numInputVectors=[1, height, width], backend="fpgadataflow")
        ]  # fmt: skip
        for scalar in chain[:-1]:
            result = model.make_new_valueinfo_name()
            made.append(helper.make_node(scalar.op_type, [made[-1].output[0], scalar.input[1]], [result]))
        made[-1].output[0] = node.output[0]
        for old in chain:
            nodes.remove(old)
        for k, new in enumerate(made):
            nodes.insert(place + k, new)


def _tidy(model: ModelWrapper) -> ModelWrapper:
    for step in (
        InferShapes(),
        FoldConstants(),
        GiveUniqueNodeNames(),
        GiveReadableTensorNames(),
        InferDataTypes(),
        RemoveStaticGraphInputs(),
    ):
        model = model.transform(step)
    return model


def _set_exact_thresholds(model: ModelWrapper, network: Network, config: CompileConfig) -> tuple[Ints, ...]:
    """Replace FINN's thresholds by exact ones; returns which weight rows of each layer FINN negated."""
    products = model.get_nodes_by_op_type("MatMul")
    steps = model.get_nodes_by_op_type("MultiThreshold")
    if (len(products), len(steps)) != (len(network.layers), len(network.quantizers)):
        raise UserError(
            f"{network.file}: FINN streamlined {len(network.layers)} layers and {len(network.quantizers)} quantizers "
            f"to {[n.op_type for n in model.graph.node]}; one MatMul and one MultiThreshold for each are needed; "
            "please report this model"
        )
    pending = list(steps)
    if network.quantizer is not None:
        host = host_levels(config)
        exact = thresholds.of_input(network.head, network.quantizer, host, network.channels)
        _set(model, pending.pop(0), exact if np.ptp(exact, axis=0).any() else exact[:1])
    flips = []
    for layer, product, levels in zip(network.layers, products, layer_inputs(network, config), strict=True):
        flips.append(_flips(layer, model.get_initializer(product.input[1])))
        if layer.quantizer is not None:
            sums = _sums(layer, levels)
            exact = thresholds.of_layer(
                layer.dense, layer.chain, layer.quantizer, flips[-1], sums, levels, layer.inversions
            )
            _set(model, pending.pop(0), sums.first + sums.stride * exact)
    return tuple(flips)


def _sums(layer: Layer, levels: Levels) -> Sums:
    weights = layer.dense.weights
    if levels.bipolar and layer.dense.bipolar:
        return Sums(first=-weights.shape[1], stride=2, low=0, high=weights.shape[1])
    # a row may be negated, so the range covers both signs
    bound = int((np.abs(weights).sum(axis=1)).max()) * max(-levels.low, levels.high)
    return Sums(first=0, stride=1, low=-bound, high=bound)


def _flips(layer: Layer, found: Floats | None) -> Ints:
    weights = layer.dense.weights
    if found is None or found.shape != weights.T.shape:
        layer.dense.place.refuse("FINN changed the shape of its weights; please report this model")
    flips = np.where((found.T * weights).sum(axis=1) < 0, -1, 1)
    if not np.array_equal(found.T, weights * flips[:, None]):
        layer.dense.place.refuse("FINN changed more of its weights than their sign; please report this model")
    return flips


def _set(model: ModelWrapper, node: onnx.NodeProto, exact: Ints) -> None:
    model.set_initializer(node.input[1], exact.astype(np.float32))
    model.set_tensor_datatype(node.input[1], DataType["INT32"])
