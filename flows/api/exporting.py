# SPDX-License-Identifier: Apache-2.0
"""`adiabit.export`: from a trained network, or any module of Brevitas layers, to QONNX."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows.api.run import LOG, Finished, continued, labelled, name_of
from adiabit.flows.api.training import Trained
from adiabit.flows.ladder import Rung, StageName, Vectors, load_rungs
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import Recipe
from adiabit.flows.store import file_digest

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Exported(Finished):
    """A QONNX model, with the vectors that every rung of the ladder runs."""

    @property
    def folder(self) -> Path:
        """The folder with `model.onnx`, `vectors.npz` and `rungs.json`."""
        return self.pipeline.folder(StageName.EXPORT)

    @property
    def path(self) -> Path:
        """The QONNX file."""
        return self.folder / "model.onnx"

    @cached_property
    def vectors(self) -> Vectors:
        """The frames, their labels and the network's results."""
        return Vectors.load(self.folder)

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The rungs so far: QONNX, behind torch where torch is the reference."""
        return tuple(load_rungs(self.folder))

    def __repr__(self) -> str:
        return f"Exported({self.recipe.name}: {self.path})"

    def _repr_html_(self) -> str:
        from adiabit.flows.api.notebook import ladder

        return ladder(self.figures)


def export(
    model: nn.Module | Trained, vectors: Any = None, *, to: Path | str | None = None, name: str | None = None,
    out: Path | str | None = None,
) -> Exported:  # fmt: skip
    """Export a trained network to QONNX, and show on every vector that the file computes the same.

    `model` is what :func:`adiabit.fit` returned, or a module of Brevitas layers in its final state. A module needs
    `vectors`: frames (F, features), (F, H, W) or (F, H, W, C) of integers 0...255, or a pair of them and labels (F,).
    It receives them as float32, images as (B, C, H, W), and returns logits (B, classes). Where its sums may not fit
    float32, exact execution of the file is the reference, not torch. `to` copies the file there. `name` is that of the
    network, by default its class'. `UserError` where the module is not hard or computes NaN.
    """
    made = Exported(
        continued(model.pipeline, {}) if isinstance(model, Trained) else _adopted(model, vectors, name, out)
    )
    made.pipeline.folder(StageName.EXPORT)
    if to is not None:
        with files.written(Path(to)) as aside:
            shutil.copyfile(made.path, aside)
    return made


def _adopted(module: nn.Module, vectors: Any, name: str | None, out: Path | str | None) -> Pipeline:
    """A pipeline that begins with the export of a module."""
    import torch

    from adiabit.flows.export import export_network
    from adiabit.train.measure import pixels
    from adiabit.train.quantizers import quantizers
    from adiabit.train.wiring import exact, wired

    if vectors is None:
        raise UserError("vectors: a module in memory needs frames to be compared on; give frames, or (frames, labels)")
    if any(not quantizer.hard for quantizer in quantizers(module)):
        raise UserError("the module is still soft; train it to the end of its schedule, so that what is exported is "
                        "what was trained")  # fmt: skip
    frames, labels = labelled(vectors)
    if frames.min(initial=0) < 0 or frames.max(initial=0) > 255:
        raise UserError(f"vectors: values of {frames.min()} to {frames.max()}; a module in memory takes 0 to 255")
    recipe = Recipe(name=name or name_of(module))
    pipeline = Pipeline(recipe, Path(out or Path("build") / recipe.name), tell=LOG.info, quiet=True)
    with TemporaryDirectory() as place:
        folder, training = Path(place), module.training
        images = _images(frames).astype(np.uint8)
        first = pixels(torch.zeros(1, *images.shape[1:]))
        export_network(module.eval(), images, labels, folder, integers=exact(wired(module, first)))
        module.train(training)
        key = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
        pipeline.adopt(StageName.EXPORT, key, lambda to: _copy(folder, to))
    return pipeline


def _copy(folder: Path, to: Path) -> None:
    shutil.copytree(folder, to, dirs_exist_ok=True)


def _images(frames: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Frames (F, H, W) as images of one channel."""
    return frames[..., None] if frames.ndim == 3 else frames
