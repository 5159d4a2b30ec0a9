# SPDX-License-Identifier: Apache-2.0
"""FINN's folding configuration, the JSON that FINN's users carry, to our folding and back."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from adiabit.errors import UserError
from adiabit.hw.accelerator import (
    Accelerator,
    GlobalSum,
    LabelSelect,
    MatrixVector,
    Memory,
    Pad,
    Pool,
    Stage,
    Threshold,
    Window,
)
from adiabit.hw.fold import Folding, foldable, folding_of

FINN_KINDS: dict[type[Stage], str] = {
    MatrixVector: "MVAU_hls",
    Threshold: "Thresholding_rtl",
    LabelSelect: "LabelSelect_hls",
    Window: "ConvolutionInputGenerator_rtl",
    Pad: "FMPadding_rtl",
    Pool: "StreamingMaxPool_hls",
    GlobalSum: "GlobalAccPool_hls",
}
_FINN_NAMES = {
    "MVAU": MatrixVector,
    "MatrixVectorActivation": MatrixVector,
    "StreamingFCLayer_Batch": MatrixVector,
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
    "GlobalAccPool": GlobalSum,
    "GlobalAccPool_Batch": GlobalSum,
}
_SIMD_ALONE = (Window, Pad)  # FINN calls the lanes of these SIMD, of all others PE
_FINN_NODE = re.compile(r"(?P<kind>[A-Za-z_]+?)(?:_hls|_rtl)?_(?P<index>\d+)")
_RAM_STYLES = {"auto": Memory.AUTO, "block": Memory.BLOCK, "distributed": Memory.LUT, "ultra": Memory.BLOCK}
_OURS = ("StreamingDataWidthConverter", "StreamingFIFO")  # what we place ourselves


def _numbered(accelerator: Accelerator) -> dict[tuple[type[Stage], int], Stage]:
    counts: dict[type[Stage], int] = {}
    found = {}
    for stage in foldable(accelerator):
        kind = type(stage)
        found[kind, counts.get(kind, 0)] = stage
        counts[kind] = counts.get(kind, 0) + 1
    return found


def to_finn_json(accelerator: Accelerator) -> dict[str, dict[str, Any]]:
    """FINN's folding configuration of the accelerator: nodes are numbered in order, a kind at a time."""
    styles = {Memory.AUTO: "auto", Memory.BLOCK: "block", Memory.LUT: "distributed", Memory.HARDWIRED: "auto"}
    document: dict[str, dict[str, Any]] = {"Defaults": {}}
    folding = folding_of(accelerator)
    for (kind, k), stage in _numbered(accelerator).items():
        if kind in FINN_KINDS:
            chosen = folding[stage.name]
            attributes: dict[str, Any] = {"SIMD" if kind in _SIMD_ALONE else "PE": stage.input.lanes}
            if isinstance(stage, MatrixVector):
                attributes = {"PE": chosen.pe, "SIMD": chosen.simd, "ram_style": styles[stage.memory]}
            elif isinstance(stage, Window):
                attributes["parallel_window"] = int(stage.parallel)
            document[f"{FINN_KINDS[kind]}_{k}"] = attributes
    return document


def from_finn_json(accelerator: Accelerator, document: Mapping[str, Any]) -> dict[str, Folding]:
    """Folding by stage name from FINN's configuration; PE and SIMD are 1 where it says nothing."""
    numbered = _numbered(accelerator)
    folding = {stage.name: Folding() for stage in numbered.values()}
    for node, attributes in document.items():
        match = _FINN_NODE.fullmatch(node)
        if node == "Defaults" or (match and match["kind"] in _OURS):
            continue
        stage = (
            numbered.get((_FINN_NAMES[match["kind"]], int(match["index"])))
            if match and match["kind"] in _FINN_NAMES
            else None
        )
        if stage is None or not isinstance(attributes, Mapping):
            names = [f"{FINN_KINDS[kind]}_{k}" for kind, k in numbered if kind in FINN_KINDS]
            raise UserError(f"folding: {node!r}: no such node of this accelerator, or no table; there are {names}")
        folding[stage.name] = _of_stage(stage, _from_attributes(node, attributes), attributes)
    return folding


def _of_stage(stage: Stage, found: Folding, attributes: Mapping[str, Any]) -> Folding:
    """What FINN calls SIMD is the lanes of a stage that is no product."""
    if isinstance(stage, Window) and attributes.get("parallel_window"):
        return Folding(pe=math.prod(stage.kernel) * stage.input.channels)
    return Folding(pe=found.simd) if isinstance(stage, _SIMD_ALONE) else found


def _from_attributes(node: str, attributes: Mapping[str, Any]) -> Folding:
    pe, simd, style = attributes.get("PE", 1), attributes.get("SIMD", 1), attributes.get("ram_style", "auto")
    for key, value in (("PE", pe), ("SIMD", simd)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"folding: {node}: {key}={value!r}; a whole number from 1 on is needed")
    if style not in _RAM_STYLES:
        raise UserError(f"folding: {node}: ram_style={style!r}; one of {sorted(_RAM_STYLES)} is needed")
    return Folding(pe=pe, simd=simd, memory=_RAM_STYLES[style])
