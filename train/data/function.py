# SPDX-License-Identifier: Apache-2.0
"""Data by a function of one's own: `dataset = "my_data:load"`, of a Python file beside the recipe or of a module.

The function returns (train, test) or (train, validation, test), and behind them the names of the classes if it likes.
Each split is a pair (frames, labels) of arrays or a :class:`Split`. It must return the same each time: training and
export both call it. Its file and those beside it that it imports are part of the stages' keys; what it reads is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, JsonValue

from adiabit import files
from adiabit.errors import UserError
from adiabit.legend import Legend
from adiabit.train.blocks import Shape
from adiabit.train.data import DATASETS, Source
from adiabit.train.data.files import Split, Splits
from adiabit.train.data.own import (
    INT8,
    TEST,
    TRAIN,
    VALIDATION,
    OwnData,
    as_bytes,
    check_frames,
    check_labels,
    legend,
    numbered,
    parted,
)
from adiabit.train.source import Reference, load, reported

FORM = "it must return (train, test), each a pair (frames, labels), and the class names behind them if you like"


@DATASETS.register_names(lambda name: ":" in name)
class Function(OwnData):
    """The function's arguments."""

    dataset: Annotated[str, Field(pattern=r"^[\w./-]+:[A-Za-z_]\w*$")]  # MODULE:FUNCTION or FILE.py:FUNCTION
    arguments: Mapping[str, JsonValue] = Field(default_factory=dict)
    """Of the function, by name."""

    folder: Path | None = None
    """Where its file is; by default the recipe's folder."""

    def beside(self, folder: Path) -> Self:
        """The file is looked for beside the recipe."""
        return super().beside(folder).model_copy(update={"folder": folder / (self.folder or "")})

    @property
    def source(self) -> Source:
        """As the arrays say."""
        made = self._made()
        return Source(made.shape, len(made.names))

    @property
    def legend(self) -> Legend:
        """The names that the function returns, else the labels."""
        made = self._made()
        return legend(made.names, self.dataset, INT8 if made.signed else None)

    def splits(self) -> Splits:
        """What the function returns."""
        made = self._made()
        return parted(self, made.frames, made.labels, made.names, self.dataset)

    def files(self) -> Mapping[str, Path]:
        """The file that defines the function, and those beside it that it imports."""
        sources = self.reference.sources
        return {f"{number} {path.name}": path for number, path in enumerate(sources)}

    @property
    def reference(self) -> Reference:
        """The function: of a file beside the recipe, else of an installed module."""
        given = Reference.of(self.dataset)
        beside = (self.folder or Path()) / (given.place if given.is_file else f"{given.place.replace('.', '/')}.py")
        return Reference(str(beside), given.name) if given.is_file or beside.is_file() else given

    def _made(self) -> Made:
        sources = tuple(files.read_bytes(path, "") for path in self.reference.sources)
        return _made(self.reference, sources, json.dumps(dict(self.arguments)), self.dir)


@dataclass(frozen=True)
class Made:
    """What the function returned, checked."""

    shape: Shape
    signed: bool  # the frames were of int8
    frames: Mapping[str, npt.NDArray[np.uint8]]
    labels: Mapping[str, npt.NDArray[np.int64]]
    names: tuple[str, ...]


@lru_cache(maxsize=1)
def _made(reference: Reference, sources: object, arguments: str, folder: Path | None) -> Made:  # noqa: ARG001  (cached)
    """The result of the function, kept as long as its sources do not change."""
    function = load(reference, FORM)
    call = json.loads(arguments) | ({"dir": folder} if folder is not None else {})
    with reported(f"{reference}()"):
        result = function(**call)
    return _checked(result, f"{reference}()")


def _checked(result: Any, place: str) -> Made:
    parts = list(result) if isinstance(result, tuple | list) else []
    names: tuple[str, ...] = ()
    if len(parts) > 2 and all(isinstance(name, str) for name in parts[-1]):
        names = tuple(parts.pop())
    if len(parts) not in (2, 3):
        raise UserError(f"{place}: returned {type(result).__name__} of {len(parts)} splits; {FORM}")
    titles = (TRAIN, TEST) if len(parts) == 2 else (TRAIN, VALIDATION, TEST)
    pairs = {title: _pair(part, f"{place}: {title} split") for title, part in zip(titles, parts, strict=True)}
    kinds = {t: (check_frames(x.shape, x.dtype, f"{place}: {t} split"), x.dtype) for t, (x, _) in pairs.items()}
    for title, kind in kinds.items():
        if kind != kinds[TRAIN]:
            raise UserError(f"{place}: frames of the {title} split are {kind[1]} {kind[0]}, those of the training "
                            f"split {kinds[TRAIN][1]} {kinds[TRAIN][0]}; they must be alike")  # fmt: skip
    shape, dtype = kinds[TRAIN]
    labels, names = numbered(
        {t: check_labels(y, len(x), f"{place}: {t} split") for t, (x, y) in pairs.items()}, names, place
    )
    return Made(shape, dtype == np.int8, {t: as_bytes(x, shape) for t, (x, _) in pairs.items()}, labels, names)


def _pair(part: Any, place: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    if isinstance(part, Split):
        return part.frames, part.labels
    if not isinstance(part, tuple | list) or len(part) != 2:
        raise UserError(f"{place}: is {type(part).__name__}; {FORM}")
    try:
        return np.asarray(part[0]), np.asarray(part[1])
    except (ValueError, TypeError) as error:
        raise UserError(f"{place}: no arrays ({error}); {FORM}") from error
