# SPDX-License-Identifier: Apache-2.0
"""Exact execution is the model's meaning: sums that float32 only nears, ties, sums of 0, halves between two levels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes

from adiabit.flows.finn.execute import run_model
from adiabit.flows.finn.stage import compile_model
from adiabit.flows.frontend import trace as trace_module
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.model_file import load
from adiabit.flows.frontend.read import read
from adiabit.flows.frontend.trace import frames_at_once, frames_for, logits, model_input, trace
from adiabit.flows.ladder import Vectors, load_rungs, predicted
from adiabit.hw import storage
from adiabit.hw.stages import LabelSelect, MatrixVector

Make = Callable[..., Any]
Array = Any
TENTH = np.float32(0.1)  # Brevitas' own weight scale; no sum of it is exact in float32


def signs(rng: np.random.Generator, *shape: int) -> Array:
    return rng.choice([-1.0, 1.0], shape)


def plain(net: Make, rng: np.random.Generator, scale: Any) -> Any:
    """A plain binary network: signs of sums, which are 0 wherever an even number of terms comes in."""
    model = net(1, 16).op("Sub", 127.5).sign(scale).dense(signs(rng, 12, 16), scale).sign(scale)
    return model.dense(signs(rng, 8, 12), scale).sign(scale).dense(signs(rng, 10, 8), scale)


def steps(net: Make, rng: np.random.Generator, scale: Any) -> Any:
    """Sums of which half lie between two levels of a 4-bit activation."""
    model = net(1, 15).op("Sub", 127.5).sign(1.0).dense(signs(rng, 12, 15), scale).quant(4, 2 * scale)
    return model.dense(signs(rng, 12, 12), scale).quant(2, 4 * scale).dense(signs(rng, 6, 12), scale)


def image(net: Make, rng: np.random.Generator, scale: Any) -> Any:
    """The same with convolutions, a pad, a pool in front of its sign, an average behind the last product."""
    model = net(1, 2, 5, 5).conv(signs(rng, 6, 2, 2, 2), scale).max_pool((2, 2)).op("Sub", 10.0).sign(scale)
    model = model.pad([0, 0, 1, 1, 0, 0, 2, 2], -float(scale)).conv(signs(rng, 8, 6, 2, 2), scale).sign(scale)
    return model.conv(signs(rng, 5, 8, 1, 1), scale).op("GlobalAveragePool").op("Flatten")


def average(net: Make, rng: np.random.Generator, scale: Any) -> Any:
    """An average in front of the last product, whose sums have the scale of a pixel's share."""
    model = net(1, 2, 5, 10).conv(signs(rng, 6, 2, 2, 3), scale).op("Sub", 10.0).sign(scale).op("GlobalAveragePool")
    return model.op("Flatten").dense(signs(rng, 5, 6), scale)


@pytest.mark.parametrize("make", [plain, steps, image, average])
def test_every_frame_is_equal_where_float32_sums_are_not(make: Any, net: Make, tmp_path: Path) -> None:
    path = make(net, np.random.default_rng(5), TENTH).save(tmp_path / "net.onnx")
    compile_model(path, None, tmp_path, CompileConfig())
    rungs = load_rungs(tmp_path)
    assert [(r.name, r.status) for r in rungs] == [("QONNX", "equal"), ("FINN graph", "equal"), ("golden", "equal")]
    network, model, vectors = read(path, trusted=True), load(path), Vectors.load(tmp_path)
    rounded = run_model(model, model_input(vectors.frames, network, CompileConfig())).reshape(len(vectors.frames), -1)
    alike = np.sum(predicted(rounded) == vectors.predictions)
    assert alike < len(vectors.frames)  # so the test can fail
    assert f"in float32 the same label for {alike:,}" in rungs[0].compared


@pytest.mark.parametrize("make", [plain, steps, image, average])
def test_float32_execution_is_the_same_where_its_sums_are_exact(make: Any, net: Make, tmp_path: Path) -> None:
    path = make(net, np.random.default_rng(5), np.float32(0.125)).save(tmp_path / "net.onnx")
    network, config, model = read(path, trusted=True), CompileConfig(), load(path)
    frames = frames_for(network, config)
    rounded = run_model(model, model_input(frames, network, config)).reshape(len(frames), -1)
    exact = logits(model, network, config, frames)
    assert exact.dtype == np.float64
    np.testing.assert_array_equal(exact, rounded)


def test_integers_and_scales_are_known_down_to_the_logits(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = [signs(rng, 4, 6), signs(rng, 3, 4)]
    model = net(1, 6).op("Sub", 3.0).sign(0.5).dense(weights[0], TENTH).sign(0.25).dense(weights[1], TENTH)
    path = model.op("Mul", 2.0).op("Add", -1.0).save(tmp_path / "net.onnx")
    frames = rng.integers(0, 8, (20, 6))
    network = read(path, trusted=True)
    out = trace(load(path), network, CompileConfig(), frames)[load(path).graph.output[0].name]
    hidden = np.where(np.where(frames >= 3, 1, -1) @ weights[0].T >= 0, 1, -1) @ weights[1].T
    np.testing.assert_array_equal(out.integers, hidden)
    np.testing.assert_array_equal(out.exact, float(TENTH) * 0.25 * hidden * 2.0 - 1.0)


def test_a_quantizer_rounds_halves_to_even_on_either_side(net: Make, tmp_path: Path) -> None:
    """On every boundary k + 0.5 of a 4-bit activation, reached exactly: 0, 2, 2, 4, 4, ..."""
    model = net(1, 31).op("Sub", 127.5).sign(1.0).dense(np.ones((2, 31)), np.float32(0.25)).quant(4, 0.5)
    path = model.dense(np.array([[1.0, 1], [-1, 1]])).save(tmp_path / "net.onnx")
    frames = np.where(np.arange(31) < np.arange(32)[:, None], 255, 0)  # sums of -31, -29, ..., 31 quarters
    network, config = read(path, trusted=True), CompileConfig()
    found = trace(load(path), network, config, frames)[network.activations[1].name].integers
    assert found is not None
    want = np.clip(np.rint(np.arange(-31, 32, 2) / 2), 0, 15)
    np.testing.assert_array_equal(found[:, 0], want)
    values = logits(load(path), network, config, frames)
    vectors = Vectors(frames=frames, labels=np.full(32, -1), logits=values, predictions=predicted(values))
    compile_model(path, vectors, tmp_path, config)
    stage = storage.load(tmp_path).stages[1]
    assert isinstance(stage, MatrixVector)
    assert [r.status for r in load_rungs(tmp_path)] == ["equal"] * 2
    sums = np.arange(32)  # popcounts
    assert stage.thresholds is not None
    np.testing.assert_array_equal((sums[:, None] >= stage.thresholds[0]).sum(axis=1), want)


@pytest.mark.parametrize("pixels", [1, 5, 9])
def test_a_norm_is_the_same_of_an_image_and_of_rows(net: Make, tmp_path: Path, pixels: int) -> None:
    """Thresholds run it on rows of sums, execution on images; its float32 operations must not differ by a bit."""
    rng = np.random.default_rng(pixels)
    gamma, beta, mean, variance = (rng.normal(size=7).astype(np.float32) for _ in range(4))
    norm = [gamma, beta, mean, variance**2]
    model = net(1, 3, pixels, pixels).conv(signs(rng, 7, 3, 1, 1), TENTH).norm(*norm).sign()
    path = model.op("Flatten").dense(signs(rng, 2, 7 * pixels**2)).save(tmp_path / "net.onnx")
    network, config = read(path, trusted=True), CompileConfig()
    frames = rng.integers(0, 256, (11, pixels, pixels, 3))
    tensors = trace(load(path), network, config, frames)
    names = [n.output[0] for n in load(path).graph.node if n.op_type in ("Conv", "BatchNormalization")]
    product, normed = (tensors[name].real.transpose(0, 2, 3, 1).reshape(-1, 7) for name in names)
    np.testing.assert_array_equal(network.activations[0].edge.chain(product), normed)


def test_one_output_is_its_accumulator(net: Make, tmp_path: Path) -> None:
    """A label of one class would be the constant 0, and every rung equal."""
    rng = np.random.default_rng(3)
    model = net(1, 12).op("Sub", 127.5).sign(1.0).dense(signs(rng, 9, 12), TENTH).sign(1.0).dense(signs(rng, 1, 9))
    path = model.op("Mul", -0.5).save(tmp_path / "net.onnx")
    frames = rng.integers(0, 256, (50, 12))
    compile_model(path, None, tmp_path, CompileConfig(), test=(frames, rng.integers(0, 2, 50)))
    accelerator, vectors = storage.load(tmp_path), Vectors.load(tmp_path)
    assert not any(isinstance(stage, LabelSelect) for stage in accelerator.stages)
    assert accelerator.output.shape == (1,)
    np.testing.assert_array_equal(vectors.predictions, vectors.logits[:, 0] > 0)
    rungs = load_rungs(tmp_path)
    assert [(r.status, r.compared, r.accuracy is None) for r in rungs[1:]] == [("equal", "accumulators", True)] * 2
    assert rungs[0].accuracy is not None


def test_one_label_for_all_frames_is_told(net: Make, tmp_path: Path) -> None:
    """The host's pixels as they are, where the model expects -1...1: its first quantizer makes +1 of all."""
    rng = np.random.default_rng(1)
    model = net(1, 12).sign(1.0).dense(signs(rng, 9, 12), TENTH).op("Add", 0.05).sign(1.0).dense(signs(rng, 5, 9))
    path = model.save(tmp_path / "net.onnx")
    compile_model(path, None, tmp_path, CompileConfig())
    reference, finn, ours = load_rungs(tmp_path)
    assert (reference.status, finn.status, ours.status) == ("equal", "equal", "equal")
    assert reference.warnings == (
        "the host's integers 0 to 255, times input_scale = 1, plus input_offset = 0, are nearly all of one sign "
        "for the input's quantizer 'bipolarquant_0'; set them to what the model was trained on, e.g. to input_scale = "
        "0.00784314, input_offset = -1",
    )
    label = Vectors.load(tmp_path).predictions[0]
    assert ours.warnings == (
        "stage threshold0 outputs the same for all 315 frames, so equality shows little; check compile.input_scale, "
        "compile.input_offset and the training",
        f"the label is {label} for all 315 frames, so equality shows little; check compile.input_scale, "
        "compile.input_offset and the training",
    )
    compile_model(path, None, tmp_path, CompileConfig(input_scale=2 / 255, input_offset=-1))
    assert [r.warnings for r in load_rungs(tmp_path)] == [()] * 3


def test_the_example_undoes_what_stands_before_the_quantizer(net: Make, tmp_path: Path) -> None:
    """FINN's TFC takes pixels of 0...1 and makes 2 * x - 1 of them: of the integers 0...255 but one would be -1."""
    rng = np.random.default_rng(1)
    model = net(1, 8).op("Mul", 2.0).op("Add", -1.0).sign().dense(signs(rng, 6, 8)).op("Add", 0.5).sign()
    path = model.dense(signs(rng, 3, 6)).save(tmp_path / "net.onnx")
    compile_model(path, None, tmp_path, CompileConfig())
    (warning,) = load_rungs(tmp_path)[0].warnings
    assert warning.endswith("was trained on, e.g. to input_scale = 0.00392157, input_offset = 0")
    compile_model(path, None, tmp_path, CompileConfig(input_scale=0.00392157))
    assert load_rungs(tmp_path)[0].warnings == ()


@pytest.mark.parametrize(("scale", "fits"), [(1.0, False), (1 / 256, True), (1 / 2550, True)])
def test_an_input_that_its_quantizer_cuts_off_is_told(scale: float, fits: bool, net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    model = net(1, 8).quant(4, 1 / 16).dense(signs(rng, 6, 8), TENTH).op("Sub", 1.5).sign(1.0).dense(signs(rng, 3, 6))
    config = CompileConfig(input_scale=scale)
    path = model.save(tmp_path / "net.onnx")
    compile_model(path, None, tmp_path, config)
    (warning,) = load_rungs(tmp_path)[0].warnings or ("",)
    assert (not warning) == fits
    assert fits or "lie mostly at or beyond an end of the input's quantizer 'quant_0'" in warning
    assert fits or "e.g. to input_scale = 0.00367647, input_offset = 0" in warning


def test_weights_do_not_count_among_what_a_frame_takes(
    net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = net(1, 512).sign().dense(np.ones((64, 512))).sign().dense(np.ones((512, 64))).sign()
    model = ModelWrapper(str(chain.save(tmp_path / "net.onnx"))).transform(InferShapes())
    taken = 512 + 2 * (64 + 512)  # signs, and sums with their signs; the weights take 57 times as much
    for elements, frames in ((10 * taken, 10), (10 * taken - 1, 9), (1, 1), (10_000 * taken, 1000)):
        monkeypatch.setattr(trace_module, "ELEMENTS", elements)
        assert frames_at_once(model) == frames
