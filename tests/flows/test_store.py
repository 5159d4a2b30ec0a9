# SPDX-License-Identifier: Apache-2.0
"""Stage folders: reused when nothing changed, resumed or made anew after a kill, never half-written."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from adiabit.errors import UserError
from adiabit.flows.store import MANIFEST, Store, differences, file_digest, folder_digest, identity, lock, versions


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


def test_a_plain_name_leads_to_the_folder_used_last(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for key in (1, 2, 1):  # made, made, reused
        made = store.stage("emit", {"a": key}, write)
        assert (tmp_path / "emit").readlink() == Path(made.folder.name)
    assert (tmp_path / "emit" / "result").read_text() == "done"
    assert not list(tmp_path.glob(".emit.*"))


def test_a_users_own_folder_of_a_stages_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "emit").mkdir()
    (tmp_path / "emit" / "mine").write_text("kept")
    Store(tmp_path).stage("emit", {}, write)
    assert [p.name for p in (tmp_path / "emit").iterdir()] == ["mine"]


def test_a_file_system_without_links_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert Store(tmp_path).stage("emit", {}, write).folder.exists()
    assert not (tmp_path / "emit").exists()


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

    with pytest.raises(UserError, match=f"{tmp_path}: in use by another adiabit run; wait for it or use another --out"):
        store.stage("emit", {}, reenter)


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "result").write_text("dome"), "result has changed"),
        (lambda f: (f / "result").write_text(""), "result has changed"),
        (lambda f: (f / "result").unlink(), "result is missing"),
        (lambda f: ((f / "result").unlink(), (f / "result").mkdir()), "result is missing"),
        (lambda f: (f / MANIFEST).write_text("{"), "stage.json is damaged"),
        (lambda f: (f / MANIFEST).write_text("[]"), "stage.json is damaged"),
        (lambda f: (f / MANIFEST).write_text('{"seconds": "x", "files": {}}'), "stage.json is damaged"),
        (lambda f: (f / MANIFEST).write_bytes(b"\xff"), "stage.json is damaged"),
        (lambda f: (f / MANIFEST).write_text("[" * 100_000), "stage.json is damaged"),
        (lambda f: (f / MANIFEST).unlink(), "stage.json is damaged"),
        (lambda f: ((f / MANIFEST).unlink(), (f / MANIFEST).mkdir()), "stage.json is damaged"),
    ],
)
def test_a_folder_that_was_changed_is_set_aside_and_made_anew(tmp_path: Path, damage: Damage, told: str) -> None:
    lines: list[str] = []
    store = Store(tmp_path, lines.append)
    before = store.stage("emit", {}, write)
    damage(before.folder)
    made = store.stage("emit", {}, write)
    assert not made.reused
    assert (made.folder / "result").read_text() == "done"
    assert len(lines) == 1
    assert told in lines[0]
    assert f"set aside as {made.folder.name}.changed, the stage is made again" in lines[0]
    assert (tmp_path / f"{made.folder.name}.changed").is_dir()
    assert store.stage("emit", {}, never).reused


def test_what_lies_beside_a_stages_files_does_not_matter(tmp_path: Path) -> None:
    made = Store(tmp_path).stage("emit", {}, write)
    (made.folder / "notes").write_text("mine")
    assert Store(tmp_path).stage("emit", {}, never).reused


def test_what_was_made_anew_and_is_the_same_keeps_its_identity(tmp_path: Path) -> None:
    def logged(text: str, log: str) -> Callable[[Path], None]:
        def make(folder: Path) -> None:
            (folder / "result").write_text(text)
            (folder / "tool.log").write_text(log)

        return make

    store = Store(tmp_path)
    found = [
        identity(store.stage("emit", {}, logged(text, log), fresh=True).folder)
        for text, log in (("a", "at noon"), ("a", "at one"), ("b", "at one"))
    ]
    assert found[0] == found[1] != found[2]


def obstruct(path: Path, kind: str) -> None:
    """Put something in the place of a file or a folder."""
    match kind:
        case "folder":
            path.mkdir()
        case "file":
            path.write_text("")
        case "link":
            path.symlink_to("gone")
        case "fifo":
            os.mkfifo(path)


@pytest.mark.parametrize("kind", ["folder", "link", "fifo"])
def test_a_lock_that_is_no_file_is_told_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    obstruct(path := tmp_path / ".lock", kind)
    with (
        pytest.raises(
            UserError, match=f"^{path}: not a regular file, so it cannot be locked; delete it and run again$"
        ),
        lock(path),
    ):
        raise AssertionError("locked")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_stands_in_a_stages_place_is_told_before_the_work(tmp_path: Path, kind: str) -> None:
    store = Store(tmp_path)
    made = store.stage("emit", {}, write).folder
    shutil.rmtree(made)
    obstruct(made, kind)
    with pytest.raises(UserError, match=f"^{made}: not the folder of a stage; delete it and run again$"):
        store.stage("emit", {}, never)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_stands_in_an_unfinished_stages_place_is_told(tmp_path: Path, kind: str) -> None:
    store = Store(tmp_path)
    made = store.stage("emit", {}, write).folder
    shutil.rmtree(made)
    obstruct(partial := tmp_path / f".{made.name}.partial", kind)
    with pytest.raises(UserError, match=f"^{partial}: cannot make this folder .*; use another --out$"):
        store.stage("emit", {}, never)


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").write_text("one")
    before = folder_digest(tmp_path)
    (tmp_path / "b" / "file").rename(tmp_path / "b" / "other")
    assert folder_digest(tmp_path) != before
    with pytest.raises(UserError, match="no: No such file or directory; give the path of a readable file"):
        file_digest(tmp_path / "no")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"pipe: a pipe or a device, not a file; give the path of a readable file"):
        file_digest(tmp_path / "pipe")
    assert versions("numpy", "no-such-distribution")["no-such-distribution"] == "missing"


def test_a_place_that_cannot_be_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"file.*: cannot make this folder .*; use another --out"):
            Store(root).stage("emit", {}, lambda _: None)


def test_what_differs_between_two_keys_is_told() -> None:
    before = {
        "fold": {"fps": 1, "luts": None},
        "from": {"export": ["a"]},
        "source": "1",
        "tools": {"onnx": "1.16"},
        "old": 1,
    }
    now = {
        "fold": {"fps": 2, "luts": None},
        "from": {"export": ["b"]},
        "source": "2",
        "tools": {"onnx": "1.17"},
        "new": "x" * 99,
    }
    assert differences(before, before) == []
    *told, long, gone = differences(before, now)
    assert told == [
        "fold.fps changed from 1 to 2",
        "the result of export changed",
        "the sources of adiabit that it runs changed",
        "tools.onnx changed from '1.16' to '1.17'",
    ]
    assert long.startswith("new changed from None to 'xxx")
    assert len(long) < 100
    assert gone == "old changed from 1 to None"


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (lambda _: None, "there is no folder of it"),
        (lambda place: make(place, {"a": 1}), "a changed from 1 to 2"),
        (lambda place: shutil.rmtree(make(place, {"a": 2})), "there is no folder of it"),
    ],
)
def test_why_a_stage_is_made_is_logged(
    before: Callable[[Path], object], told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before(tmp_path)
    with caplog.at_level("INFO", "adiabit"):
        caplog.clear()
        make(tmp_path, {"a": 2})
        make(tmp_path, {"a": 2})
    assert caplog.messages == [f"train: not reused, because {told}"]


def make(place: Path, key: dict[str, int]) -> Path:
    return Store(place, lambda _: None).stage("train", key, lambda _: None).folder
