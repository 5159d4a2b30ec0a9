# SPDX-License-Identifier: Apache-2.0
"""Stage folders: reused when nothing changed, resumed or made anew after a kill, never half-written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.flows.store import MANIFEST, Store, file_digest, source_digest, versions


def write(folder: Path) -> None:
    (folder / "result").write_text("done")


def fail(folder: Path) -> None:
    (folder / "half").write_text("")
    raise KeyboardInterrupt


def never(folder: Path) -> None:
    raise AssertionError(f"{folder} was made although it could be reused")


def test_the_same_key_is_reused_and_another_is_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.stage("emit", {"a": 1}, write)
    again = store.stage("emit", {"a": 1}, never)
    other = store.stage("emit", {"a": 2}, write)
    assert (first.reused, again.reused, other.reused) == (False, True, False)
    assert first.folder == again.folder != other.folder
    assert again.seconds == pytest.approx(first.seconds, abs=1e-3)
    assert not store.stage("emit", {"a": 1}, write, fresh=True).reused


def test_a_killed_stage_is_never_seen_and_made_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.stage("emit", {}, fail)
    assert not list(tmp_path.glob("emit-*"))
    made = store.stage("emit", {}, write)
    assert sorted(p.name for p in made.folder.iterdir()) == ["result", MANIFEST]


def test_a_stage_that_resumes_finds_what_it_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.stage("train", {}, fail, resumes=True)
    made = store.stage("train", {}, write, resumes=True)
    assert (made.folder / "half").exists()


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def reenter(folder: Path) -> None:
        store.stage("emit", {}, write)

    with pytest.raises(UserError, match="another adiabit run is making this stage"):
        store.stage("emit", {}, reenter)


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = store.stage("emit", {}, write)
    (made.folder / MANIFEST).write_text("{")
    with pytest.raises(UserError, match="stage.json: damaged .*delete the folder"):
        store.stage("emit", {}, write)


def test_digests(tmp_path: Path) -> None:
    assert source_digest("hw") == source_digest("hw") != source_digest("boards")
    with pytest.raises(UserError, match="no: No such file or directory; give the path of a readable file"):
        file_digest(tmp_path / "no")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"pipe: a pipe or a device, not a file; give the path of a readable file"):
        file_digest(tmp_path / "pipe")
    assert versions("numpy", "no-such-distribution")["no-such-distribution"] == "missing"


def test_a_place_that_cannot_be_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"file.*: no folder can be made there .*; use another --out"):
            Store(root).stage("emit", {}, lambda _: None)
