# SPDX-License-Identifier: Apache-2.0
"""A checkpoint is used only where it is the network that the recipe describes."""

from __future__ import annotations

import errno
import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from adiabit.errors import UserError
from adiabit.legend import NO_LEGEND, Encoding, Legend
from adiabit.train.checkpoint import ModelCard, check_topology, load_card, load_model, save_model
from adiabit.train.config import ModelConfig
from adiabit.train.layers import BinaryConv2d, BinaryLinear
from adiabit.train.methods.adiabatic import Adiabatic
from adiabit.train.methods.ste import Ste
from adiabit.train.network import Network
from adiabit.train.quantizers import hardened, quantizers
from adiabit.train.resume import LAST, WholeCheckpoints

BEFORE_IMAGES = """{"format": 1, "model": {"topology": "free", "widths": [5, 4], "input_bits": 1, "activation": "relu",
 "init": 0.1}, "method": "adiabatic", "hard": true, "k_weights": 300.0, "k_activations": 1.6}"""


def test_a_checkpoint_of_another_topology_is_refused(tmp_path: Path) -> None:
    card = ModelCard(model=ModelConfig(topology="tfc"), method=Adiabatic(), hard=True)
    (tmp_path / "model.json").write_text(card.model_dump_json())
    check_topology(tmp_path, ModelConfig(topology="tfc"))
    check_topology(tmp_path, ModelConfig(topology="free", widths=(64, 64, 64)))
    with pytest.raises(UserError, match=r"model\.json: hidden = \(64, 64, 64\), but .* has \(256, 256, 256\); use a "):
        check_topology(tmp_path, ModelConfig(topology="sfc"))
    with pytest.raises(UserError, match="input_bits = 1, but the recipe's .* has 8"):
        check_topology(tmp_path, ModelConfig(input_bits=8))
    layers = ({"conv": 64, "kernel": [1, 5]}, {"dense": 64}, {"dense": 64})
    model = ModelConfig.model_validate({"topology": "free", "layers": layers, "input_bits": 1})
    with pytest.raises(UserError) as caught:
        check_topology(tmp_path, model)
    assert str(caught.value) == (
        f"{tmp_path}/model.json: layers = ({{ dense = 64 }}, {{ dense = 64 }}, {{ dense = 64 }}), but the recipe's "
        "[model] has ({ conv = 64, kernel = [1, 5] }, { dense = 64 }, { dense = 64 }); use a checkpoint of the same "
        "topology, or change [model]"
    )


def test_a_checkpoint_from_before_there_were_images_loads(tmp_path: Path) -> None:
    """Names, shapes and order of its tensors are those of a plain list of layers."""
    torch.manual_seed(0)
    shapes = {"1.weight": (5, 784), "4.weight": (4, 5), "7.weight": (10, 4)}
    state: dict[str, torch.Tensor] = {
        name: torch.randint(0, 2, shape, dtype=torch.int8) * 2 - 1 for name, shape in shapes.items()
    }
    for name, width in (("2", 5), ("5", 4)):
        state |= {f"{name}.{key}": torch.rand(width) for key in ("weight", "bias", "running_mean", "running_var")}
        state[f"{name}.num_batches_tracked"] = torch.tensor(3)
    state |= {"8.scale": torch.tensor(0.5), "8.shift": torch.tensor(0.25)}
    torch.save(state, tmp_path / "model.pt")
    (tmp_path / "model.json").write_text(BEFORE_IMAGES)
    net = load_model(tmp_path)
    x = torch.randint(0, 256, (6, 784)).float()
    bits = torch.where(x >= 128, 1.0, -1.0)
    for linear, norm in (("1", "2"), ("4", "5")):
        mean, var, gamma, beta = (state[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
        bits = bits @ state[f"{linear}.weight"].float().T
        bits = torch.where((bits - mean) / (var + 1e-5).sqrt() * gamma + beta >= 0, 1.0, -1.0)
    assert torch.equal(net(x), bits @ state["7.weight"].float().T * 0.5 + 0.25)


@pytest.mark.parametrize("pool", ["before", "behind"])
def test_a_convolutional_model_survives_saving(tmp_path: Path, pool: str) -> None:
    torch.manual_seed(0)
    table = {"topology": "free", "layers": [{"conv": 4, "pad": 1, "pool": 2}, {"conv": 3, "pad": 1}, {"dense": 5}]}
    model = ModelConfig.model_validate({**table, "pool": pool})
    net = Network(model, "adiabatic", frame=(8, 6, 3), classes=2).eval()
    card = ModelCard(model=model, frame=(8, 6, 3), classes=2, method=Adiabatic(), hard=True)
    frames = torch.randint(0, 256, (5, 3, 8, 6)).float()
    with hardened(net):
        expected = net(frames)
    save_model(tmp_path, net, card)
    loaded = load_model(tmp_path)
    assert torch.equal(loaded(frames), expected)
    assert all(q.hard for q in quantizers(loaded))
    state = torch.load(tmp_path / "model.pt", weights_only=True)
    products = [name for name, module in net.named_modules() if isinstance(module, BinaryConv2d | BinaryLinear)]
    assert [state[f"{name}.weight"].dtype for name in products] == [torch.uint8] * 4
    check_topology(tmp_path, model)
    other = ModelConfig.model_validate({**table, "pool": "behind" if pool == "before" else "before"})
    with pytest.raises(UserError, match=f"model.json: pool = {pool}, but the recipe's"):
        check_topology(tmp_path, other)


def test_weights_are_bits_and_may_be_the_bytes_of_earlier_checkpoints(saved: Path) -> None:
    expected = load_model(saved).state_dict()["1.weight"]
    state = torch.load(saved / "model.pt", weights_only=True)
    assert state["1.weight"].shape == (3, 98)
    assert set(expected.unique().tolist()) == {-1.0, 1.0}
    torch.save({**state, "1.weight": expected.to(torch.int8)}, saved / "model.pt")
    assert torch.equal(load_model(saved).state_dict()["1.weight"], expected)


# what cannot be used ----------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A hard network of 784, 3 and 10."""
    torch.manual_seed(0)
    model = ModelConfig(topology="free", widths=(3,))
    save_model(tmp_path, Network(model, "ste").eval(), ModelCard(model=model, method=Adiabatic(), hard=True))
    load_model(tmp_path)
    return tmp_path


def told(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_model(folder)
    assert len(str(caught.value)) < 600
    return str(caught.value).removeprefix(f"{folder}/")


def complex_(state: dict[Any, Any]) -> None:
    state["2.bias"] = torch.zeros(3, dtype=torch.complex64)


QINT = torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8)
DENSE = "on cpu; it must be a dense tensor of float32; delete it"
TENSORS: dict[str, tuple[Callable[[dict[Any, Any]], object], str]] = {
    "an integer key": (lambda s: s.update({7: torch.zeros(1)}), "'7' is not a named tensor; delete it and run"),
    "no tensor": (lambda s: s.update({"2.bias": 3}), "'2.bias' is not a named tensor; delete it and run"),
    "an extra key": (lambda s: s.update({"x": torch.zeros(2)}), "tensor x is (2,), but model.json (free, adiabatic) "),
    "a missing key": (lambda s: s.pop("2.bias"), "tensor 2.bias is missing, but model.json (free, adiabatic) needs ("),
    "sparse": (lambda s: s.update({"2.bias": torch.zeros(3).to_sparse()}), f"float32, torch.sparse_coo {DENSE}"),
    "complex": (complex_, f"tensor 2.bias is torch.complex64, torch.strided {DENSE}"),
    "quantized": (lambda s: s.update({"2.bias": QINT}), f"tensor 2.bias is torch.qint8, torch.strided {DENSE}"),
    "meta": (
        lambda s: s.update({"2.bias": torch.zeros(3, device="meta")}),
        "torch.strided on meta; it must be a",
    ),
    "double": (
        lambda s: s.update({"1.weight": torch.ones(3, 784).double()}),
        "must be a dense tensor of float32 or int8; ",
    ),
    "integer": (lambda s: s.update({"2.bias": torch.zeros(3, dtype=torch.int8)}), f"torch.int8, torch.strided {DENSE}"),
    "NaN": (lambda s: s["2.bias"].fill_(torch.nan), "tensor 2.bias holds NaN or infinity; the training diverged; low"),
    "infinity": (lambda s: s["5.scale"].fill_(torch.inf), "tensor 5.scale holds NaN or infinity; the training diverg"),
    "variance": (lambda s: s["2.running_var"].fill_(-1), "tensor 2.running_var holds a negative variance; delete it"),
}


@pytest.mark.parametrize(("change", "message"), TENSORS.values(), ids=TENSORS)
def test_tensors_that_are_not_the_networks_are_told(
    saved: Path, change: Callable[[dict[Any, Any]], object], message: str
) -> None:
    state = dict(torch.load(saved / "model.pt", weights_only=True))
    change(state)
    torch.save(state, saved / "model.pt")
    line = told(saved)
    assert line.startswith("model.pt: ")
    assert message in line


def test_tensors_cut_short_anywhere_are_told(saved: Path) -> None:
    whole = (saved / "model.pt").read_bytes()
    for length in range(0, len(whole), 97):
        (saved / "model.pt").write_bytes(whole[:length])
        assert told(saved).startswith(
            "model.pt: damaged or not a checkpoint of ours; delete it and run `adiabit train`"
        )


def test_a_packed_archive_is_not_unpacked(saved: Path) -> None:
    with zipfile.ZipFile(saved / "model.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 24))
    assert told(saved).startswith("model.pt: compressed, which torch.save never does; delete it")


@pytest.mark.parametrize("content", [[1, 2], "text", torch.zeros(3)], ids=["list", "text", "tensor"])
def test_what_is_no_table_of_tensors_is_told(saved: Path, content: Any) -> None:
    torch.save(content, saved / "model.pt")
    assert told(saved).startswith("model.pt: not a dict of tensors; delete it")


@pytest.mark.parametrize("name", ["model.pt", "model.json"])
@pytest.mark.parametrize(
    ("put", "message"),
    [
        (lambda path: path.mkdir(), "a folder, not a file"),
        (os.mkfifo, "a pipe or a device, not a file"),
        (lambda path: path.symlink_to("nowhere"), "a link to nowhere, which does not exist"),
        (lambda _: None, "No such file or directory"),
    ],
    ids=["folder", "pipe", "link", "nothing"],
)
def test_what_is_no_file_is_told(saved: Path, name: str, put: Callable[[Path], object], message: str) -> None:
    (saved / name).unlink()
    put(saved / name)
    assert told(saved).startswith(f"{name}: {message}; `adiabit train` makes it")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": -3}, "(classes: Input should be greater than or equal to 1); run `adiabit train` again"),
        ({"classes": 10**15}, "(classes: Input should be less than or equal to 1000000)"),
        ({"classes": 10**6, "frame": [1000]}, "tensor 1.weight is (3, 98), but model.json (free, adiabatic) needs (3"),
        ({"classes": 10**6, "model": {"topology": "lfc"}}, "layer 3, { dense = 1000000 }, brings the network to 4,"),
        ({"frame": [-784]}, "(frame: 0: Input should be greater than or equal to 1)"),
        ({"frame": []}, "(Value error, frame = [] does not fit the model's layers)"),
        ({"frame": [28, 28, 1]}, "(Value error, frame = [28, 28, 1] does not fit the model's layers)"),
        ({"frame": [10**6]}, "tensor 1.weight is (3, 98), but model.json (free, adiabatic) needs (3, 1000000)"),
        ({"k_weights": "many"}, "(k_weights: Input should be a valid number, unable to parse string as a number)"),
        ({"dropout": 2}, "(dropout: Input should be less than 1)"),
        ({"method": 3}, "(method: Input should be an object)"),
        ({"model": {"topology": "free", "widths": [10**6]}}, "model.json: recipe: [model]: layer 0, { dense = 1000000"),
    ],
)  # fmt: skip
def test_descriptions_that_cannot_be_are_told(saved: Path, changes: dict[str, Any], message: str) -> None:
    card = json.loads((saved / "model.json").read_text())
    (saved / "model.json").write_text(json.dumps({**card, **changes}))
    assert message in told(saved)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "(Invalid JSON: recursion limit exceeded"),
        (b'{"method": ' * 150, "(Invalid JSON: EOF"),
        (b"\xff", "not text (invalid start byte at byte 0); `adiabit train` makes it when"),
        (b"", "(Invalid JSON: EOF"),
    ],
)
def test_descriptions_that_cannot_be_read_are_told(saved: Path, content: bytes, message: str) -> None:
    (saved / "model.json").write_bytes(content)
    assert message in told(saved)


def test_a_description_of_300_megabytes_is_not_read(saved: Path) -> None:
    os.truncate(saved / "model.json", 300 << 20)
    assert told(saved).startswith("model.json: 314,572,800 bytes; at most 16,777,216 are read")


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the disk fills up on the way; nothing is left beside it."""
    last = tmp_path / LAST
    WholeCheckpoints().save_checkpoint({"epoch": 1}, last)

    def full(_: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=f"No space left on device: '{last}'"):
        WholeCheckpoints().save_checkpoint({"epoch": 2}, last)
    assert list(tmp_path.iterdir()) == [last]
    assert torch.load(last, weights_only=True) == {"epoch": 1}


def test_names_and_encoding_travel_and_old_checkpoints_have_none(tmp_path: Path) -> None:
    model = ModelConfig(topology="free", widths=(6,))
    net = Network(model, "ste", frame=(9,), classes=2)
    encoding = Encoding(low=(0.1,) * 9, step=(1e-3,) * 9, columns=tuple("abcdefghi"))
    card = ModelCard(model=model, frame=(9,), classes=2, method=Ste(), hard=True, names=("<b>", "é"), encoding=encoding)
    save_model(tmp_path, net, card)
    assert load_card(tmp_path).legend == Legend(names=("<b>", "é"), encoding=encoding)
    document = json.loads((tmp_path / "model.json").read_text())
    for changes, text in (
        ({"names": ["a"]}, "1 names for 2 classes"),
        ({"names": ["a", "a"]}, "class name 'a': is there twice"),
        ({"encoding": {"low": [0.0], "step": [-1.0]}}, "the steps of an encoding are at least 0"),
        ({"encoding": {"low": [0.0, 0.0], "step": [1.0, 1.0]}}, "an encoding of 2 features for frame = [9]"),
    ):
        (tmp_path / "model.json").write_text(json.dumps({**document, **changes}))
        with pytest.raises(UserError, match=re.escape(text)):
            load_card(tmp_path)
    old = {key: value for key, value in document.items() if key not in ("names", "encoding")}
    (tmp_path / "model.json").write_text(json.dumps(old))
    assert load_card(tmp_path).legend == NO_LEGEND
