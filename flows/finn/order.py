# SPDX-License-Identifier: Apache-2.0
"""The nodes of FINN's graph in the order of the model: branch by branch, which FINN's sorting interleaves."""

from __future__ import annotations

import re
from collections.abc import Sequence

import onnx
from qonnx.core.modelwrapper import ModelWrapper

NAMED = re.compile(r"n(\d+)")  # a tensor of the canonical model


def in_order(model: ModelWrapper) -> list[onnx.NodeProto]:
    """The nodes, each as soon as its inputs are there; of several readers, the first in the model goes on first."""
    made = {model.graph.input[0].name}
    waiting = by_position(model, model.find_consumers(model.graph.input[0].name) or [])[::-1]
    order: list[onnx.NodeProto] = []
    while waiting:
        node = waiting.pop()
        if node.output[0] in made or not all(_ready(model, name, made) for name in node.input):
            continue
        order.append(node)
        made.update(node.output)
        readers = [reader for name in node.output for reader in model.find_consumers(name) or []]
        waiting += by_position(model, readers)[::-1]
    return order


def by_reader(model: ModelWrapper, tensors: Sequence[str]) -> list[str]:
    """The outputs of a fork in the order of what reads them."""
    readers = {name: (model.find_consumers(name) or [None])[0] for name in tensors}
    return sorted(tensors, key=lambda name: position(model, readers[name]))


def by_position(model: ModelWrapper, nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Nodes in the order of the model."""
    return sorted(nodes, key=lambda node: position(model, node))


def position(model: ModelWrapper, node: onnx.NodeProto | None) -> int:
    """The number of the first tensor of the canonical model that a node makes, or one after it."""
    while node is not None:
        found = [int(m[1]) for name in node.output if (m := NAMED.fullmatch(name))]
        if found:
            return min(found)
        node = min(
            (reader for name in node.output for reader in model.find_consumers(name) or []),
            key=lambda reader: position(model, reader), default=None,
        )  # fmt: skip
    return 1 << 30


def _ready(model: ModelWrapper, name: str, made: set[str]) -> bool:
    return name in made or model.get_initializer(name) is not None
