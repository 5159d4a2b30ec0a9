# SPDX-License-Identifier: Apache-2.0
"""Export: QONNX execution equals torch on every vector, whatever the batch norms are; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from adiabit.errors import UserError
from adiabit.flows import export as exporting
from adiabit.flows.export import legend_of
from adiabit.flows.finn.execute import run_qonnx
from adiabit.flows.ladder import Vectors, load_rungs
from adiabit.legend import Encoding, Legend
from adiabit.legend import load as load_legend
from adiabit.legend import save as save_legend
from adiabit.train.checkpoint import ModelCard, load_card, load_model, save_model
from adiabit.train.config import ModelConfig
from adiabit.train.data import Split
from adiabit.train.data.cifar import Cifar10
from adiabit.train.data.mnist import Digits
from adiabit.train.measure import reestimate
from adiabit.train.network import Network
from adiabit.train.quantizers import hardened

FRAMES = 60


@pytest.fixture(autouse=True)
def _few_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test split of random pixels in the place of the data set."""
    rng = np.random.default_rng(1)
    split = Split(rng.integers(0, 256, (FRAMES, 784), dtype=np.uint8), rng.integers(0, 10, FRAMES))
    monkeypatch.setattr(exporting, "load_test", lambda _: split)


DENSE = {"topology": "free", "widths": (24, 16), "input_bits": 1}
LAYERS = [
    {"conv": 16, "pad": [0, 1], "kernel": 4, "stride": 2},  # 28 x 28 -> 13 x 14, padded with 0
    {"conv": 18, "pad": [2, 1], "kernel": [3, 2], "pool": [2, 3]},  # -> 15 x 15 -> 7 x 5, padded with -1
    {"conv": 20, "kernel": [2, 3], "dilation": [3, 1]},  # -> 4 x 3
    {"dense": 24},
]


def save(
    folder: Path, *, method: str = "adiabatic", hard: bool = True, model: dict[str, Any] = DENSE, classes: int = 10
) -> nn.Module:
    """A network with awkward batch norms: negative and zero gamma, thresholds beyond every accumulator."""
    torch.manual_seed(0)
    config = ModelConfig.model_validate(model)
    frame = config.frame((28, 28, 1))
    net = Network(config, method, frame=frame, classes=classes).eval()
    for norm in (m for m in net if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)):
        with torch.no_grad():
            norm.weight.normal_()
            norm.bias.normal_()
            norm.weight[:4] = torch.tensor([0.0, 0.0, 0.0, -1.0])
            norm.bias[:6] = torch.tensor([0.0, 1.0, -1.0, 0.0, 1e6, -1e6])
    with hardened(net):
        reestimate(net, torch.randint(0, 256, (64, *frame)), passes=1)
    card = ModelCard.model_validate(
        {
            "model": config,
            "frame": frame,
            "classes": classes,
            "method": method,
            "hard": hard,
            "k_weights": 20.0,
            "k_activations": 3.0,
        }
    )
    folder.mkdir()
    save_model(folder, net, card)
    return net


@pytest.mark.parametrize(
    ("method", "model"),
    [
        ("adiabatic", DENSE),
        ("ste", DENSE),
        ("adiabatic", {**DENSE, "input_bits": 8}),
        ("adiabatic", {"topology": "free", "layers": LAYERS}),
        ("ste", {"topology": "free", "layers": LAYERS, "pool": "behind"}),
        ("adiabatic", {"topology": "free", "layers": LAYERS, "input_bits": 1}),
        ("adiabatic", {"topology": "free", "layers": LAYERS[:2]}),
    ],
)
def test_qonnx_equals_torch_on_every_vector(tmp_path: Path, method: str, model: dict[str, Any]) -> None:
    save(tmp_path / "train", method=method, model=model)
    out = tmp_path / "out"
    out.mkdir()
    exporting.export(tmp_path / "train", Digits(), out)
    vectors, (torch_rung, qonnx) = Vectors.load(out), load_rungs(out)
    frame = (28, 28, 1) if "layers" in model else (784,)
    total = FRAMES + len(exporting.corners(frame))
    assert vectors.frames.shape == (total, *frame)
    assert (torch_rung.name, torch_rung.frames, torch_rung.equal) == ("torch", total, total)
    assert (qonnx.name, qonnx.frames, qonnx.equal, qonnx.compared) == ("QONNX", total, total, "logits")
    assert qonnx.accuracy == torch_rung.accuracy == vectors.accuracy(vectors.predictions)
    assert vectors.frames.dtype == np.uint8
    assert vectors.labels.tolist()[FRAMES:] == [-1] * (total - FRAMES)
    assert len(np.unique(vectors.logits, axis=0)) > 10
    assert np.array_equal(vectors.predictions, vectors.logits.argmax(axis=1))


@pytest.mark.parametrize("frame", [(784,), (100,), (28, 28, 1), (6, 5, 3), (1, 64, 2), (7,)])
def test_corners_are_distinct_and_hold_each_extreme(frame: tuple[int, ...]) -> None:
    corners = exporting.corners(frame)
    assert corners.shape[1:] == frame
    assert corners.dtype == np.uint8
    flat = corners.reshape(len(corners), -1)
    assert {(0, 0), (255, 255), (127, 127), (128, 128)} <= {(int(c.min()), int(c.max())) for c in corners}
    alone = flat[(flat > 0).sum(axis=1) == 1].argmax(axis=1)
    size = flat.shape[1]
    assert {0, 1, size // 2, size - 2, size - 1} == set(alone.tolist())
    if size > 20:
        assert len(np.unique(flat, axis=0)) == len(flat)


@pytest.mark.parametrize("frame", [(784,), (28, 28, 1)])
def test_a_checkerboard_changes_along_every_side(frame: tuple[int, ...]) -> None:
    boards = [c.reshape(28, 28).astype(int) for c in exporting.corners(frame) if (c > 0).sum() == 392]
    boards = [b for b in boards if set(b.ravel()) == {0, 255} and b[0, 0] != b[0, 1]]
    changing = [b for b in boards if (np.diff(b, axis=0) != 0).all() and (np.diff(b, axis=1) != 0).all()]
    assert sorted(int(b[0, 0]) for b in changing) == [0, 255]


@pytest.mark.parametrize("limit", [1, 7, FRAMES, FRAMES + 1])
def test_the_test_frames_can_be_limited(tmp_path: Path, limit: int) -> None:
    net = save(tmp_path / "train")
    test = exporting.test_split(Digits(), (784,))
    whole = exporting.make_vectors(net, test.frames, test.labels)
    some = test.spread(limit)
    few = exporting.make_vectors(net, some.frames, some.labels)
    count = min(limit, FRAMES)
    assert len(few.labels) - (few.labels < 0).sum() == count
    rows = [int(np.flatnonzero((whole.frames == frame).all(axis=1))[0]) for frame in few.frames[:count]]
    assert rows == sorted(set(rows))
    assert max(np.diff([*rows, FRAMES])) <= FRAMES / count + 2  # all over the split
    assert np.array_equal(few.frames[count:], whole.frames[FRAMES:])
    assert np.array_equal(few.labels[:count], whole.labels[rows])


def test_a_network_for_other_data_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "train", model={"topology": "free", "layers": LAYERS})
    with pytest.raises(UserError) as caught:
        exporting.export(tmp_path / "train", Cifar10(), tmp_path)
    assert str(caught.value) == (
        "recipe: [data]: frames of cifar10 have shape (32, 32, 3), but the network takes (28, 28, 1); use the data set "
        "that it was trained on"
    )


def test_images_enter_the_graph_channels_first_and_pads_are_one_node(tmp_path: Path) -> None:
    from qonnx.core.modelwrapper import ModelWrapper  # the reader that the compiler uses

    net = save(tmp_path / "train", model={"topology": "free", "layers": LAYERS}, classes=3)
    exporting.write_qonnx(load_model(tmp_path / "train"), (28, 28, 1), tmp_path / "model.onnx")
    model = ModelWrapper(str(tmp_path / "model.onnx"))
    assert model.get_tensor_shape("pixels") == [1, 1, 28, 28]
    assert model.get_tensor_shape("logits") == [1, 3]
    kinds = [node.op_type for node in model.graph.node if node.op_type != "Constant"]
    assert kinds == [
        "BipolarQuant", "Conv", "BatchNormalization", "BipolarQuant", "Pad", "BipolarQuant", "Conv", "MaxPool",
        "BatchNormalization", "BipolarQuant", "BipolarQuant", "Conv", "BatchNormalization", "BipolarQuant", "Flatten",
        "BipolarQuant", "Transpose", "MatMul", "BatchNormalization", "BipolarQuant", "BipolarQuant", "Transpose",
        "MatMul", "Mul", "Add",
    ]  # fmt: skip
    assert not net.training


def test_a_difference_is_told_in_the_rung(tmp_path: Path) -> None:
    save(tmp_path / "train")
    out = tmp_path / "out"
    out.mkdir()
    exporting.export(tmp_path / "train", Digits(), out)
    vectors = Vectors.load(out)
    vectors.logits[7, 3] += 1
    exporting.verify(out, vectors)
    rung = load_rungs(out)[1]
    assert rung.status == "DIFFERS"
    assert rung.equal == rung.frames - 1
    assert rung.difference.startswith("frame 7, logit 3: torch ")


def test_blocks_of_any_length_give_the_same_logits(tmp_path: Path) -> None:
    net = save(tmp_path / "train")
    exporting.write_qonnx(load_model(tmp_path / "train"), (784,), tmp_path / "model.onnx")
    frames = np.random.default_rng(0).integers(0, 256, (1007, 784), dtype=np.uint8)  # more than one block
    whole = run_qonnx(tmp_path / "model.onnx", frames)
    parts = [run_qonnx(tmp_path / "model.onnx", part) for part in (frames[:3], frames[3:500], frames[500:])]
    assert np.array_equal(np.concatenate(parts), whole)
    assert whole.shape == (1007, 10)
    assert not net.training


def test_a_soft_network_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "train", hard=False)
    with pytest.raises(UserError) as caught:
        exporting.export(tmp_path / "train", Digits(), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/train: the network is still soft (k_weights = 20, k_activations = 3, hard from 1000); "
        "raise train.epochs so that the schedule completes"
    )


def test_a_soft_network_without_slopes_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "train", hard=False)
    card = load_card(tmp_path / "train").model_copy(update={"k_weights": None, "k_activations": None})
    (tmp_path / "train" / "model.json").write_text(card.model_dump_json())
    with pytest.raises(
        UserError, match="the network is still soft \\(k_weights = none, k_activations = none, hard from"
    ):
        exporting.export(tmp_path / "train", Digits(), tmp_path)


def test_a_real_valued_network_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "train", method="real", hard=False)
    with pytest.raises(UserError, match='method = "real" has no binary hardware: its weights and activations are '
                                        'real; train with another method, e.g. "adiabatic", to export'):  # fmt: skip
        exporting.export(tmp_path / "train", Digits(), tmp_path)


def test_real_weights_in_the_last_layer_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "train", hard=False)
    card = load_card(tmp_path / "train")
    card = card.model_copy(update={"model": card.model.model_copy(update={"last_bits": 32})})
    (tmp_path / "train" / "model.json").write_text(card.model_dump_json())
    with pytest.raises(UserError, match="the network has no binary hardware: the weights of its last layer are real; "
                                        "train with first_bits and last_bits of at most 8 to export"):  # fmt: skip
        exporting.export(tmp_path / "train", Digits(), tmp_path)


@pytest.mark.parametrize(("value", "what"), [(float("nan"), "tensor 8.scale holds"), (3e38, "the network computes")])
def test_a_diverged_network_is_refused(tmp_path: Path, value: float, what: str) -> None:
    save(tmp_path / "train")
    state = torch.load(tmp_path / "train" / "model.pt", weights_only=True)
    state["8.scale"].fill_(value)
    torch.save(state, tmp_path / "train" / "model.pt")
    with pytest.raises(UserError, match=rf"{what} NaN or infinity; the training diverged; lower train\.learning_rate"):
        exporting.export(tmp_path / "train", Digits(), tmp_path)


def test_frames_of_another_shape_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "train")
    exporting.write_qonnx(load_model(tmp_path / "train"), (784,), tmp_path / "model.onnx")
    with pytest.raises(UserError, match=r"takes frames of shape \(784,\), but these have \(28, 28\); reshape them"):
        run_qonnx(tmp_path / "model.onnx", np.zeros((2, 28, 28)))


def test_a_damaged_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(UserError, match=r"model.onnx: not a readable ONNX model .*; export it again"):
        run_qonnx(tmp_path / "model.onnx", np.zeros((2, 784)))


def test_qonnx_sees_bipolar_quantizers_of_scale_one(tmp_path: Path) -> None:
    from qonnx.core.modelwrapper import ModelWrapper  # the reader that the compiler uses

    save(tmp_path / "train")
    exporting.write_qonnx(load_model(tmp_path / "train"), (784,), tmp_path / "model.onnx")
    model = ModelWrapper(str(tmp_path / "model.onnx"))
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("BipolarQuant") == 1 + 3 + 2  # pixels, weights, activations
    scales = [model.get_initializer(n.input[1]) for n in model.graph.node if n.op_type == "BipolarQuant"]
    assert json.dumps([float(np.squeeze(s)) for s in scales]) == json.dumps([1.0] * 6)
    assert [i.name for i in model.graph.input] == ["pixels"]


RANGES = Encoding(low=(0.0,), step=(1.0,))


@pytest.mark.parametrize(
    ("trained", "given", "expected"),
    [
        (Legend(names=("a", "b")), Legend(names=("a", "b")), Legend(names=("a", "b"))),
        (Legend(), Legend(names=("a", "b")), Legend(names=("a", "b"))),  # an older checkpoint
        (Legend(), Legend(names=("a", "b"), encoding=RANGES), Legend(names=("a", "b"), encoding=RANGES)),
        (Legend(names=("a", "b")), Legend(), Legend(names=("a", "b"))),
        (Legend(names=("a", "b")), Legend(names=("b", "a")), "their classes differ in order"),
        (Legend(names=("a", "b")), Legend(names=("a", "c")), "'b' is a class of one of them"),
        (Legend(names=("a", "b"), encoding=RANGES), Legend(names=("a", "b")), "other ranges of the features"),
    ],
)
def test_the_legend_is_that_of_the_training(
    trained: Legend, given: Legend, expected: Legend | str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Digits, "legend", given)
    if isinstance(expected, str):
        with pytest.raises(UserError, match=expected):
            legend_of(tmp_path, trained, Digits())
    else:
        assert legend_of(tmp_path, trained, Digits()) == expected
        save_legend(tmp_path, expected)
        assert load_legend(tmp_path) == expected


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"names": [1]}', '{"names": ["a", "a"]}', '{"encoding": {"low": [0]}}']
)
def test_a_damaged_legend_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "legend.json").write_text(text)
    with pytest.raises(UserError, match=r"legend.json: no class names and encoding \(.*\); export anew"):
        load_legend(tmp_path)
