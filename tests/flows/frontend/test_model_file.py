# SPDX-License-Identifier: Apache-2.0
"""Malformed model files and those of another dialect are told in one line, whatever onnx makes of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from adiabit.errors import UserError
from adiabit.flows.cli import main
from adiabit.flows.frontend import model_file, simplify
from adiabit.flows.frontend import probe as probing
from adiabit.flows.frontend.kinds import KNOWN
from adiabit.flows.frontend.probe import probe
from adiabit.flows.frontend.read import read

W = np.where(np.arange(12).reshape(3, 4) % 3, 1.0, -1.0)  # (3, 4)
V = np.where(np.arange(6).reshape(2, 3) % 2, 1.0, -1.0)  # (2, 3)
C = np.ones((2, 1, 2, 2))
GENERAL, FPGA = "qonnx.custom_op.general", "finn.custom_op.fpgadataflow"
Make = Callable[..., Any]
Damage = Callable[[onnx.ModelProto], Any]


def told(path: Path, *, trusted: bool = True) -> str:
    with pytest.raises(UserError) as caught:
        read(path, trusted=trusted)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def damaged(net: Make, path: Path, damage: Damage) -> Path:
    """A good model of two layers (node 0 and 4 are quantizers, 2 a Transpose, 3 a MatMul), after `damage`."""
    model = onnx.load(net(1, 4).sign().dense(W).quant(2, 0.5).dense(V).save(path))
    damage(model)
    path.write_bytes(model.SerializeToString())
    return path


def attribute(model: onnx.ModelProto, node: int, **values: Any) -> None:
    model.graph.node[node].attribute.extend(helper.make_attribute(k, v) for k, v in values.items())


def without(model: onnx.ModelProto, node: int, name: str) -> None:
    kept = [a for a in model.graph.node[node].attribute if a.name != name]
    del model.graph.node[node].attribute[:]
    model.graph.node[node].attribute.extend(kept)


def exchange(model: onnx.ModelProto, node: int, **values: Any) -> None:
    for name in values:
        without(model, node, name)
    attribute(model, node, **values)


def dims(model: onnx.ModelProto, *values: int) -> None:
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(values)


def external(model: onnx.ModelProto, location: str) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value=location)


def kind(model: onnx.ModelProto, node: int, op_type: str, domain: str) -> None:
    model.graph.node[node].op_type, model.graph.node[node].domain = op_type, domain


def test_the_documentation_names_what_can_be_compiled() -> None:
    text = (Path(__file__).parents[3] / "docs" / "compile.md").read_text()
    table = text.partition("\n## What can be compiled\n")[2].partition("\n#")[0]
    assert [kind for kind in KNOWN if f"`{kind}`" not in table] == []


def test_what_is_damaged_here_can_be_read(net: Make, tmp_path: Path) -> None:
    assert len(read(damaged(net, tmp_path / "n.onnx", lambda _: None)).products) == 2


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda m: kind(m, 3, "MVAU", FPGA),
         "node 'matmul_3' (MVAU, 4 of 8): has domain 'finn.custom_op.fpgadataflow', which belongs to FINN-ONNX, "
         "FINN's internal dialect; QONNX is needed; give the file from before FINN's steps"),
        (lambda m: kind(m, 3, "MVAU", "qonnx.custom_op.fpgadataflow"), "has domain 'qonnx.custom_op.fpgadataflow', wh"),
        (lambda m: kind(m, 4, "MultiThreshold", GENERAL), "(MultiThreshold, 5 of 8): has inputs ["),
        (lambda m: kind(m, 3, "Conv", "qonnx.custom_op.channels_last"),
         "node 'matmul_3/first' (Transpose, 5 of 11): transposes axes [0, 3, 1, 2]; only an image can be transposed, "),
        (lambda m: kind(m, 3, "MatMul", "com.microsoft"), "has domain 'com.microsoft' and cannot be compiled; expecte"),
        (lambda m: kind(m, 3, "Sigmoid", ""), "violates the ONNX standard (Node(matmul_3) with schema"),
        (lambda m: m.functions.add(name="f", domain="x"), "has functions of its own; only plain nodes and constants c"),
        (lambda m: m.graph.sparse_initializer.add(), "has sparse constants; only plain nodes and constants can be rea"),
        (lambda m: attribute(m, 3, then_branch=onnx.GraphProto(node=[onnx.NodeProto()])),
         "node 'matmul_3' (MatMul, 4 of 8): attribute 'then_branch' holds a graph or refers to a function; only plain"),
        (lambda m: m.opset_import.pop(0), "imports opset none of ONNX; one of 7 to 2"),
        (lambda m: setattr(m.opset_import[0], "version", 99), "imports opset [99] of ONNX; one of 7 to 2"),
        (lambda m: setattr(m.opset_import[0], "version", 6), "imports opset [6] of ONNX; one of 7 to 2"),
        (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.INT64),
         "input 'x' has type int64; a float32 tensor is needed; export it with float32 inputs"),
        (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.FLOAT16), "input 'x' has type "),
        (lambda m: m.graph.input[0].type.sequence_type.elem_type.tensor_type.SetInParent(),
         "input 'x' has type sequence_type; a float32 tensor is needed; export"),
        (lambda m: m.graph.input[0].type.tensor_type.shape.dim.pop(),
         "input 'x' has shape [1]; an axis must follow the batch; export with frames that"),
        (lambda m: m.graph.output.pop(), "8 nodes, inputs ['x'] and outputs []; nodes, one input and one output are n"),
        (lambda m: m.ClearField("graph"), "not an ONNX model, or truncated (no version or no graph); export it again"),
        (lambda m: m.graph.node[0].output.pop(), "node 'bipolarquant_0' (BipolarQuant, 1 of 8): has no output; "),
        (lambda m: m.graph.node[4].input.pop(),
         "(Quant, 5 of 8): has inputs ['t3', 'c3', 'c4']; data, scale, zero point, bit width are needed; export it"),
        (lambda m: without(m, 4, "signed"), "node 'quant_4' (Quant, 5 of 8): lacks attribute 'signed', which is"),
        (lambda m: exchange(m, 4, signed=7), "attribute signed is 7; 0 to 1 is needed; ex"),
        (lambda m: exchange(m, 4, signed="yes"), "attribute signed is of type STRING; INT"),
        (lambda m: exchange(m, 4, rounding_mode=b"\xff"),
         "attribute 'rounding_mode' is not text; UTF-8 is needed; export it again"),
        (lambda m: attribute(m, 4, signed=0), "has attribute 'signed' twice; names must be unique; export it again"),
        (lambda m: exchange(m, 2, perm=[0, 1]),
         "node 'transpose_2' (Transpose, 3 of 8): transposes weights by [0, 1]; only [1, 0] can be compiled; check"),
        (lambda m: dims(m, 1 << 40), "constant 'c0' has shape [1099511627776]; at most 268,435,456 elements can be re"),
        (lambda m: dims(m, -1), "constant 'c0' has shape [-1]; at most 268,435,456 elements can be read; export it ag"),
        (lambda m: dims(m, 7), "constant 'c0' is damaged (cannot reshape array of size 1 into shape (7,)); export it"),
        (lambda m: setattr(m.graph.initializer[0], "raw_data", b"abc"), "constant 'c0' is damaged (buffer size must b"),
        (lambda m: m.graph.initializer[0].CopyFrom(helper.make_tensor("c0", TensorProto.STRING, [1], [b"a"])),
         "constant 'c0' has type string; one of bool, double, float, float16, int8, int16, int32, int64, uint8, uint1"),
        (lambda m: m.graph.initializer.append(m.graph.initializer[0]), "constant 'c0' exists twice; names must be uni"),
        (lambda m: m.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.float16(1), "c0")),
         "node 'bipolarquant_0' (BipolarQuant, 1 of 8): constant 'c0' has type float16; float32 is needed; export it "),
        (lambda m: m.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros((0,), np.float32), "c0")),
         "constant 'c0' has shape (0,); at least one number is needed; check the model"),
        (lambda m: external(m, "../secret"), "constant 'c0' is stored in '../secret'; external data must be in the mo"),
        (lambda m: external(m, "/etc/passwd"), "constant 'c0' is stored in '/etc/passwd'; external data must be in th"),
        (lambda m: external(m, "a\0b"), "constant 'c0' is stored in 'a\\x00b'; external data must be in the model's o"),
        (lambda m: setattr(m.graph.output[0], "name", "x"), "no node computes the output 'x'; one must; export it aga"),
        (lambda m: external(m, ""), "constant 'c0' is stored in ''; external data must be in the model's own folder; "),
        (lambda m: m.graph.node[5].output.__setitem__(0, "t7"), "violates the ONNX"),
        (lambda m: m.graph.node[0].input.__setitem__(0, "t7"), "input 't7' of node: name: bipolarquant_0 Op"),
        (lambda m: m.graph.node[0].input.__setitem__(0, "nothing"), "violates the ONNX standard (Nodes in a graph mus"),
    ],
)  # fmt: skip
def test_malformed(net: Make, tmp_path: Path, damage: Damage, text: str) -> None:
    assert text in told(damaged(net, tmp_path / "n.onnx", damage))


def sound(n: Make, **attributes: Any) -> Any:
    return n(1, 1, 3, 3).sign().conv(C, **attributes).op("Flatten").sign().dense(np.ones((2, 8)))


def emptied(n: Make) -> Any:
    net = sound(n)
    next(a for a in net.nodes[2].attribute if a.name == "kernel_shape").ClearField("ints")
    return net


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda n: sound(n, strides=[0, 0]), "(Conv, 3 of 8): attribute strides is [0, 0]; 1 to 65536 is needed; expo"),
        (lambda n: sound(n, dilations=[1 << 40, 1]), "attribute dilations is [1099511627776, 1]; 1 to 65536 is needed"),
        (lambda n: sound(n, group=0), "attribute group is 0; 1 to 65536 is needed; export it again"),
        (lambda n: sound(n, strides=[1]), "attribute strides is [1]; 2 numbers are needed; check the model"),
        (lambda n: sound(n, pads=[1]), "attribute pads is [1]; 4 numbers are needed; check the model"),
        (lambda n: emptied(n), "(Conv, 3 of 8): kernel_shape is [], but the weights have shape (2, 1, 2, 2); they"),
        (lambda n: sound(n, kernel_shape=[1, 2]),
         "kernel_shape is [1, 2], but the weights have shape (2, 1, 2, 2); they must agree; check the model"),
        (lambda n: sound(n).op("Flatten", axis=0), "(Flatten, 9 of 9): makes [1, 2]; the first axis must remain the b"),
        (lambda n: sound(n).op("Flatten", axis=2), "(Flatten, 9 of 9): makes [2, 1]; the first axis must remain the b"),
        (lambda n: sound(n).op("Flatten", axis=99), "(Flatten, 9 of 9): attribute axis is 99; -8 to 8 is needed; expo"),
        (lambda n: sound(n).op("Flatten", axis=5), "(Flatten, 9 of 9): the shape of 't8' is unknown ((op_type:Fl"),
        (lambda n: n(1, 1, 4, 4).sign().conv(np.ones((2, 1, 5, 5))).op("Flatten"), "(Conv, 3 of 4): kernel (5, 5) is"),
        (lambda n: n(1, 1, 4, 4).op("Pad", np.zeros(8)).sign().conv(C), "constant 'c0' has type float32; integers are"),
        (lambda n: n(1, 4).op("Reshape", np.array([4])).sign().dense(W), "makes [4]; the first axis must remain the b"),
        (lambda n: n(1, 4).op("Unsqueeze", np.array([0])).sign().dense(W), "makes [1, 1, 4]; the first axis must rema"),
        (lambda n: n(1, 1, 4, 4).sign().op("MaxPool", kernel_shape=[2], strides=[2]).dense(W),
         "(MaxPool, 2 of 5): attribute kernel_shape is [2]; 2 numbers are needed; check the model"),
        (lambda n: n(1, 4).sign().dense(W, [1.0, 2.0]),
         "(BipolarQuant, 2 of 4): scale has shape (2,); one number, or one for each output in shape (3, 1), is needed"),
        (lambda n: n(1, 4).sign().dense(W, [1.0, 2.0], bits=2), "(Quant, 2 of 4): scale has shape (2,); one number"),
        (lambda n: n(1, 3).sign().dense(np.ones((3, 3)), [1.0, 2.0, 3.0]), "scale has shape (3,); one number, or one"),
        (lambda n: n(1, 4).sign([[[1.0]]]).dense(W), "scale has shape (1, 1, 1), but the data has 2 axes; it must not"),
        (lambda n: n(1, 4).op("Mul", [[[2.0]]]).sign().dense(W), "constant 'c0' has shape (1, 1, 1); one number, or o"),
        (lambda n: n(1, 1, 2, 2).op("Flatten").op("Add", [1.0, 2.0, 3.0]).sign().dense(W), "has shape (3,); one numbe"),
        (lambda n: n(1, 4).sign().dense(W, float("inf")), "constant 'c2' has NaN or infinity; finite numbers are ne"),
        (lambda n: n(1, 4).sign().dense(W, float("nan")), "constant 'c2' has NaN or infinity; finite numbers are ne"),
        (lambda n: n(1, 4).sign().dense(W, 0.0), "has weights that are all 0, or a scale less than 1.17549e-38; su"),
        (lambda n: n(1, 4).sign(1e-45).dense(W), "scale is 1.4013e-45; it must be at least 1.17549e-38, where float32"),
        (lambda n: n(1, 4).sign(0.0).dense(W), "scale is 0; it must be greater than 0; export it again"),
        *[(lambda n, bits=bits: n(1, 4).sign().dense(W, 0.5, bits=bits),
           f"weights of {bits:g} bits, signed=1, zero point 0, rounding ROUND; signed, 2 to 8 bits, zero point 0 and")
          for bits in (0, 1.5, 33, -1)],
        *[(lambda n, bits=bits: n(1, 4).quant(bits, 0.5).dense(W),
           f"{bits:g} bits, rounding ROUND; a quantizer must be bipolar, or signed or unsigned with 2 to 8 bits, zero")
          for bits in (0, 1.5, 33, -1)],
        (lambda n: n(1, 4).sign().op("Mul", [[1.0, 2.0, 1.0, 1.0]]).dense(W),
         "(Mul, 2 of 5): scales or shifts channels differently before a product (factors 1 to 2, addends 0 to 0); all"),
        (lambda n: n(1, 1, 3, 3).sign().conv(C).sign().op("GlobalAveragePool"), "ends the network behind a quantize"),
        (lambda n: n(1, 1, 3, 3).sign().conv(C).max_pool((2, 2)), "is after the last product, where only one global"),
        (lambda n: n(1, 4).sign().dense(W).op("Clip", 2.0, 1.0).sign().dense(V), "has the limits 2 and 1; the lower"),
        (lambda n: n(1, 4).sign().dense(W).op("LeakyRelu", alpha=-0.5).sign().dense(V), "has a negative slope; slopes"),
        (lambda n: n(1, 4).sign().dense(W).op("Sigmoid").sign().dense(V), "quantizes a Sigmoid to -1 and +1, so it "),
        (lambda n: n(1, 4).sign().dense(W).op("Clip", 0.0, 6.0).sign().dense(V), "quantizes a Clip to -1 and +1, so"),
        (lambda n: n(1, 4).sign().dense(W).op("ArgMax", axis=0), "it can only end the network, over the classes: th"),
        (lambda n: n(1, 4).sign().op("Softmax").dense(W), "it can only end the network, over the classes: the hardwa"),
        (lambda n: n(1, 4).sign().dense(W).op("Dropout", 0.5, np.array(True)), "drops elements at run time, or its ma"),
        (lambda n: n(1, 4).sign().dense(W).norm([1] * 2, [0] * 2, [0] * 2, [1] * 2), "has shape (2,); one number for"),
        (lambda n: n(1, 0x10000, 0x10000).sign().op("Flatten").dense(W), "tensor 'x' has shape [1, 65536, 65536]; at"),
    ],
)  # fmt: skip
def test_odd(net: Make, tmp_path: Path, build: Callable[[Make], Any], text: str) -> None:
    assert text in told(build(net).save(tmp_path / "n.onnx"))


def test_the_newer_name_of_quant(net: Make, tmp_path: Path) -> None:
    path = damaged(net, tmp_path / "n.onnx", lambda m: kind(m, 4, "IntQuant", GENERAL))
    assert [a.quantizer.bits for a in read(path).activations] == [1, 2]


def test_an_axis_that_is_padded_twice(net: Make, tmp_path: Path) -> None:
    path = net(1, 1, 4, 4).op("Pad", np.ones(4, int), 0.0, np.array([2, -2])).sign().conv(C).save(tmp_path / "n.onnx")
    model = onnx.load(path)
    model.opset_import[0].version = 18
    onnx.save(model, path)
    assert told(path).endswith("(Pad, 1 of 4): pads axes [2, 2]; each may be given only once; check the model")


def test_the_largest_of_several(net: Make, tmp_path: Path) -> None:
    model = net(1, 4).sign().dense(W)
    model.nodes.append(helper.make_node("TopK", [model.tensor, model.constant(np.array([2]))], ["top", "which"]))
    assert "it can only end the network, over the classes: the hardware" in told(
        model.save(tmp_path / "n.onnx", ["which"])
    )


def test_a_quantized_bias(net: Make, tmp_path: Path) -> None:
    model = net(1, 4).sign().dense(W)
    data = model.tensor
    inputs = [model.constant(v) for v in (np.ones(3), 0.5, 0.0, 8.0)]
    bias = model.node("Quant", inputs, model.domain, signed=1, narrow=0, rounding_mode="ROUND")
    model.node("Add", [data, bias])
    network = read(model.save(tmp_path / "n.onnx"))
    (step,) = network.output.chain.steps
    np.testing.assert_array_equal(step.constants[1], [1.0, 1.0, 1.0])


def test_nodes_behind_the_output(net: Make, tmp_path: Path) -> None:
    model = net(1, 4).sign().dense(W).op("Mul", 2.0)
    assert told(model.save(tmp_path / "n.onnx", ["t3"])) == (
        "node 'mul_4' (Mul, 5 of 5): reads 't3', the network's output; no node may follow the output; remove it"
    )


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "n.onnx"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    what = "a folder" if kind == "folder" else "a pipe or a device"
    assert told(path, trusted=False) == f"{what}, not a file; give the path of a QONNX file"
    assert main(["compile", str(path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"adiabit: {path}: {what}, not a file; give the path of a QONNX file\n"


def test_a_file_too_large(net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "SIZE", 100)
    path = net(1, 4).sign().dense(W).save(tmp_path / "n.onnx")
    assert re.fullmatch(r"has \d+ bytes; an ONNX file has at most 100; give the path of a QONNX file", told(path))


def test_external_data_beside_the_model(net: Make, tmp_path: Path) -> None:
    path = net(1, 4).sign().dense(W).save(tmp_path / "n.onnx")
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="n.data", size_threshold=0)
    assert read(path).products[0].weights.tolist() == W.tolist()
    (tmp_path / "n.data").write_bytes(b"12")
    assert "its external data does not fit (" in told(path)
    (tmp_path / "n.data").unlink()
    assert told(path) == (
        f"constant 'c0' is stored externally: {tmp_path / 'n.data'}: No such file or directory; put it beside the model"
    )


def test_annotations_are_not_evaluated(net: Make, tmp_path: Path) -> None:
    """The qonnx library calls eval() on them."""
    path = net(1, 4).sign().dense(W).save(tmp_path / "n.onnx")
    model = onnx.load(path)
    note = model.graph.quantization_annotation.add(tensor_name="t0")
    note.quant_parameter_tensor_names.add(key="tensor_layout", value="__import__('os').abort()")
    onnx.save(model, path)
    assert not model_file.load(path).graph.quantization_annotation


def test_a_crash_is_told(net: Make, tmp_path: Path) -> None:
    """Of nodes that we do not know, the attributes are not checked, and onnx divides by this stride."""
    model = net(1, 1, 4, 4).sign().op("LpPool", kernel_shape=[2, 2], strides=[0, 0]).op("Flatten").dense(W)
    assert told(model.save(tmp_path / "n.onnx"), trusted=False) == (
        "onnx crashed (SIGFPE) on this model; its nodes do not fit together; export it again"
    )


def test_a_hang_is_told(net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "SECONDS", 0.01)
    assert told(net(1, 4).sign().dense(W).save(tmp_path / "n.onnx"), trusted=False) == (
        "onnx has not finished reading this model after 0.01 s; a few are normal; make it smaller, or export it again"
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no kernel"), "onnxruntime cannot execute it (no kernel); export it again"),
        (MemoryError(), "does not fit into memory; make the network smaller"),
    ],
)
def test_what_the_other_process_tells(
    net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes],
    error: Exception, text: str,
) -> None:  # fmt: skip
    def fail(*_: Any) -> None:
        raise error

    path = net(1, 4).sign().dense(W).save(tmp_path / "n.onnx")
    monkeypatch.setattr(simplify, "run", fail)
    assert probing.main(path) == 2
    assert capfdbinary.readouterr().out.decode() == f"{path}: {text}\n"


def test_shapes_that_onnx_refuses(net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise onnx.shape_inference.InferenceError("no shape")

    path = net(1, 4).sign().dense(W).save(tmp_path / "n.onnx")
    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", fail)
    assert told(path) == "its shapes do not fit together (no shape); export it again"


@pytest.mark.parametrize(
    ("kind", "inputs", "text"),
    [
        (
            "Mul",
            "x s",
            "input 't1' is not a constant; only one input may be data; precompute it before the export",
        ),
        ("Mul", "x e", "constant 'e' has shape (0,); at least one number is needed; check the model"),
        ("MatMul", "w x", "has the data as input 1; it must be input 0 and the weights input 1; transpose the product"),
        ("Gemm", "x w e", "bias has shape (1, 5); 4 numbers are needed; check the model"),
        ("BatchNormalization", "f x f f f", "has a constant as input 0; it must be the data; check the model"),
    ],
)
def test_inputs_of_another_kind(net: Make, tmp_path: Path, kind: str, inputs: str, text: str) -> None:
    """Of data x, factors f, quantized weights w, something random s and an odd constant e."""
    model = net(1, 4)
    names = {"x": model.tensor, "f": model.constant(np.ones(4))}
    names["w"] = model.node("BipolarQuant", [model.constant(np.ones((4, 4))), model.constant(1.0)], model.domain)
    names["e"] = model.constant(np.ones((1, 5)) if kind == "Gemm" else np.ones(0))
    names["s"] = model.node("RandomNormalLike", [names["w"]]) if "s" in inputs else ""
    model.node(kind, [names[name] for name in inputs.split(" ")])
    assert text in told(model.sign().dense(W).save(tmp_path / "n.onnx")).replace(names["e"], "e")


def test_constants_that_cannot_be_computed(net: Make, tmp_path: Path) -> None:
    model = net(1, 4)
    data = model.tensor
    missing = model.node("Gather", [model.constant([1.0]), model.constant(np.array(99))], axis=0)
    model.node("Mul", [data, missing])
    path = model.sign().dense(W).save(tmp_path / "n.onnx")
    assert re.match(r"its constants cannot be computed \(.*99.*\); export it again", told(path))


def test_a_name_that_is_no_text(net: Make, tmp_path: Path) -> None:
    path = net(1, 4).sign().dense(W).save(tmp_path / "n.onnx")
    path.write_bytes(path.read_bytes().replace(b"bipolarquant_0", b"bipolarquant\xff0"))
    assert told(path).startswith("not an ONNX model, or truncated (")


def test_the_other_process_leaves_a_bug_to_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "__name__", "adiabit.no_such_module")
    probe(tmp_path / "n.onnx")


def test_thousands_of_nodes(net: Make, tmp_path: Path) -> None:
    model = net(1, 4)
    for _ in range(3000):
        model.op("Identity")
    model.sign()
    for _ in range(300):
        model.dense(np.eye(4) * 2 - 1).op("Mul", 0.5).op("Dropout").sign()
    network = read(model.dense(W).save(tmp_path / "n.onnx"))
    assert len(network.products) == 301
    assert str(network.products[-1].place).endswith("n.onnx: node 'matmul_4803' (MatMul, 4804 of 4804)")
    assert model_file.load(tmp_path / "n.onnx").graph.node[0].op_type == "BipolarQuant"
