# SPDX-License-Identifier: Apache-2.0
"""Modules outside of the repository go the whole way by their recipes."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from adiabit import nn as ann
from adiabit.errors import UserError
from adiabit.flows import cli
from adiabit.flows.export import write_qonnx
from adiabit.flows.finn.stage import compile_model
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.ladder import StageName, Vectors, load_rungs, predicted
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import load
from adiabit.flows.untrained import accelerator
from adiabit.train import loop, task
from adiabit.train.checkpoint import load_card, load_model
from adiabit.train.config import ModelConfig, TrainConfig
from adiabit.train.data import load as load_data
from adiabit.train.data.mnist import Digits
from adiabit.train.measure import logits, reestimate
from adiabit.train.quantizers import hardened, quantizers
from adiabit.train.trainable import Own
from tests.train import own_networks
from tests.train.own_networks import PlainCnn, Small

RECIPE = """
[data]
validation = 0.8
[model]
module = "my_net.py:{name}"
{model}
[train]
epochs = 1
threads = 1
{train}
[export]
frames = 30
[simulate]
stall_frames = 2
"""
NETWORKS = {
    "ours": ("Small", "arguments = { width = 5 }", ""),
    "another method": ("Small", "", "method = 'bi-real'"),
    "Brevitas": ("TwoBits", "", "learning_rate = 0.002\nweight_decay = 0.0"),
    "plain": ("PlainCnn", 'binarize = true\nlast_bits = 4\nweights = "plain.pt"', ""),
    "plain residual": ("PlainResNet", "binarize = true", ""),
}


@pytest.fixture(scope="module", autouse=True)
def _digits_are_read_once() -> Any:
    splits = load_data(Digits(validation=0.8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "load", lambda _: splits)
        yield


def place(folder: Path, name: str, model: str = "", train: str = "") -> Path:
    """A folder with a user's module and a recipe."""
    (folder / "my_net.py").write_text(inspect.getsource(own_networks))
    torch.manual_seed(0)
    torch.save(PlainCnn().state_dict(), folder / "plain.pt")
    (folder / "net.toml").write_text(RECIPE.format(name=name, model=model, train=train))
    return folder / "net.toml"


def command(verb: str, recipe: Path, *more: str) -> int:
    return cli.main([verb, str(recipe), "--out", str(recipe.parent / "out"), *more])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_module_trains_and_its_ladder_is_equal(name: str, tmp_path: Path) -> None:
    recipe = place(tmp_path, *NETWORKS[name])
    assert command("compile", recipe) == 0
    (exported,), (compiled,) = ([*tmp_path.glob(f"out/{stage}-*")] for stage in ("export", "compile"))
    rungs = [*load_rungs(exported), *load_rungs(compiled)]
    assert [rung.name for rung in rungs] == [
        *([] if name == "Brevitas" else ["torch"]),
        "QONNX",
        "FINN graph",
        "golden",
    ]
    for rung in rungs:
        assert (rung.status, rung.frames) == ("equal", 64)
    (trained,) = tmp_path.glob("out/train-*")
    card = load_card(trained)
    assert (card.model.module, card.hard, card.frame) == (f"my_net.py:{NETWORKS[name][0]}", True, (28, 28, 1))
    assert str(tmp_path) not in (trained / "model.json").read_text()


@pytest.mark.full
@pytest.mark.parametrize("name", NETWORKS)
def test_a_module_goes_the_whole_way(name: str, tmp_path: Path) -> None:
    recipe = place(tmp_path, *NETWORKS[name])
    assert command("run", recipe) == 0
    report = json.loads((tmp_path / "out/report/report.json").read_text())
    states = {row["name"]: row["status"] for row in report["rungs"]}
    assert {states[rung] for rung in ("QONNX", "FINN graph", "golden", "HLS C simulation", "RTL simulation")} == {
        "equal"
    }


def test_the_untrained_accelerator_has_the_stages_of_the_trained_one(tmp_path: Path) -> None:
    recipe = load(place(tmp_path, "Small"))
    drawn = accelerator(recipe)
    assert [stage.name for stage in drawn.stages] == [
        "window0", "conv0", "fork0", "pad0", "window1", "conv1", "fc0", "label",
    ]  # fmt: skip


def test_an_edit_of_the_module_trains_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = place(tmp_path, "Small")
    for edit, trained in (("", True), ("", False), ("# edited\n", True)):
        (tmp_path / "my_net.py").write_text((tmp_path / "my_net.py").read_text() + edit)
        assert command("train", recipe) == 0
        assert ("train: reused" in capsys.readouterr().out) == (not trained)
    assert len([*tmp_path.glob("out/train-*")]) == 2
    shutil.move(tmp_path, moved := tmp_path.with_name(f"{tmp_path.name}-moved"))
    assert command("train", moved / "net.toml") == 0  # wherever the folder is
    assert "train: reused" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["run", "train"])
def test_what_cannot_be_built_is_told_before_training(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loop, "fit", lambda *_, **__: pytest.fail("trained"))
    assert command(verb, place(tmp_path, "Unbuildable")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("adiabit: my_net.py:Unbuildable: 2 faults keep it from being compiled: node '/Softmax' (")
    assert "; node '/Resize' (Resize, " in line


def test_a_folding_of_a_module_is_checked_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loop, "fit", lambda *_, **__: pytest.fail("trained"))
    assert command("train", place(tmp_path, "Small"), "--set", "compile.fold.stages.conv1.pe=3") == 2
    assert "conv1: pe=3 does not divide 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "model", "train", "told"),
    [
        ("Nothing", "", "", "my_net.py:Nothing: no class or function 'Nothing'; it defines ["),
        ("Small", "arguments = { depth = 3 }", "", "my_net.py:Small(depth=3): TypeError: "),
        ("Block", "arguments = { inputs = 1, outputs = 2 }", "", "[model]: my_net.py:Block: returns shape [2, 2, 28,"),
        ("Small", "topology = 'sfc'", "", "[model]: topology is not for a module of your own; the module itself decid"),
        ("Small", "last_bits = 4", "", "[model]: last_bits needs binarize = true; the module itself decides; remove o"),
        ("Small", "", "dropout = 0.1", "dropout = 0.1: my_net.py:Small is a module of your own, which has its dropout"),
        ("PlainCnn", "binarize = true\nweights = 'gone.pt'", "", "gone.pt: No such file or directory; give a state di"),
        ("PlainResNet", "binarize = true\nweights = 'plain.pt'", "", "plain.pt: not the weights of PlainResNet (Error"),
        ("PlainCnn", "", "", "my_net.py:PlainCnn: "),
        ("Unbuildable", "binarize = true", "", "Unbuildable: 5 layers have no binary form: conv (Bi"),
    ],
)  # fmt: skip
def test_faults_of_a_module_are_one_line(
    name: str, model: str, train: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("train", place(tmp_path, name, model, train)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not [*tmp_path.glob("out/train-*")]


def test_a_file_that_is_missing_and_keys_without_a_module_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = place(tmp_path, "Small")
    (tmp_path / "my_net.py").unlink()
    assert command("train", recipe) == 2
    assert "my_net.py: No such file or directory; give the path of a Python file" in capsys.readouterr().err
    recipe.write_text("[model]\nbinarize = true\n")
    assert command("train", recipe) == 2
    assert "[model]: binarize needs module, the name of a module of your own" in capsys.readouterr().err


def test_explain_and_summary_need_no_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = place(tmp_path, "PlainCnn", "binarize = true")
    assert command("explain", recipe) == 0
    told = capsys.readouterr().out
    assert "before the batch norm, whose weights stay positive" in told
    assert told.endswith("It compiles.\n")
    assert cli.main(["summary", str(recipe)]) == 0
    assert "net: adiabatic, 28 x 28 x 1 in, 10 classes" in capsys.readouterr().out
    assert command("explain", place(tmp_path, "Unbuildable")) == 2
    assert "2 faults keep it from being compiled" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_explain_takes_any_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "digits"]) == 0
    assert capsys.readouterr().out.endswith("It compiles.\n")


def test_a_checkpoint_holds_no_code(tmp_path: Path) -> None:
    """The class is the recipe's; a file of the same name beside the checkpoint is never run."""
    recipe = place(tmp_path, "Small")
    pipeline = Pipeline(load(recipe), tmp_path / "out", quiet=True)
    trained = pipeline.folder(StageName.TRAIN)
    (trained / "my_net.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    net = load_model(trained, pipeline.recipe.model)
    assert all(q.hard for q in quantizers(net))
    with pytest.raises(UserError, match="model.json: a network of the module my_net.py:Small, whose code a check"):
        load_model(trained)
    other = pipeline.recipe.model.model_copy(update={"arguments": {"width": 7}})
    with pytest.raises(UserError, match=r"model.json: arguments = \{\}, but the recipe's \[model\] has \{'width': 7\}"):
        load_model(trained, other)
    source = inspect.getsource(own_networks)
    (tmp_path / "my_net.py").write_text(source.replace("width: int = 4", "width: int = 3"))
    with pytest.raises(UserError, match=r"model.pt: tensor module.0.weight is \(4, 2\), but model.json"):
        load_model(trained, pipeline.recipe.model)
    assert not (tmp_path / "executed").exists()


def test_a_module_that_exists_already_is_trained_and_stays_as_it_is(tmp_path: Path) -> None:
    net = Small(3)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    model = ModelConfig(module="notebook:Small")
    train = TrainConfig(epochs=1, threads=1)
    loop.fit(Digits(validation=0.8), model, train, tmp_path, progress=False, quiet=True, module=net)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    loaded = load_model(tmp_path, model, net)
    assert load_card(tmp_path).hard
    assert not torch.equal(loaded.state_dict()["module.0.weight"], before["0.weight"])


def test_a_module_that_flattens_images_of_several_channels_gets_them_in_its_order(tmp_path: Path) -> None:
    """The host sends channels last, whatever reads them first."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Flatten(), ann.BinaryLinear(72, 8), nn.BatchNorm1d(8), ann.BinaryActivation()]
    net = Own(nn.Sequential(*layers, ann.BinaryLinear(8, 4)), "ste", frame=(6, 6, 2), classes=4).hardware()
    frames = np.random.default_rng(0).integers(0, 256, (50, 6, 6, 2)).astype(np.uint8)
    with hardened(net):
        reestimate(net, torch.from_numpy(frames), 1)
        found = logits(net, torch.from_numpy(frames)).numpy()
        write_qonnx(net.inner, net.frame, tmp_path / "model.onnx")
    vectors = Vectors(frames=frames, labels=np.full(50, -1), logits=found, predictions=predicted(found))
    compile_model(tmp_path / "model.onnx", vectors, tmp_path, CompileConfig())
    assert [rung.equal for rung in load_rungs(tmp_path)] == [50, 50]
    assert len(np.unique(vectors.predictions)) > 1
