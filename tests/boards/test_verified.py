# SPDX-License-Identifier: Apache-2.0
"""The record of a board: what the driver saves there is the ladder's last rung here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.flows.bitstream.verified import take_in
from adiabit.flows.ladder import Rung, RungName, load_rungs
from adiabit.hw import storage
from tests.boards.test_driver import network

GOOD = {"identity": storage.digest(network()), "frames": 30, "equal": 30, "first": None, "measured": {}}


def test_a_record_becomes_the_rung(tmp_path: Path) -> None:
    measured = {"frames_per_second": 1e5, "latency_seconds": 1e-3, "cycles_per_frame": 98.0}
    (tmp_path / "board.json").write_text(json.dumps(GOOD | {"equal": 29, "first": 7, "measured": measured}))
    (folder := tmp_path / "verified").mkdir()
    take_in(tmp_path / "board.json", network(), folder)
    assert load_rungs(folder) == [
        Rung(
            name=RungName.BOARD, frames=30, equal=29, compared="results over the driver",
            difference="frame 7: the board's result differs",
        )
    ]  # fmt: skip
    assert json.loads((folder / "board.json").read_text()) == measured


def test_another_accelerators_record_is_refused(tmp_path: Path) -> None:
    (file := tmp_path / "board.json").write_text(json.dumps(GOOD | {"identity": "0123456789abcdef"}))
    with pytest.raises(UserError) as caught:
        take_in(file, network(), tmp_path)
    assert str(caught.value) == (
        f"{file}: belongs to accelerator 0123456789abcdef, but this run's is {GOOD['identity']}; verify the "
        "bitstream of this run"
    )
    assert not (tmp_path / "rungs.json").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, ""),
        ("[]", "Input should be an object"),
        ("{", "Invalid JSON: EOF while parsing an object at line 1 column 1"),
        (json.dumps(GOOD | {"frames": 0}), "frames: Input should be greater than or equal to 1"),
        (json.dumps(GOOD | {"equal": 31}), "Value error, equal = 31 exceeds frames = 30"),
    ],
)
def test_what_is_no_record_is_told(text: str | None, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "board.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError) as caught:
        take_in(file, network(), tmp_path)
    what = f"not a record of the driver ({reason})" if reason else "No such file or directory"
    assert str(caught.value) == (
        f"{file}: {what}; on the board, python3 -m adiabit_driver NAME.bit --verify vectors.npz --save FILE writes one"
    )
