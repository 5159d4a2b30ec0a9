# SPDX-License-Identifier: Apache-2.0
"""A checkpoint is used only where it is the network that the recipe describes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adiabit.errors import UserError
from adiabit.train.checkpoint import ModelCard, check_topology, load_model, save_model
from adiabit.train.config import ModelConfig
from adiabit.train.layers import BinaryConv2d, BinaryLinear, Network
from adiabit.train.methods.tables import Adiabatic
from adiabit.train.quantizers import hardened, quantizers

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
    assert [state[f"{name}.weight"].dtype for name in products] == [torch.int8] * 4
    check_topology(tmp_path, model)
    other = ModelConfig.model_validate({**table, "pool": "behind" if pool == "before" else "before"})
    with pytest.raises(UserError, match=f"model.json: pool = {pool}, but the recipe's"):
        check_topology(tmp_path, other)
