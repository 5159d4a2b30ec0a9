# SPDX-License-Identifier: Apache-2.0
"""A QONNX model in, an accelerator out that computes the same integers; what differs is told."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows.finn import stage as compile_stage
from adiabit.flows.finn.folding import folded
from adiabit.flows.finn.lower import Lowered, lower
from adiabit.flows.finn.stage import compile_model
from adiabit.flows.frontend.config import CompileConfig, FoldConfig
from adiabit.flows.ladder import Rung, Vectors, load_rungs, predicted
from adiabit.flows.toolchain import ToolError
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Kind, MatrixVector
from tests.hw.folding.test_fold import dense

Make = Callable[..., Any]
Array = npt.NDArray[Any]
HAND = FoldConfig.model_validate({"stages": {}})  # one lane everywhere


def norms(rng: np.random.Generator, channels: int, spread: float) -> list[Array]:
    """Batch norms with gammas of both signs, and every corner on the first channels."""
    gamma, beta = rng.normal(size=channels), rng.normal(size=channels)
    corners = [(0, 0.3), (0, -0.3), (1e-3, 1e3), (1e-3, -1e3), (-1.0, 0.0), (0, 0)][:channels]
    for c, (g, b) in enumerate(corners):
        gamma[c], beta[c] = g, b
    return [gamma, beta, rng.normal(size=channels) * spread, (rng.random(channels) + 0.5) * spread**2]


def compiled(path: Path, out: Path, vectors: Vectors | None = None, **config: Any) -> tuple[Accelerator, list[Rung]]:
    out.mkdir(exist_ok=True)
    compile_model(path, vectors, out, CompileConfig(**{"fold": HAND, **config}))
    return storage.load(out), load_rungs(out)


def all_equal(rungs: list[Rung]) -> bool:
    names = [r.name for r in rungs if r.name != "QONNX"]  # which is the first rung of a model without vectors
    return names == ["FINN graph", "golden"] and all(r.status == "equal" for r in rungs)


def test_what_a_compile_leaves(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = net(1, 24).op("Mul", 2 / 255).op("Add", -1.0).sign().dense(rng.normal(size=(12, 24)))
    model = model.norm(*norms(rng, 12, 5)).sign().dense(rng.normal(size=(8, 12)), rng.normal(size=(8, 1)))
    model = model.norm(*norms(rng, 8, 3)).sign().dense(rng.normal(size=(4, 8))).op("Mul", -0.07).op("Add", -0.3)
    fold = FoldConfig.model_validate({"stages": {"threshold0": {"pe": 6}, "fc0": {"pe": 4, "simd": 4}}})
    accelerator, rungs = compiled(model.save(tmp_path / "net.onnx"), tmp_path / "out", name="tiny", fold=fold)
    assert all_equal(rungs)
    assert [r.compared for r in rungs] == [
        "the reference, exact; in float32 the same label for 323",
        "labels, accumulators",
        "labels, accumulators",
    ]
    assert accelerator.name == "tiny"
    names = ["threshold0", "fc0_width0", "fc0_width1", "fc0", "fc1_width", "fc1", "fc2", "label"]
    assert [s.name for s in accelerator.stages] == names
    assert [s.name for s in accelerator.streams] == [
        "image", "threshold0_out", "fc0_mid", "fc0_in", "fc0_out", "fc1_in", "fc1_out", "fc2_out", "label_out",
    ]  # fmt: skip
    first = next(s for s in accelerator.stages if s.name == "fc0")
    assert isinstance(first, MatrixVector)
    assert first.xnor
    assert first.accumulator_bits == 5  # popcounts 0...24, where FINN would take a signed type too narrow
    assert accelerator.output.bits == 2
    files = {p.name for p in (tmp_path / "out").iterdir()}
    assert files == {
        "accelerator.json", "params.npz", "dataflow.onnx", "folding.json", "estimate.json", "vectors.npz",
        "rungs.json", "finn.log",
    }  # fmt: skip
    nodes = [n.op_type for n in onnx.load(tmp_path / "out" / "dataflow.onnx").graph.node]
    assert nodes == ["Thresholding", "MVAU", "MVAU", "MVAU", "LabelSelect"]
    folding = json.loads((tmp_path / "out" / "folding.json").read_text())
    assert folding["MVAU_hls_0"] == {"PE": 4, "SIMD": 4, "ram_style": "auto"}
    estimate = json.loads((tmp_path / "out" / "estimate.json").read_text())
    assert estimate["cycles"] == accelerator.cycles
    vectors = Vectors.load(tmp_path / "out")
    assert set(vectors.labels) == {-1}
    np.testing.assert_array_equal(golden.run(accelerator, vectors.frames)[:, 0], vectors.predictions)
    again, _ = compiled(tmp_path / "net.onnx", tmp_path / "again", name="tiny",
                        fold=FoldConfig(finn_json=tmp_path / "out" / "folding.json"))  # fmt: skip
    assert [s.cycles for s in again.stages if "width" not in s.name] == [
        s.cycles for s in accelerator.stages if "width" not in s.name
    ]


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 999),
    widths=st.lists(st.integers(1, 24), min_size=2, max_size=5),
    kind=st.sampled_from(["sign", "bipolar", "uint8", "int4"]),
    tail=st.sampled_from([0.07, -2.5]),
)
def test_random_networks(
    net: Make, tmp_path_factory: pytest.TempPathFactory, seed: int, widths: list[int], kind: str, tail: float
) -> None:
    """Any depth and width, gammas of any sign, from ±1, 8-bit or signed inputs: golden equals a plain reference."""
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("random")
    low, high, bits = {"sign": (0, 255, 8), "bipolar": (-1, 1, 1), "uint8": (0, 255, 8), "int4": (-8, 7, 4)}[kind]
    model = net(1, widths[0])
    if kind == "sign":
        model = model.op("Mul", 2 / 255).op("Add", -1.0).sign()
    layers = []
    for k, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        weights = np.where(rng.random((outputs, inputs)) < 0.5, -1.0, 1.0)
        model = model.dense(weights)
        spread = inputs**0.5 * (1 if k or kind in ("sign", "bipolar") else high / 2)
        layers.append((weights, norms(rng, outputs, spread)))
        model = model.norm(*layers[-1][1]).sign() if k < len(widths) - 2 else model.op("Mul", tail)
    frames = rng.choice([-1, 1], (200, widths[0])) if bits == 1 else rng.integers(low, high + 1, (200, widths[0]))
    x = frames.astype(np.float64)
    if kind == "sign":
        x = np.where(frames >= 128, 1.0, -1.0)
    for k, (weights, (gamma, beta, mean, variance)) in enumerate(layers):
        x = x @ weights.T
        if k < len(layers) - 1:
            x = np.where(gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta >= 0, 1.0, -1.0)
    logits = (x * tail).astype(np.float32)
    vectors = Vectors(frames=frames, labels=np.full(200, -1), logits=logits, predictions=predicted(logits))
    accelerator, rungs = compiled(
        model.save(folder / "net.onnx"), folder, vectors, input_bits=bits, input_signed=kind == "int4"
    )
    assert all_equal(rungs), rungs
    result = golden.run(accelerator, frames)[:, 0]
    if widths[-1] > 1:
        np.testing.assert_array_equal(result, vectors.predictions)
    else:  # an accumulator, which rises with the logit
        ranks = [np.unique(values, return_inverse=True)[1] for values in (result, logits[:, 0])]
        np.testing.assert_array_equal(ranks[0], ranks[1])


def test_multi_bit_activations_and_weights(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    model = net(1, 12).op("Mul", 1 / 64).op("Add", -1.0).dense(rng.normal(size=(8, 12))).op("Relu").quant(2, 0.5)
    model = model.dense(rng.normal(size=(6, 8)), 0.4, bits=3).op("Relu").quant(3, 0.25).dense(rng.normal(size=(4, 6)))
    accelerator, rungs = compiled(model.save(tmp_path / "net.onnx"), tmp_path / "out")
    assert all_equal(rungs), rungs
    streams = {s.name: s for s in accelerator.streams}
    assert (streams["fc0_out"].kind, streams["fc0_out"].bits) == (Kind.UNSIGNED, 2)
    assert (streams["fc1_out"].kind, streams["fc1_out"].bits) == (Kind.UNSIGNED, 3)
    assert len(np.unique(Vectors.load(tmp_path / "out").predictions)) > 1


def test_a_foreign_model_with_scaled_inputs_and_reshapes(net: Make, tmp_path: Path) -> None:
    """As Brevitas of old wrote them: another domain, the batch read from the input's shape, scaled steps."""
    rng = np.random.default_rng(4)
    model = net(1, 1, 4, 4, domain="onnx.brevitas")
    batch = model.node("Gather", [model.node("Shape", ["x"]), model.constant(np.array(0))])
    shape = model.node("Unsqueeze", [batch, model.constant(np.array([0]))])
    target = model.node("Concat", [shape, model.constant(np.array([-1]))], axis=0)
    model.node("Reshape", ["x", target])
    model = model.op("Mul", 2.0).op("Sub", [1.0]).sign(0.1).dense(rng.normal(size=(8, 16)), 0.5)
    model = model.norm(*norms(rng, 8, 0.2)).sign(0.5).dense(rng.normal(size=(3, 8))).op("Sub", 0.4).op("Div", 17.8)
    accelerator, rungs = compiled(model.save(tmp_path / "net.onnx"), tmp_path / "out", input_scale=1 / 255)
    assert all_equal(rungs), rungs
    assert accelerator.input.shape == (16,)
    assert accelerator.input.bits == 8
    vectors = Vectors.load(tmp_path / "out")
    assert len(vectors.frames) > 200
    assert len(np.unique(vectors.predictions)) > 1


def test_logits_out(net: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    model = net(1, 8).sign().dense(rng.normal(size=(4, 8))).op("Mul", 0.5).op("Add", 1.0)
    accelerator, rungs = compiled(model.save(tmp_path / "n.onnx"), tmp_path / "out", input_bits=1, label_select=False)
    assert all_equal(rungs), rungs
    assert [s.name for s in accelerator.stages] == ["threshold0", "fc0"]
    vectors = Vectors.load(tmp_path / "out")
    popcounts = golden.run(accelerator, vectors.frames)
    np.testing.assert_array_equal(0.5 * (2 * popcounts - 8) + 1, vectors.logits)


@pytest.fixture
def small(net: Make, tmp_path: Path) -> Path:
    rng = np.random.default_rng(6)
    model = net(1, 6).sign().dense(rng.normal(size=(5, 6))).norm(*norms(rng, 5, 2)).sign()
    path: Path = model.dense(rng.normal(size=(3, 5))).save(tmp_path / "small.onnx")
    return path


def test_the_first_difference_is_told(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, rungs = compiled(small, tmp_path / "a", input_signed=True)
    assert all_equal(rungs)
    vectors = Vectors.load(tmp_path / "a")
    wrong = vectors.logits.copy()
    wrong[7, 1] += 2
    _, rungs = compiled(small, tmp_path / "b", dataclasses.replace(vectors, logits=wrong), input_signed=True)
    assert [(r.status, r.frames - r.equal) for r in rungs] == [("DIFFERS", 1), ("equal", 0)]
    assert "last layer, frame 7, position 0, channel 1: FINN graph has" in rungs[0].difference

    def lowered(*arguments: Any) -> Lowered:
        found = lower(*arguments)
        stages = list(found.accelerator.stages)
        fc0 = stages[1]
        assert isinstance(fc0, MatrixVector)
        assert fc0.thresholds is not None
        thresholds = fc0.thresholds.copy()
        thresholds[4] = 7  # never
        stages[1] = dataclasses.replace(fc0, thresholds=thresholds)
        return dataclasses.replace(found, accelerator=dataclasses.replace(found.accelerator, stages=tuple(stages)))

    monkeypatch.setattr(compile_stage, "lower", lowered)
    _, rungs = compiled(small, tmp_path / "c", vectors, input_signed=True)
    assert rungs[0].status == "equal"
    assert rungs[1].status == "DIFFERS"
    assert "stage fc0, frame " in rungs[1].difference
    assert "channel 4: golden has -1, the rung before 1 (1 of 5 channels differ)" in rungs[1].difference


def test_vectors_that_do_not_fit(small: Path, tmp_path: Path) -> None:
    def given(frames: Array) -> Vectors:
        n = len(frames)
        return Vectors(frames=frames, labels=np.zeros(n, int), logits=np.zeros((n, 3), np.float32),
                       predictions=np.zeros(n, int))  # fmt: skip

    with pytest.raises(
        UserError, match="small.onnx: takes 6 elements a frame, but 2 vectors of 7 were given; give the"
    ):
        compiled(small, tmp_path / "o", given(np.zeros((2, 7), int)))
    with pytest.raises(
        UserError, match=r"vectors hold -1 to -1; the host's elements range from 0 to 255; change input_bits"
    ):
        compiled(small, tmp_path / "o", given(np.full((2, 6), -1)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "a JSON list; an object of nodes is needed; give FINN's folding JSON"),
        ("{", "not JSON (Expecting property name"),
        (None, "No such file or directory; give the path of FINN's folding JSON"),
    ],
)
def test_folding_files_that_are_none(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "f.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as caught:
        folded(dense(12, 4), FoldConfig(finn_json=path), catalog.load("pynq-z2"), 100.0)
    assert f"{path}: {message}" in str(caught.value)


def test_the_config_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="fps and luts exclude each other; keep one of them"):
        FoldConfig(fps=1, luts=5)
    assert FoldConfig().free
    assert not FoldConfig(fps=1).free
    with pytest.raises(ValueError, match="input_scale must be finite and not 0"):
        CompileConfig(input_scale=0)


def test_a_foreign_model_on_labelled_frames(small: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    frames, labels = rng.integers(0, 256, (20, 2, 3)), rng.integers(0, 3, 20)
    (tmp_path / "o").mkdir()
    compile_model(small, None, tmp_path / "o", CompileConfig(fold=HAND), test=(frames, labels))
    vectors = Vectors.load(tmp_path / "o")
    np.testing.assert_array_equal(vectors.frames[:20], frames.reshape(20, 6))
    np.testing.assert_array_equal(vectors.labels[:20], labels)
    share = float(np.mean(vectors.predictions[:20] == labels))
    assert [r.accuracy for r in load_rungs(tmp_path / "o")] == [share] * 3
    with pytest.raises(UserError, match=r"small.onnx: takes 6 elements a frame, but frames of \[data\] have 7; remove"):
        compile_model(small, None, tmp_path / "o", CompileConfig(), test=(np.zeros((2, 7), int), np.zeros(2, int)))


def test_what_finn_fails_of_is_told(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("cycle-free graph violated\nmore")

    monkeypatch.setattr(compile_stage, "streamline", fail)
    with pytest.raises(ToolError, match=r"small.onnx: FINN failed with AssertionError: cycle-free graph violated; adi"):
        compiled(small, tmp_path / "o")
