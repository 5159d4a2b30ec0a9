# SPDX-License-Identifier: Apache-2.0
"""Every beat that the bench recorded against the golden model, in blocks of frames."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.flows.simulate.bench import Run
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.packing import beat_bytes, pack, unpack
from adiabit.hw.stages import Kind, Stream

BLOCK_ELEMENTS = 1 << 21  # of the widest stream: bounds the memory that a block takes


@dataclass(frozen=True, order=True)
class Difference:
    """Something that the RTL did and the golden model does not; the least one is the one to look at first."""

    frame: int  # counted from the run's first
    order: int  # of the stream, down the pipeline
    place: str = field(compare=False)  # the stage that made the stream
    what: str = field(compare=False)

    def tell(self, first: int) -> str:
        """The line of the report, where the run's first frame is number `first` of the saved vectors."""
        return f"{self.place}, frame {first + self.frame}, {self.what}"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One run against the golden model."""

    equal: npt.NDArray[np.bool_]  # (F,): nothing about the frame differs
    difference: Difference | None  # the first
    outputs: npt.NDArray[np.int64]  # (F, *output shape) from the RTL; beats that never came read as 0 bits


def block_frames(accelerator: Accelerator) -> int:
    """Frames that are worked on at once."""
    return int(max(1, BLOCK_ELEMENTS // max(s.elements for s in accelerator.streams)))


def compare(accelerator: Accelerator, frames: npt.NDArray[Any], run: Run, who: str = "RTL") -> Comparison:
    """Compare the streams that a run over `frames` (F, *input shape) watched, and the AXI output port.

    `who` computed what is compared with the golden model.
    """
    watched = [s.name in run.names for s in accelerator.streams] + [True]
    allowed = list(itertools.compress(ahead(accelerator), watched))
    streams = [*itertools.compress(accelerator.streams, watched), accelerator.output]  # the port has the last's beats
    makers = {s.name: f"stage {stage.name}" for stage in accelerator.stages for s in stage.outputs}
    names = [makers.get(s.name, "input") for s in streams[:-1]] + ["output port"]
    equal = np.ones(len(frames), np.bool_)
    outputs = np.zeros((len(frames), *accelerator.output.shape), np.int64)
    found = [*_protocol(streams, names, run), *_stopped(accelerator, streams, names, run, len(frames), allowed)]
    for start in range(0, len(frames), size := block_frames(accelerator)):
        block = frames[start : start + size]
        values_of = (values for _, values in golden.stream_values(accelerator, block))
        golden_values = list(itertools.compress(values_of, watched))
        for order, (stream, values) in enumerate(zip(streams, [*golden_values, golden_values[-1]], strict=True)):
            got, came = read_beats(run.files[order], stream, start, len(block))
            differs = (got != pack(stream, values)).any(axis=2)  # (F, beats)
            wrong = (differs & came).any(axis=1)
            equal[start : start + size] &= ~(wrong | ~came.all(axis=1))
            if wrong.any():
                frame = int(np.flatnonzero(wrong)[0])
                what = _value(stream, values[frame], got[frame], came[frame], who)
                found.append(Difference(start + frame, order, names[order], what))
        outputs[start : start + size] = unpack(streams[-1], got)
    first = min(found, default=None)
    for difference in found:
        if difference.frame < len(equal):
            equal[difference.frame] = False
    return Comparison(equal=equal, difference=first, outputs=outputs)


def write_beats(accelerator: Accelerator, frames: npt.NDArray[Any], path: Path) -> None:
    """The frames' beats as the host sends them."""
    size = block_frames(accelerator)
    with path.open("wb") as sink:
        for at in range(0, len(frames), size):
            sink.write(pack(accelerator.input, frames[at : at + size]).tobytes())


def read_beats(
    path: Path, stream: Stream, start: int, count: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Beats (count, beats, beat_bytes) of frames from `start` on, and which of them came (count, beats)."""
    width = beat_bytes(stream)
    frame = stream.beats * width
    raw = np.fromfile(path, np.uint8, count * frame, offset=min(start * frame, path.stat().st_size))
    beats = np.zeros(count * frame, np.uint8)
    beats[: len(raw)] = raw
    came = np.arange(count * stream.beats) < len(raw) // width
    return beats.reshape(count, stream.beats, width), came.reshape(count, stream.beats)


def _value(
    stream: Stream, golden_frame: npt.NDArray[Any], got: npt.NDArray[np.uint8], came: npt.NDArray[np.bool_], who: str
) -> str:
    """Tell the first element that differs among the beats that came."""
    theirs = unpack(stream, got[None])[0].reshape(-1)
    want = golden_frame.reshape(-1)
    differs = np.flatnonzero((theirs != want) & np.repeat(came, stream.lanes))
    if not differs.size:  # only padding bits of TDATA do
        return f"bits beyond the {stream.width} of a beat are not 0"
    at = int(differs[0])
    *position, channel = (int(i) for i in np.unravel_index(at, stream.shape))
    sign = "" if stream.kind is Kind.UNSIGNED else "+"
    return (
        f"position {','.join(map(str, position)) or 0}, channel {channel}: "
        f"golden {int(want[at]):{sign}d}, {who} {int(theirs[at]):{sign}d}"
    )


def _protocol(streams: list[Stream], names: list[str], run: Run) -> list[Difference]:
    """Breaches of the handshake and of TLAST: the first of each stream."""
    found = []
    for order, (stream, name, traffic) in enumerate(zip(streams, names, run.streams, strict=True)):
        if traffic.unheld >= 0:
            frame, beat = divmod(traffic.unheld, stream.beats)
            found.append(Difference(frame, order, name, f"beat {beat}: changed before it was taken"))
    if run.wrong_last >= 0:
        frame, beat = divmod(run.wrong_last, streams[-1].beats)
        found.append(Difference(frame, len(streams) - 1, names[-1], f"beat {beat}: TLAST is wrong"))
    return found


def ahead(accelerator: Accelerator) -> list[npt.NDArray[np.uint8]]:
    """Of each stream, and of the output port, the beats (n, beat_bytes) that may come before their frame does.

    A pad sends the rows above an image at once, and what follows makes of them what it would of any frame.
    """
    counts = {accelerator.input.name: 0}
    for stage in accelerator.stages:
        made = stage.actor.producible([counts[s.name] for s in stage.inputs])
        counts |= {s.name: n for s, n in zip(stage.outputs, made, strict=True)}
    frame = np.full((1, *accelerator.input.shape), accelerator.input.range[0])
    found = [pack(s, values)[0, : counts[s.name]] for s, values in golden.stream_values(accelerator, frame)]
    return [*found, found[-1][:0]]


def deadlock(accelerator: Accelerator, run: Run) -> str:
    """Which stages wait for which streams when a run has stopped, and how full the FIFOs are; empty where none waits.

    A stage that joins streams waits for one of them while another offers a beat that it cannot take yet. Only stages
    whose streams the run watched count.
    """
    traffic = dict(zip(run.names, run.streams, strict=False))  # the output port comes last
    stages = [stage for stage in accelerator.stages if all(s.name in traffic for s in stage.streams)]
    waits, full = [], []
    for stage in stages:
        offered = [s.name for s in stage.inputs if traffic[s.name].valid]
        missing = [s.name for s in stage.inputs if not traffic[s.name].valid]
        if offered and missing:
            waits.append(f"stage {stage.name} waits for {', '.join(missing)} while {', '.join(offered)} offers a beat")
        if stage.capacity:
            held = traffic[stage.inputs[0].name].accepted - traffic[stage.outputs[0].name].accepted
            full.append(f"{stage.name} holds {held} of {stage.capacity}")
    stuck = [s.name for stage in stages for s in stage.outputs if traffic[s.name].valid]
    if not waits:
        return ""
    fifos = f"FIFOs: {', '.join(full)}" if full else "there are no FIFOs"
    return (
        f"deadlock: {'; '.join(waits)}; beats that nobody takes: {', '.join(stuck)}; {fifos}; make the FIFO before the "
        "join deeper (compile.fold.buffers)"
    )


def _stopped(
    accelerator: Accelerator, streams: list[Stream], names: list[str], run: Run, frames: int,
    allowed: list[npt.NDArray[np.uint8]],
) -> list[Difference]:  # fmt: skip
    """Beats too many, or too few: then the stage at fault is the first that neither finished nor offers a beat."""
    found = []
    for order, (stream, name, traffic) in enumerate(zip(streams, names, run.streams, strict=True)):
        surplus = traffic.accepted - (expected := frames * stream.beats)
        if surplus > 0:
            early = np.fromfile(run.files[order], np.uint8, offset=expected * beat_bytes(stream))
            if surplus <= len(allowed[order]) and np.array_equal(early, allowed[order][:surplus].reshape(-1)):
                continue
            what = f"the run's last: more than the {expected} beats of {frames} frames came"
            found.append(Difference(frames - 1, order, name, what))
    short = [i for i, s in enumerate(streams) if run.streams[i].accepted < frames * s.beats]
    if short and not found:  # a surplus at the output ends the run early
        order = next((i for i in short if not run.streams[i].valid), short[0])
        stream, traffic = streams[order], run.streams[order]
        frame, beat = divmod(traffic.accepted, stream.beats)
        what = (
            f"stopped after {beat} of {stream.beats} beats, then nothing moved for {run.quiet} cycles "
            f"(valid={traffic.valid}, ready={traffic.ready})"
        )
        if told := deadlock(accelerator, run):
            what += f"; {told}"
        found.append(Difference(frame, order, names[order], what))
    return found
