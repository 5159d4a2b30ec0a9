# SPDX-License-Identifier: Apache-2.0
"""FINN's library transformations in the order that works for dense networks; never FINN's builder.

Call inside :func:`adiabit.flows.compile.finn_setup.finn`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.bipolar_to_xnor import ConvertBipolarMatMulToXnorPopcount
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames, RemoveStaticGraphInputs
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.insert_topk import InsertTopK
from qonnx.util.basic import qonnx_make_model

from adiabit.errors import UserError
from adiabit.flows.compile import thresholds
from adiabit.flows.compile.config import CompileConfig
from adiabit.flows.compile.levels import Levels, Sums, host_levels, layer_inputs
from adiabit.flows.compile.network import Chain, Layer, Network, Quantizer, Reals, constant
from adiabit.hw.accelerator import Ints, Kind, signed_bits

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Streamlined:
    """FINN's hardware graph of a network, and which weight rows FINN negated."""

    model: ModelWrapper  # Thresholding, MVAU and LabelSelect nodes, then what stays on the host
    flips: tuple[Ints, ...]  # a layer: (MH,) of -1 and +1


def input_type(config: CompileConfig) -> str:
    """FINN's name of the host's element."""
    if config.input_bits == 1:
        return "BIPOLAR"
    return f"{'INT' if config.input_signed else 'UINT'}{config.input_bits}"


def streamline(network: Network, config: CompileConfig) -> Streamlined:
    """Turn the network into FINN's hardware layers, with exact thresholds."""
    from finn.transformation.fpgadataflow.convert_to_hw.binary_matrix_vector_activation import (
        InferBinaryMatrixVectorActivation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.label_select import InferLabelSelectLayer
    from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
        InferQuantizedMatrixVectorActivation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
    from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN
    from finn.transformation.streamline import Streamline
    from finn.transformation.streamline.absorb import AbsorbScalarMulAddIntoTopK
    from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds

    model = _tidy(canonical(network, config).transform(ConvertQONNXtoFINN()))
    model.set_tensor_datatype(model.graph.input[0].name, DataType[input_type(config)])
    if config.label_select:
        model = _tidy(model.transform(InsertTopK(k=1)))
    model = model.transform(Streamline())
    flips = _sharpen(model, network, config)
    for step in (
        ConvertBipolarMatMulToXnorPopcount(),
        Streamline(),
        AbsorbScalarMulAddIntoTopK(),
        InferDataTypes(),
        RoundAndClipThresholds(),
        InferBinaryMatrixVectorActivation(),
        InferQuantizedMatrixVectorActivation(),
        InferThresholdingLayer(),
        InferLabelSelectLayer(),
    ):
        model = model.transform(step)
    return Streamlined(model=_tidy(model), flips=flips)


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


def canonical(network: Network, config: CompileConfig) -> ModelWrapper:
    """The network as a QONNX model of input (1, features): no reshapes, positive factors, bipolar steps of scale 1."""
    writer = _Writer()
    writer.scalars(config.input_scale, config.input_offset)
    writer.head(network.head, network.features)
    writer.quantizer(network.quantizer)
    for layer in network.layers:
        writer.layer(layer)
        writer.quantizer(layer.quantizer)
    return writer.model(network)


class _Writer:
    """Appends nodes to a chain that begins at tensor `image`."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Floats] = {}
        self.types: dict[str, DataType] = {}
        self.tensor = "image"
        self.opset = 0

    def _append(self, op: str, constants: list[Floats], domain: str = "", **attributes: object) -> None:
        k = len(self.nodes)
        names = [f"c{k}_{i}" for i in range(len(constants))]
        self.constants.update(zip(names, constants, strict=True))
        self.nodes.append(helper.make_node(op, [self.tensor, *names], [f"t{k}"], domain=domain, **attributes))
        self.tensor = f"t{k}"

    def scalars(self, factor: float, addend: float) -> None:
        if factor != 1:
            self._append("Mul", [constant([factor])])
        if addend != 0:
            self._append("Add", [constant([addend])])

    def head(self, chain: Chain, channels: int) -> None:
        """What is done to the input: per channel, or once for all."""
        self.opset = chain.opset
        if chain.affine_only:
            self._affine(*chain.affine(channels))
        else:
            self._copy(chain)

    def layer(self, layer: Layer) -> None:
        """A product and its chain. FINN negates rows too, but at a call of Python a weight: do it for it here."""
        dense, chain = layer.dense, layer.chain
        if not chain.affine_only:
            self._product(dense.weights, dense.bipolar)
            self._affine(dense.scale, np.zeros_like(dense.scale))
            self._copy(chain)
            return
        factor, addend = chain.affine(len(dense.weights))
        factor = factor * dense.scale
        self._product(np.where(factor < 0, -1, 1)[:, None] * dense.weights, dense.bipolar)
        self._affine(np.abs(np.where(factor == 0, 1, factor)), addend)  # gamma = 0: its exact threshold comes later

    def _product(self, weights: Ints, bipolar: bool) -> None:
        self._append("MatMul", [weights.T.astype(np.float32)])
        bits = signed_bits(int(weights.min()), int(weights.max()))
        self.types[self.nodes[-1].input[1]] = DataType["BIPOLAR" if bipolar else f"INT{bits}"]

    def _affine(self, factor: Reals, addend: Reals) -> None:
        for op, value, idle in (("Mul", factor, 1), ("Add", addend, 0)):
            if np.any(value != idle):
                self._append(op, [constant(value[None, :] if np.ptp(value) else value[:1])])

    def _copy(self, chain: Chain) -> None:
        nodes, constants = chain.nodes(self.tensor)
        for name, value in constants.items():
            self.constants[name] = value
        self.nodes += nodes
        self.tensor = nodes[-1].output[0]

    def quantizer(self, quantizer: Quantizer | None) -> None:
        if quantizer is None:
            return
        if quantizer.kind is Kind.BIPOLAR:  # FINN wants a scale of 1
            self._append("BipolarQuant", [constant([1])], "qonnx.custom_op.general")
            self.scalars(quantizer.scale, 0)
        else:
            constants = [constant(value) for value in (quantizer.scale, 0, quantizer.bits)]
            self._append("Quant", constants, "qonnx.custom_op.general", signed=0, narrow=0, rounding_mode="ROUND")

    def model(self, network: Network) -> ModelWrapper:
        float32 = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("image", float32, [1, network.features])],
            [helper.make_tensor_value_info(self.tensor, float32, [1, len(network.layers[-1].dense.weights)])],
        )
        model = ModelWrapper(qonnx_make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)]))
        for name, value in self.constants.items():
            model.set_initializer(name, value)
        for name, datatype in self.types.items():
            model.set_tensor_datatype(name, datatype)
        return model.transform(InferShapes())


def _sharpen(model: ModelWrapper, network: Network, config: CompileConfig) -> tuple[Ints, ...]:
    """Replace FINN's thresholds by exact ones; returns which weight rows of each layer FINN negated."""
    products = model.get_nodes_by_op_type("MatMul")
    steps = model.get_nodes_by_op_type("MultiThreshold")
    if (len(products), len(steps)) != (len(network.layers), len(network.quantizers)):
        raise UserError(
            f"{network.file}: FINN streamlined {len(network.layers)} layers and {len(network.quantizers)} quantizers "
            f"to {[n.op_type for n in model.graph.node]}; one MatMul and one MultiThreshold each are needed; "
            "please report this model"
        )
    pending = list(steps)
    if network.quantizer is not None:
        host = host_levels(config)
        exact = thresholds.of_input(network.head, network.quantizer, host, network.features)
        _set(model, pending.pop(0), exact if np.ptp(exact, axis=0).any() else exact[:1])
    flips = []
    for layer, product, levels in zip(network.layers, products, layer_inputs(network, config), strict=True):
        flips.append(_flips(layer, model.get_initializer(product.input[1])))
        if layer.quantizer is not None:
            sums = _sums(layer, levels)
            exact = thresholds.of_layer(layer.dense, layer.chain, layer.quantizer, flips[-1], sums, levels)
            _set(model, pending.pop(0), sums.first + sums.stride * exact)
    return tuple(flips)


def _sums(layer: Layer, levels: Levels) -> Sums:
    weights = layer.dense.weights
    if levels.bipolar and layer.dense.bipolar:
        return Sums(first=-weights.shape[1], stride=2, low=0, high=weights.shape[1])
    # a row may be negated: the range holds both signs of it
    bound = int((np.abs(weights).sum(axis=1)).max()) * max(-levels.low, levels.high)
    return Sums(first=0, stride=1, low=-bound, high=bound)


def _flips(layer: Layer, found: Floats | None) -> Ints:
    weights = layer.dense.weights
    if found is None or found.shape != weights.T.shape:
        layer.dense.place.refuse("FINN changed the shape of the weights; please report this model")
    flips = np.where((found.T * weights).sum(axis=1) < 0, -1, 1)
    if not np.array_equal(found.T, weights * flips[:, None]):
        layer.dense.place.refuse("FINN changed the weights by more than their sign; please report this model")
    return flips


def _set(model: ModelWrapper, node: onnx.NodeProto, exact: Ints) -> None:
    model.set_initializer(node.input[1], exact.astype(np.float32))
    model.set_tensor_datatype(node.input[1], DataType["INT32"])
