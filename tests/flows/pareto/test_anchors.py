# SPDX-License-Identifier: Apache-2.0
"""The published designs that ship: each is whole, plausible and says where it was read; a broken file is one line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.flows.pareto.anchors import FORM, SHIPPED, Anchor, load

ACCURACY = {"mnist": (0.9, 0.995), "cifar10": (0.75, 0.93)}  # below it a network is broken, above it none is this small
LEAST = {"mnist": 20, "cifar10": 8}
DESIGN = {
    "name": '"A"', "method": '"B"', "data": '"mnist"', "data_note": '"28x28"', "accuracy": "0.97", "lut": "700",
    "source": '"C, 2025, Table 1"', "url": '"https://example.org/c"',
}  # fmt: skip


def table(**changes: str | None) -> str:
    """One [[anchor]], with keys changed, added, or left out (None)."""
    keys = {**DESIGN, **changes}
    return "[[anchor]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None)


@pytest.fixture(params=load(), ids=lambda anchor: f"{anchor.data}-{anchor.name}")
def anchor(request: pytest.FixtureRequest) -> Anchor:
    return request.param  # type: ignore[no-any-return]


def test_every_table_of_the_file_is_a_design() -> None:
    anchors = load()
    assert [a.name for a in anchors] == [t["name"] for t in tomllib.loads(SHIPPED.read_text())["anchor"]]
    for data, least in LEAST.items():
        names = [a.name for a in anchors if a.data == data]
        assert len(set(names)) == len(names) >= least


def test_figures_are_plausible(anchor: Anchor) -> None:
    low, high = ACCURACY[anchor.data]
    assert low < anchor.accuracy < high
    assert 500 < anchor.lut < 300_000
    assert 50 <= (anchor.clock_mhz or 50) <= 1000
    if anchor.fps and anchor.clock_mhz:
        assert anchor.fps <= anchor.clock_mhz * 1e6  # one frame a cycle at most
    if anchor.latency_us and anchor.clock_mhz:
        assert anchor.latency_us * anchor.clock_mhz > 0.9  # one cycle at least; figures are rounded


def test_block_rams_are_counted_in_halves(anchor: Anchor) -> None:
    if tiles := re.search(r"(?<![\d.])([\d.]+) (?:BRAM36|Block RAM Tiles)", anchor.note):
        assert anchor.bram18 == 2 * float(tiles[1])
    else:
        assert not anchor.bram18


def test_a_source_says_what_was_read_and_what_is_from_memory(anchor: Anchor) -> None:
    assert ("from memory" in anchor.source) == (not anchor.verified)
    assert "read in" in anchor.source or not anchor.verified
    assert re.search(r"20\d\d", anchor.source)


def test_a_weightless_network_stands_there_with_and_without_its_encoder() -> None:
    encoders = {a.method: a.encoder for a in load()}
    assert (encoders["DWN"], encoders["dwn-fpga-study"]) == ("not counted", "counted")


def test_what_a_source_does_not_say_is_none(tmp_path: Path) -> None:
    (path := tmp_path / "one.toml").write_text(table(clock_mhz="200"))
    (one,) = load(path)
    assert (one.lut, one.clock_mhz, one.verified) == (700, 200.0, True)
    assert {one.ff, one.bram18, one.dsp, one.latency_us, one.fps, one.part, one.tool, one.stage, one.encoder} == {None}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[anchor", "not TOML: "),
        ("", "anchor: field required"),
        ("anchor = []", "anchor: list should have at least 1 item"),
        (table() + "[other]", "other: extra inputs are not permitted"),
        (table(lut=None), "[[anchor]] number 1 ('A'): lut: field required"),
        (table(name=None), "[[anchor]] number 1 ('unnamed'): name: field required"),
        (table() + table(name='"D"', luts="3"), "[[anchor]] number 2 ('D'): luts: extra inputs are not permitted"),
        (table(accuracy="97.1"), "[[anchor]] number 1 ('A'): accuracy: input should be less than or equal to 1"),
        (table(accuracy="nan"), "[[anchor]] number 1 ('A'): accuracy: input should be a finite number"),
        (table(lut="true"), "[[anchor]] number 1 ('A'): lut: input should be a valid integer"),
        (table(ff="-1"), "[[anchor]] number 1 ('A'): ff: input should be greater than or equal to 0"),
        (table(data='"svhn"'), "[[anchor]] number 1 ('A'): data: input should be 'mnist' or 'cifar10'"),
        (table(stage='"routed"'), "[[anchor]] number 1 ('A'): stage: input should be 'place and route', 'synthesis'"),
        (table(encoder='"yes"'), "[[anchor]] number 1 ('A'): encoder: input should be 'counted', 'not counted' or"),
        (table(url='"arXiv"'), "[[anchor]] number 1 ('A'): url: string should match pattern"),
    ],
)  # fmt: skip
def test_a_broken_file_is_one_line(tmp_path: Path, text: str, fault: str) -> None:
    (path := tmp_path / "one.toml").write_text(text)
    with pytest.raises(UserError, match=f"^{re.escape(f'{path}: {fault}')}.*; {re.escape(FORM)}$") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_name_stands_for_one_design_of_a_data_set(tmp_path: Path) -> None:
    (path := tmp_path / "one.toml").write_text(table() + table(data='"cifar10"'))
    assert [a.data for a in load(path)] == ["mnist", "cifar10"]
    path.write_text(table() * 2)
    message = f"{path}: 2 tables [[anchor]] of mnist are named 'A'; give each its own name"
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        load(path)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(str(tmp_path / 'none.toml'))}: .*; {re.escape(FORM)}$"):
        load(tmp_path / "none.toml")
