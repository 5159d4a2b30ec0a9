# SPDX-License-Identifier: Apache-2.0
"""Sliding windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adiabit.hw.stages.base import Call, Caption, Folding, Instance, Lanes, Parameter
from adiabit.hw.stages.cost import Terms, ram_blocks, ram_latency, summed
from adiabit.hw.stages.images import ImageStage, image, pair, sides
from adiabit.hw.stages.integers import Array, Ints, divisors
from adiabit.hw.stages.modules import counters, fifo, index_bits, lut_ram, stream_ram
from adiabit.hw.stages.schedule import Emission, Intake, Schedule, Wait


@dataclass(frozen=True, kw_only=True, eq=False)
class Window(ImageStage):
    """Sliding window over an image (H, W, C): for each output pixel the elements (KH, KW, C), in this order.

    The output is (OH, OW, KH * KW * C), or any shape with as many elements. With C lanes in and KH * KW * C out the
    window is *parallel* and sends a whole window a cycle. Otherwise it is *serial*: the lanes are equal and divide C.
    """

    kernel: tuple[int, int]  # (KH, KW) pixels
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)

    def check(self) -> None:
        """Check that a window lies in the image, and the lanes."""
        super().check()
        _, _, channels = self._image_shape()
        if min(*self.kernel, *self.stride, *self.dilation) < 1 or min(self.grid) < 1:
            self.refuse(
                f"kernel {self.kernel}, stride {self.stride}, dilation {self.dilation}: no window of "
                f"{self.span[0]} x {self.span[1]} pixels lies in the image {self.input.shape}; pad it"
            )
        a, b = self.input, self.output
        if (a.bits, a.kind) != (b.bits, b.kind):
            self.refuse(f"input {a} and output {b} must have equal elements")
        self._check_output(b, *self.grid, self._window_elements)
        if not (self.parallel or (a.lanes == b.lanes and channels % b.lanes == 0)):
            self.refuse(
                f"{a.lanes} lanes to {b.lanes}: equal lanes that divide the {channels} channels, or {channels} to "
                f"{self._window_elements}, are needed"
            )

    @property
    def span(self) -> tuple[int, int]:
        """Rows and columns that a window spans, dilation included."""
        rows, columns = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return rows, columns

    @property
    def grid(self) -> tuple[int, int]:
        """Number of windows (OH, OW), down and across."""
        rows, columns = (
            (side - span) // stride + 1
            for side, span, stride in zip(self.input.shape, self.span, self.stride, strict=False)
        )
        return rows, columns

    @property
    def parallel(self) -> bool:
        """Whether a beat of the output is a whole window."""
        return self.input.lanes == self.input.channels and self.output.lanes == self._window_elements

    @property
    def _window_elements(self) -> int:
        """Elements of a window."""
        return math.prod(self.kernel) * self.input.channels

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """The windows (F, OH, OW, KH * KW, C)."""
        (x,), (kh, kw), (sy, sx), (dy, dx) = values, self.kernel, self.stride, self.dilation
        rows, columns = self.grid
        pieces = [
            x[:, i * dy : i * dy + (rows - 1) * sy + 1 : sy, j * dx : j * dx + (columns - 1) * sx + 1 : sx]
            for i in range(kh)
            for j in range(kw)
        ]
        return (np.stack(pieces, axis=3),)

    def rtl(self) -> Instance:
        """`bnn_window_parallel` or `bnn_window`."""
        a = self.input
        parameters: dict[str, Parameter] = {"Width": a.width}
        if not self.parallel:
            parameters["Words"] = a.words
        parameters |= {"Rows": a.shape[0], "Columns": a.shape[1]}
        for name, value in (("Kernel", self.kernel), ("Stride", self.stride), ("Dilation", self.dilation)):
            parameters |= {f"{name}Rows": value[0], f"{name}Columns": value[1]}
        return Instance(module="bnn_window_parallel" if self.parallel else "bnn_window", parameters=parameters)

    def hls(self) -> Call:
        """`window`."""
        pairs = [pair("Kernel", self.kernel)]
        if (self.stride, self.dilation) != ((1, 1), (1, 1)):
            pairs.append(pair("Stride", self.stride))
        if self.dilation != (1, 1):
            pairs.append(pair("Dilation", self.dilation))
        return Call(function="window", header="bnn_window.hpp", template=[image(self.input), *pairs])

    def schedule(self) -> Schedule:
        """A parallel window leaves after its last pixel; a serial one is read from a ring buffer."""
        return self._parallel_schedule() if self.parallel else self._serial_schedule()

    def _starts(self) -> Ints:
        """Index of the first pixel of each window."""
        (down, across), (step_y, step_x), width = self.grid, self.stride, self.input.shape[1]
        starts: Ints = (np.arange(down)[:, None] * step_y * width + np.arange(across) * step_x).ravel()
        return starts

    def _parallel_schedule(self) -> Schedule:
        """A skid buffer of two pixels before the window's registers, which stall while a window waits to leave."""
        pixels, (rows, columns) = self.input.beats, self.span
        ends = self._starts() + (rows - 1) * self.input.shape[1] + columns - 1
        taken, given = np.arange(pixels), np.arange(len(ends))
        count = np.zeros(pixels, np.int64)  # windows that end at or before each pixel
        count[ends] = 1
        count = count.cumsum()
        frame, pixel = np.divmod(taken - 3, pixels)  # the pixel whose window must have left
        room = count[pixel] + frame * count[-1]
        intake = Intake(turns=pixels, beats={0: taken}, room={0: Wait(room, 1)})
        return Schedule(intakes=(intake,), emissions=(Emission(needs={0: Wait(ends + 1, 2)}, room=Wait(given, 1)),))

    def _serial_schedule(self) -> Schedule:
        """A ring buffer that starts with the window's first beat, and its registers: two behind block RAM."""
        a, words, width = self.input, self.input.words, self.input.shape[1]
        starts = self._starts() * words
        pixel = np.array([
            row * self.dilation[0] * width + column * self.dilation[1]
            for row in range(self.kernel[0]) for column in range(self.kernel[1])
        ])  # fmt: skip
        offsets = (pixel[:, None] * words + np.arange(words)).ravel()
        given, taken = np.arange(self.output.beats), np.arange(a.beats)
        depth, size = self._ring_depth(a.lanes), len(offsets)
        # A beat fits into the ring once the current window starts less than the ring's depth before it.
        back = depth // a.beats + 1  # frames
        all_starts = (np.arange(-back, 2)[:, None] * a.beats + starts).ravel()  # from earlier frames to the next
        window = np.searchsorted(all_starts, taken - depth + 1) - back * len(starts)
        sent, latency = window * size, ram_latency(a.width, depth)
        # The window's last beat is read when its registers have passed on all but `latency` of the beats before it.
        room, made = Wait(sent - latency, 1), Wait(sent + 1 - latency, 0)
        intake = Intake(turns=a.beats, beats={0: taken}, room={0: room}, made={0: made})
        needs = Wait((starts[:, None] + offsets).ravel() + 1, 1 + latency)
        return Schedule(intakes=(intake,), emissions=(Emission(needs={0: needs}, room=Wait(given, 1)),))

    def terms(self, folding: Folding) -> Terms:
        """Parallel: the rows above in LUT-RAM and a register for each pixel. Serial: a ring buffer. Both: counters."""
        return self._parallel_terms() if folding.pe == self._window_elements else self._serial_terms(folding.pe)

    def _parallel_terms(self) -> Terms:
        (rows, columns), (height, width, channels) = self.span, self.input.shape
        pixel = channels * self.input.bits
        above = lut_ram((rows - 1) * pixel, width) if rows > 1 else {}
        return summed(fifo(pixel), counters(height, width, *self.stride, term="raster"), above, {
            "register": rows * columns * pixel + index_bits(width) + 1,
        })  # fmt: skip

    def _serial_terms(self, lanes: int) -> Terms:
        """Two indices into the ring, two distances of beats, and the place in the window and in the grid."""
        words, held = self.input.channels // lanes, self._held(lanes)
        width, depth = lanes * self.input.bits, self._ring_depth(lanes)
        address, distance = index_bits(depth), (depth + held).bit_length() + 1
        places = counters(words, *self.kernel, *self.grid)
        return summed(stream_ram(width, depth, ram_latency(width, depth)), places, {
            "window": 1,
            "distance": address + distance,
            "register": 2 + 2 * (address + distance),
        })  # fmt: skip

    def block_rams(self, folding: Folding) -> int:
        """Block RAMs of a ring buffer that is too large for LUT-RAM."""
        if folding.pe == self._window_elements:
            return 0
        return ram_blocks(folding.pe * self.input.bits, self._ring_depth(folding.pe))

    def _ring_depth(self, lanes: int) -> int:
        """Beats of the ring buffer, rounded up to a power of two."""
        return 1 << index_bits(self._held(lanes))

    def _held(self, lanes: int) -> int:
        """Beats from a window's start to the next window's end."""
        (rows, columns), (down, across), (step_y, step_x) = self.span, self.grid, self.stride
        height, width, channels = self.input.shape
        row = (across - 1) * step_x  # pixels from a row's first window to its last
        ahead = max(
            step_x if across > 1 else 0,
            step_y * width - row if down > 1 else 0,
            (height - (down - 1) * step_y) * width - row,
        )
        return ((rows - 1) * width + columns + ahead) * (channels // lanes)

    @property
    def folding(self) -> Folding:
        """The lanes of the output."""
        return Folding(pe=self.output.lanes)

    def foldings(self) -> Sequence[Folding]:
        """Lanes that divide the channels, or a whole window."""
        return [Folding(pe=lanes) for lanes in sorted({*divisors(self.input.channels), self._window_elements})]

    def lanes(self, folding: Folding) -> Lanes:
        """Equal lanes, or a pixel in and a window out."""
        return Lanes((min(folding.pe, self.input.channels),), (folding.pe,))

    def caption(self) -> Caption:
        """Kernel, stride and SIMD."""
        steps = "" if self.stride == (1, 1) else f" / {sides(self.stride)}"
        lanes = "a window a cycle" if self.parallel else f"SIMD {self.output.lanes}"
        return Caption(tag="window", lines=(f"{sides(self.kernel)}{steps}", lanes))
