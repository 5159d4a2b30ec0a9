# SPDX-License-Identifier: Apache-2.0
"""Conversion between FINN's folding configuration in JSON and our folding."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.folding.fold import foldable, folding_of
from adiabit.hw.stages import (
    Add,
    Affine,
    Concat,
    Folding,
    Fork,
    GroupedMatrixVector,
    Kind,
    LabelSelect,
    MatrixVector,
    Memory,
    Pad,
    Pool,
    Product,
    Stage,
    SumPool,
    Threshold,
    Window,
)

FINN_KINDS: dict[type[Stage], str] = {
    MatrixVector: "MVAU_hls",
    GroupedMatrixVector: "VVAU_hls",
    Threshold: "Thresholding_rtl",
    LabelSelect: "LabelSelect_hls",
    Window: "ConvolutionInputGenerator_rtl",
    Pad: "FMPadding_rtl",
    Pool: "Pool_hls",
    SumPool: "GlobalAccPool_hls",
    Fork: "DuplicateStreams_hls",
    Add: "ElementwiseAdd_hls",
    Concat: "StreamingConcat_hls",
}
_FINN_NAMES: dict[str, type[Stage]] = {
    "MVAU": MatrixVector,
    "MatrixVectorActivation": MatrixVector,
    "StreamingFCLayer_Batch": MatrixVector,
    "VVAU": GroupedMatrixVector,
    "VectorVectorActivation": GroupedMatrixVector,
    "Vector_Vector_Activate_Batch": GroupedMatrixVector,
    "Thresholding": Threshold,
    "Thresholding_Batch": Threshold,
    "LabelSelect": LabelSelect,
    "LabelSelect_Batch": LabelSelect,
    "ConvolutionInputGenerator": Window,
    "FMPadding": Pad,
    "FMPadding_Batch": Pad,
    "StreamingMaxPool": Pool,
    "StreamingMaxPool_Batch": Pool,
    "Pool": Pool,
    "Pool_Batch": Pool,
    "GlobalAccPool": SumPool,
    "GlobalAccPool_Batch": SumPool,
    "DuplicateStreams": Fork,
    "ElementwiseAdd": Add,
    "StreamingConcat": Concat,
}
_SIMD_ONLY = (Window, Pad, Concat)  # FINN calls the lanes of these SIMD; of all other stages but products, PE
_FINN_NODE = re.compile(r"(?P<kind>[A-Za-z_]+?)(?:_hls|_rtl)?_(?P<index>\d+)")
_RAM_STYLES = {"auto": Memory.AUTO, "block": Memory.BLOCK, "distributed": Memory.LUT, "ultra": Memory.BLOCK}
_OURS = ("StreamingDataWidthConverter", "StreamingFIFO")  # ignored, because we place these ourselves


Nodes = dict[tuple[type[Stage], int], Stage]  # FINN's kind of node and number to stage


def _numbered(accelerator: Accelerator, *, pool_windows: bool) -> Nodes:
    """The stages by FINN's node names: FINN numbers the nodes of each kind in order.

    A pool is one node, `StreamingMaxPool`, or with `pool_windows`, as since FINN+ 1.6, a window generator followed by a
    `Pool`. If the pool's windows overlap, the window generator is a stage of ours too.
    """
    counts: dict[type[Stage], int] = {}
    found: Nodes = {}
    before: Stage | None = None
    for stage in foldable(accelerator):
        blocks = isinstance(stage, SumPool) and stage.kernel != stage.input.shape[:2]  # else FINN's GlobalAccPool
        pools = isinstance(stage, Pool) or blocks
        own_window = pool_windows and pools and not isinstance(before, Window)
        dense = isinstance(stage, GroupedMatrixVector) and not _vector_vector(stage)
        mine = Pool if blocks else MatrixVector if dense else type(stage)
        for kind in ([Window] if own_window else []) + [mine]:
            found[kind, counts.get(kind, 0)] = stage
            counts[kind] = counts.get(kind, 0) + 1
        before = stage
    return found


def _vector_vector(stage: Stage | None) -> bool:
    """Whether FINN has this stage as a VVAU: a depthwise product, unless its outputs are signs."""
    return (
        isinstance(stage, GroupedMatrixVector)
        and stage.groups == len(stage.weights)
        and stage.inputs_of_group == 1
        and stage.output.kind is not Kind.BIPOLAR
    )


def finn_nodes(accelerator: Accelerator) -> dict[str, Stage]:
    """The stages by the names of FINN+ 1.6's nodes; scores and their label stand behind FINN's graph."""
    numbered = _numbered(accelerator, pool_windows=True)
    left = [LabelSelect] if any(isinstance(stage, Affine) for stage in accelerator.stages) else []
    kinds = {kind: name for kind, name in FINN_KINDS.items() if kind not in left}
    return {f"{kinds[kind]}_{k}": stage for (kind, k), stage in numbered.items() if kind in kinds}


def to_finn_json(accelerator: Accelerator) -> dict[str, dict[str, Any]]:
    """FINN's folding configuration of the accelerator, for FINN+ 1.6."""
    styles = {Memory.AUTO: "auto", Memory.BLOCK: "block", Memory.LUT: "distributed", Memory.HARDWIRED: "auto"}
    document: dict[str, dict[str, Any]] = {"Defaults": {}}
    folding = folding_of(accelerator)
    for node, stage in finn_nodes(accelerator).items():
        chosen, kind = folding[stage.name], _FINN_NAMES[node.split("_")[0]]
        attributes: dict[str, Any] = {"SIMD" if kind in _SIMD_ONLY else "PE": stage.inputs[0].lanes}
        if isinstance(stage, Product):
            style = styles[stage.memory] if isinstance(stage, MatrixVector) else "auto"
            simd = 1 if kind is GroupedMatrixVector else chosen.simd  # of a VVAU, SIMD counts pixels of the window
            attributes = {"PE": chosen.pe, "SIMD": simd, "ram_style": style}
        elif isinstance(stage, Window):
            reader = accelerator.consumers.get(stage.output.name)
            while reader is not None and reader.plumbing:
                reader = accelerator.consumers.get(reader.outputs[0].name)
            if reader is not None and _vector_vector(reader):  # FINN's depthwise windows have its reader's lanes
                attributes["SIMD"] = reader.inputs[0].lanes
            attributes["parallel_window"] = int(stage.parallel)
        elif kind is Window:
            attributes["parallel_window"] = 0
        document[node] = attributes
    return document


def from_finn_json(accelerator: Accelerator, document: Mapping[str, Any]) -> dict[str, Folding]:
    """Folding by stage name from FINN's configuration; PE and SIMD default to 1. `UserError` names node and value."""
    matches = {node: _FINN_NODE.fullmatch(node) for node in document}
    pool_windows = any(match and match["kind"] in ("Pool", "Pool_Batch") for match in matches.values())
    numbered = _numbered(accelerator, pool_windows=pool_windows)
    folding = {stage.name: Folding() for stage in numbered.values()}
    for node, attributes in document.items():
        match = matches[node]
        if node == "Defaults" or (match and match["kind"] in _OURS):
            continue
        stage = (
            numbered.get((_FINN_NAMES[match["kind"]], int(match["index"])))
            if match and match["kind"] in _FINN_NAMES
            else None
        )
        if stage is None or not isinstance(attributes, Mapping):
            raise UserError(f"folding: {node!r}: no such node in this accelerator, or not an object; use one of "
                            f"{list(finn_nodes(accelerator))}")  # fmt: skip
        if isinstance(stage, Pool | SumPool) and match and _FINN_NAMES[match["kind"]] is Window:
            continue  # its lanes are those of the pool
        folding[stage.name] = _of_stage(stage, _from_attributes(node, attributes), attributes)
    return folding


def _of_stage(stage: Stage, found: Folding, attributes: Mapping[str, Any]) -> Folding:
    """A stage's folding from FINN's values: lanes are SIMD for window generators and pads."""
    if isinstance(stage, Window) and attributes.get("parallel_window"):
        return Folding(pe=math.prod(stage.kernel) * stage.input.channels)
    if _vector_vector(stage):
        if found.simd != 1:
            raise UserError(f"folding: {stage.name}: SIMD={found.simd}; a depthwise layer takes one pixel of its "
                            "window a cycle; SIMD must be 1")  # fmt: skip
        return Folding(pe=found.pe, simd=found.pe)
    return Folding(pe=found.simd) if isinstance(stage, _SIMD_ONLY) else found


def _from_attributes(node: str, attributes: Mapping[str, Any]) -> Folding:
    pe, simd, style = attributes.get("PE", 1), attributes.get("SIMD", 1), attributes.get("ram_style", "auto")
    for key, value in (("PE", pe), ("SIMD", simd)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"folding: {node}: {key}={value!r}; must be an integer of at least 1")
    if style not in _RAM_STYLES:
        raise UserError(f"folding: {node}: ram_style={style!r}; must be one of {sorted(_RAM_STYLES)}")
    return Folding(pe=pe, simd=simd, memory=_RAM_STYLES[style])
