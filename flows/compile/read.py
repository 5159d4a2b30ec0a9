# SPDX-License-Identifier: Apache-2.0
"""Reading a QONNX file into a `Network`; whatever cannot be compiled is refused here, with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from qonnx.core.modelwrapper import ModelWrapper

from adiabit.errors import UserError
from adiabit.flows.compile.model_file import ELEMENTWISE, HELP, KNOWN, PRODUCTS, QUANTIZERS, SHAPES, load, open_model
from adiabit.flows.compile.network import Chain, Dense, Layer, Network, Place, Quantizer, Step, constant
from adiabit.hw.accelerator import Kind

BITS = 4  # of a quantized activation at most: 15 thresholds a channel


def read(path: Path) -> Network:
    """Parse a QONNX file; `UserError` names file, node, position, what was expected and what to do."""
    positions = {node.output[0]: i for i, node in enumerate(open_model(path).graph.node, 1) if node.output}
    return _Reader(path, load(path), positions).read()


@dataclass
class _Reader:
    """Walks from the input to the output along the one path of data."""

    path: Path
    model: ModelWrapper
    positions: dict[str, int]  # of the file's nodes, by their first output
    used: set[str] = field(default_factory=set)

    def read(self) -> Network:
        graph = self.model.graph
        name = graph.input[0].name
        shape = tuple(self.model.get_tensor_shape(name))
        features = int(np.prod(shape))
        head, quantizer, tensor = self._activation(name, features)
        layers = []
        while tensor != graph.output[0].name:
            dense, bias, tensor = self._dense(tensor, features)
            features = len(dense.weights)
            chain, found, tensor = self._activation(tensor, features)
            chain = Chain(steps=(*bias, *chain.steps), opset=chain.opset)
            layers.append(Layer(dense=dense, chain=chain, quantizer=found))
        network = Network(
            file=self.path, input_name=name, input_shape=shape, head=head, quantizer=quantizer, layers=tuple(layers)
        )
        _check(network)
        return network

    def _place(self, node: onnx.NodeProto) -> Place:
        index = self.positions.get(node.output[0], 0)
        return Place(
            file=self.path, name=node.name or node.output[0], op=node.op_type, index=index, total=len(self.positions)
        )

    def _next(self, tensor: str) -> onnx.NodeProto | None:
        consumers = [n for n in self.model.graph.node if tensor in n.input]
        if len(consumers) > 1:
            self._place(consumers[1]).refuse(
                f"reads {tensor!r}, which {consumers[0].name or consumers[0].op_type!r} reads too; "
                "a chain of layers is expected; remove the branch"
            )
        return consumers[0] if consumers else None

    def _activation(self, tensor: str, channels: int) -> tuple[Chain, Quantizer | None, str]:
        """Element-wise steps from `tensor` on, the quantizer that ends them if one does, and the tensor reached."""
        steps: list[Step] = []
        quantizer = None
        while quantizer is None and (node := self._next(tensor)) is not None and node.op_type not in PRODUCTS:
            if node.op_type in QUANTIZERS:
                quantizer = self._quantizer(node, steps)
            elif node.op_type in ELEMENTWISE:
                steps.append(self._step(node, tensor, channels))
            else:
                self._check_shape(node, channels)
            tensor = node.output[0]
        opset = next(o.version for o in self.model.model.opset_import if o.domain in ("", "ai.onnx"))
        while (node := self._next(tensor)) is not None and node.op_type in SHAPES:
            self._check_shape(node, channels)
            tensor = node.output[0]
        return Chain(steps=tuple(steps), opset=opset), quantizer, tensor

    def _check_shape(self, node: onnx.NodeProto, elements: int) -> None:
        """Only the shape may change, neither the number nor the order of elements."""
        place = self._place(node)
        if node.op_type not in SHAPES:
            place.refuse(f"cannot be compiled; expected one of {', '.join(KNOWN)}; {HELP}")
        shape = self.model.get_tensor_shape(node.output[0])
        if shape is not None and int(np.prod(shape)) != elements:
            place.refuse(f"makes {list(shape)} of {elements} elements; their number must stay; check the model")

    def _constant(self, node: onnx.NodeProto, i: int) -> npt.NDArray[np.float32]:
        value = self.model.get_initializer(node.input[i])
        if value is None:
            self._place(node).refuse(f"input {node.input[i]!r} is not a constant; only one input may be data; {HELP}")
        value = constant(value)
        if not np.all(np.isfinite(value)):
            self._place(node).refuse(
                f"constant {node.input[i]!r} holds NaN or infinity; numbers are needed; train or export it anew"
            )
        return value

    def _step(self, node: onnx.NodeProto, tensor: str, channels: int) -> Step:
        data = list(node.input).index(tensor)
        constants = {i: self._constant(node, i) for i in range(len(node.input)) if i != data}
        place = self._place(node)
        shape = tuple(self.model.get_tensor_shape(tensor) or ())
        for i, value in constants.items():
            fits = value.size in (1, channels) and (
                node.op_type == "BatchNormalization" or np.broadcast_shapes(value.shape[-len(shape) :], shape) == shape
            )
            if not fits:
                place.refuse(
                    f"constant {node.input[i]!r} has shape {value.shape}; one number, or one for each of the "
                    f"{channels} channels, is needed; check the model"
                )
        if node.op_type == "Div" and (data != 0 or np.any(constants[1] == 0)):
            place.refuse("divides by data or by 0; only a division by constants other than 0 can be compiled")
        if node.op_type == "BatchNormalization" and np.any(constants[4] < 0):
            place.refuse("a variance is less than 0; train or export it anew")
        return Step(place=place, node=node, data=data, constants={i: _flat(node, v) for i, v in constants.items()})

    def _quantizer(self, node: onnx.NodeProto, before: list[Step]) -> Quantizer:
        place = self._place(node)
        scale = self._scalar(node, 1, "scale")
        if scale <= 0:
            place.refuse(f"scale is {scale:g}; it must be greater than 0; export it anew")
        if node.op_type == "BipolarQuant":
            if before and before[-1].node.op_type == "Relu":
                place.refuse(
                    "quantizes a Relu to -1 and +1, so it is always +1; Brevitas exports a QuantReLU of 1 bit so; "
                    "use a 1-bit QuantIdentity instead"
                )
            return Quantizer(place=place, kind=Kind.BIPOLAR, bits=1, scale=scale, tensor=node.output[0], node=node)
        bits, zero = self._scalar(node, 3, "bit width"), self._scalar(node, 2, "zero point")
        signed, rounding = _attribute(node, "signed", 1), _attribute(node, "rounding_mode", "ROUND")
        if signed or zero or rounding != "ROUND" or bits not in range(2, BITS + 1) or _attribute(node, "narrow", 0):
            place.refuse(
                f"signed={signed}, zero point {zero:g}, {bits:g} bits, rounding {rounding}; an activation is bipolar, "
                f"or unsigned with 2 to {BITS} bits, zero point 0, rounding ROUND; choose such a quantizer"
            )
        return Quantizer(place=place, kind=Kind.UNSIGNED, bits=int(bits), scale=scale, tensor=node.output[0], node=node)

    def _scalar(self, node: onnx.NodeProto, i: int, what: str) -> float:
        value = self._constant(node, i)
        if value.size != 1:
            self._place(node).refuse(
                f"{what} has shape {value.shape}; one number for the whole tensor is needed; quantize a tensor"
            )
        return float(value.reshape(-1)[0])

    def _dense(self, tensor: str, features: int) -> tuple[Dense, list[Step], str]:
        node = self._next(tensor)
        if node is None:
            raise UserError(f"{self.path}: the data ends at {tensor!r}, before the output; export the network anew")
        place = self._place(node)
        if node.op_type not in PRODUCTS:
            place.refuse(f"cannot be compiled here; expected MatMul or Gemm; {HELP}")
        if node.input[0] != tensor:
            place.refuse("has the data as its second factor; the weights must be the second; transpose the product")
        weights, scale = self._weights(node)
        if _attribute(node, "transB", 0):
            weights = weights.T
        if weights.ndim != 2 or weights.shape[0] != features or _attribute(node, "transA", 0):
            place.refuse(
                f"weights have shape {weights.shape}; ({features}, outputs) is needed for {features} inputs; "
                "check the model"
            )
        bias = self._bias(node, place, weights.shape[1])
        return (
            Dense(place=place, weights=weights.T, scale=np.broadcast_to(scale, weights.shape[1:])),
            bias,
            node.output[0],
        )

    def _bias(self, node: onnx.NodeProto, place: Place, channels: int) -> list[Step]:
        if _attribute(node, "alpha", 1.0) != 1 or _attribute(node, "beta", 1.0) != 1:
            place.refuse("alpha and beta must be 1; export it as MatMul and Add")
        if len(node.input) < 3:
            return []
        add = onnx.helper.make_node("Add", ["", node.input[2]], [""])
        value = self._constant(node, 2)
        if value.size not in (1, channels):
            place.refuse(f"bias has shape {value.shape}; {channels} numbers are needed")
        return [Step(place=place, node=add, data=0, constants={1: value.reshape(-1)})]

    def _weights(self, node: onnx.NodeProto) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Integer weights as the node reads them, and the scale of each output (or one for all)."""
        producer = self.model.find_producer(node.input[1])
        turned = producer is not None and producer.op_type == "Transpose"
        quant = self.model.find_producer(producer.input[0]) if turned else producer
        if quant is None or quant.op_type not in QUANTIZERS:
            self._place(node).refuse(
                "weights are not quantized; BipolarQuant or Quant is expected before them; train a quantized layer"
            )
        place, values = self._place(quant), self._constant(quant, 0)
        scale = self._constant(quant, 1).astype(float)
        if not np.any(values) or not np.all(scale):
            place.refuse("all weights, or a scale of them, are 0; train the layer before it is compiled")
        if quant.op_type == "BipolarQuant":
            ints = np.where(values >= 0, 1, -1).astype(np.int64)
        else:
            ints = self._small_ints(quant, place, values, scale)
        if turned:
            ints, scale = ints.T, scale.T
        outputs = 0 if _attribute(node, "transB", 0) else 1
        if scale.size > 1 and (scale.ndim != 2 or scale.shape[outputs] != scale.size):
            place.refuse(f"scale has shape {scale.shape}; one number, or one for each output, is needed")
        return ints, scale.reshape(-1)

    def _small_ints(
        self, quant: onnx.NodeProto, place: Place, values: npt.NDArray[np.float32], scale: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.int64]:
        bits, zero = self._scalar(quant, 3, "bit width"), self._scalar(quant, 2, "zero point")
        if zero or bits not in range(2, 9) or not _attribute(quant, "signed", 1):
            place.refuse(
                f"weights of {bits:g} bits, zero point {zero:g}; signed, 2 to 8 bits and zero point 0 are needed"
            )
        high = 2 ** (int(bits) - 1) - 1
        low = -high if _attribute(quant, "narrow", 0) else -high - 1
        return np.clip(np.rint(values / scale.astype(np.float32)), low, high).astype(np.int64)


def _flat(node: onnx.NodeProto, value: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return value.reshape(-1) if node.op_type == "BatchNormalization" or value.size > 1 else value.reshape(())


def _attribute(node: onnx.NodeProto, name: str, default: object) -> object:
    for attribute in node.attribute:
        if attribute.name == name:
            value = onnx.helper.get_attribute_value(attribute)
            return value.decode() if isinstance(value, bytes) else value
    return default


def _check(network: Network) -> None:
    """What only the whole chain can tell."""
    if not network.layers:
        raise UserError(f"{network.file}: has no dense layer (MatMul or Gemm); at least one is needed; {HELP}")
    for layer in network.layers[:-1]:
        if layer.quantizer is None:
            layer.dense.place.refuse(
                "no quantizer follows it before the next layer; BipolarQuant or Quant is expected; quantize it"
            )
    last = network.layers[-1]
    if last.quantizer is not None:
        last.quantizer.place.refuse("ends the network; the last layer must put out logits; remove the quantizer")
    if network.quantizer is None and network.head.steps:
        _one_scale(network.head, network.features, "before the first product")
    _one_scale(last.chain, len(last.dense.weights), "after the last product", last.dense.scale, last.dense.place)


def _one_scale(
    chain: Chain, channels: int, where: str, scale: npt.NDArray[np.float64] | None = None, place: Place | None = None
) -> None:
    factor, addend = chain.affine(channels)
    factor = factor if scale is None else factor * scale
    place = chain.steps[-1].place if chain.steps else place
    assert place is not None  # noqa: S101  # a chain without steps has the product's place
    if np.any(factor == 0) or np.ptp(factor) or np.ptp(addend):
        place.refuse(
            f"scales or shifts channels differently {where} (factors {factor.min():g} to {factor.max():g}, "
            f"addends {addend.min():g} to {addend.max():g}); one factor other than 0 and one addend for all channels "
            "are needed; normalise the whole tensor there"
        )
