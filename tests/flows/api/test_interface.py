# SPDX-License-Identifier: Apache-2.0
"""The Python interface: a module in memory, a QONNX file and a recipe become accelerators."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.core.restrict_val import RestrictValueType
from brevitas.core.scaling import ScalingImplType
from brevitas.inject.enum import QuantType
from torch import nn

import adiabit
from adiabit.errors import UserError
from adiabit.flows import cli
from adiabit.flows.ladder import RungName, StageName
from adiabit.flows.store import Made
from adiabit.train.network import Network
from adiabit.train.topology import ModelConfig

BITS: dict[str, Any] = {
    "quant_type": QuantType.BINARY, "scaling_impl_type": ScalingImplType.CONST, "scaling_const": 1.0,
    "restrict_scaling_type": RestrictValueType.FP,
}  # fmt: skip


class TinyNet(nn.Module):
    """A user's own module: 20 pixels to three classes, in plain Brevitas."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        activation = {f"{key}": value for key, value in BITS.items()} | {"min_val": -1.0, "max_val": 1.0}
        weight = {f"weight_{key}": value for key, value in BITS.items()} | {"weight_bit_width": 1}
        self.layers = nn.Sequential(
            qnn.QuantLinear(20, 8, bias=False, **weight), nn.BatchNorm1d(8), qnn.QuantIdentity(**activation),
            qnn.QuantLinear(8, 3, bias=False, **weight),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pixels (B, 20) to logits (B, 3)."""
        return self.layers(x)  # type: ignore[no-any-return]


def pixels(count: int = 30) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, 20), dtype=np.uint8), rng.integers(0, 3, count)


@pytest.fixture(scope="module")
def net() -> nn.Module:
    made = TinyNet()
    for _ in range(20):  # statistics of its batch norm
        made(torch.from_numpy(pixels(100)[0]).float())
    return made.eval()


@pytest.fixture(scope="module")
def accelerator(net: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> adiabit.Accelerator:
    out = tmp_path_factory.mktemp("api") / "out"
    return adiabit.compile(net, pixels(), fold={"stages": {"fc0": {"pe": 2, "simd": 4}}}, out=out)


def test_a_module_in_memory_becomes_an_exact_accelerator(accelerator: adiabit.Accelerator, net: nn.Module) -> None:
    assert accelerator.recipe.name == "tiny_net"
    assert [(rung.name, rung.status) for rung in accelerator.rungs] == [
        (name, "equal")
        for name in (RungName.QONNX, RungName.FINN, RungName.GOLDEN)  # exact execution is the reference
    ]
    other = np.random.default_rng(7).integers(0, 256, (50, 20), dtype=np.uint8)
    torchs = net(torch.from_numpy(other).float()).argmax(1).numpy()
    assert np.array_equal(accelerator.predict(other), torchs)
    assert len(set(torchs)) > 1
    assert np.array_equal(accelerator.predict(torch.from_numpy(other).view(50, 4, 5)), torchs)
    assert accelerator.outputs(other).shape == (50, 1)


def test_its_rtl_runs_on_any_frames(accelerator: adiabit.Accelerator, tmp_path: Path) -> None:
    frames, _ = pixels(5)
    found = accelerator.simulate(frames, trace=tmp_path / "waves")
    assert found.exact
    assert (found.frames, found.equal, found.difference) == (5, 5, "")
    assert np.array_equal(found.predictions, accelerator.predict(frames))
    assert found.cycles_per_frame == accelerator.graph.cycles == accelerator.estimate().cycles
    assert (tmp_path / "waves" / "full_speed.vcd").exists()
    assert "5 of 5 frames equal" in repr(found)
    with pytest.raises(UserError, match=r"waves: exists and is not empty; give a new folder"):
        accelerator.simulate(frames, trace=tmp_path / "waves")


def test_a_circuit_that_differs_is_reported_with_its_own_outputs(
    accelerator: adiabit.Accelerator, tmp_path: Path
) -> None:
    rtl = accelerator.emit_rtl(tmp_path / "rtl")
    with pytest.raises(UserError, match=r"rtl: exists and is not empty; give a new folder"):
        accelerator.emit_rtl(rtl)
    label = rtl / "bnn_label_select.sv"
    text = label.read_text()
    label.write_text(text.replace("> best_q", "< best_q").replace("> $signed(best_q)", "< $signed(best_q)"))
    made = {**accelerator.pipeline.made, StageName.EMIT: Made(folder=rtl, reused=False, seconds=0.0)}
    broken = adiabit.Accelerator(dataclasses.replace(accelerator.pipeline, made=made))
    found = broken.simulate(pixels()[0])
    assert not found.exact
    assert found.difference.startswith("stage label, frame ")
    assert not np.array_equal(found.predictions, accelerator.predict(pixels()[0]))
    assert "Not exact" in found._repr_html_()


def test_another_folding_and_another_board_keep_the_network(accelerator: adiabit.Accelerator) -> None:
    faster, other = accelerator.folded(fps=20_000_000), accelerator.on("ulx3s-85f")
    frames, _ = pixels()
    assert faster.graph.cycles < accelerator.graph.cycles
    assert other.recipe.target.board == "ulx3s-85f"
    for each in (faster, other):
        assert np.array_equal(each.predict(frames), accelerator.predict(frames))
        assert each.exact
    assert "LFE5U" in str(other.estimate())


def test_estimate_and_synthesis_are_one_form(accelerator: adiabit.Accelerator) -> None:
    guess, made = accelerator.estimate(), accelerator.synthesize()
    assert guess.by == "estimate"
    assert made.by.startswith("Yosys")
    assert set(guess.stages) <= set(made.stages)
    assert guess.fits
    assert made.fits
    assert (made.total.lut or 0) > 0
    assert re.search(r"cycles a frame, \d+ LUT, \d+ FF", str(made))


def test_they_show_themselves_in_a_notebook(accelerator: adiabit.Accelerator) -> None:
    shown = accelerator._repr_html_()
    assert "<svg" in shown
    assert "@scope (.adiabit)" in shown
    assert ":root" not in shown
    assert not re.search(r"(src|href)=|url\(|@import", shown)
    assert "fc0" in accelerator.estimate()._repr_html_()


def test_a_qonnx_file_takes_frames_with_labels(accelerator: adiabit.Accelerator, tmp_path: Path) -> None:
    frames, labels = pixels()
    again = adiabit.compile(accelerator.pipeline.model, (frames, labels), out=tmp_path / "out", name="from_file")
    assert again.exact
    assert np.array_equal(again.predict(frames), accelerator.predict(frames))
    accuracy = float(np.mean(accelerator.predict(frames) == labels))
    assert again.rungs[0].accuracy == pytest.approx(accuracy)


def test_a_recipe_shares_its_folders_with_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text('[model]\ntopology = "free"\nwidths = [4]\n[export]\nframes = 20\n')
    trained = adiabit.fit(tmp_path / "small.toml", epochs=1, batch_size=500, out=tmp_path / "out")
    assert 0.1 < trained.accuracy < 1
    assert isinstance(trained.network(), Network)
    made = adiabit.compile(trained, fold={"fps": 1_000_000})
    assert made.exact
    before = made.folder.stat().st_mtime_ns
    command = ["compile", str(tmp_path / "small.toml"), "--out", str(tmp_path / "out"), "--set", "train.epochs=1",
               "--set", "train.batch_size=500", "--set", "compile.fold.fps=1_000_000"]  # fmt: skip
    assert cli.main(command) == 0
    assert (tmp_path / "out" / "compile").resolve() == made.folder.resolve()
    assert made.folder.stat().st_mtime_ns == before
    exported = adiabit.export(trained, to=tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == exported.path.read_bytes()
    assert "Trained network, hard" in trained._repr_html_()
    assert "QONNX" in exported._repr_html_()


class OwnNet(nn.Module):
    """A user's own module of adiabit's layers."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), adiabit.nn.BinaryLinear(784, width), nn.BatchNorm1d(width), adiabit.nn.BinaryActivation(),
            adiabit.nn.BinaryLinear(width, 10), adiabit.nn.TensorNorm(width),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (B, 1, 28, 28) to logits (B, 10)."""
        return self.layers(x)  # type: ignore[no-any-return]


def test_a_module_in_memory_is_trained(tmp_path: Path) -> None:
    net, settings = OwnNet(), {"export.frames": 40}
    before = {name: value.clone() for name, value in net.state_dict().items()}
    trained = adiabit.fit(net, "digits", epochs=1, batch_size=200, settings=settings, out=tmp_path)
    assert trained.recipe.name == "own_net"
    assert trained.accuracy > 0.3
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    accelerator = adiabit.compile(trained, fold={"fps": 100_000})
    assert accelerator.exact
    frames = accelerator.vectors.frames[:20]
    assert accelerator.classify(frames) == [str(label) for label in accelerator.vectors.predictions[:20]]
    assert accelerator.classes == tuple("0123456789")
    again = adiabit.fit(net, "digits", epochs=1, batch_size=200, settings=settings, out=tmp_path)
    assert again.folder == trained.folder
    assert adiabit.fit(OwnNet(4), "digits", epochs=1, batch_size=200, out=tmp_path).folder != trained.folder


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (None, r"vectors: a module in memory needs frames"),
        (np.zeros((3, 20), np.float32), r"frames of type float32: the host sends integers"),
        (np.zeros(20, np.uint8), r"frames of shape \(20,\): give \(F, features\)"),
        ((np.zeros((3, 20), np.uint8), np.zeros(2, int)), r"vectors: 3 frames, but labels of shape \(2,\)"),
        (np.full((3, 20), -1), r"vectors: values of -1 to -1; a module in memory takes 0 to 255"),
    ],
)
def test_vectors_that_cannot_be_are_refused(vectors: Any, message: str, net: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        adiabit.compile(net, vectors, out=tmp_path)


def test_frames_of_another_shape_are_refused(accelerator: adiabit.Accelerator) -> None:
    with pytest.raises(UserError, match=r"frames have shape \(19,\); stream .* carries \(20,\)"):
        accelerator.predict(np.zeros((2, 19), np.uint8))


def test_a_soft_network_is_refused(tmp_path: Path) -> None:
    config = ModelConfig.model_validate({"topology": "free", "widths": (4,)})
    soft = Network(config, "adiabatic", frame=(20,), classes=3)
    with pytest.raises(UserError, match="the module is still soft"):
        adiabit.export(soft, pixels(), out=tmp_path)


def test_keys_that_are_unknown_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\[train\]: epoch: unknown key; did you mean 'epochs'\?"):
        adiabit.fit("digits", epoch=3, out=tmp_path)
    with pytest.raises(UserError, match=r"its network is already trained; compile it"):
        adiabit.fit("digits", settings={"checkpoint": str(tmp_path)}, out=tmp_path)


def test_the_package_imports_nothing_heavy() -> None:
    code = "import sys, adiabit; dir(adiabit); print(sorted({'torch', 'numpy', 'pydantic', 'finn'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
    assert all(hasattr(adiabit, name) for name in adiabit.__all__)
    assert set(adiabit.__all__) == {*adiabit._MODULES, "nn"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = adiabit.nonsense
