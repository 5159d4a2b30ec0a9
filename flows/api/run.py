# SPDX-License-Identifier: Apache-2.0
"""What the objects of the interface share: a pipeline, and how the caller's arguments make one."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adiabit.errors import UserError
from adiabit.flows import recipe as recipes
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import Recipe

if TYPE_CHECKING:
    import numpy.typing as npt

    from adiabit.flows.report.figures import Figures

LOG = logging.getLogger("adiabit")
COMMAND = "from Python"  # a report's words in the place of a command line
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Finished:
    """A finished stage of a pipeline; what follows it is made when it is asked for."""

    pipeline: Pipeline = field(repr=False)

    @property
    def recipe(self) -> Recipe:
        """Everything that it depends on."""
        return self.pipeline.recipe

    @property
    def figures(self) -> Figures:
        """The figures of the stages made so far."""
        from adiabit.flows.report.collect import collect

        return collect(self.pipeline.folders, **self.pipeline.facts(COMMAND))


def started(recipe: Recipe | str | Path, settings: Settings, out: Path | str | None) -> Pipeline:
    """The pipeline of a recipe, of its path or of the name of a shipped one, with other values of some keys."""
    if not isinstance(recipe, Recipe):
        recipe = recipes.load(Path(recipe))
    recipe = recipes.changed(recipe, settings)
    return Pipeline(recipe, Path(out or Path("build") / recipe.name), tell=LOG.info, quiet=True)


def continued(pipeline: Pipeline, settings: Settings) -> Pipeline:
    """The same pipeline with other values of some keys; a network that was handed over stays."""
    kept = {stage: made for stage, made in pipeline.made.items() if stage in pipeline.adopted}
    return dataclasses.replace(pipeline, recipe=recipes.changed(pipeline.recipe, settings), made=kept)


def name_of(thing: object) -> str:
    """A recipe's name for a network in memory: that of its class, as_in_this."""
    return recipes.name_of(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(thing).__name__))


def labelled(given: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Frames (F, ...) and labels (F,), -1 where there are none, of frames or of a pair of frames and labels."""
    pair = isinstance(given, tuple) and len(given) == 2
    frames = integers(given[0] if pair else given)
    labels = np.asarray(given[1]) if pair else np.full(len(frames), -1)
    if labels.shape != (len(frames),) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"vectors: {len(frames)} frames, but labels of shape {labels.shape} and type {labels.dtype}; give an "
            "integer a frame"
        )
    return frames, labels.astype(np.int64)


def integers(given: Any) -> npt.NDArray[Any]:
    """Frames (F, ...) as the host sends them; `UserError` where they are not integers."""
    frames = np.asarray(given)
    if not np.issubdtype(frames.dtype, np.integer):
        raise UserError(
            f"frames of type {frames.dtype}: the host sends integers, such as pixels of 0 to 255; scale and round "
            "them, and let the network scale them back"
        )
    if frames.ndim < 2:
        raise UserError(f"frames of shape {frames.shape}: give (F, features), (F, H, W) or (F, H, W, C)")
    return frames
