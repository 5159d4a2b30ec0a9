# SPDX-License-Identifier: Apache-2.0
"""The ladder of exactness: the result of each rung, compared frame by frame with the rung before."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.errors import UserError
from adiabit.flows import documents


class StageName(StrEnum):
    """The stages of a run, in the order of execution; the values name their folders."""

    TRAIN = "train"
    EXPORT = "export"
    COMPILE = "compile"
    EMIT = "emit"
    HLS = "hls"
    CSIM = "csim"
    SIMULATE = "simulate"
    SYNTHESIZE = "synthesize"
    COSIM = "cosim"
    BITSTREAM = "bitstream"
    VERIFIED = "verified"


class RungName(StrEnum):
    """The rungs of the ladder, in the order of the report."""

    TORCH = "torch"
    QONNX = "QONNX"
    FINN = "FINN graph"
    GOLDEN = "golden"
    HLS = "HLS C simulation"
    RTL = "RTL simulation"
    COSIM = "HLS co-simulation"
    BOARD = "board"
    NETLIST = "netlist simulation"  # only for boards with an open toolchain; reported only if it ran


class RungState(StrEnum):
    """The outcome of a rung, the worst last."""

    NOT_RUN = "not run"
    EQUAL = "equal"
    DIFFERS = "DIFFERS"


RUNGS = tuple(name for name in RungName if name is not RungName.NETLIST)  # reported even if they did not run


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """The saved vectors that every rung runs: the test split first, then corner inputs.

    `frames` (F, *input shape) are integers as the host sends them, `labels` (F,) are -1 for corner inputs. `logits`
    (F, classes) in float32 and `predictions` (F,) come from torch (eval, hard). A third party's model has no torch
    rung; both then come from exact execution of the QONNX model, with logits in float64. If it outputs an image, they
    are (F, H, W, classes) and (F, H * W).
    """

    frames: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    logits: npt.NDArray[np.floating[Any]]
    predictions: npt.NDArray[np.int64]

    FILE = "vectors.npz"

    def save(self, folder: Path) -> None:
        """Write `vectors.npz` into an existing folder."""
        np.savez_compressed(folder / self.FILE, **asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Vectors:
        """Read `vectors.npz`; `UserError` where it is missing or damaged."""
        path = folder / cls.FILE
        try:
            with np.load(path, allow_pickle=False) as archive:
                return cls(**{key: archive[key] for key in archive.files})
        except FileNotFoundError as error:
            raise UserError(f"{path}: not found; `adiabit export` makes it") from error
        except Exception as error:
            raise UserError(f"{path}: damaged ({error}); delete the folder and run `adiabit export` again") from error

    def accuracy(self, predictions: npt.NDArray[Any]) -> float | None:
        """The fraction of labelled frames predicted correctly; None if no frame is labelled."""
        known = self.labels >= 0
        return float(np.mean(predictions[known] == self.labels[known])) if known.any() else None


def predicted(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    """Labels of logits as :class:`Vectors` has them: the argmax, ties to the lowest index; 1 if a single one is > 0."""
    labels = logits[..., 0] > 0 if logits.shape[-1] == 1 else logits.argmax(axis=-1)
    shape = logits.shape[:1] if logits.ndim == 2 else (len(logits), -1)
    return labels.reshape(shape).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One row of the ladder: `equal` of `frames` agree with the rung before in every compared integer."""

    name: RungName
    frames: int
    equal: int
    accuracy: float | None = None  # on the labelled frames
    compared: str = ""  # what was compared, e.g. "labels, logits"
    difference: str = ""  # the first difference: stage, frame, position, channel, both values
    replay: tuple[str, ...] = ()  # the verb that reproduces it, and the options it needs besides the recipe's
    why_not: str = ""  # for a rung that was not run
    warnings: tuple[str, ...] = ()  # why equality shows little, e.g. all labels are the same

    def explained(self, selection: Sequence[str]) -> str:
        """The difference and the command that reproduces it; `selection` are the words that choose the recipe."""
        if not self.replay:
            return self.difference
        command = shlex.join(["adiabit", self.replay[0], *selection, *self.replay[1:]])
        return f"{self.difference}; replay: {command}"

    @property
    def status(self) -> RungState:
        """Whether the rung was run, and whether every frame was equal."""
        if self.why_not:
            return RungState.NOT_RUN
        return RungState.EQUAL if self.frames > 0 and self.equal == self.frames else RungState.DIFFERS

    @property
    def ran(self) -> bool:
        """Whether the rung was run."""
        return self.status is not RungState.NOT_RUN

    @property
    def differs(self) -> bool:
        """Whether the rung was run and differs from the rung before."""
        return self.status is RungState.DIFFERS


def save_rungs(folder: Path, rungs: list[Rung]) -> None:
    """Write `rungs.json` into a stage's folder."""
    documents.write(folder / "rungs.json", rungs)


def load_rungs(folder: Path) -> list[Rung]:
    """The rungs that a stage wrote, if any; `UserError` where the file is damaged."""
    path = folder / "rungs.json"
    return documents.read(list[Rung], path) if path.exists() else []
