# SPDX-License-Identifier: Apache-2.0
"""Networks by others, in plain Brevitas: our resources by Yosys, and FINN's own estimate at the same folding.

Usage: python benchmarks/foreign.py [NAME ...]
Models and their calibration are those of tests/flows/finn/foreign_models.py; parameters are random, because resources
hardly depend on them. Each is folded for a frame rate, compared at every rung up to RTL, and mapped by Yosys. FINN's
side is its own analysis of the same graph at the same folding for the same part, without FIFOs, before place and route.
Results are kept in build/foreign.json; writes benchmarks/foreign.md.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # the models lie among the tests

from adiabit.boards import catalog
from adiabit.flows.finn.finn_setup import finn
from adiabit.flows.finn.handover import styles
from adiabit.flows.finn.stage import compile_model
from adiabit.flows.frontend.config import CompileConfig, FoldConfig
from adiabit.flows.frontend.explain import explain
from adiabit.flows.ladder import Vectors, load_rungs
from adiabit.flows.simulate import figures
from adiabit.flows.simulate.stage import simulate
from adiabit.flows.sources import Sources
from adiabit.flows.synthesize.stage import synthesize
from adiabit.hw import storage
from adiabit.hw.emit import rtl
from adiabit.hw.estimate import estimate
from tests.flows.finn.foreign_models import export

FPS = {  # of the folding
    "tfc_w1a2": 100_000, "tfc_w2a2": 100_000, "sfc_w1a2": 100_000, "sfc_w2a2": 100_000, "lfc_w1a2": 20_000,
    "lfc_w2a2": 20_000, "cnv_w1a2": 500, "cnv_w2a2": 500, "jets": 1_000_000, "separable": 2_000, "audio": 50_000,
}  # fmt: skip
CACHE, BOARD, FRAMES = Path("build/foreign.json"), "pynq-z2", 40
Row = dict[str, Any]


def finn_estimate(folder: Path, part: str) -> Row:
    """FINN's LUTs, block RAMs and slowest layer, at the folding of `folding.json`."""
    with finn(folder / "finn.log"):
        from finn.analysis.fpgadataflow.exp_cycles_per_layer import exp_cycles_per_layer
        from finn.analysis.fpgadataflow.res_estimation import res_estimation
        from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
        from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
        from finn.transformation.general import ApplyConfig
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.transformation.general import GiveUniqueNodeNames

        model = ModelWrapper(str(folder / "dataflow.onnx")).transform(GiveUniqueNodeNames())
        kinds = styles([(node.name, node.op_type) for node in model.graph.node])
        model = model.transform(ApplyConfig(kinds)).transform(SpecializeLayers(part)).transform(GiveUniqueNodeNames())
        folding = json.loads((folder / "folding.json").read_text())
        names = {node.name for node in model.graph.node}
        model = model.transform(ApplyConfig({k: v for k, v in folding.items() if k in {*names, "Defaults"}}))
        model = model.transform(InsertDWC()).transform(SpecializeLayers(part)).transform(GiveUniqueNodeNames())
        costs, cycles = res_estimation(model, part), exp_cycles_per_layer(model)
        return {
            "lut": int(sum(cost["LUT"] for cost in costs.values())),
            "bram18": int(sum(cost["BRAM_18K"] for cost in costs.values())),
            "dsp": int(sum(cost["DSP"] for cost in costs.values())),
            "cycles": int(max(cycles.values())),
        }


def measured(name: str) -> Row:
    """The row of a model."""
    board = catalog.load(BOARD)
    with tempfile.TemporaryDirectory() as scratch:
        folders = {part: Path(scratch) / part for part in ("compile", "rtl", "simulate", "synthesize")}
        for folder in folders.values():
            folder.mkdir()
        path = export(name, folders["compile"] / "net.onnx")
        config = CompileConfig(fold=FoldConfig(fps=FPS[name]))
        compile_model(path, None, folders["compile"], config, board=board, clock_mhz=board.clock_mhz)
        accelerator = storage.load(folders["compile"])
        rtl.emit(accelerator, folders["rtl"])
        simulate(folders["compile"], folders["rtl"], Vectors.load(folders["compile"]), folders["simulate"])
        rungs = [*load_rungs(folders["compile"]), *load_rungs(folders["simulate"])]
        synthesize(folders["rtl"], board, folders["synthesize"])
        layers = explain(path, config, trusted=True).layers
        return {
            "xnor": sum(layer.xnor for layer in layers),
            "multiply": sum(layer.multiply for layer in layers),
            "equal": all(rung.status == "equal" for rung in rungs),
            "frames": rungs[-1].frames,
            "cycles": figures.load(folders["simulate"]).cycles_per_frame,
            "estimate": estimate(accelerator).resources.luts,
            "total": json.loads((folders["synthesize"] / "synthesis.json").read_text())["total"],
            "finn": finn_estimate(folders["compile"], board.part),
        }


def kept(name: str) -> Row:
    """As :func:`measured`, from the cache if that was done before."""
    cache = json.loads(CACHE.read_text()) if CACHE.exists() else {}
    key = f"{name} {FPS[name]} {Sources().digest(measured, ['boards', 'flows', 'hw'])}"
    if key not in cache:
        cache[key] = measured(name)
        CACHE.parent.mkdir(exist_ok=True)
        CACHE.write_text(json.dumps(cache, indent=1))
    row: Row = cache[key]
    return row


def table(rows: dict[str, Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| network | XNOR | multiply | every rung | cycles | FINN's cycles | LUT, Yosys | our estimate | FINN's "
        "| ours to FINN's | DSP, Yosys | FINN's | BRAM18, Yosys | FINN's |",
        "| --- | ---: | ---: | --- " + "| ---: " * 10 + "|",
    ]
    for name, row in rows.items():
        total, theirs = row["total"], row["finn"]
        shown = [f"{theirs[key]:,}" for key in ("cycles", "lut", "dsp", "bram18")]
        ratio = f"{total['lut'] / theirs['lut']:.2f}"
        lines.append(
            f"| {name} | {row['xnor']:,} | {row['multiply']:,} | {'equal' if row['equal'] else 'DIFFERS'}, "
            f"{row['frames']} frames | {row['cycles']:,} | {shown[0]} | {total['lut']:,} | {row['estimate']:,} "
            f"| {shown[1]} | {ratio} | {total['dsp']} | {shown[2]} | {total['bram18']} | {shown[3]} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure the models that are named, or all, and write the page."""
    rows = {}
    for name in sys.argv[1:] or FPS:
        rows[name] = kept(name)
        print(name, rows[name], flush=True)
    text = (__doc__ or "").partition("\n\n")
    command = f"Made by `python benchmarks/foreign.py {' '.join(sys.argv[1:])}`.".replace(" `.", "`.")
    page = f"# Networks by others\n\n{command}\n\n{text[2].partition(chr(10))[2]}\n{table(rows)}\n"
    Path(__file__).with_suffix(".md").write_text(page)


if __name__ == "__main__":
    main()
