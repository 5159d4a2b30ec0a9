# SPDX-License-Identifier: Apache-2.0
"""A run over consecutive frames: which frames, and the recorded results of a simulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Span:
    """The frames of one run, from `start` to `end`."""

    start: int = 0
    end: int
    shared: int = 0  # frames at the start that the slice before ends with
    stalls: bool = False  # random gaps and stalls
    trace: Path | None = None  # of the waveforms, if they are wanted


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """The activity of one stream in a run."""

    accepted: int  # beats
    waiting: int  # cycles of valid and not ready, up to the last output beat
    starved: int  # cycles of ready and not valid, up to the last output beat
    unheld: int  # the first beat that was withdrawn or changed before it was accepted; -1: none
    valid: int  # at the end of the run
    ready: int  # at the end of the run


@dataclass(frozen=True, kw_only=True)
class Run:
    """The results of one run, and the files of recorded beats."""

    cycles: int  # simulated, including the quiet ones at the end
    first: int  # cycle of the first input beat
    ends: tuple[int, ...]  # cycle of each frame's last output beat
    wrong_last: int  # the first output beat with a wrong TLAST; -1: none
    seconds: float
    quiet: int  # cycles without a beat after which an incomplete run ends
    names: tuple[str, ...]  # of the watched streams
    streams: tuple[Traffic, ...]  # of the watched streams, then of the AXI output port
    files: tuple[Path, ...]  # the accepted beats of each
    peaks: tuple[int, ...] = ()  # the highest fill of each FIFO, in beats
