# SPDX-License-Identifier: Apache-2.0
"""`adiabit clean` sees what stores have left, removes what is asked for, and touches nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adiabit.flows import cli
from adiabit.flows.clean import State, clear, find
from adiabit.flows.store import MANIFEST, Store, lock


def made(store: Store, stage: str, value: int) -> Path:
    def make(folder: Path) -> None:
        (folder / "a").write_text("x" * 1000)

    return store.stage(stage, {"value": value}, make).folder


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder build of a user: a run, and files of the user's that look much like ours."""
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "build" / "net"
    store = Store(out, lambda _: None)
    made(store, "compile", 1)
    (aside := made(store, "emit", 3) / "a").write_text("changed")
    made(store, "emit", 3)
    made(store, "compile", 2)
    (out / ".train-0123456789ab.partial").mkdir()
    (out / ".train-0123456789ab.lock").touch()
    (out / ".synthesize-0123456789ab.lock").touch()
    (out / "mapped").mkdir()
    (out / "mapped" / f"{'0' * 32}.json").write_text("{}")
    assert aside.exists()
    for name in ("report", "emit-0123456789ab", "mine-aaaaaaaaaaaa", "notes-of-today"):
        (out / name).mkdir()
        (out / name / MANIFEST).write_text('{"stage": "other"}')
    (out / ".emit-0123456789ab.lock").touch()  # its stage.json is damaged
    (tmp_path / "build" / "mapped").mkdir()
    return tmp_path / "build"


OURS = {State.CURRENT: 2, State.STALE: 1, State.ASIDE: 1, State.UNFINISHED: 1, State.CACHE: 1}


def states(place: Path) -> dict[State, int]:
    found = [item.state for item in find([place])]
    return {state: found.count(state) for state in State if state in found}


def mine(build: Path) -> set[str]:
    names = ("report", "emit-0123456789ab", "mine-aaaaaaaaaaaa", "notes-of-today")
    return {name for name in names if (build / "net" / name / MANIFEST).exists()} | {
        name for name in ("mapped",) if (build / name).exists()
    }


def test_each_folder_of_a_store_has_its_state(build: Path) -> None:
    assert states(build) == states(build / "net") == OURS
    assert {item.stage for item in find([build])} == {"compile", "emit", "train", "mapped"}
    assert all(item.bytes > 0 or item.state is State.UNFINISHED for item in find([build]))


def test_listing_removes_nothing(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options in ([], ["--stale", "--dry-run"], ["--all", "--dry-run"]):
        assert cli.main(["clean", *options]) == 0
        assert states(build) == OURS
    assert "would be removed: 6 folders" in capsys.readouterr().out


def test_stale_removes_what_no_link_points_to(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["clean", "--stale", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sorted(item["state"] for item in told["result"]) == ["aside", "stale"]
    assert all(item["removed"] for item in told["result"])
    assert states(build) == {state: n for state, n in OURS.items() if state not in (State.STALE, State.ASIDE)}
    assert (build / "net" / "compile" / "a").exists()
    assert len(mine(build)) == 5


def test_all_removes_every_stage_and_nothing_of_the_users(build: Path) -> None:
    assert cli.main(["clean", "--all", "build/net"]) == 0
    assert states(build) == {}
    assert len(mine(build)) == 5
    assert not [path for path in (build / "net").iterdir() if path.is_symlink()]


def test_what_a_sweep_shares_is_current_where_a_trial_links_to_it(tmp_path: Path) -> None:
    shared = tmp_path / "stages"
    for trial in ("a", "b"):
        (links := tmp_path / "runs" / trial).mkdir(parents=True)
        made(Store(shared, links=links), "train", ord(trial))
    made(Store(shared, links=tmp_path / "runs" / "b"), "train", 1)
    assert states(tmp_path) == {State.CURRENT: 2, State.STALE: 1}
    assert clear(find([tmp_path]), {State.STALE})
    assert states(tmp_path) == {State.CURRENT: 2}


@pytest.mark.parametrize("name", ["net/.compile-aaaaaaaaaaaa.lock", "net/.lock", ".lock"])
def test_nothing_is_removed_where_another_run_is_at_work(
    name: str, build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with lock(build / name):
        assert cli.main(["clean", "--all"]) == 2
    assert "in use by another adiabit run" in capsys.readouterr().err
    assert states(build) == OURS


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli.main(["clean"]) == 2
    assert capsys.readouterr().err == (
        "adiabit: build: no such folder; give the folder of a run, build/NAME, or one above it\n"
    )
    assert cli.main(["clean", "--all", "--stale"]) == 2
