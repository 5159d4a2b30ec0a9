# SPDX-License-Identifier: Apache-2.0
"""Convolutional networks case by case: inputs, pads, pools in front of negative gammas, averages, sound."""

from __future__ import annotations

import configparser
import dataclasses
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brevitas.export import export_qonnx

from adiabit.errors import UserError
from adiabit.flows.finn import stage as compile_stage
from adiabit.flows.finn.execute import run_qonnx
from adiabit.flows.finn.lower import Lowered, lower
from adiabit.flows.finn.stage import compile_model
from adiabit.flows.frontend.config import CompileConfig, FoldConfig
from adiabit.flows.frontend.normalize import normalize
from adiabit.flows.frontend.read import read
from adiabit.flows.ladder import Vectors, load_rungs
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Kind, MatrixVector, Pad, Threshold, Window

cnv_module: Any = importlib.import_module("brevitas_examples.bnn_pynq.models.CNV")
Make = Callable[..., Any]


HAND = FoldConfig.model_validate({"stages": {}})  # one lane everywhere


def exact(path: Path, **options: Any) -> list[Any]:
    """The stages of a model all of whose rungs agree on frames that it tells apart."""
    out = path.with_suffix("")
    out.mkdir(exist_ok=True)
    compile_model(path, None, out, CompileConfig(**{"fold": HAND, **options}))
    rungs, vectors = load_rungs(out), Vectors.load(out)
    assert [(r.name, r.status) for r in rungs[1:]] == [("FINN graph", "equal"), ("golden", "equal")], rungs
    assert len(np.unique(vectors.logits, axis=0)) > 1
    accelerator = storage.load(out)
    assert vectors.frames.shape[1:] == accelerator.input.shape
    return list(accelerator.stages)


def signs(rng: np.random.Generator, *shape: int) -> Any:
    return rng.choice([-1.0, 1.0], shape)


def norm(rng: np.random.Generator, channels: int, spread: float) -> list[Any]:
    gamma = rng.normal(size=channels)
    gamma[:2] = 0, -1
    return [gamma, rng.normal(size=channels), rng.normal(size=channels) * spread, np.full(channels, float(spread) ** 2)]


def test_a_pool_in_front_of_negative_gammas_is_an_or_of_inverted_bits(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = net(1, 1, 6, 6).conv(signs(rng, 6, 1, 3, 3)).max_pool((2, 2)).norm(*norm(rng, 6, 200)).sign()
    model = model.op("Flatten").dense(signs(rng, 3, 24))
    stages = exact(model.save(tmp_path / "net.onnx"))
    assert [s.name for s in stages] == ["window0", "conv0", "pool0", "fc0", "label"]


def test_a_pad_behind_inverted_bits_needs_the_true_ones(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    model = net(1, 2, 6, 6).conv(signs(rng, 4, 2, 3, 3)).max_pool((2, 2)).norm(*norm(rng, 4, 200)).sign()
    model = model.pad([0, 0, 1, 1, 0, 0, 1, 1], -1.0).conv(signs(rng, 5, 4, 3, 3)).norm(*norm(rng, 5, 6)).sign()
    stages = exact(model.op("Flatten").dense(signs(rng, 3, 20)).save(tmp_path / "net.onnx"))
    assert [s.name for s in stages] == [
        "window0", "conv0", "pool0", "conv1", "pad0", "window1", "conv2", "fc0", "label",
    ]  # fmt: skip
    turned = next(s for s in stages if s.name == "conv1")
    np.testing.assert_array_equal(np.abs(turned.weights), np.eye(4))
    assert (turned.weights < 0).any()


def test_pads_of_a_pool_never_win(net: Make, tmp_path: Path) -> None:
    """In front of falling norms and behind a sign."""
    rng = np.random.default_rng(21)
    model = net(1, 1, 5, 6).conv(signs(rng, 4, 1, 2, 2)).max_pool((3, 3), (2, 2), pads=[1, 1, 1, 1])
    model = model.norm(*norm(rng, 4, 200)).sign().conv(signs(rng, 4, 4, 1, 1)).norm(*norm(rng, 4, 2)).sign()
    model = model.max_pool((2, 2), (1, 1), pads=[0, 1, 0, 1]).op("Flatten").dense(signs(rng, 3, 16))
    stages = exact(model.save(tmp_path / "net.onnx"))
    assert [s.value for s in stages if isinstance(s, Pad)] == [-1, -1]


def test_small_integer_weights_behind_a_sign_of_the_input(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(10)
    model = net(1, 1, 4, 4).op("Sub", 100.0).sign().op("GlobalAveragePool").op("Flatten")
    model = model.dense(rng.normal(size=(6, 1)), 0.25, bits=3).norm(*norm(rng, 6, 0.5)).sign()
    stages = exact(model.dense(signs(rng, 3, 6)).save(tmp_path / "net.onnx"))
    assert [s.name for s in stages] == ["threshold0", "sum0", "fc0", "fc1", "label"]


def test_one_channel_may_come_flat(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    path = net(1, 1, 4, 5).conv(signs(rng, 3, 1, 4, 5)).op("Flatten").save(tmp_path / "net.onnx")
    frames, labels = rng.integers(0, 256, (6, 20)), rng.integers(0, 3, 6)
    compile_model(path, None, tmp_path, CompileConfig(fold=HAND), test=(frames, labels))
    np.testing.assert_array_equal(Vectors.load(tmp_path).frames[:6], frames.reshape(6, 4, 5, 1))
    assert [r.status for r in load_rungs(tmp_path)] == ["equal"] * 3


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_binary_pads(net: Make, tmp_path: Path, value: float) -> None:
    """In FINN's graph, whose stream has 0 and 1, the constant turns with the stream."""
    rng = np.random.default_rng(2)
    model = net(1, 1, 5, 4).sign(0.5).pad([0, 0, 1, 0, 0, 0, 2, 1], value / 2).conv(signs(rng, 4, 1, 3, 2))
    model = model.norm(*norm(rng, 4, 2)).sign().op("Flatten").dense(signs(rng, 3, 96))
    stages = exact(model.save(tmp_path / "net.onnx"), input_bits=8, input_signed=True)
    pad = next(s for s in stages if isinstance(s, Pad))
    assert (pad.value, pad.before, pad.after) == (value, (1, 0), (2, 1))
    assert isinstance(stages[0], Threshold)


def test_zeros_around_the_first_layer_are_the_integer_that_stands_for_0(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    model = net(1, 2, 4, 4).op("Mul", 1 / 64).op("Add", -2.0).conv(signs(rng, 4, 2, 3, 3), pads=[1, 1, 1, 1])
    model = model.norm(*norm(rng, 4, 5)).sign().op("Flatten").dense(signs(rng, 3, 64))
    stages = exact(model.save(tmp_path / "net.onnx"))
    assert [s.value for s in stages if isinstance(s, Pad)] == [128]


def test_sound_and_strides_and_dilation(net: Make, tmp_path: Path) -> None:
    """(1, C, W) is (1, W, C): windows of one row."""
    rng = np.random.default_rng(16)
    model = net(1, 1, 60).conv(signs(rng, 4, 1, 5), strides=[3], pads=[2, 1]).norm(*norm(rng, 4, 200)).sign()
    model = model.pad([0, 0, 1, 0, 0, 1], -1.0).conv(signs(rng, 6, 4, 3), dilations=[2]).max_pool((2,))
    model = model.norm(*norm(rng, 6, 3)).sign().op("GlobalAveragePool").op("Flatten").dense(signs(rng, 3, 6))
    stages = exact(model.save(tmp_path / "net.onnx"))
    assert stages[0].input.shape == (1, 60, 1)
    windows = [s for s in stages if isinstance(s, Window)]
    assert [(w.kernel, w.stride, w.dilation) for w in windows] == [
        ((1, 5), (1, 3), (1, 1)), ((1, 3), (1, 1), (1, 2)),
    ]  # fmt: skip


def test_multi_bit_activations_and_weights(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    model = net(1, 2, 6, 6).op("Mul", 1 / 255).conv(signs(rng, 4, 2, 3, 3)).op("Relu").quant(2, 0.5)
    model = model.max_pool((2, 2)).pad([0, 0, 1, 1, 0, 0, 1, 1], 0.0).conv(signs(rng, 4, 4, 2, 2)).op("Mul", 0.25)
    model = (
        model.op("Relu")
        .max_pool((2, 2), (1, 1))
        .quant(2, 0.25)
        .op("Flatten")
        .dense(rng.normal(size=(3, 16)), 0.5, bits=3)
    )
    stages = exact(model.save(tmp_path / "net.onnx"), input_scale=1.0)
    assert [s.value for s in stages if isinstance(s, Pad)] == [0]
    assert {s.output.bits for s in stages if isinstance(s, MatrixVector) and s.thresholds is not None} == {2}


def test_a_quantizer_of_8_bits_that_loses_levels_is_a_stage(net: Make, tmp_path: Path) -> None:
    """Of 1/255 steps an 8-bit quantizer makes 1/128 steps: 255 thresholds; of 1/256 steps it needs none."""
    rng = np.random.default_rng(6)
    model = net(1, 1, 5, 5).op("Mul", 2.0).op("Sub", 1.0).quant(8, 1 / 128, signed=1).conv(signs(rng, 4, 1, 3, 3))
    model = model.norm(*norm(rng, 4, 2)).sign().op("Flatten").dense(signs(rng, 3, 36)).save(tmp_path / "net.onnx")
    stages = exact(model, input_scale=1 / 255)
    assert [s.name for s in stages] == ["threshold0", "window0", "conv0", "fc0", "label"]
    assert (stages[0].output.kind, stages[0].output.bits) == (Kind.SIGNED, 8)
    assert [s.name for s in exact(model, input_scale=1 / 256)] == ["window0", "conv0", "fc0", "label"]
    assert exact(model, input_signed=True, input_scale=1 / 256, input_offset=0.5)[0].input.kind is Kind.SIGNED


def test_averages(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(16)
    bits = net(1, 1, 5, 5).conv(signs(rng, 6, 1, 2, 2)).norm(*norm(rng, 6, 200)).sign()
    head = bits.op("ReduceMean", axes=[2, 3], keepdims=0).dense(signs(rng, 3, 6))
    assert [s.name for s in exact(head.save(tmp_path / "a.onnx"))] == ["window0", "conv0", "conv1", "sum0", "label"]
    rng = np.random.default_rng(16)
    bits = net(1, 1, 5, 5).conv(signs(rng, 6, 1, 2, 2)).norm(*norm(rng, 6, 200)).sign()
    body = bits.op("AveragePool", kernel_shape=[4, 4]).op("Flatten").dense(signs(rng, 5, 6)).norm(*norm(rng, 5, 2))
    body = body.sign().dense(signs(rng, 3, 5))
    assert [s.name for s in exact(body.save(tmp_path / "b.onnx"))] == [
        "window0",
        "conv0",
        "sum0",
        "fc0",
        "fc1",
        "label",
    ]


def test_a_difference_is_told_by_its_pixel(net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = image(net).pad([0, 0, 0, 0, 0, 0, 0, 1], -1.0).conv(TWO).sign().op("Flatten").dense(np.ones((2, 4)))

    def lowered(*arguments: Any) -> Lowered:
        found = lower(*arguments)
        stages = list(found.accelerator.stages)
        at = next(k for k, s in enumerate(stages) if isinstance(s, Pad))
        stages[at] = dataclasses.replace(stages[at], value=1)  # type: ignore[call-arg]  # it is a Pad
        return dataclasses.replace(found, accelerator=Accelerator(name="net", stages=tuple(stages)))

    monkeypatch.setattr(compile_stage, "lower", lowered)
    path = model.save(tmp_path / "net.onnx")
    compile_model(path, None, tmp_path, CompileConfig(fold=HAND))
    finn, ours = load_rungs(tmp_path)[1:]
    assert finn.status == "equal"
    assert ours.status == "DIFFERS"
    place = (
        r"stage pad0, frame \d+, position 2, channel 0: golden has 1, the rung before -1 \(4 of 12 elements differ\)"
    )
    assert re.fullmatch(place, ours.difference), ours.difference


def test_frames_are_channel_last_also_for_qonnx(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    model = net(1, 3, 4, 5).conv(signs(rng, 2, 3, 4, 5)).op("Flatten").save(tmp_path / "net.onnx")
    assert exact(model)[0].input.shape == (4, 5, 3)
    vectors = Vectors.load(tmp_path / "net")
    np.testing.assert_array_equal(run_qonnx(model, vectors.frames), vectors.logits)
    np.testing.assert_array_equal(run_qonnx(model, vectors.frames.transpose(0, 3, 1, 2)), vectors.logits)
    square = np.moveaxis(vectors.frames, 2, 1)
    with pytest.raises(UserError, match=r"takes 60 elements a frame as \(H, W, C\) = \(4, 5, 3\), but 323 vectors"):
        compile_model(model, dataclasses.replace(vectors, frames=square), tmp_path / "net", CompileConfig())


def brevitas_cnv(path: Path, narrow: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Brevitas' own CNV 1W1A with random batch norms of both signs, some gammas 0; channels divided by `narrow`."""
    config = configparser.ConfigParser()
    config.read(Path(cnv_module.__file__).parents[1] / "cfg" / "cnv_1w1a.ini")
    torch.manual_seed(0)
    convolutions, dense = cnv_module.CNV_OUT_CH_POOL, cnv_module.INTERMEDIATE_FC_FEATURES
    monkeypatch.setattr(cnv_module, "CNV_OUT_CH_POOL", [(c // narrow, pool) for c, pool in convolutions])
    monkeypatch.setattr(cnv_module, "INTERMEDIATE_FC_FEATURES", [(a // narrow, b // narrow) for a, b in dense])
    monkeypatch.setattr(cnv_module, "LAST_FC_IN_FEATURES", cnv_module.LAST_FC_IN_FEATURES // narrow)
    model = cnv_module.cnv(config)
    model.eval()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(0, 5)
            layer.running_var.uniform_(20, 200)
            with torch.no_grad():
                layer.weight.normal_()
                layer.bias.normal_()
                layer.weight[:3] = 0
    export_qonnx(model, torch.zeros(1, 3, 32, 32), str(path), dynamo=False)
    return path


@pytest.mark.parametrize("narrow", [8, pytest.param(1, marks=pytest.mark.full)])
def test_brevitas_cnv(tmp_path: Path, narrow: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = exact(brevitas_cnv(tmp_path / "cnv.onnx", narrow, monkeypatch), input_scale=1 / 256)
    products = [s for s in stages if isinstance(s, MatrixVector)]
    widths = [64, 64, 128, 128, 256, 256, 512, 512]
    assert [len(s.weights) for s in products] == [*(w // narrow for w in widths), 10]
    assert [s.name for s in stages if isinstance(s, Pad | Threshold)] == []
    assert not products[0].xnor
    assert all(s.xnor for s in products[1:])


def refused(path: Path, text: str, **options: Any) -> None:
    with pytest.raises(UserError) as caught:
        normalize(read(path), CompileConfig(**options))
    message = str(caught.value)
    assert message.startswith(f"{path}: {text}"), message
    assert "\n" not in message


ONES, TWO = np.ones((2, 1, 3, 3)), np.ones((2, 2, 2, 2))


def image(n: Make) -> Any:
    """An 8-bit image of 4 x 4 and a binary tensor (2, 2, 2) of it."""
    return n(1, 1, 4, 4).conv(ONES).norm([1.0, -1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]).sign()


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda n: image(n).conv(TWO, pads=[1, 1, 1, 1]).op("GlobalAveragePool"),
         "node 'conv_5' (Conv, 6 of 7): pads a tensor of -1 and +1 with 0, which no bit stands for; pad with -1 "
         "explicitly (F.pad(x, (1, 1, 1, 1), value=-1)), then convolve without padding"),
        (lambda n: image(n).pad([0, 0, 1, 1, 0, 0, 0, 0], 0.5).conv(TWO).op("GlobalAveragePool"),
         "node 'pad_4' (Pad, 5 of 8): pads a tensor of -1 and +1 with 0.5, which no bit stands for; pad with -1"),
        (lambda n: n(1, 1, 4, 4).op("Add", -0.5).conv(ONES, pads=[1, 1, 0, 0]).op("GlobalAveragePool"),
         "node 'conv_2' (Conv, 3 of 4): pads with 0, which none of the integers 0 to 255 stands for (they mean 1 * in"),
        (lambda n: n(1, 1, 4, 4).pad([0, 0, 1, 1, 0, 0, 0, 0], -1.0).conv(ONES).op("GlobalAveragePool"),
         "node 'pad_0' (Pad, 1 of 4): pads with -1, which none of the integers 0 to 255 stands for"),
        (lambda n: n(1, 1, 4, 4).op("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1]), mode="reflect").conv(ONES),
         "node 'pad_0' (Pad, 1 of 3): pads with mode 'reflect'; only 'constant' can be compiled; use constant paddin"),
        (lambda n: n(1, 1, 4, 4).pad([1, 0, 0, 0, 0, 0, 0, 0], 0.0).conv(ONES),
         "node 'pad_0' (Pad, 1 of 3): pads by [1, 0, 0, 0, 0, 0, 0, 0]; only channels, rows and columns can be padde"),
        (lambda n: n(1, 1, 4, 4).conv(ONES).pad([0, 0, 1, 1, 0, 0, 0, 0], 0.0).sign().conv(TWO),
         "node 'pad_2' (Pad, 3 of 6): is between a product and its quantizer, where only a max pool can be; put it"),
        (lambda n: n(1, 4, 4, 4).conv(np.ones((4, 1, 1, 1)), group=3),
         "node 'conv_1' (Conv, 2 of 2): has 3 groups of 4 inputs and 4 outputs; both must be multiples of the groups"),
        (lambda n: n(1, 4, 4, 4).conv(np.ones((2, 3, 1, 1)), group=2),
         "node 'conv_1' (Conv, 2 of 2): weights have shape (2, 3, 1, 1); (outputs, 2, KH, KW) is needed; check the mo"),
        (lambda n: image(n).op("ConvTranspose", TWO),
         "node 'convtranspose_4' (ConvTranspose, 5 of 5): cannot be compiled; expected one of "),
        (lambda n: n(1, 1, 6, 6).conv(ONES).sign().op("AveragePool", kernel_shape=[2, 1], strides=[1, 1]).conv(TWO),
         "node 'averagepool_3' (AveragePool, 4 of 6): averages windows of 2 x 1 in steps of 1 x 1 of an image of 4 x "),
        (lambda n: image(n).op("ReduceMean", axes=[1]).conv(np.ones((2, 1, 1, 1))),
         "node 'reducemean_4' (ReduceMean, 5 of 7): averages axes [1] of an image of 2 x 2; only a global average"),
        (lambda n: image(n).max_pool((2, 2), ceil_mode=1).conv(np.ones((2, 2, 1, 1))),
         "node 'maxpool_4' (MaxPool, 5 of 7): pools with ceil_mode or dilations; neither can be compiled; pool withou"),
        (lambda n: image(n).conv(ONES[:, :1].repeat(2, 1)),
         "node 'conv_5' (Conv, 6 of 6): kernel (3, 3) is larger than the image of 2 x 2; pad it or use a smaller"),
        (lambda n: image(n).conv(TWO).max_pool((1, 1)),
         "node 'maxpool_6' (MaxPool, 7 of 7): is after the last product, where only one global average can be; remove"),
        (lambda n: n(1, 1, 4, 4).op("Mul", -1.0).max_pool((2, 2)).conv(np.ones((2, 1, 1, 1))).op("GlobalAveragePool"),
         "node 'maxpool_1' (MaxPool, 2 of 5): pools before negative factors (channel 0) without a quantizer after the"),
        (lambda n: n(1, 1, 4, 4).conv(ONES).max_pool((2, 2)).op("Mul", -1.0).op("Relu").quant(2, 0.5)
         .op("Flatten").dense(np.ones((2, 2))),
         "node 'maxpool_2' (MaxPool, 3 of 10): pools before negative factors (channel 0) and a quantizer of 2"),
        (lambda n: n(1, 1, 4, 4).conv(ONES).max_pool((1, 2)).op("Mul", -2.0).max_pool((2, 1)).sign().conv(
            np.ones((2, 2, 1, 1))),
         "node 'maxpool_2' (MaxPool, 3 of 8): is one of several pools before a quantizer, with other operations in"),
        (lambda n: image(n).op("Reshape", np.array([1, 4, 2, 1])).conv(np.ones((2, 4, 1, 1))),
         "node 'reshape_4' (Reshape, 5 of 7): makes an image [4, 2, 1] of one of [2, 2, 2] (C, H, W); channels, rows"),
        (lambda n: n(1, 1, 4, 4).op("Add", np.ones((1, 1, 1, 4))).conv(ONES),
         "node 'add_0' (Add, 1 of 3): constant 'c0' has shape (1, 1, 1, 4); one number, or one for each of 1 channels"),
    ],
)  # fmt: skip
def test_what_cannot_be_compiled(net: Make, tmp_path: Path, build: Callable[[Make], Any], text: str) -> None:
    refused(build(net).save(tmp_path / "net.onnx"), text)


def test_an_image_of_bits_wants_a_quantizer(net: Make, tmp_path: Path) -> None:
    path = net(1, 1, 4, 4).conv(ONES).op("GlobalAveragePool").save(tmp_path / "net.onnx")
    text = (
        "node 'conv_1' (Conv, 2 of 3): reads an image of -1 and +1 without a quantizer before it; 1-bit images need one"
    )
    refused(path, text, input_bits=1)
