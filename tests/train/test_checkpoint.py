# SPDX-License-Identifier: Apache-2.0
"""A checkpoint is used only where it is the network that the recipe describes."""

from __future__ import annotations

from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.train.checkpoint import ModelCard, check_topology
from adiabit.train.config import ModelConfig


def test_a_checkpoint_of_another_topology_is_refused(tmp_path: Path) -> None:
    card = ModelCard(model=ModelConfig(topology="tfc"), method="adiabatic", hard=True)
    (tmp_path / "model.json").write_text(card.model_dump_json())
    check_topology(tmp_path, ModelConfig(topology="tfc"))
    check_topology(tmp_path, ModelConfig(topology="free", widths=(64, 64, 64)))
    with pytest.raises(UserError, match=r"model\.json: hidden = \(64, 64, 64\), but .* has \(256, 256, 256\); use a "):
        check_topology(tmp_path, ModelConfig(topology="sfc"))
    with pytest.raises(UserError, match="input_bits = 1, but the recipe's .* has 8"):
        check_topology(tmp_path, ModelConfig(input_bits=8))
