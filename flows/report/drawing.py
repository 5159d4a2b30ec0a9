# SPDX-License-Identifier: Apache-2.0
"""A drawing of the accelerator: its stages in rows, the streams between them, the slowest stage marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from adiabit.flows.report import svg
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import (
    Kind,
    Stage,
    Stream,
)

HEIGHT, GAP, ROW_GAP, MARGIN = 106, 70, 56, 20  # of a box; between boxes; between rows; at the edges
LETTER = 0.62  # estimated width of a letter relative to its height, on the safe side, for shortening names
TIMES = "\N{MULTIPLICATION SIGN}"
KINDS = {Kind.UNSIGNED: "uint", Kind.SIGNED: "int"}


@dataclass(frozen=True)
class Box:
    """A stage, or an end of the accelerator, with its text and its position."""

    name: str
    tag: str
    lines: tuple[str, ...]
    width: int
    stage: Stage | None = None
    x: int = 0
    y: int = 0

    @property
    def middle(self) -> int:
        """The y coordinate at which arrows enter and leave."""
        return self.y + HEIGHT // 2


def draw(accelerator: Accelerator, highlights: Mapping[str, str] | None = None, *, width: int = 1080) -> str:
    """An SVG of the stages, wrapped into rows of at most `width` pixels, with at least one stage per row.

    A box shows folding, memory and cycles; its bar is its share of the slowest stage's cycles. An arrow shows the bits
    of a beat and the lanes, and is thicker for wider streams. `highlights` are remarks by stage name. Colours and fonts
    come from `report.css`.
    """
    boxes = _place(_boxes(accelerator), width)
    right = max(box.x + box.width for box in boxes) + MARGIN
    bottom = max(box.y for box in boxes) + HEIGHT + MARGIN
    arrows = _arrows(accelerator, boxes, right)
    drawn = [_draw_box(box, accelerator.cycles, (highlights or {}).get(box.name)) for box in boxes]
    label = f"{accelerator.name}: {len(accelerator.stages)} stages, {accelerator.cycles:,} cycles a frame"
    return svg.picture(right, bottom, label, *arrows, *drawn, class_="network")


def _arrows(accelerator: Accelerator, boxes: list[Box], right: int) -> list[Markup]:
    """An arrow for each stream; an arrow that bypasses boxes runs through a gap between rows."""
    order = {box.stage.name: k for k, box in enumerate(boxes) if box.stage is not None}
    arrows, passing = [], 0
    for stream in accelerator.streams:
        writer, reader = accelerator.producers.get(stream.name), accelerator.consumers.get(stream.name)
        start = order[writer.name] if writer else 0
        end = order[reader.name] if reader else len(boxes) - 1
        if end == start + 1:
            arrows.append(_arrow(boxes[start], boxes[end], stream, right))
        else:
            arrows.append(_detour(boxes[start], boxes[end], stream, 8 + 7 * (passing % 5)))
            passing += 1
    return arrows


def _boxes(accelerator: Accelerator) -> list[Box]:
    ends = [
        Box(name, "AXI-Stream", (_elements(s), _type(s)), 100)
        for name, s in (("input", accelerator.input), ("output", accelerator.output))
    ]
    return [ends[0], *map(_box, accelerator.stages), ends[1]]


def _box(stage: Stage) -> Box:
    caption = stage.caption()
    return Box(stage.name, caption.tag, caption.lines, caption.width, stage)


def _place(boxes: list[Box], width: int) -> list[Box]:
    """Wrap boxes at the smallest width that needs no more rows than `width`, so that rows have similar lengths."""
    wrapped = [_wrap(boxes, narrower) for narrower in range(width, 0, -20)]
    return [placed for placed in wrapped if placed[-1].y == wrapped[0][-1].y][-1]


def _wrap(boxes: Iterable[Box], width: int) -> list[Box]:
    placed: list[Box] = []
    x, y = MARGIN, MARGIN
    for box in boxes:
        if placed and x + box.width + MARGIN > width:
            x, y = MARGIN, y + HEIGHT + ROW_GAP
        placed.append(Box(box.name, box.tag, box.lines, box.width, box.stage, x, y))
        x += box.width + GAP
    return placed


def _draw_box(box: Box, slowest: int, remark: str | None) -> Markup:
    stage = box.stage
    marks = ["box", "end" if stage is None else "plumbing" if stage.plumbing else "work"]
    marks += ["slowest"] * (stage is not None and stage.cycles == slowest) + ["remark"] * (remark is not None)
    parts = [
        svg.element("title", _box_tooltip(box, remark)),
        svg.element("rect", x=box.x, y=box.y, width=box.width, height=HEIGHT, rx=7),
    ]
    parts += [svg.text(box.x + 11, box.y + 21, _short(box.name, box.width - 22, 13), "name")]
    parts += [svg.text(box.x + 11, box.y + 37, box.tag, "tag")]
    parts += [svg.text(box.x + 11, box.y + 56 + 16 * i, line, "line") for i, line in enumerate(box.lines[:2])]
    if stage is not None:
        parts += _load(box, stage.cycles, slowest)
    if remark is not None:
        parts.append(svg.text(box.x + 2, box.y - 6, _short(remark, box.width + GAP, 11), "note"))
    return svg.element("g", *parts, class_=" ".join(marks))


def _load(box: Box, cycles: int, slowest: int) -> list[Markup]:
    """The cycles, the memory, and the bar at the bottom of a box."""
    x, y, width = box.x + 11, box.y + HEIGHT - 11, box.width - 22
    parts = [svg.element("rect", x=x, y=y, width=width, height=4, rx=2, class_="rail")]
    parts += [svg.element("rect", x=x, y=y, width=max(2.0, width * cycles / slowest), height=4, rx=2, class_="load")]
    if len(box.lines) > 2:
        parts += [svg.text(x, y - 5, box.lines[2], "line")]
    return [svg.text(x + width, y - 5, f"{cycles:,} cyc", "cycles", "end"), *parts]


def _box_tooltip(box: Box, remark: str | None) -> str:
    words = [box.name, *([type(box.stage).__name__] if box.stage else []), box.tag, *box.lines]
    words += [f"{box.stage.cycles:,} cycles a frame"] if box.stage else []
    return "\n".join([*words, *([remark] if remark else [])])


def _arrow(start: Box, end: Box, stream: Stream, right: int) -> Markup:
    if start.y == end.y:
        x, y = start.x + start.width, start.middle
        path, labelled = f"M{x} {y}H{end.x - 8}", (x + end.x - 8) / 2
    else:  # back to the left, through the gap between the rows
        y = end.y - ROW_GAP // 2
        out = min(start.x + start.width + 22, right - 6)
        path = f"M{start.x + start.width} {start.middle}H{out}V{y}H{MARGIN - 12}V{end.middle}H{end.x - 8}"
        labelled = (out + MARGIN) / 2
    beat = f"{stream.lanes} {TIMES} {stream.bits} b"
    head = f"M{end.x} {end.middle}l-9 -5v10z"
    return svg.element(
        "g", svg.element("title", _stream_tooltip(stream)),
        svg.element("path", d=path, stroke_width=_thickness(stream), class_="wire"),
        svg.element("path", d=head, class_="head"), svg.text(labelled, y - 6, f"{stream.width} bit", "wide", "middle"),
        svg.text(labelled, y + 15, beat, "lanes", "middle"), class_="arrow",
    )  # fmt: skip


def _detour(start: Box, end: Box, stream: Stream, lift: int) -> Markup:
    """An arrow above the boxes in between, or through the gaps below `start` and above `end`."""
    out, into, above = start.x + start.width - 14, end.x + 14, end.y - lift
    if start.y == end.y:
        path = f"M{out} {start.y}V{above}H{into}V{end.y - 8}"
    else:
        below = start.y + HEIGHT + lift
        side = f"H{MARGIN - lift // 3 - 2}V{above}" if above - below > ROW_GAP else ""
        path = f"M{out} {start.y + HEIGHT}V{below}{side}H{into}V{end.y - 8}"
    return svg.element(
        "g", svg.element("title", _stream_tooltip(stream)),
        svg.element("path", d=path, stroke_width=_thickness(stream), class_="wire"),
        svg.element("path", d=f"M{into} {end.y}l-5 -9h10z", class_="head"), class_="arrow",
    )  # fmt: skip


def _thickness(stream: Stream) -> float:
    return 1 + min(3.0, 0.35 * (stream.width - 1).bit_length())


def _stream_tooltip(stream: Stream) -> str:
    beat = f"{stream.lanes} {TIMES} {stream.bits} bit"
    return f"{stream.name}: {_elements(stream)} {_type(stream)}, {stream.beats:,} beats of {beat}"


def _elements(stream: Stream) -> str:
    return f" {TIMES} ".join(map(str, stream.shape))


def _type(stream: Stream) -> str:
    return "±1" if stream.kind is Kind.BIPOLAR else f"{KINDS[stream.kind]}{stream.bits}"


def _short(words: str, width: int, size: int) -> str:
    """The words, shortened in the middle if they exceed the width in pixels."""
    fits = int(width / (LETTER * size))
    return words if len(words) <= fits else f"{words[: fits - fits // 2 - 1]}…{words[len(words) - fits // 2 :]}"
