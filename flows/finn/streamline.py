# SPDX-License-Identifier: Apache-2.0
"""Streamlining with FINN's library transformations, without FINN's builder.

Call inside :func:`adiabit.flows.finn.finn_setup.finn`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import GiveUniqueNodeNames, RemoveStaticGraphInputs
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.insert_topk import InsertTopK
from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul

from adiabit.errors import UserError
from adiabit.flows.finn.canonical import Canonical, canonical
from adiabit.flows.finn.xnor import to_xnor
from adiabit.flows.frontend import thresholds
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.levels import levels_of
from adiabit.flows.frontend.network import Activation, Network, Product
from adiabit.hw.stages import Ints

FINN = "finn.custom_op.fpgadataflow"
Floats = npt.NDArray[np.float32]
Content = tuple[tuple[int, ...], bytes]  # shape and values of weights


@dataclass(frozen=True, kw_only=True)
class Streamlined:
    """FINN's hardware graph of a network, the tensor of each node in it, and which weight rows were negated."""

    model: ModelWrapper  # hardware nodes, then the nodes that stay on the host
    tensors: dict[str, str]  # by node; of products and moves, FINN may have renamed it
    signs: dict[str, Ints]  # by product, (MH,) of -1 and +1
    grouped: dict[Content, Product]  # products of grouped convolutions, by their weights in the graph


def input_type(config: CompileConfig) -> str:
    """FINN's data type of an element from the host."""
    if config.input_bits == 1:
        return "BIPOLAR"
    return f"{'INT' if config.input_signed else 'UINT'}{config.input_bits}"


def streamline(network: Network, config: CompileConfig) -> Streamlined:
    """Turn a normalized network into FINN's hardware layers, with exact thresholds."""
    from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN
    from finn.transformation.streamline.absorb import AbsorbConsecutiveTransposes, AbsorbScalarMulAddIntoTopK
    from finn.transformation.streamline.reorder import MakeMaxPoolNHWC
    from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds

    given = canonical(network, config)
    model = _tidy(given.model.transform(ConvertQONNXtoFINN()))
    model.set_tensor_datatype(model.graph.input[0].name, DataType[input_type(config)])
    if config.label_select and network.ranking is None:
        model = _tidy(model.transform(InsertTopK(k=1)))
    _guard_end(model)
    for step in (LowerConvsToMatMul(), AbsorbConsecutiveTransposes(), MakeMaxPoolNHWC(), AbsorbConsecutiveTransposes()):
        model = model.transform(step)
    _drop_guard(model)
    _full_products(model)
    model = _absorbed(_tidy(model))
    _set_exact_thresholds(model, network, given, config)
    model = to_xnor(model)
    _lower_sums(model)
    model = _absorbed(_tidy(model))
    for step in (AbsorbScalarMulAddIntoTopK(), InferDataTypes(), RoundAndClipThresholds()):
        model = model.transform(step)
    _mark_channels_last(model)
    signs = {product.name: given.signs[product.name] for product in network.products}
    grouped = {content(signs[p.name][:, None] * p.weights): p for p in network.products if p.groups > 1}
    _mark_depthwise(model, grouped)
    products, others = _to_hardware()
    for step in products:
        model = model.transform(step)
    _drop_sign_scaling(model)
    for step in others:
        model = model.transform(step)
    _sum_exactly(model)
    return Streamlined(model=_tidy(model), tensors=given.tensors, signs=signs, grouped=grouped)


def _absorbed(model: ModelWrapper) -> ModelWrapper:
    """The model whose thresholds have absorbed the factors and addends before them.

    These are the steps of FINN's Streamline that act on a canonical graph, where nothing but quantizers and logits has
    a scale. Streamline itself renames every tensor, by which we know the quantizers, and leaves what precedes a fork.
    """
    from finn.transformation.streamline.absorb import (
        AbsorbAddIntoMultiThreshold,
        AbsorbMulIntoMultiThreshold,
        AbsorbScalarBiasIntoMultiThreshold,
        FactorOutMulSignMagnitude,
    )
    from finn.transformation.streamline.collapse_repeated import CollapseRepeatedAdd, CollapseRepeatedMul
    from finn.transformation.streamline.reorder import (
        MoveAddPastMul,
        MoveLinearPastFork,
        MoveScalarLinearPastInvariants,
    )

    for step in (
        AbsorbScalarBiasIntoMultiThreshold(),
        MoveLinearPastFork(),
        MoveScalarLinearPastInvariants(),
        MoveAddPastMul(),
        CollapseRepeatedAdd(),
        CollapseRepeatedMul(),
        AbsorbAddIntoMultiThreshold(),
        FactorOutMulSignMagnitude(),
        AbsorbMulIntoMultiThreshold(),
    ):
        model = model.transform(step)
    return _tidy(model)


def _to_hardware() -> tuple[list[Transformation], list[Transformation]]:
    """FINN's transformations to hardware layers, in order: products with the steps after them, then all others."""
    from finn.transformation.fpgadataflow.convert_to_hw.binary_matrix_vector_activation import (
        InferBinaryMatrixVectorActivation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.concat import InferConcatLayer
    from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen
    from finn.transformation.fpgadataflow.convert_to_hw.duplicate_streams import InferDuplicateStreamsLayer
    from finn.transformation.fpgadataflow.convert_to_hw.elementwise_binary_operation import (
        InferElementwiseBinaryOperation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.fm_padding import InferFMPadding
    from finn.transformation.fpgadataflow.convert_to_hw.label_select import InferLabelSelectLayer
    from finn.transformation.fpgadataflow.convert_to_hw.pool import InferPool
    from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
        InferQuantizedMatrixVectorActivation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
    from finn.transformation.fpgadataflow.convert_to_hw.vector_vector_activation import InferVectorVectorActivation

    products = [
        InferVectorVectorActivation(),
        InferBinaryMatrixVectorActivation(),
        InferQuantizedMatrixVectorActivation(),
    ]
    others = [
        InferThresholdingLayer(),
        InferFMPadding(),
        InferPool(),
        InferConvInpGen(),
        InferLabelSelectLayer(),
        InferConcatLayer(),
        InferElementwiseBinaryOperation(_adds_streams),
        InferDuplicateStreamsLayer(),
    ]
    return products, others


def _adds_streams(model: ModelWrapper, node: onnx.NodeProto) -> bool:
    """Whether a node adds two streams."""
    return node.op_type == "Add" and all(model.get_initializer(name) is None for name in node.input)


def _full_products(model: ModelWrapper) -> None:
    """Undo the depthwise marking by QONNX's lowering, which it applies to every convolution of 1 channel to 1."""
    for node in model.get_nodes_by_op_type("Im2Col"):
        getCustomOp(node).set_nodeattr("depthwise", 0)
    for annotation in model.graph.quantization_annotation:
        kept = [p for p in annotation.quant_parameter_tensor_names if p.key != "tensor_sparsity"]
        del annotation.quant_parameter_tensor_names[:]
        annotation.quant_parameter_tensor_names.extend(kept)


def _mark_depthwise(model: ModelWrapper, grouped: Mapping[Content, Product]) -> None:
    """Mark depthwise products as QONNX's lowering would, so that FINN makes its VVAU of them.

    Those before a sign stay matrices with zeros: InferVectorVectorActivation refuses its scale of 2.
    """
    for node in model.get_nodes_by_op_type("MatMul"):
        product = grouped.get(content(model.get_initializer(node.input[1]).T))
        readers = model.find_consumers(node.output[0]) or []
        sign = any(
            n.op_type == "MultiThreshold" and model.get_tensor_datatype(n.output[0]).bitwidth() == 1 for n in readers
        )
        if product is not None and product.filter is not None and product.depthwise and not sign:
            model.set_tensor_sparsity(node.input[1], {"dw": {"kernel_shape": list(product.filter.kernel)}})
            window = model.find_producer(node.input[0])
            if window is not None and window.op_type == "Im2Col":  # one pixel needs none
                getCustomOp(window).set_nodeattr("depthwise", 1)


def _guard_end(model: ModelWrapper) -> None:
    """Put an Identity behind a Transpose that ends the graph: FINN's AbsorbConsecutiveTransposes fails on the end."""
    (output,) = model.graph.output
    end = model.find_producer(output.name)
    if end.op_type == "Transpose":
        end.output[0] = model.make_new_valueinfo_name()
        model.set_tensor_shape(end.output[0], model.get_tensor_shape(output.name))
        model.graph.node.append(helper.make_node("Identity", [end.output[0]], [output.name]))


def _drop_guard(model: ModelWrapper) -> None:
    """Remove the Identity behind the end."""
    for node in model.get_nodes_by_op_type("Identity"):
        model.find_producer(node.input[0]).output[0] = node.output[0]
        model.graph.node.remove(node)


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


def _sum_exactly(model: ModelWrapper) -> None:
    """Make each average of windows FINN's sum: its QuantAvgPool drops bits of sums that it believes to be wide."""
    for node in model.get_nodes_by_op_type("Pool"):
        pool = getCustomOp(node)
        if pool.get_nodeattr("Function") == "QuantAvgPool":
            pool.set_nodeattr("Function", "AccPool")


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
        InferDataTypes(),
        RemoveStaticGraphInputs(),
    ):
        model = model.transform(step)
    return model


def _set_exact_thresholds(model: ModelWrapper, network: Network, given: Canonical, config: CompileConfig) -> None:
    """Replace FINN's thresholds by exact ones, and check that FINN changed no weights and no signs."""
    levels = levels_of(network, config)
    for activation in network.activations:
        node = model.find_producer(given.tensors[activation.name])
        if node is None or node.op_type != "MultiThreshold":
            activation.place.refuse(
                f"FINN made {node.op_type if node else 'nothing'} of this quantizer; a MultiThreshold is needed; "
                "please report this model"
            )
        signs = given.signs[activation.name]
        _check_signs(model, node, activation, signs)
        exact = thresholds.of_activation(activation, levels[activation.edge.source], signs)
        _set(model, node, exact if np.ptp(exact, axis=0).any() else exact[:1])
    expected = sorted(content(given.signs[p.name][:, None] * p.weights) for p in network.products)
    found = sorted(content(model.get_initializer(n.input[1]).T) for n in model.get_nodes_by_op_type("MatMul"))
    if found != expected:
        raise UserError(f"{network.file}: FINN changed the weights of a product; please report this model")


def _check_signs(model: ModelWrapper, node: onnx.NodeProto, activation: Activation, signs: Ints) -> None:
    """Check that what stands before a quantizer is the negation that we wrote there, if any, and nothing else."""
    before = model.find_producer(node.input[0])
    source = activation.edge.source
    factor = model.get_initializer(before.input[1]) if before is not None and before.op_type in ("Mul", "Add") else None
    if factor is not None and not (before.op_type == "Mul" and np.array_equal(factor.reshape(-1), signs)):
        activation.place.refuse(
            f"FINN left {before.op_type} between {source!r} and this quantizer; please report this model"
        )


def content(weights: Ints | Floats) -> Content:
    """Shape and values of weights (MH, MW), to compare them."""
    return weights.shape, np.ascontiguousarray(weights).astype(np.int8).tobytes()


def _set(model: ModelWrapper, node: onnx.NodeProto, exact: Ints) -> None:
    model.set_initializer(node.input[1], exact.astype(np.float32))
    model.set_tensor_datatype(node.input[1], DataType["INT32"])
