# SPDX-License-Identifier: Apache-2.0
"""CNV at finn-examples' folding: our RTL, mapped by Yosys, beside FINN's own estimate; writes benchmarks/cnv.md.

    python benchmarks/cnv.py --data DIR [--checkpoint DIR] [--frames N]

The folding of the products is that of finn-examples' CNV-w1a1; `cnv_folding.json` has it in FINN's form. FINN's side
is FINN's: the same graph, specialised for the same part, at the same folding, with its width converters inserted, and
the cycles, LUTs and block RAMs that its own analysis tells. Its FIFOs are left out, since their depths come from a
simulation that needs the vendor's tools; ours are in the figures. Both are before place and route.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adiabit.boards import catalog
from adiabit.flows.finn.finn_setup import finn
from adiabit.flows.ladder import Rung, StageName, load_rungs
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import load
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.estimate import estimate
from adiabit.hw.stages import LabelSelect, MatrixVector, Pool, Stage, WidthConverter, Window

HERE = Path(__file__).parent
FOLDING = HERE / "cnv_folding.json"
Row = dict[str, int]  # lut, bram18, cycles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with CIFAR-10's binary version")
    parser.add_argument("--checkpoint", type=Path, default=HERE / "checkpoints" / "cnv", help="a trained CNV")
    parser.add_argument("--frames", type=int, default=200, help="of the test split that the ladder compares")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build" / "benchmarks" / "cnv")
    args = parser.parse_args()
    recipe = load(
        HERE.parent / "recipes" / "cnv.toml",
        [
            f"data.dir='{args.data.absolute()}'",
            f"checkpoint='{args.checkpoint.absolute()}'",
            f"export.frames={args.frames}",
            f"compile.fold={{finn_json='{FOLDING}'}}",
        ],
    )
    pipeline = Pipeline(recipe, args.out)
    rungs = [
        rung
        for stage in (StageName.EXPORT, StageName.COMPILE, StageName.SIMULATE)
        for rung in load_rungs(pipeline.folder(stage))
    ]
    accelerator = storage.load(pipeline.folder(StageName.COMPILE))
    simulation = json.loads((pipeline.folder(StageName.SIMULATE) / "simulation.json").read_text())
    synthesis = json.loads((pipeline.folder(StageName.SYNTHESIZE) / "synthesis.json").read_text())
    theirs = finn_estimate(pipeline.folder(StageName.COMPILE) / "dataflow.onnx", pipeline.board, args.out / "finn.log")
    different = [f"{rung.name}: {rung.difference}" for rung in rungs if rung.differs]
    if different:
        raise SystemExit("\n".join(different))
    text = table(accelerator, simulation, synthesis, theirs, rungs, f"{recipe.name} on {pipeline.board.part}")
    (HERE / "cnv.md").write_text(text)
    print(text)


def finn_estimate(dataflow: Path, board: catalog.Board, log: Path) -> list[tuple[str, Row]]:
    """FINN's own figures of each node of its graph in order, at the folding of `FOLDING`."""
    with finn(log):
        from finn.analysis.fpgadataflow.exp_cycles_per_layer import exp_cycles_per_layer
        from finn.analysis.fpgadataflow.res_estimation import res_estimation
        from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
        from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.custom_op.registry import getCustomOp
        from qonnx.transformation.general import GiveUniqueNodeNames

        model = ModelWrapper(str(dataflow)).transform(SpecializeLayers(board.part)).transform(GiveUniqueNodeNames())
        folding = json.loads(FOLDING.read_text())
        following = ""
        for node in reversed(model.graph.node):
            wanted = dict(folding.get(node.name, {}))
            if node.op_type.startswith("MVAU"):
                following = node.name
            elif node.op_type.startswith("ConvolutionInputGenerator"):  # lanes of the product that it feeds
                simd, channels = folding[following]["SIMD"], getCustomOp(node).get_nodeattr("IFMChannels")
                wanted = {"SIMD": min(simd, channels), "parallel_window": 0}
            elif node.op_type.startswith("Pool"):
                wanted = {"PE": min(folding[following]["SIMD"], getCustomOp(node).get_nodeattr("Channels"))}
            for key, value in wanted.items():
                getCustomOp(node).set_nodeattr(key, value)
        model = model.transform(InsertDWC()).transform(SpecializeLayers(board.part)).transform(GiveUniqueNodeNames())
        costs, cycles = res_estimation(model, board.part), exp_cycles_per_layer(model)
        return [
            (node.op_type, {"lut": int(costs[node.name]["LUT"]), "bram18": int(costs[node.name]["BRAM_18K"]),
                            "cycles": int(cycles[node.name])})
            for node in model.graph.node if node.name in costs
        ]  # fmt: skip


GROUPS: tuple[tuple[str, type[Stage], str], ...] = (
    ("windows", Window, "ConvolutionInputGenerator"),
    ("products and thresholds", MatrixVector, "MVAU"),
    ("max pools", Pool, "Pool"),
    ("width converters", WidthConverter, "StreamingDataWidthConverter"),
    ("label", LabelSelect, "LabelSelect"),
)


def table(
    accelerator: Accelerator,
    simulation: Mapping[str, Any],
    synthesis: Mapping[str, Any],
    theirs: list[tuple[str, Row]],
    rungs: list[Rung],
    what: str,
) -> str:
    """Each product by itself, then each kind of stage, then all."""
    mapped = {row["name"]: row for row in synthesis["stages"]}
    lines = [
        "# CNV at finn-examples' folding",
        "",
        "\n\n".join((__doc__ or "").rstrip().split("\n\n")[1:]),
        "",
        f"The network: {what}. {synthesis['tool']}. FINN makes a max pool of windows and a comparison; those windows",
        "are among its windows.",
        "",
        "| | cycles | FINN's cycles | LUT, Yosys | LUT, our estimate | LUT, FINN's | BRAM18, Yosys | BRAM18, FINN's |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    guessed = {row.name: row.resources for row in estimate(accelerator).stages}
    products = [stage for stage in accelerator.stages if isinstance(stage, MatrixVector)]
    rows = [row for kind, row in theirs if kind.startswith("MVAU")]
    for stage, row in zip(products, rows, strict=True):
        name = f"{stage.name}, PE {stage.pe}, SIMD {stage.simd}"
        lines.append(_line(name, [stage], [row], mapped, guessed))
    for name, kind, prefix in GROUPS:
        stages = [stage for stage in accelerator.stages if isinstance(stage, kind)]
        lines.append(_line(f"all {name}", stages, [row for k, row in theirs if k.startswith(prefix)], mapped, guessed))
    total, finn_total = synthesis["total"], sum((Counter(row) for _, row in theirs), Counter[str]())
    slowest = max(row["cycles"] for _, row in theirs)
    lines += [
        f"| **whole** | **{simulation['cycles_per_frame']:,}** | **{slowest:,}** | **{total['lut']:,}** | "
        f"**{sum(r.luts for r in guessed.values()):,}** | **{finn_total['lut']:,}** | **{total['bram18']}** | "
        f"**{finn_total['bram18']}** |",
        "",
        f"The whole's cycles a frame are measured in RTL simulation, over {simulation['frames']} frames. Ours to "
        f"FINN's: LUT {total['lut'] / finn_total['lut']:.2f}, BRAM18 {total['bram18'] / finn_total['bram18']:.2f}, "
        f"cycles {simulation['cycles_per_frame'] / slowest:.2f}. Our flip-flops: {total['ff']:,}; FINN estimates none.",
        "",
        f"The ladder was equal at every rung on {rungs[-1].frames} frames, corner inputs among them; "
        f"{100 * (rungs[-1].accuracy or 0):.2f} % of its test images were right.",
        f"Simulation on {os.cpu_count()} shared cores: {simulation['seconds_build']:.0f} s to build, "
        f"{simulation['seconds_run']:.0f} s for {simulation['frames']} frames back to back and "
        f"{simulation['random_stall_frames']} with random gaps and stalls, "
        f"{simulation['cycles_per_second']:,.0f} cycles a second and process.",
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, stages: list[Any], rows: list[Row], mapped: Mapping[str, Any], guessed: Mapping[str, Any]) -> str:
    cycles = max((stage.cycles for stage in stages), default=0)
    finn_cycles = max((row["cycles"] for row in rows), default=0)
    return (
        f"| {name} | {cycles:,} | {finn_cycles:,} | {sum(mapped[s.name]['lut'] for s in stages):,} | "
        f"{sum(guessed[s.name].luts for s in stages):,} | {sum(row['lut'] for row in rows):,} | "
        f"{sum(mapped[s.name]['bram18'] for s in stages)} | {sum(row['bram18'] for row in rows)} |"
    )


if __name__ == "__main__":
    main()
