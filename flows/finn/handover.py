# SPDX-License-Identifier: Apache-2.0
"""Hand-over of a compiled network to FINN's own builder, for a machine with FINN and Vitis."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveUniqueNodeNames

from adiabit import files
from adiabit.boards.catalog import Board
from adiabit.errors import UserError
from adiabit.flows.finn.finn_setup import finn
from adiabit.flows.finn.folding_json import finn_nodes, to_finn_json
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Affine, Kind, Pad, divisors
from adiabit.hw.stages.thresholds import Thresholding

HLS_WORDS = 1024  # most words per input vector in FINN's HLS products: SIMD >= MW / 1024
LOG = "finn.log"


def hand_over(compiled: Path, board: Board, clock_mhz: float, out: Path) -> list[str]:
    """Write FINN's model, its configuration and the sources of its layers into the new folder `out`.

    The folder gets dataflow.onnx (the streamlined graph of the compile stage, without the reshapes that
    CreateDataflowPartition does not accept), specialize_layers.json, folding.json, build.yaml, sources/NODE/ (the HLS
    C++, Tcl and Verilog of PrepareIP) and README.md. Returns what had to be changed, a line each. `UserError` if the
    folder is not empty or FINN has no layer for a stage.
    """
    accelerator = storage.load(compiled)
    _check_pads(accelerator)
    _check_selectors(accelerator)
    with files.new_folder(out, "--for-finn needs a new folder; give another") as folder:
        folding, changes = _folding(accelerator)
        with finn(folder / LOG):
            nodes = _write_model(compiled / "dataflow.onnx", board, clock_mhz, folding, folder)
        _write_json(folder / "folding.json", folding)
        _write_json(folder / "specialize_layers.json", styles(nodes))
        (folder / "build.yaml").write_text(_config(board, clock_mhz))
        notes = "".join(f"- {change}\n" for change in changes) or "- nothing\n"
        (folder / "README.md").write_text(_README.format(name=accelerator.name, changes=notes))
    return changes


def _check_pads(accelerator: Accelerator) -> None:
    """Refuse pads that FINN's FMPadding cannot write; it writes the code 0, which is -1 for bipolar data, else 0."""
    for stage in accelerator.stages:
        if isinstance(stage, Pad) and stage.value != (-1 if stage.input.kind is Kind.BIPOLAR else 0):
            raise UserError(
                f"stage {stage.name}: pads with {stage.value:+d}; FINN can only pad with the code 0, which is "
                f"{'-1' if stage.input.kind is Kind.BIPOLAR else '0'} here; train the network with that padding"
            )


def _check_selectors(accelerator: Accelerator) -> None:
    """Refuse stages into which a sum is fused: FINN's graph has three layers there, whose folding is not ours."""
    for stage in accelerator.stages:
        if isinstance(stage, Thresholding) and stage.selector:
            raise UserError(
                f"stage {stage.name}: a shortcut selects its thresholds; FINN has no such layer; use our back ends"
            )


def _folding(accelerator: Accelerator) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Our folding in FINN's form, with SIMD raised to what FINN's HLS products need, and these changes."""
    folding, changes = to_finn_json(accelerator), []
    for node, stage in finn_nodes(accelerator).items():
        if node.startswith("MVAU"):
            attributes, columns = folding[node], stage.inputs[0].channels
            simd = next(d for d in divisors(columns) if d >= attributes["SIMD"] and d * HLS_WORDS >= columns)
            if simd != attributes["SIMD"]:
                changes.append(f"{node}: SIMD {attributes['SIMD']} to {simd}: FINN needs SIMD >= MW / {HLS_WORDS}")
                attributes["SIMD"] = simd
    if any(isinstance(stage, Affine) for stage in accelerator.stages):
        changes.append("the sums come out: classes have factors or addends of their own, so the host ranks them")
    return folding, changes


def _write_model(
    source: Path, board: Board, clock_mhz: float, folding: dict[str, dict[str, Any]], folder: Path
) -> list[tuple[str, str]]:
    """Save the model and, by rehearsing FINN's steps, the sources of its layers; returns name and kind of each node."""
    from finn.transformation.fpgadataflow.create_dataflow_partition import CreateDataflowPartition
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from finn.transformation.general import ApplyConfig
    from finn.transformation.move_reshape import RemoveCNVtoFCFlatten

    model = ModelWrapper(str(source)).transform(RemoveCNVtoFCFlatten()).transform(GiveUniqueNodeNames())
    for node in model.graph.node:
        if not node.domain.startswith("finn.custom_op.fpgadataflow"):
            raise UserError(
                f"{source}: {node.op_type} {node.name}: FINN has no hardware layer for this node; use our back ends"
            )
    model.save(str(folder / "dataflow.onnx"))
    nodes = [(node.name, node.op_type) for node in model.graph.node]
    parent = model.transform(CreateDataflowPartition())
    (partition,) = parent.get_nodes_by_op_type("StreamingDataflowPartition")
    child = ModelWrapper(getCustomOp(partition).get_nodeattr("model"))
    child = child.transform(GiveUniqueNodeNames()).transform(ApplyConfig(styles(nodes)))
    child = child.transform(SpecializeLayers(board.part)).transform(GiveUniqueNodeNames())
    names = [node.name for node in child.graph.node]
    if unmatched := sorted(set(names) ^ (folding.keys() - {"Defaults"})):
        raise UserError(
            f"{source}: FINN's layers do not match our stages: {unmatched}; use our back ends and report this"
        )
    child = child.transform(ApplyConfig(folding)).transform(PrepareIP(board.part, 1000 / clock_mhz))
    for node in child.graph.node:
        made = getCustomOp(node).get_nodeattr("code_gen_dir_ipgen")
        shutil.copytree(made, folder / "sources" / node.name)
    return nodes


def styles(nodes: list[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """FINN's implementation style for each layer: RTL for the kinds whose RTL fits ours, HLS for all others."""
    rtl = ("Thresholding", "ConvolutionInputGenerator", "FMPadding")
    return {
        "Defaults": {},
        **{name: {"preferred_impl_style": "rtl" if kind in rtl else "hls"} for name, kind in nodes},
    }


def _write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n")


def _config(board: Board, clock_mhz: float) -> str:
    """FINN's build configuration, with the steps that remain."""
    from finn.util.basic import part_map

    known = next((n for n, part in part_map.items() if (n.lower(), part) == (board.name, board.part)), None)
    where = f"board: {known}\nshell_flow_type: vivado_zynq" if known else f"fpga_part: {board.part}"
    outputs = ["estimate_reports", "stitched_ip", *(["bitfile", "pynq_driver", "deployment_package"] if known else [])]
    return _BUILD.format(
        where=where,
        period=f"{1000 / clock_mhz:g}",
        steps="".join(f"  - {step}\n" for step in STEPS),
        outputs="".join(f"  - {kind}\n" for kind in outputs),
    )


STEPS = (
    "step_create_dataflow_partition", "step_specialize_layers", "step_apply_folding_config", "step_minimize_bit_width",
    "step_generate_estimate_reports", "step_generate_hardware", "step_create_stitched_ip",
    "step_out_of_context_synthesis", "step_prepare_synthesis", "step_synthesize_bitfile", "step_make_driver",
    "step_deployment_package",
)  # fmt: skip
_BUILD = """\
# Written by adiabit, for finn-plus 1.6: finn build build.yaml dataflow.onnx
{where}
synth_clk_period_ns: {period}
specialize_layers_config_file: specialize_layers.json
folding_config_file: folding.json
output_dir: output
# FINN mistakes the range of a popcount for that of a sum of -1 and +1, and would make XNOR accumulators too narrow.
minimize_bit_width: false
steps:
{steps}generate_outputs:
{outputs}"""
_README = """\
# {name}, for FINN

A streamlined FINN graph with its folding. On a machine with finn-plus 1.6 and Vivado with Vitis HLS:

    finn build build.yaml dataflow.onnx

- `dataflow.onnx`: hardware layers, before CreateDataflowPartition; the host sends NHWC.
- `specialize_layers.json`, `folding.json`: HLS or RTL for each layer, and its PE and SIMD.
- `build.yaml`: the build configuration. `minimize_bit_width` is off: FINN would make the accumulators of XNOR layers
  too narrow, because it mistakes the range of a popcount for that of a sum of -1 and +1.
- `sources/`: the output of FINN's PrepareIP for each layer at this folding, for reading only; FINN writes its own.

Partitioning, specialization, folding and PrepareIP were run when this folder was made. The later steps need Vivado and
were not run.

Changed for FINN:

{changes}"""
