# SPDX-License-Identifier: Apache-2.0
"""Lowers FINN's nodes that move images: windows, pools, pads and sums."""

from __future__ import annotations

import dataclasses

import onnx
from qonnx.util.basic import get_by_name

from adiabit.flows.finn.lower_base import Lowering, Read, pair, text
from adiabit.hw.stages import Kind, Pad, Pool, Stream, SumPool, Window, integer_type


class ImageLowering(Lowering):
    """Lowers nodes that move images; FINN's images are NHWC, as ours."""

    def window(self, node: onnx.NodeProto) -> None:
        """A window generator; one for a pool belongs to the pool, which makes its own if necessary."""
        read = self.plain(node)
        if self.model.find_consumer(node.output[0]).op_type == "Pool":
            self.reads[node.output[0]] = read
            return
        kernel, stride = pair(node, "ConvKernelDim"), pair(node, "Stride")
        name = self.name("window")
        out = self.same(read.stream, name, self.shape(node))
        self.append(node, Window(name=name, inputs=(read.stream,), outputs=(out,), kernel=kernel, stride=stride,
                               dilation=pair(node, "Dilation")), read.map)  # fmt: skip

    def pool(self, node: onnx.NodeProto) -> None:
        """FINN's `Pool` after its depthwise window, or a `MaxPoolNHWC` whose windows leave gaps."""
        read, geometry = self.plain(node), node
        if node.op_type == "Pool":
            geometry = self.model.find_producer(node.input[0])
            kernel, stride = pair(geometry, "ConvKernelDim"), pair(geometry, "Stride")
            if text(node, "Function") != "MaxPool":
                self._sum(node, read, kernel, stride)
                return
        else:
            kernel, stride = pair(node, "kernel_shape"), pair(node, "strides")
        stream, shape = read.stream, self.shape(node)
        if kernel == (1, 1) and stride == (1, 1):
            self.reads[node.output[0]] = read
            return
        stream, kernel = self._apart(stream, kernel, stride, shape)
        name = self.name("pool")
        self.append(node, Pool(name=name, inputs=(stream,), outputs=(self.same(stream, name, shape),),
                             kernel=kernel), read.map)  # fmt: skip

    def _apart(
        self, stream: Stream, kernel: tuple[int, ...], stride: tuple[int, ...], shape: tuple[int, ...]
    ) -> tuple[Stream, tuple[int, int]]:
        """Windows that lie side by side, each in a row if they overlap or leave gaps, and their kernel."""
        (kh, kw), (sy, sx) = kernel, stride
        if (kh, kw) == (sy, sx):
            return stream, (kh, kw)
        rows, columns, channels = shape
        name = self.name("window")
        made = self.same(stream, name, (rows, columns * kh * kw, channels))
        self.stages.append(Window(name=name, inputs=(stream,), outputs=(made,), kernel=(kh, kw), stride=(sy, sx)))
        return made, (1, kh * kw)

    def pad(self, node: onnx.NodeProto) -> None:
        """Rows, columns and channels around an image."""
        read, theirs = self.plain(node), 0.0
        front = back = 0
        if node.op_type == "FMPadding":
            top, left, bottom, right = get_by_name(node.attribute, "Padding").ints
        else:
            sides = [int(n) for n in self.model.get_initializer(node.input[1])]
            top, left, front, bottom, right, back = sides if len(sides) == 6 else (*sides[:2], 0, *sides[2:], 0)
            theirs = float(self.model.get_initializer(node.input[2]))
        factor, addend = read.map
        value, stream = round(factor * theirs + addend), read.stream
        height, width, channels = stream.shape
        if top or left or bottom or right:
            name = self.name("pad")
            shape = (top + height + bottom, left + width + right, channels)
            out = self.same(stream, name, tuple(map(int, shape)))
            self.append(node, Pad(name=name, inputs=(stream,), outputs=(out,), before=(int(top), int(left)),
                                after=(int(bottom), int(right)), value=value), read.map)  # fmt: skip
            stream = out
        if front or back:
            name = self.name("pad")
            out = self.same(stream, name, self.shape(node))
            self.append(node, Pad(name=name, inputs=(stream,), outputs=(out,), before=(0, 0), after=(0, 0),
                                channels=(int(front), int(back)), value=value), read.map)  # fmt: skip

    def global_sum(self, node: onnx.NodeProto) -> None:
        """The sum of a whole image."""
        read = self.plain(node)
        whole = read.stream.shape[:2]
        self._sum(node, read, whole, whole)

    def _sum(self, node: onnx.NodeProto, read: Read, kernel: tuple[int, ...], stride: tuple[int, ...]) -> None:
        """Sums of windows."""
        stream, (kh, kw) = self._apart(read.stream, kernel, stride, self.shape(node))
        name = self.name("sum")
        bare = Stream(name=f"{name}_out", shape=self.shape(node), bits=32, kind=Kind.SIGNED, lanes=1)
        stage = SumPool(name=name, inputs=(stream,), outputs=(bare,), kernel=(kh, kw))
        low, high = stage.sums
        kind, bits = integer_type(low, high)
        (factor, addend), pixels = read.map, kh * kw
        if stream.kind is Kind.BIPOLAR:  # our sum counts the +1
            factor, addend = factor / 2, (addend + 1) / 2
        out = dataclasses.replace(bare, bits=bits, kind=kind)
        self.append(node, dataclasses.replace(stage, outputs=(out,)), (factor, addend * pixels))
