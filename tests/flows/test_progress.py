# SPDX-License-Identifier: Apache-2.0
"""Progress of long work, and how the command line shows it."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from adiabit.flows.cli import displays
from adiabit.flows.progress import Done, counted, counting, shown_by
from adiabit.flows.toolchain import run_tools


class Seen(dict[str, tuple[float, float | None]]):
    """A display that keeps how much of how much was done, by the work's name."""

    @contextmanager
    def __call__(self, what: str, total: float | None) -> Iterator[Done]:
        """See :data:`adiabit.flows.progress.Display`."""
        self[what] = 0, total

        def done(more: float) -> None:
            self[what] = self[what][0] + more, total

        yield done


def test_without_a_display_nothing_happens(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("frames", 3) as done:
        done(1)
    assert list(counted("frames", "ab", 2)) == ["a", "b"]
    assert capsys.readouterr() == ("", "")


def test_a_display_sees_what_is_done_while_it_is_there() -> None:
    seen = Seen()
    with shown_by(seen):
        with counting("frames", 3) as done:
            done(1)
            done(2)
        assert list(counted("stages", [1, 2], 2)) == [1, 2]
    with counting("later", 1):
        pass
    assert seen == {"frames": (3, 3), "stages": (2, 2)}


def test_a_log_has_a_line_now_and_then() -> None:
    stream, now = io.StringIO(), [0.0]
    with displays.lines(stream, lambda: now[0])("frames", 10_000) as done:
        for _ in range(100):
            now[0] += 1
            done(100)
    told = [f"frames: {k},000 of 10,000, {left} left" for k, left in ((3, "1:10"), (6, "0:40"), (9, "0:10"))]
    assert stream.getvalue().splitlines() == told
    with displays.lines(stream, lambda: now[0])("compiles", None) as done:
        now[0] += 100
    assert stream.getvalue().count("\n") == 3


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (61.4, "1:01"), (3600, "1:00:00"), (4000, "1:06:40")])
def test_times_are_words(seconds: float, text: str) -> None:
    assert displays.words(seconds) == text


def test_bars_vanish_and_work_may_be_part_of_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(displays, "Console", lambda file: Console(file=file, force_terminal=True, width=80))
    show = displays.bars(stream)
    with show("outer", 2) as outer, show("inner", None) as inner:
        outer(1)
        inner(1)
    text = stream.getvalue()
    assert "outer" in text
    assert "0/2" in text
    assert "inner" in text
    assert text.endswith("\x1b[1A\x1b[2K")  # erased


def test_tools_are_watched_while_they_run(tmp_path: Path) -> None:
    calls = []
    commands = [([sys.executable, "-c", "import time; time.sleep(0.3)"], tmp_path / "log")]
    for _ in run_tools(commands, cwd=tmp_path, meanwhile=lambda: calls.append(1)):
        pass
    assert len(calls) > 3


def test_slices_of_a_simulation_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in this process; what the processes of others have found is counted by their files."""
    from adiabit.flows.simulate import passes
    from adiabit.flows.simulate.runs import Span
    from tests.hw.rtl.chain import B, Chain

    accelerator = Chain("x", (8,), 1, B, 8)
    monkeypatch.setattr(passes, "work_of", lambda *_: 0)
    monkeypatch.setattr(passes, "_run", lambda *arguments: arguments[3])
    simulator = type("Simulator", (), {"who": "RTL"})()
    made = passes.Passes(tmp_path, accelerator, np.zeros((9, 8)), simulator, tmp_path, 1)  # type: ignore[arg-type]  # stubs
    seen = Seen()
    with shown_by(seen):
        made.run_all([Span(end=4), Span(start=3, end=9)])
    assert seen == {"RTL simulation, frames": (10, 10)}
