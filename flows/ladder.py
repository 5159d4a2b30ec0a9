# SPDX-License-Identifier: Apache-2.0
"""The ladder of exactness: what each rung computed, compared frame by frame with the one before."""

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
    """The stages of a run, in the order of their work; the values name their folders."""

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
    """The rungs of the ladder, in the order in which a report tells them."""

    TORCH = "torch"
    QONNX = "QONNX"
    FINN = "FINN graph"
    GOLDEN = "golden"
    HLS = "HLS C simulation"
    RTL = "RTL simulation"
    COSIM = "HLS co-simulation"
    BOARD = "board"
    NETLIST = "netlist simulation"  # of boards whose bitstream open tools make; told where it ran


class RungState(StrEnum):
    """What became of a rung, the worst last."""

    NOT_RUN = "not run"
    EQUAL = "equal"
    DIFFERS = "DIFFERS"


RUNGS = tuple(name for name in RungName if name is not RungName.NETLIST)  # told also where they did not run


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """The saved vectors that every rung runs: the test split first, then corner inputs.

    `frames` (F, *input shape) integers as the host sends them, `labels` (F,) with -1 for corner inputs,
    `logits` (F, classes) float32 and `predictions` (F,) as torch (eval, hard) computed them; a model by someone
    else has no torch rung, then both hold what exact execution of the QONNX model computed, in float64.
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
        """Share of labelled frames that are predicted right; None where no frame is labelled."""
        known = self.labels >= 0
        return float(np.mean(predictions[known] == self.labels[known])) if known.any() else None


def predicted(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    """Labels (F,) of logits (F, classes): the largest, the lowest index of equal ones; of a single logit its sign."""
    if logits.shape[1] == 1:
        return np.asarray(logits[:, 0] > 0, np.int64)
    labels: npt.NDArray[np.int64] = logits.argmax(axis=1).astype(np.int64)
    return labels


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One row of the ladder: `equal` of `frames` agreed with the rung before in every compared integer."""

    name: RungName
    frames: int
    equal: int
    accuracy: float | None = None  # on the labelled frames
    compared: str = ""  # what was compared, e.g. "labels, logits"
    difference: str = ""  # the first difference: stage, frame, position, channel, both values
    replay: tuple[str, ...] = ()  # the verb that shows it again, and its options beside those that choose the recipe
    why_not: str = ""  # for a rung that was not run
    warnings: tuple[str, ...] = ()  # what makes the equality worth less, e.g. labels that are constant over all frames

    def told(self, selection: Sequence[str]) -> str:
        """The difference, and the command that shows it again; `selection` chooses recipe, folders and overrides."""
        if not self.replay:
            return self.difference
        command = shlex.join(["adiabit", self.replay[0], *selection, *self.replay[1:]])
        return f"{self.difference}; replay: {command}"

    @property
    def status(self) -> RungState:
        """Whether it ran, and was equal in every frame."""
        if self.why_not:
            return RungState.NOT_RUN
        return RungState.EQUAL if self.frames > 0 and self.equal == self.frames else RungState.DIFFERS

    @property
    def ran(self) -> bool:
        """Whether it was run."""
        return self.status is not RungState.NOT_RUN

    @property
    def differs(self) -> bool:
        """Whether the rung ran and is not equal to the rung before."""
        return self.status is RungState.DIFFERS


def save_rungs(folder: Path, rungs: list[Rung]) -> None:
    """Write `rungs.json` into a stage's folder."""
    documents.write(folder / "rungs.json", rungs)


def load_rungs(folder: Path) -> list[Rung]:
    """Rungs that a stage wrote; none where it wrote none, `UserError` where they are damaged."""
    path = folder / "rungs.json"
    return documents.read(list[Rung], path) if path.exists() else []
