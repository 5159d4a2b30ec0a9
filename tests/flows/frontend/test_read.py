# SPDX-License-Identifier: Apache-2.0
"""What cannot be compiled is refused with file, node, position, what was expected and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from adiabit.errors import UserError
from adiabit.flows.frontend.read import read
from adiabit.hw.stages import Kind

W = np.where(np.arange(12).reshape(3, 4) % 3, 1.0, -1.0)  # (3, 4)
V = np.where(np.arange(6).reshape(2, 3) % 2, 1.0, -1.0)  # (2, 3)
Make = Callable[..., Any]


def refused(path: Path, text: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"{path}: {text}")) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_reads_layers_quantizers_and_chains(net: Make, tmp_path: Path) -> None:
    model = net("batch", 1, 2, 2).op("Flatten").op("Mul", 2.0).op("Sub", [1.0]).sign().dense(W, [[2.0], [3.0], [1.0]])
    model = model.norm([1, -1, 0], [0, 1, 2], [0, 0, 0], [1, 1, 1]).op("Identity").sign(0.5).dense(V).op("Mul", 0.25)
    network = read(model.save(tmp_path / "net.onnx"))
    assert network.input_shape == (1, 1, 2, 2)
    assert network.features == 4
    head, hidden = network.activations
    assert network.head is head
    assert [a.quantizer.kind for a in network.activations] == [Kind.BIPOLAR, Kind.BIPOLAR]
    assert hidden.quantizer.scale == 0.5
    first, last = network.products
    np.testing.assert_array_equal(first.weights, W)
    np.testing.assert_array_equal(first.scale, [2, 3, 1])
    np.testing.assert_array_equal(last.weights, V)
    assert network.last is last
    assert [step.node.op_type for step in head.edge.chain.steps] == ["Mul", "Sub"]
    x = np.linspace(-1, 2, 8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_array_equal(head.edge.chain(x), x * np.float32(2) - np.float32(1))


def test_gemm_is_a_product_and_a_bias(net: Make, tmp_path: Path) -> None:
    model = net(1, 4).sign()
    data = model.tensor
    weights = model.node("BipolarQuant", [model.constant(W), model.constant(1.0)], model.domain)
    model.node("Gemm", [data, weights, model.constant([1.0, 2.0, 3.0])], transB=1)
    network = read(model.sign().dense(V).save(tmp_path / "net.onnx"))
    np.testing.assert_array_equal(network.products[0].weights, W)
    np.testing.assert_array_equal(network.activations[1].edge.chain.affine(3)[1], [1, 2, 3])


def test_small_integer_weights(net: Make, tmp_path: Path) -> None:
    model = net(1, 4).sign().dense([[0.5, -0.26, 5.0, -5.0]], 0.25, bits=3)
    np.testing.assert_array_equal(read(model.save(tmp_path / "n.onnx")).products[0].weights, [[2, -1, 3, -4]])


@pytest.mark.parametrize(
    ("name", "build", "text"),
    [
        ("unknown", lambda n: n(1, 4).sign().dense(W).op("Abs"),
         "node 'abs_4' (Abs, 5 of 5): cannot be compiled; expected one of Add, AveragePool, BatchNormal"),
        ("domain", lambda n: n(1, 4).sign().op("FloatQuant", 1.0, domain="qonnx.custom_op.general").dense(W),
         "node 'floatquant_1' (FloatQuant, 2 of 5): has domain 'qonnx.custom_op.general' and cannot be compiled; expe"),
        ("reshape", lambda n: n(1, 4).op("Reshape", np.array([1, 3])).sign().dense(W),
         "node 'reshape_0' (Reshape, 1 of 5): makes [1, 3] of 4 elements; their number must not change; check the"),
        ("conv", lambda n: n(1, 1, 4, 4).op("Conv", np.full((2, 1, 3, 3), 0.5)).sign(),
         "node 'conv_0' (Conv, 1 of 2): weights are not quantized; BipolarQuant or Quant is expected before"),
        ("float", lambda n: n(1, 4).sign().op("MatMul", 0.5 * W.T),
         "node 'matmul_1' (MatMul, 2 of 2): weights are not quantized; BipolarQuant or Quant is expected before"),
        ("nan", lambda n: n(1, 4).sign().dense(np.full((3, 4), np.nan)),
         "node 'bipolarquant_1' (BipolarQuant, 2 of 4): constant 'c1' has NaN or infinity; finite numbers are needed;"),
        ("zero", lambda n: n(1, 4).sign().dense(np.zeros((3, 4))),
         "node 'bipolarquant_1' (BipolarQuant, 2 of 4): has weights that are all 0, or a scale less than 1.1"),
        ("relu", lambda n: n(1, 4).sign().dense(W).op("Relu").sign().dense(V),
         "node 'bipolarquant_5' (BipolarQuant, 6 of 9): quantizes a Relu to -1 and +1, so it is always +1 (Brevi"),
        ("bits", lambda n: n(1, 4).sign().dense(W).quant(9, 0.1).dense(V),
         "node 'quant_4' (Quant, 5 of 8): signed=0, narrow=0, zero point 0, 9 bits, rounding ROUND; a quantizer mus"),
        ("rounding", lambda n: n(1, 4).sign().dense(W).quant(2, 0.1, rounding_mode="NEAR").dense(V),
         "node 'quant_4' (Quant, 5 of 8): signed=0, narrow=0, zero point 0, 2 bits, rounding NEAR; a quantizer mus"),
        ("slope", lambda n: n(1, 4).sign().dense(W).op("PRelu", [0.5, -0.5, 1.0]).sign().dense(V),
         "node 'prelu_4' (PRelu, 5 of 9): has a negative slope; slopes must be at least 0, so that it never falls"),
        ("first", lambda n: n(1, 4).op("Add", [[0.0, 1, 2, 3]]).dense(W).sign().dense(V),
         "node 'add_0' (Add, 1 of 8): scales or shifts channels differently before a product (factors 1"),
        ("end", lambda n: n(1, 4).sign().dense(W).op("Relu"),
         "node 'relu_4' (Relu, 5 of 5): is not affine; only Add, Sub, Mul, Div and BatchNormalization are allowed h"),
        ("bare", lambda n: n(1, 4).sign().dense(W).dense(V),
         "node 'matmul_3' (MatMul, 4 of 7): is not quantized before the next layer; BipolarQuant or Quant"),
        ("none", lambda n: n(1, 4).sign(), "has no dense layer (MatMul or Gemm); at least one is needed; end"),
        ("scale", lambda n: n(1, 4).sign([[1.0, 2, 3, 4]]).dense(W),
         "node 'bipolarquant_0' (BipolarQuant, 1 of 4): scale has shape (1, 4); one number for the whole tensor"),
        ("negative", lambda n: n(1, 4).sign(-1.0).dense(W),
         "node 'bipolarquant_0' (BipolarQuant, 1 of 4): scale is -1; it must be greater than 0; export it again"),
        ("variance", lambda n: n(1, 4).sign().dense(W).norm([1] * 3, [0] * 3, [0] * 3, [1, -1, 1]).sign().dense(V),
         "node 'batchnormalization_4' (BatchNormalization, 5 of 9): has a negative variance; variances must be"),
        ("dynamic", lambda n: n(1, "width").sign().dense(W),
         "input 'x' has shape [1, 'width']; every axis needs a fixed size; export with a fixed shape"),
        ("batch", lambda n: n(32, 4).sign().dense(W),
         "input 'x' has shape [32, 4]; the batch must be 1; export with a batch of 1"),
        ("shape", lambda n: n(1, 4).sign().dense(W).sign().dense(W),
         "node 'matmul_7' (MatMul, 8 of 8): weights have shape (4, 3); (3, outputs) is needed for 3 inputs; chec"),
        ("ints", lambda n: n(1, 4).sign().dense(W).op("Add", 2).sign().dense(V),
         "node 'add_4' (Add, 5 of 9): constant 'c3' has type int64; float32 is needed; export it again"),
        ("div", lambda n: n(1, 4).sign().dense(W).op("Div", 0.0),
         "node 'div_4' (Div, 5 of 5): divides by data or by 0; only division by non-zero constants can be"),
        ("broadcast", lambda n: n(1, 4).sign().dense(W).op("Add", [[1.0], [2.0], [3.0]]).sign().dense(V),
         "node 'add_4' (Add, 5 of 9): constant 'c3' has shape (3, 1); one number, or one for each of 3 channels"),
    ],
)  # fmt: skip
def test_what_cannot_be_compiled(net: Make, tmp_path: Path, name: str, build: Callable[[Make], Any], text: str) -> None:
    refused(build(net).save(tmp_path / f"{name}.onnx"), text)


def test_a_branch(net: Make, tmp_path: Path) -> None:
    model = net(1, 4).sign()
    data = model.tensor
    model.dense(W)
    model.node("Add", [model.tensor, data])
    refused(
        model.save(tmp_path / "n.onnx"),
        "node 'add_4' (Add, 5 of 5): adds branches of [3] and [4]; they must be equal; bring them to one shape before",
    )


def test_two_outputs(net: Make, tmp_path: Path) -> None:
    model = net(1, 4).sign().dense(W)
    refused(
        model.save(tmp_path / "n.onnx", ["t0", "t3"]),
        "has 4 nodes, inputs ['x'] and outputs ['t0', 't3']; nodes, one input",
    )


def test_files_that_are_no_models(net: Make, tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", "No such file or directory; give the path of a QONNX file")
    text = tmp_path / "text.onnx"
    text.write_text("this is no model\n")
    refused(text, "not an ONNX model, or truncated (")
    empty = tmp_path / "empty.onnx"
    empty.write_bytes(b"")
    refused(empty, "not an ONNX model, or truncated (")
    kind = onnx.load(net(1, 4).sign().dense(W).save(tmp_path / "kind.onnx"))
    kind.graph.initializer[0].data_type = 99
    onnx.save(kind, tmp_path / "kind.onnx")
    refused(tmp_path / "kind.onnx", "constant 'c0' has type 99; one of bool, double, float")
    whole = net(1, 4).sign().dense(W).save(tmp_path / "whole.onnx").read_bytes()
    for share in (0.3, 0.6, 0.99):
        cut = tmp_path / f"cut{share}.onnx"
        cut.write_bytes(whole[: int(len(whole) * share)])
        refused(cut, "not an ONNX model, or truncated (")
