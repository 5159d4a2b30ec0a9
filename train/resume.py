# SPDX-License-Identifier: Apache-2.0
"""`last.ckpt`, written after each epoch, from which an interrupted training resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from adiabit import files
from adiabit.errors import UserError
from adiabit.train.checkpoint import load_tensors

LAST = "last.ckpt"


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints completely or not at all; Lightning would use the system's temporary folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        """Write the tensors beside `path`, then rename."""
        with files.written(Path(path)) as aside:
            torch.save(checkpoint, aside)


def check_resumable(last: Path, settings: dict[str, Any]) -> None:
    """`UserError` where `last` belongs to another configuration than `settings`."""
    saved: Any = load_tensors(last)
    for key in ("callbacks", "Anneal", "settings"):
        saved = saved.get(key) if isinstance(saved, dict) else None
    if saved != settings:
        raise UserError(f"{last}: belongs to another configuration and cannot be resumed; delete it to start over")


def remove(last: Path) -> None:
    """Remove it and the half-written copies that killed runs have left."""
    for left in last.parent.glob(f".{last.name}.*"):
        left.unlink()
    last.unlink()
