# SPDX-License-Identifier: Apache-2.0
"""What the reader knows of a tensor of the file."""

from __future__ import annotations

from dataclasses import dataclass, replace

from adiabit.flows.frontend.chain import Chain, Step
from adiabit.flows.frontend.network import Edge, Shape


@dataclass(frozen=True, kw_only=True)
class Value:
    """A tensor of the file: the integers of a node, and the float operations on them since."""

    source: str  # the node, or the input
    shape: Shape  # of a frame: (features,), or (C, H, W), even for an image that is flattened
    steps: tuple[Step, ...] = ()
    last: bool = False  # whether the tensor itself has the channels last, or had them when it was flattened

    @property
    def frame(self) -> Shape:
        """The shape with the channels last."""
        return self.shape if len(self.shape) == 1 else (*self.shape[1:], self.shape[0])

    def edge(self, opset: int, source: str | None = None) -> Edge:
        """What a node of an opset reads; from `source`, if a node without float operations is in between."""
        return Edge(source=source or self.source, chain=Chain(steps=self.steps, opset=opset))

    def after(self, step: Step) -> Value:
        """The value after one more float operation."""
        return replace(self, steps=(*self.steps, step))
