# SPDX-License-Identifier: Apache-2.0
"""Comparison of every recorded beat with the golden model, in blocks of frames."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.flows.simulate.beats import block_frames, read_beats
from adiabit.flows.simulate.runs import Run
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.packing import beat_bytes, pack, unpack
from adiabit.hw.stages import Kind, Stream


@dataclass(frozen=True, order=True)
class Difference:
    """A difference from the golden model; the smallest is the earliest, and the one to look at first."""

    frame: int  # counted from the run's first
    order: int  # of the stream, down the pipeline
    place: str = field(compare=False)  # the stage that writes the stream
    what: str = field(compare=False)

    def describe(self, first: int) -> str:
        """The line for the report; the run started at frame `first` of the saved vectors."""
        return f"{self.place}, frame {first + self.frame}, {self.what}"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One run against the golden model."""

    equal: npt.NDArray[np.bool_]  # (F,): the frame has no difference
    difference: Difference | None  # the first
    outputs: npt.NDArray[np.int64]  # (F, *output shape) as recorded; the bits of missing beats are 0


def compare(accelerator: Accelerator, frames: npt.NDArray[Any], run: Run, who: str = "RTL") -> Comparison:
    """Compare the watched streams of a run over `frames` (F, *input shape), and the AXI output port.

    `who` names the side that is compared with the golden model, for messages.
    """
    watched = [s.name in run.names for s in accelerator.streams] + [True]
    allowed = list(itertools.compress(early_beats(accelerator), watched))
    streams = [*itertools.compress(accelerator.streams, watched), accelerator.output]  # the port carries its beats too
    makers = {s.name: f"stage {stage.name}" for stage in accelerator.stages for s in stage.outputs}
    names = [makers.get(s.name, "input") for s in streams[:-1]] + ["output port"]
    equal = np.ones(len(frames), np.bool_)
    outputs = np.zeros((len(frames), *accelerator.output.shape), np.int64)
    found = [*_protocol(streams, names, run), *_miscounted(accelerator, streams, names, run, len(frames), allowed)]
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


def _value(
    stream: Stream, golden_frame: npt.NDArray[Any], got: npt.NDArray[np.uint8], came: npt.NDArray[np.bool_], who: str
) -> str:
    """Describe the first element that differs among the beats that arrived."""
    theirs = unpack(stream, got[None])[0].reshape(-1)
    want = golden_frame.reshape(-1)
    differs = np.flatnonzero((theirs != want) & np.repeat(came, stream.lanes))
    if not differs.size:  # only padding bits of TDATA differ
        return f"bits beyond the {stream.width} of a beat are not 0"
    at = int(differs[0])
    *position, channel = (int(i) for i in np.unravel_index(at, stream.shape))
    sign = "" if stream.kind is Kind.UNSIGNED else "+"
    return (
        f"position {','.join(map(str, position)) or 0}, channel {channel}: "
        f"golden {int(want[at]):{sign}d}, {who} {int(theirs[at]):{sign}d}"
    )


def _protocol(streams: list[Stream], names: list[str], run: Run) -> list[Difference]:
    """Violations of the handshake and of TLAST: the first of each stream."""
    found = []
    for order, (stream, name, traffic) in enumerate(zip(streams, names, run.streams, strict=True)):
        if traffic.unheld >= 0:
            frame, beat = divmod(traffic.unheld, stream.beats)
            found.append(Difference(frame, order, name, f"beat {beat}: changed before it was accepted"))
    if run.wrong_last >= 0:
        frame, beat = divmod(run.wrong_last, streams[-1].beats)
        found.append(Difference(frame, len(streams) - 1, names[-1], f"beat {beat}: TLAST is wrong"))
    return found


def early_beats(accelerator: Accelerator) -> list[npt.NDArray[np.uint8]]:
    """For each stream, and for the output port, the beats (n, beat_bytes) that may precede the input of their frame.

    A pad sends the rows above the next image right away, and the stages after it process them.
    """
    counts = {accelerator.input.name: 0}
    for stage in accelerator.stages:
        made = stage.actor.producible([counts[s.name] for s in stage.inputs])
        counts |= {s.name: n for s, n in zip(stage.outputs, made, strict=True)}
    frame = np.full((1, *accelerator.input.shape), accelerator.input.range[0])
    found = [pack(s, values)[0, : counts[s.name]] for s, values in golden.stream_values(accelerator, frame)]
    return [*found, found[-1][:0]]


def deadlock(accelerator: Accelerator, run: Run) -> str:
    """The deadlock of a run that has stopped: which stages wait for which streams, and the FIFOs' fill; empty if none.

    In a deadlock, a stage that joins streams waits for one of them while another offers a beat that it cannot accept
    yet. Only stages whose streams were all watched are considered.
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
        f"deadlock: {'; '.join(waits)}; blocked streams: {', '.join(stuck)}; {fifos}; make the FIFO before the join "
        "deeper (compile.fold.buffers)"
    )


def _miscounted(
    accelerator: Accelerator, streams: list[Stream], names: list[str], run: Run, frames: int,
    allowed: list[npt.NDArray[np.uint8]],
) -> list[Difference]:  # fmt: skip
    """Streams with too many beats or too few; of the latter, the first that is incomplete and offers no beat."""
    found = []
    for order, (stream, name, traffic) in enumerate(zip(streams, names, run.streams, strict=True)):
        surplus = traffic.accepted - (expected := frames * stream.beats)
        if surplus > 0:
            early = np.fromfile(run.files[order], np.uint8, offset=expected * beat_bytes(stream))
            if surplus <= len(allowed[order]) and np.array_equal(early, allowed[order][:surplus].reshape(-1)):
                continue
            what = f"the run's last: more than the {expected} beats of {frames} frames"
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
        if explanation := deadlock(accelerator, run):
            what += f"; {explanation}"
        found.append(Difference(frame, order, names[order], what))
    return found
