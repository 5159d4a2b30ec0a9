# SPDX-License-Identifier: Apache-2.0
"""Export: QONNX execution equals torch on every vector, whatever the batch norms are; what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from adiabit.errors import UserError
from adiabit.flows import export as exporting
from adiabit.flows.compile.execute import run_qonnx
from adiabit.flows.ladder import Vectors, load_rungs
from adiabit.train.checkpoint import ModelCard, load_model, save_model
from adiabit.train.config import DataConfig, ModelConfig
from adiabit.train.data import Dataset, Split
from adiabit.train.layers import Network

FRAMES = 60


@pytest.fixture(autouse=True)
def _few_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test split of random pixels in the place of the data set."""
    rng = np.random.default_rng(1)
    split = Split(rng.integers(0, 256, (FRAMES, 784), dtype=np.uint8), rng.integers(0, 10, FRAMES))
    monkeypatch.setattr(exporting, "load", lambda _: Dataset(split, split, split))


def save(folder: Path, *, method: str = "adiabatic", hard: bool = True, input_bits: int = 1) -> nn.Module:
    """A network with awkward batch norms: negative and zero gamma, thresholds beyond every accumulator."""
    torch.manual_seed(0)
    config = ModelConfig.model_validate({"topology": "free", "widths": (24, 16), "input_bits": input_bits})
    net = Network(config, method).eval()
    for norm in (m for m in net if isinstance(m, nn.BatchNorm1d)):
        with torch.no_grad():
            norm.weight.normal_()
            norm.bias.normal_()
            norm.weight[:4] = torch.tensor([0.0, 0.0, 0.0, -1.0])
            norm.bias[:6] = torch.tensor([0.0, 1.0, -1.0, 0.0, 1e6, -1e6])
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.normal_(std=5.0)
            norm.running_var.uniform_(1.0, 50.0)
    card = ModelCard.model_validate(
        {"model": config, "method": method, "hard": hard, "k_weights": 20.0, "k_activations": 3.0}
    )
    folder.mkdir()
    save_model(folder, net, card)
    return net


@pytest.mark.parametrize(("method", "input_bits"), [("adiabatic", 1), ("ste", 1), ("adiabatic", 8)])
def test_qonnx_equals_torch_on_every_vector(tmp_path: Path, method: str, input_bits: int) -> None:
    save(tmp_path / "train", method=method, input_bits=input_bits)
    out = tmp_path / "out"
    out.mkdir()
    exporting.export(tmp_path / "train", DataConfig(), out)
    vectors, (torch_rung, qonnx) = Vectors.load(out), load_rungs(out)
    total = FRAMES + len(exporting.corners())
    assert (torch_rung.name, torch_rung.frames, torch_rung.equal) == ("torch", total, total)
    assert (qonnx.name, qonnx.frames, qonnx.equal, qonnx.compared) == ("QONNX", total, total, "logits")
    assert qonnx.accuracy == torch_rung.accuracy == vectors.accuracy(vectors.predictions)
    assert vectors.frames.dtype == np.uint8
    assert vectors.labels.tolist()[FRAMES:] == [-1] * (total - FRAMES)
    assert len(np.unique(vectors.logits, axis=0)) > 10
    assert np.array_equal(vectors.predictions, vectors.logits.argmax(axis=1))


def test_corners_are_distinct_and_hold_each_extreme() -> None:
    corners = exporting.corners()
    assert len(np.unique(corners, axis=0)) == len(corners)
    assert {(0, 0), (255, 255), (127, 127), (128, 128)} <= {(int(c.min()), int(c.max())) for c in corners}
    assert sorted(np.flatnonzero((corners > 0).sum(axis=1) == 1).tolist())  # a single pixel


def test_a_difference_is_told_in_the_rung(tmp_path: Path) -> None:
    save(tmp_path / "train")
    out = tmp_path / "out"
    out.mkdir()
    exporting.export(tmp_path / "train", DataConfig(), out)
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
        exporting.export(tmp_path / "train", DataConfig(), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/train: the network is still soft (k_weights = 20, k_activations = 3, hard from 1000); "
        "raise train.epochs so that the schedule ends"
    )


def test_a_real_valued_network_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "train", method="real", hard=False)
    with pytest.raises(UserError, match='method = "real" trains real-valued weights, which have no binary hardware; '
                                        'train with method = "adiabatic" or "ste" to export'):  # fmt: skip
        exporting.export(tmp_path / "train", DataConfig(), tmp_path)


def test_a_diverged_network_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "train")
    state = torch.load(tmp_path / "train" / "model.pt", weights_only=True)
    state["8.scale"].fill_(float("nan"))
    torch.save(state, tmp_path / "train" / "model.pt")
    with pytest.raises(UserError, match=r"computes NaN or infinity; its training diverged; lower train\.learning_rate"):
        exporting.export(tmp_path / "train", DataConfig(), tmp_path)


def test_frames_of_another_shape_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "train")
    exporting.write_qonnx(load_model(tmp_path / "train"), (784,), tmp_path / "model.onnx")
    with pytest.raises(UserError, match=r"takes frames of shape \(784,\), these are \(28, 28\); reshape them"):
        run_qonnx(tmp_path / "model.onnx", np.zeros((2, 28, 28)))


def test_a_damaged_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(UserError, match=r"model.onnx: cannot be read as ONNX .*; export it again"):
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
