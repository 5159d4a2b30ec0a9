# SPDX-License-Identifier: Apache-2.0
"""The report tells what the stages' folders hold, nothing more, and loads nothing."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from io import StringIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rich.console

from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows.ladder import RUNGS, Rung, RungName, StageName, save_rungs
from adiabit.flows.report.build import render, report, verdict
from adiabit.flows.report.charts import Chart, curve_chart, linear_ticks, log_ticks
from adiabit.flows.report.collect import collect
from adiabit.flows.report.drawing import draw
from adiabit.flows.report.figures import Figures
from adiabit.flows.report.tables import Cell, accuracy, ladder, percent, resources, stages, stalls, texts, versions
from adiabit.flows.report.terminal import tables
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Fifo, Kind, LabelSelect, MatrixVector, Stage, Stream, Threshold, WidthConverter

COMMAND = "adiabit run recipes/digits.toml --set 'train.epochs=<40>'"
DIFFERENCE = "stage fc2, frame 17, position 0, channel 3: 1 and -1; replay: adiabit simulate --frame 17"
EPOCHS = 40
Folders = dict[StageName, Path]
MADE = (
    StageName.TRAIN, StageName.EXPORT, StageName.COMPILE, StageName.EMIT, StageName.SIMULATE, StageName.SYNTHESIZE,
)  # fmt: skip


def tfc(widths: tuple[int, ...] = (784, 64, 64, 64, 10), simd: int = 49, pe: int = 16) -> Accelerator:
    """Threshold, width converter, FIFO, dense layers, label select: the shape of FINN's TFC."""
    rng = np.random.default_rng(1)
    count = len(widths) - 2
    stages: list[Stage] = []
    s = Stream(name="s_in", shape=(widths[0],), bits=8, kind=Kind.UNSIGNED, lanes=1)

    def to(name: str, **changes: object) -> Stream:
        return dataclasses.replace(s, name=name, **changes)  # type: ignore[arg-type]

    out = to("s_bits", bits=1, kind=Kind.BIPOLAR)
    stages.append(Threshold(name="quantize", inputs=(s,), outputs=(out,), thresholds=np.full((widths[0], 1), 128)))
    s, out = out, to("s_wide", bits=1, kind=Kind.BIPOLAR, lanes=simd)
    stages.append(WidthConverter(name="widen", inputs=(s,), outputs=(out,)))
    s, out = out, dataclasses.replace(out, name="s_fifo")
    stages.append(Fifo(name="fifo0", inputs=(s,), outputs=(out,), depth=16))
    s = out
    for i, (columns, rows) in enumerate(pairwise(widths)):
        last = i == count
        bits, kind, lanes = (8, Kind.UNSIGNED, 1) if last else (1, Kind.BIPOLAR, pe)
        out = Stream(name=f"s_fc{i}", shape=(rows,), bits=bits, kind=kind, lanes=lanes)
        weights = rng.choice([-1, 1], (rows, columns))
        thresholds = None if last else np.full((rows, 1), columns // 2)
        stages.append(MatrixVector(name=f"fc{i}", inputs=(s,), outputs=(out,), weights=weights, thresholds=thresholds))
        s = out
    out = Stream(name="s_label", shape=(1,), bits=4, kind=Kind.UNSIGNED, lanes=1)
    stages.append(LabelSelect(name="label", inputs=(s,), outputs=(out,)))
    return Accelerator(name="tfc", stages=tuple(stages))


def write(folder: Path, **documents: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))


def change(path: Path, **changes: object) -> None:
    """Other values for some keys of a document."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def history() -> dict[str, list[float]]:
    share = [i / (EPOCHS - 1) for i in range(EPOCHS)]
    return {
        "epoch": [float(i) for i in range(EPOCHS)],
        "soft_accuracy": [0.951 - 0.6 * math.exp(-5 * s) for s in share],
        "hard_accuracy": [0.9475 - 0.85 * math.exp(-3.5 * s) + 0.015 * math.sin(40 * s) * (1 - s) for s in share],
        "k_weights": [10 ** (3 * s) for s in share],
        "k_activations": [10 ** (2.2 * s) for s in share],
        "loss": [0.12 + 2.1 * math.exp(-5 * s) for s in share],
        "flip_ratio": [0.08 * math.exp(-5 * s) for s in share],
        "unsaturated": [0.9 * math.exp(-6 * s) for s in share],
        "lr": [3e-3 * (1 - 0.99 * s) for s in share],
    }


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """A run in which every stage was made and all rungs but two were run and are equal."""
    made = {name: tmp_path / name for name in MADE}
    for i, (name, folder) in enumerate(made.items()):
        write(folder, stage={"stage": name, "seconds": 1.5 + 10 * i, "key": {}, "files": {}})
    metrics = {"method": "adiabatic", "soft_validation": 0.9531, "hard_validation": 0.9502, "soft_test": 0.9512,
               "hard_test": 0.9475, "test_frames": 2000, "epochs": EPOCHS, "seconds": 81.25, "seed": 7}  # fmt: skip
    write(made[StageName.TRAIN], metrics=metrics, history=history())
    accelerator = tfc()
    storage.save(accelerator, made[StageName.COMPILE])
    per_stage = [
        {"name": s.name, "lut": 331 + 7 * i, "ff": 211 + i, "bram18": 0, "dsp": 0, "cycles": s.cycles, "latency": 9}
        for i, s in enumerate(accelerator.stages)
    ]
    total = {"lut": 6123, "ff": 3456, "bram18": 12, "dsp": 0}
    estimate = {"cycles": accelerator.cycles, "latency": 1007, "total": total, "stages": per_stage}
    write(made[StageName.COMPILE], estimate=estimate)

    def equal(name: RungName, compared: str) -> Rung:
        return Rung(name=name, frames=1012, equal=1012, accuracy=0.9475, compared=compared)

    save_rungs(made[StageName.EXPORT], [equal(RungName.TORCH, ""), equal(RungName.QONNX, "logits")])
    save_rungs(
        made[StageName.COMPILE], [equal(name, "labels, accumulators") for name in (RungName.FINN, RungName.GOLDEN)]
    )
    save_rungs(
        made[StageName.SIMULATE],
        [Rung(name=RungName.RTL, frames=256, equal=256, accuracy=0.9434, compared="labels")],
    )
    waited = {
        s.name: {"beats": s.beats, "valid_not_ready": 3 * i, "ready_not_valid": 0}
        for i, s in enumerate(accelerator.streams)
    }
    simulation = {"frames": 256, "first": 0, "seed": 0, "random_stall_frames": 8, "cycles_per_frame": 784,
                  "cycles_per_frame_min": 784, "cycles_per_frame_max": 784, "cycles_per_frame_expected": 784,
                  "latency_cycles": 1021, "total_cycles": 201_000, "stalls": waited, "seconds_build": 9.8,
                  "seconds_run": 0.7, "cycles_per_second": 287_142.9}  # fmt: skip
    write(made[StageName.SIMULATE], simulation=simulation)
    others = {"bram18": 0, "dsp": 0, "carry": 9, "lutram": 0, "lc": 1}
    found = [{"name": s.name, "lut": 290 + 5 * i, "ff": 190 + i} | others for i, s in enumerate(accelerator.stages)]
    found.append({"name": "axi", "lut": 77, "ff": 41} | others)
    total = {"lut": 5987, "ff": 3301, "bram18": 14, "dsp": 0, "carry": 410, "lutram": 96, "lc": 5000}
    synthesis = {"part": "xc7z020clg400-1", "family": "xc7", "tool": "Yosys 0.70", "total": total,
                 "stages": found, "capacity": {"lut": 53200}, "seconds": 31.4,
                 "logic_delay_ns": 6.807, "timing_note": "logic alone, without routing & clock skew."}  # fmt: skip
    write(made[StageName.SYNTHESIZE], synthesis=synthesis)
    return made


def took(folders: Folders, **changes: int) -> None:
    """Other counts of the whole for Yosys."""
    path = folders[StageName.SYNTHESIZE] / "synthesis.json"
    change(path, total=json.loads(path.read_text())["total"] | changes)


def make(folders: Folders, out: Path) -> tuple[Figures, str]:
    figures = report(folders, name="digits", board=catalog.load("pynq-z2"), clock_mhz=100.0, command=COMMAND, out=out)
    return figures, (out / "report.html").read_text()


class Page(HTMLParser):
    """Checks that elements nest, keeps attributes that load, and the texts of table rows."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.rows: list[list[str]] = []
        self.words = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Refuse what loads or runs."""
        self.loads += [f"{tag} {k}={v}" for k, v in attrs if k in {"src", "href", "srcset", "data", "action"}]
        assert tag not in {"script", "link", "iframe", "object", "embed", "img"}
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An SVG element without children."""

    def handle_endtag(self, tag: str) -> None:
        """Elements nest."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep what is read."""
        self.words += data if "style" not in self.open else ""
        if self.open and self.open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data


def test_page_is_whole_and_loads_nothing(folders: Folders, tmp_path: Path) -> None:
    _, html = make(folders, tmp_path / "out")
    page = Page(html)
    assert page.loads == []
    assert not re.search(r"url\(|@import|https?:(?!//www\.w3\.org/2000/svg\")", html)
    assert len(html) < 500_000


def test_page_shows_the_rows_of_every_table(folders: Folders, tmp_path: Path) -> None:
    figures, html = make(folders, tmp_path / "out")
    shown = Page(html).rows
    for table in (ladder(figures), accuracy(figures), resources(figures), stages(figures), stalls(figures)):
        assert table.rows
        for row in texts(table):
            assert list(row) in shown


def test_a_small_screen_has_a_label_beside_each_cell(folders: Folders, tmp_path: Path) -> None:
    _, html = make(folders, tmp_path / "out")
    assert '<td class="n" data-label="Capacity">53,200</td>' in html
    assert '<td class="wraps">labels</td>' in html  # needs none
    assert html.count('class="stack"') == 3  # the ladder, accuracy and resources
    assert html.count('class="compact stack"') == 1


def test_figures_of_the_folders_are_in_the_tables(folders: Folders, tmp_path: Path) -> None:
    figures, _ = make(folders, tmp_path / "out")
    assert texts(ladder(figures))[0] == ["torch", "equal", "1,012", "1,012", "94.75 %", "the reference"]
    assert texts(ladder(figures))[5] == ["RTL simulation", "equal", "256", "256", "94.34 %", "labels"]
    assert texts(accuracy(figures))[:3] == [
        ["Trained network, soft", "95.31 %", "95.12 %", "94.09 % to 95.98 %", "2,000"],
        ["Trained network, hard (±1)", "95.02 %", "94.75 %", "93.68 % to 95.64 %", "2,000"],
        ["torch", "—", "94.75 %", "—", "1,012"],
    ]
    assert texts(resources(figures)) == [
        ["LUT", "6,123", "5,987", "Yosys", "53,200", "11.3 %"],
        ["FF", "3,456", "3,301", "Yosys", "106,400", "3.1 %"],
        ["BRAM18", "12", "14", "Yosys", "280", "5.0 %"],
        ["DSP", "0", "0", "Yosys", "220", "0.0 %"],
        ["Logic delay", "—", "6.81 ns", "Yosys", "10.00 ns", "68.1 %"],
        ["Cycles a frame", "784", "784", "simulation", "—", "—"],
        ["Frames a second at 100 MHz", "127,551", "127,551", "simulation", "—", "—"],
        ["Latency in cycles", "1,007", "1,021", "simulation", "—", "—"],
        ["Latency at 100 MHz", "10.07 µs", "10.21 µs", "simulation", "—", "—"],
    ]
    fc0 = next(row for row in texts(stages(figures)) if row[0] == "fc0")
    assert fc0 == ["fc0", "MatrixVector", "16", "49", "block RAM", "64", "352", "305", "214", "193", "0", "0", "0", "0"]
    assert list(texts(stages(figures))[-1]) == ["axi", *["—"] * 6, "77", "—", "41", "—", "0", "—", "0"]
    assert list(texts(versions(figures))[-1]) == ["synthesized by", "Yosys 0.70"]
    assert texts(stalls(figures))[2] == ["s_wide", "16", "6", "0"]


def test_json_holds_the_figures_of_the_tables(folders: Folders, tmp_path: Path) -> None:
    figures, _ = make(folders, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    rungs = [[r["name"], r["status"]] for r in document["rungs"]]
    assert rungs == [list(row[:2]) for row in texts(ladder(figures))]
    rows = {row[0]: row for row in texts(resources(figures))}
    for key, name in (("lut", "LUT"), ("ff", "FF"), ("bram18", "BRAM18"), ("dsp", "DSP")):
        values = (document["estimate"][key], document["synthesis"]["total"][key], document["capacity"][key])
        assert [f"{v:,}" for v in values] == [rows[name][i] for i in (1, 2, 4)]
    fps = (document["fps_estimate"], document["fps_measured"])
    assert [f"{v:,.0f}" for v in fps] == list(rows["Frames a second at 100 MHz"][1:3])
    assert f"{document['latency_us']:.2f} µs" == rows["Latency at 100 MHz"][2]
    splits = [
        [document["training"][f"{kind}_{split}"] for split in ("validation", "test")] for kind in ("soft", "hard")
    ]
    assert [[percent(v) for v in row] for row in splits] == [list(row[1:3]) for row in texts(accuracy(figures))[:2]]
    assert [s["name"] for s in document["stages"]] == [row[0] for row in texts(stages(figures))]
    assert (document["exact"], document["command"], document["board"]["name"]) == (True, COMMAND, "pynq-z2")
    assert document["seconds"]["simulate"] == 41.5
    assert document["training"]["history"]["k_weights"][-1] == pytest.approx(1000)


def test_a_run_of_nothing_is_shown_as_not_run(tmp_path: Path) -> None:
    figures, html = make({}, tmp_path / "out")
    page = Page(html)
    assert [(r.name, r.status) for r in figures.rungs] == [(name, "not run") for name in RUNGS]
    assert [row[-1] for row in texts(ladder(figures))] == [
        *["stage export was not run"] * 2, *["stage compile was not run"] * 2, "stage csim was not run",
        "stage simulate was not run", "Vitis HLS is not on PATH", "no board took part in this run",
    ]  # fmt: skip
    assert (figures.exact, figures.agrees) == (None, True)
    assert "Exactness not checked: no rung of the ladder was run" in page.words
    assert "Exact:" not in page.words
    for stage in ("compile", "train", "simulate"):
        assert f"tage {stage} was not run" in page.words
    assert all(row[2] == "not run" for row in texts(resources(figures)))
    assert texts(accuracy(figures))[0] == ["Trained network, soft", "not run", "not run", "—", "—"]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["simulation"] is None


@pytest.mark.parametrize("missing", MADE)
def test_any_stage_may_be_absent(missing: StageName, folders: Folders, tmp_path: Path) -> None:
    figures, html = make({k: v for k, v in folders.items() if k != missing}, tmp_path / "out")
    Page(html)
    assert missing not in figures.seconds
    assert figures.exact is True


def test_a_stage_without_its_rung_says_so(folders: Folders, tmp_path: Path) -> None:
    (folders[StageName.SIMULATE] / "rungs.json").unlink()
    figures, _ = make(folders, tmp_path / "out")
    assert figures.rungs[5].why_not == "stage simulate left no record of it"


def test_a_difference_is_prominent(folders: Folders, tmp_path: Path) -> None:
    save_rungs(
        folders[StageName.SIMULATE],
        [Rung(name=RungName.RTL, frames=256, equal=250, compared="labels", difference=DIFFERENCE)],
    )
    figures, html = make(folders, tmp_path / "out")
    page = Page(html)
    assert (figures.exact, figures.agrees, verdict(figures).tone) == (False, False, "bad")
    assert "Not exact: RTL simulation differs" in page.words
    assert "6 of 256 frames differ" in page.words
    assert "Exact:" not in page.words
    assert '<section class="verdict bad"' in html
    assert f"<pre>{DIFFERENCE}</pre>" in html
    assert html.index(DIFFERENCE) < html.index("<h2>")
    assert (
        '<tr class="alarm"><th scope="row">RTL simulation</th><td class="bad" data-label="Status">DIFFERS</td>' in html
    )
    assert re.findall(r'class="box work remark"><title>(\w+)', html) == ["fc2"] * 3  # for three widths


CONSTANT, SHORT = "labels are constant over all frames", "only 3 of 1,012 frames are labelled"


def warned(folders: Folders) -> None:
    """Two rungs with a warning in common, one of them with another."""
    save_rungs(
        folders[StageName.EXPORT],
        [
            Rung(name=RungName.TORCH, frames=9, equal=9),
            Rung(name=RungName.QONNX, frames=9, equal=9, warnings=(CONSTANT,)),
        ],
    )
    save_rungs(folders[StageName.SIMULATE], [Rung(name=RungName.RTL, frames=9, equal=9, warnings=(CONSTANT, SHORT))])


def test_warnings_qualify_the_verdict_and_the_ladder(folders: Folders, tmp_path: Path) -> None:
    warned(folders)
    figures, html = make(folders, tmp_path / "out")
    assert verdict(figures) == Cell(f"Exact, but {CONSTANT}; 1 more warning below", "warn")
    table = ladder(figures)
    assert [(row[1].text, row[1].tone) for row in table.rows[:3]] == [
        ("equal", "good"),
        ("equal", "warn"),
        ("equal", "good"),
    ]
    assert table.warnings == (f"QONNX, RTL simulation: {CONSTANT}", f"RTL simulation: {SHORT}")
    assert '<section class="verdict warn"' in html
    assert f'<p class="note warn">RTL simulation: {SHORT}</p>' in html
    assert json.loads((tmp_path / "out" / "report.json").read_text())["rungs"][1]["warnings"] == [CONSTANT]


def test_a_difference_weighs_more_than_a_warning(folders: Folders, tmp_path: Path) -> None:
    warned(folders)
    save_rungs(folders[StageName.COMPILE], [Rung(name=RungName.GOLDEN, frames=9, equal=8, warnings=(SHORT,))])
    figures, _ = make(folders, tmp_path / "out")
    assert verdict(figures) == Cell("Not exact: golden differs", "bad")
    assert ladder(figures).rows[3][1] == Cell("DIFFERS", "bad")


def test_one_warning_stands_alone(folders: Folders, tmp_path: Path) -> None:
    save_rungs(folders[StageName.SIMULATE], [Rung(name=RungName.RTL, frames=9, equal=9, warnings=(SHORT,))])
    assert verdict(make(folders, tmp_path / "out")[0]).text == f"Exact, but {SHORT}"


def test_of_two_records_of_a_rung_the_worse_counts(folders: Folders, tmp_path: Path) -> None:
    save_rungs(folders[StageName.EMIT], [Rung(name=RungName.GOLDEN, frames=9, equal=8)])
    assert make(folders, tmp_path / "out")[0].differences[0].frames == 9
    save_rungs(folders[StageName.EMIT], [Rung(name=RungName.GOLDEN, frames=0, equal=0, why_not="left out")])
    assert make(folders, tmp_path / "out")[0].differences == ()
    save_rungs(folders[StageName.EXPORT], [Rung(name=RungName.GOLDEN, frames=9, equal=9, warnings=(SHORT,))])
    save_rungs(folders[StageName.EMIT], [Rung(name=RungName.GOLDEN, frames=9, equal=9)])
    assert make(folders, tmp_path / "out")[0].rungs[3].warnings == (SHORT,)


def test_measured_cycles_other_than_the_fold_are_marked(folders: Folders, tmp_path: Path) -> None:
    change(folders[StageName.SIMULATE] / "simulation.json", cycles_per_frame=790, latency_cycles=None)
    figures, _ = make(folders, tmp_path / "out")
    cells = {row[0].text: row for row in resources(figures).rows}
    assert (cells["Cycles a frame"][2].text, cells["Cycles a frame"][2].tone) == ("790", "bad")
    assert cells["Latency in cycles"][2].text == "—"


def test_what_a_board_measured_is_shown(folders: Folders, tmp_path: Path) -> None:
    (verified := tmp_path / "verified").mkdir()
    write(verified, board={"frames_per_second": 98765.4, "latency_seconds": 0.00125})
    save_rungs(verified, [Rung(name=RungName.BOARD, frames=256, equal=256, compared="results over the driver")])
    figures, _ = make({**folders, StageName.VERIFIED: verified}, tmp_path / "out")
    assert texts(ladder(figures))[-1] == ["board", "equal", "256", "256", "—", "results over the driver"]
    assert texts(resources(figures))[-3:] == [
        ["Cycles a frame, board", "—", "—", "driver", "—", "—"],
        ["Frames a second, board", "—", "98,765", "driver", "—", "—"],
        ["Latency, board, host included", "—", "1,250 µs", "driver", "—", "—"],
    ]


def test_notes_tell_how_figures_were_come_by(folders: Folders, tmp_path: Path) -> None:
    assert resources(make(folders, tmp_path / "out")[0]).notes == (
        "Logic delay: logic alone, without routing & clock skew.",
    )
    del folders[StageName.SYNTHESIZE]
    change(folders[StageName.SIMULATE] / "simulation.json", cycles_per_frame_min=770)
    figures, html = make(folders, tmp_path / "out")
    assert resources(figures).notes == (
        "Used: the estimate's share of the capacity, because nothing was synthesized.",
        "Cycles a frame are the median over 256 simulated frames, which took 770 to 784.",
    )
    assert resources(figures).rows[0][5].text == "11.5 %"
    assert Page(html).words.count("because nothing was synthesized") == 1


def test_more_than_the_part_holds_is_marked(folders: Folders, tmp_path: Path) -> None:
    took(folders, lut=60000, ff=1, bram18=252)
    figures, html = make(folders, tmp_path / "out")
    lut, _, bram = resources(figures).rows[:3]
    assert (lut[5].text, lut[5].tone, bram[5].tone) == ("112.8 %", "bad", "warn")
    assert '<rect class="over" width="100.00%"' in html


def test_what_does_not_fit_the_part_is_told(folders: Folders, tmp_path: Path) -> None:
    assert make(folders, tmp_path / "out")[0].overflows == ()
    took(folders, lut=132020, ff=1, bram18=281, dsp=500, carry=13301)
    figures, html = make(folders, tmp_path / "out")
    lines = [str(overflow) for overflow in figures.overflows]
    assert lines == [
        "does not fit: LUT 132,020 of 53,200 (248 %)",
        "does not fit: BRAM18 281 of 280 (101 %)",  # never told as 100 %, which fits
        "does not fit: DSP 500 of 220 (227 %)",
        "does not fit: carry cells 13,301 of 13,300 (101 %)",
    ]
    section = html[html.index('id="verdict"') : html.index('aria-label="Key figures"')]
    assert all(line in section for line in lines)
    assert re.fullmatch(r"by the estimate, compile.fold.fps=\d+ is the most that fits pynq-z2", figures.advice)
    assert printed(figures, 120)[-5:] == [*lines, figures.advice]
    assert f"{figures.advice[1:]}." in section


def test_all_words_are_escaped(folders: Folders, tmp_path: Path) -> None:
    evil = "<script>alert('&')</script>"
    save_rungs(
        folders[StageName.SIMULATE],
        [Rung(name=RungName.RTL, frames=1, equal=0, compared=evil, difference=f"stage fc1 {evil}")],
    )
    waits = {"beats": 1, "valid_not_ready": 0, "ready_not_valid": 0}
    change(folders[StageName.SIMULATE] / "simulation.json", stalls={evil: waits})
    change(folders[StageName.TRAIN] / "metrics.json", method=evil)
    figures = collect(folders, name=evil, board=catalog.load("zcu104"), clock_mhz=200, command=evil)
    render(figures, tmp_path / "out")
    html = (tmp_path / "out" / "report.html").read_text()
    Page(html)
    assert "<script" not in html
    assert "alert(&#39;&amp;&#39;)" in html
    assert "<script" not in draw(tfc(), {"fc0": evil})


def test_tables_print_on_a_terminal(folders: Folders, tmp_path: Path) -> None:
    save_rungs(
        folders[StageName.SIMULATE], [Rung(name=RungName.RTL, frames=2, equal=1, difference="[red]as it is[/red]")]
    )
    console = rich.console.Console(file=StringIO(), width=160)
    for table in tables(make(folders, tmp_path / "out")[0]):
        console.print(table)
    printed = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
    for words in (
        "Ladder of exactness",
        "DIFFERS",
        "[red]as it is[/red]",
        "Accuracy",
        "95.02 %",
        "Resources and speed",
        "127,551",
    ):
        assert words in printed


def printed(figures: Figures, width: int) -> list[str]:
    console = rich.console.Console(file=StringIO(), width=width)
    for table in tables(figures):
        console.print(table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]  # a StringIO


def test_a_narrow_terminal_gets_a_second_line_a_row(folders: Folders, tmp_path: Path) -> None:
    lines = printed(make(folders, tmp_path / "out")[0], 60)
    assert "Rung               Status   Frames  Equal  Accuracy" in lines
    at = lines.index("HLS co-simulation  not run       —      —         —")
    assert lines[at + 1] == "  Vitis HLS is not on PATH"
    at = lines.index("LUT                            6,123     5,987  Yosys")
    assert lines[at + 1] == "  Capacity 53,200 · Used 11.3 %"
    at = lines.index("Cycles a frame                   784       784  simulation")
    assert lines[at + 1].startswith("Frames a second")  # there is nothing more to tell of cycles


def test_a_terminal_of_80_columns_has_every_column(folders: Folders, tmp_path: Path) -> None:
    lines = printed(make(folders, tmp_path / "out")[0], 80)
    assert "LUT                            6,123     5,987  Yosys         53,200  11.3 %" in lines
    assert "QONNX              equal     1,012  1,012   94.75 %  logits" in lines


def test_a_long_difference_is_not_squeezed_into_a_narrow_column(folders: Folders, tmp_path: Path) -> None:
    save_rungs(folders[StageName.SIMULATE], [Rung(name=RungName.RTL, frames=9, equal=8, difference=DIFFERENCE)])
    lines = printed(make(folders, tmp_path / "out")[0], 80)
    at = lines.index("RTL simulation     DIFFERS       9      8         —")
    assert " ".join(lines[at + 1 : at + 3]).replace("   ", " ") == f"  {DIFFERENCE}"


@pytest.mark.parametrize("width", [12, 20, 40])
def test_the_narrowest_terminals_still_have_every_figure(width: int, folders: Folders, tmp_path: Path) -> None:
    words = "".join(printed(make(folders, tmp_path / "out")[0], width)).replace(" ", "")
    assert all(figure in words for figure in ("95.02%", "5,987", "127,551", "11.3%", "VitisHLSisnotonPATH"))


def test_a_damaged_file_is_named(folders: Folders, tmp_path: Path) -> None:
    path = folders[StageName.SIMULATE] / "simulation.json"
    path.write_text("{")
    with pytest.raises(UserError) as caught:
        make(folders, tmp_path / "out")
    assert str(caught.value).startswith(f"{path}: damaged (invalid JSON: EOF while parsing")
    assert str(caught.value).endswith(f"delete the folder {path.parent} and run again")
    path.write_text("[]")
    with pytest.raises(UserError, match=r"simulation.json: damaged \(input should be an object\); delete the folder"):
        make(folders, tmp_path / "out")


def test_values_that_are_not_finite_leave_gaps(folders: Folders, tmp_path: Path) -> None:
    values = {"epoch": [0, 1, 2, 3], "loss": [float("nan"), 1.0, float("inf"), 0.5], "lr": [0.0, 0.0, 0.0, 0.0]}
    (folders[StageName.TRAIN] / "history.json").write_text(json.dumps(values))
    figures, html = make(folders, tmp_path / "out")
    assert figures.training is not None
    assert figures.training.history["loss"] == [None, 1.0, None, 0.5]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["training"]["history"]["loss"] == [
        None,
        1.0,
        None,
        0.5,
    ]
    assert "<b>Loss</b>" in html
    assert "<b>Learning rate</b>" not in html  # nothing above 0 to show on a log axis


SVG = "{http://www.w3.org/2000/svg}"


def drawn_boxes(picture: str) -> list[tuple[str, float, float, float]]:
    """Name, left, right and top of every box of a drawing."""
    boxes = []
    for group in ET.fromstring(picture).iter(f"{SVG}g"):  # noqa: S314  # made here
        if "box" in group.get("class", ""):
            rect, title = group.find(f"{SVG}rect"), group.find(f"{SVG}title")
            assert rect is not None
            assert title is not None
            assert title.text
            x, y, width = (float(rect.get(k, "nan")) for k in ("x", "y", "width"))
            boxes.append((title.text.splitlines()[0], x, x + width, y))
    return boxes


@pytest.mark.parametrize("width", [200, 400, 1080, 10_000])
def test_a_drawing_wraps_without_overlap(width: int) -> None:
    accelerator = tfc((784, *[64] * 12, 10))
    picture = draw(accelerator, width=width)
    boxes = drawn_boxes(picture)
    assert [b[0] for b in boxes] == ["input", *(s.name for s in accelerator.stages), "output"]
    for before, after in pairwise(boxes):
        assert after[3] > before[3] or (after[3] == before[3] and after[1] > before[2])
    assert max(b[2] for b in boxes) <= max(width, 240)
    assert len(ET.fromstring(picture).findall(f".//{SVG}g[@class='arrow']")) == len(list(accelerator.streams))  # noqa: S314


def test_a_drawing_tells_folding_streams_and_the_slowest_stage() -> None:
    accelerator = tfc(pe=4)  # fc0 takes 16 folds of rows and 16 of columns; the thresholds take 784 cycles
    picture = draw(accelerator)
    for words in (
        "PE 4 · SIMD 49",
        "784 → 64",
        "block RAM",
        "256 cyc",
        "784 cyc",
        "49 bit",
        "49 \N{MULTIPLICATION SIGN} 1 b",
    ):
        assert f">{words}<" in picture
    assert re.findall(r'class="box \w+ slowest"><title>(\w+)', picture) == ["quantize", "widen"]
    assert "not a remark" in draw(accelerator, {"fc1": "not a remark"})


def test_ticks_are_round_and_hold_the_values() -> None:
    assert linear_ticks(0.0, 1.0) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert linear_ticks(0.913, 1.0) == [0.9, 0.92, 0.94, 0.96, 0.98, 1.0]
    assert linear_ticks(3, 3) == [3.0, 4.0]
    assert log_ticks(1, 1000) == [1.0, 10.0, 100.0, 1000.0]
    assert log_ticks(3, 40) == [2.0, 5.0, 10.0, 20.0, 50.0]
    assert log_ticks(2, 2) == [2.0, 5.0]
    rng = np.random.default_rng(0)
    for low, high in np.sort(10 ** rng.uniform(-6, 6, (200, 2)), axis=1).tolist():
        for ticks in (linear_ticks(low, high), log_ticks(low, high)):
            assert ticks[0] <= low * (1 + 1e-6)
            assert ticks[-1] >= high * (1 - 1e-6)
            assert 2 <= len(ticks) <= 9
            assert ticks == sorted(set(ticks))


def test_a_curve_breaks_where_a_value_is_missing() -> None:
    chart = Chart(title="t", curves={"a": [1.0, None, 3.0, 4.0, None]})
    path = re.search(r'd="([^"]*)" class="curve c0"', curve_chart(chart, [0, 1, 2, 3, 4]))
    assert path is not None
    assert re.sub(r"[\d. ]+", "", path[1].replace("h.1", "h")) == "MhML"


def test_one_epoch_makes_a_chart() -> None:
    picture = curve_chart(Chart(title="t", curves={"a": [0.5]}, floor=0.0), [0])
    assert "epoch 0 · a 0.5" in picture
    assert "nan" not in picture


def test_place_and_route_is_shown_where_it_ran(folders: Folders, tmp_path: Path) -> None:
    figures, _ = make(folders, tmp_path / "out")
    assert not [row for row in texts(resources(figures)) if "routed" in row[0]]
    (tmp_path / "bitstream").mkdir()
    total = {"lut": 1780, "ff": 777, "bram18": 7, "dsp": 0}
    document = {"tool": "nextpnr", "fmax_mhz": 108.9, "clock_mhz": 25, "total": total}
    write(tmp_path / "bitstream", bitstream=document)
    save_rungs(tmp_path / "bitstream", [Rung(name=RungName.NETLIST, frames=24, equal=24)])
    figures, html = make({**folders, StageName.BITSTREAM: tmp_path / "bitstream"}, tmp_path / "out")
    rows = {row[0]: row[1:4] for row in texts(resources(figures)) if "routed" in row[0]}
    assert rows["Fmax, routed"] == ["—", "108.9 MHz", "nextpnr"]
    assert rows["LUT, routed"] == ["—", "1,780", "nextpnr"]
    assert "netlist simulation" in Page(html).words
    assert json.loads((tmp_path / "out" / "report.json").read_text())["bitstream"]["fmax_mhz"] == 108.9
