# SPDX-License-Identifier: Apache-2.0
"""FIFOs of residual and dense networks: their bits, how long sizing takes, and what they keep in simulated RTL.

Usage: python benchmarks/buffers.py
Timing depends on no value, so the networks are untrained: the outline of each recipe, folded as the recipe says.
It is simulated with the depths of both rules, and with one place less in the widest FIFO of the least depths.
Simulations are kept in build/buffers.json; times are measured anew. Writes benchmarks/buffers.md.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from adiabit.boards import catalog
from adiabit.flows import recipe
from adiabit.flows.finn import folding
from adiabit.flows.ladder import Vectors, load_rungs
from adiabit.flows.outline import outline
from adiabit.flows.simulate import figures
from adiabit.flows.simulate.stage import simulate
from adiabit.flows.sources import Sources
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import rtl
from adiabit.hw.folding.buffers import Rule, buffered, depths
from adiabit.hw.folding.events import Events

RECIPES = ("digits_residual", "resnet20", "birealnet", "reactnet_small", "densenet_small")
CACHE = Path("build/buffers.json")
FRAMES = 6
HEAD = f"""# FIFOs of residual and dense networks

Made by `python benchmarks/buffers.py`. {FRAMES} frames of each in Verilator, back to back; every beat of every stream
equals the golden model's. Cycles a frame are those between the last two frames. *Sized in* is the time of one thread
of x86_64 for all FIFOs of the network, once its code is loaded, on a machine that did other work besides.

"""


def folded(name: str) -> Accelerator:
    """The outline of a recipe's network, with its folding and no FIFOs."""
    loaded = recipe.load(Path("recipes") / f"{name}.toml")
    drawn = outline(loaded.model, loaded.data.source, loaded.compile)
    board = catalog.load(loaded.target.board)
    fold = loaded.compile.fold.model_copy(update={"buffers": {}})
    return folding.folded(drawn, fold, board, loaded.target.clock_mhz or board.clock_mhz)


def simulated(accelerator: Accelerator, places: Mapping[str, int]) -> tuple[str, int | None]:
    """What differs from the golden model in RTL with these FIFOs, and the cycles a frame."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / name for name in ("accelerator", "rtl", "out")]
        for folder in folders:
            folder.mkdir()
        whole = buffered(accelerator, places)
        storage.save(whole, folders[0])
        rtl.emit(whole, folders[1])
        frames = np.random.default_rng(0).integers(0, 256, (FRAMES, *accelerator.input.shape)).astype(np.uint8)
        unknown = np.full(FRAMES, -1)
        logits = np.zeros((FRAMES, 2), np.float32)
        vectors = Vectors(frames=frames, labels=unknown, logits=logits, predictions=unknown)
        simulate(folders[0], folders[1], vectors, folders[2])
        (rung,) = load_rungs(folders[2])
        return rung.difference, figures.load(folders[2]).cycles_per_frame


def kept(name: str, accelerator: Accelerator, places: Mapping[str, int]) -> tuple[str, int | None]:
    """As :func:`simulated`, from the cache if that was done before."""
    cache = json.loads(CACHE.read_text()) if CACHE.exists() else {}
    key = f"{name} {json.dumps(places, sort_keys=True)} {Sources().digest(simulated, ['flows/simulate', 'hw'])}"
    if key not in cache:
        cache[key] = simulated(accelerator, places)
        CACHE.parent.mkdir(exist_ok=True)
        CACHE.write_text(json.dumps(cache, indent=1))
    return cache[key][0], cache[key][1]


def measured(name: str) -> dict[str, Any]:
    """The row of a recipe."""
    accelerator = folded(name)
    widths = {s.name: s.width for s in accelerator.streams}
    row: dict[str, Any] = {"stages": len(accelerator.stages), "slowest": accelerator.cycles}
    row["events"] = sum(Events(accelerator).lengths)
    for rule in Rule:
        start = time.perf_counter()
        places = depths(accelerator, rule)
        row[f"{rule} seconds"] = time.perf_counter() - start
        row[f"{rule} bits"] = sum(widths[s] * depth for s, depth in places.items())
        row[f"{rule} fifos"] = len(places)
        row[f"{rule} difference"], row[f"{rule} cycles"] = kept(name, accelerator, places)
    widest = max(places, key=lambda s: widths[s] * places[s])
    less = {**places, widest: places[widest] - 1}
    row["less"] = f"{widest}: {places[widest]} to {less[widest]}"
    row["less difference"], row["less cycles"] = kept(name, accelerator, less)
    return row


def table(rows: Mapping[str, dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| recipe | stages | events a frame | FIFO bits, full rate | sized in | cycles a frame | of the slowest stage "
        "| FIFO bits, least | sized in | cycles a frame | one place less |",
        "| --- " + "| ---: " * 9 + "| --- |",
    ]
    for name, row in rows.items():
        rate = row["slowest"] / row["full-rate cycles"] if row["full-rate cycles"] else 0
        agree = ["" if not row[f"{rule} difference"] else " (differs)" for rule in Rule]
        stops = "deadlock" if "deadlock" in row["less difference"] else row["less difference"] or "no difference"
        lines.append(
            f"| {name} | {row['stages']} | {row['events']:,} | {row['full-rate bits']:,} in {row['full-rate fifos']} "
            f"| {row['full-rate seconds']:.2f} s | {row['full-rate cycles']:,}{agree[0]} | {rate:.0%} "
            f"| {row['least bits']:,} in {row['least fifos']} | {row['least seconds']:.2f} s "
            f"| {row['least cycles']:,}{agree[1]} | {stops} ({row['less']}) |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure all recipes, and write the page."""
    depths(folded(RECIPES[0]), Rule.FULL_RATE)  # loads compiled code
    rows = {}
    for name in RECIPES:
        rows[name] = measured(name)
        print(name, rows[name], flush=True)
    Path(__file__).with_suffix(".md").write_text(HEAD + table(rows) + "\n")


if __name__ == "__main__":
    main()
