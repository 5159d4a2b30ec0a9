# SPDX-License-Identifier: Apache-2.0
"""Whatever a path turns out to be, it is told in one line and never waited for."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from adiabit import files
from adiabit.errors import UserError


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("é")
    assert files.read_text(path, "x") == "é"
    assert files.read_bytes(path, "x") == "é".encode()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("missing", "No such file or directory"),
        ("link", "a link to gone, which does not exist"),
        ("folder", "a folder, not a file"),
        ("fifo", "a pipe or a device, not a file"),
        ("binary", r"not text \(invalid start byte at byte 1\)"),
        ("long", "16,777,217 bytes; at most 16,777,216 are read"),
        ("below a file", "Not a directory"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_remedy(tmp_path: Path, kind: str, told: str) -> None:
    path = tmp_path / "a"
    if kind == "link":
        path.symlink_to("gone")
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "binary":
        path.write_bytes(b"a\xff")
    elif kind == "long":
        path.write_bytes(b" " * (files.TEXT + 1))
    elif kind == "below a file":
        path.write_text("")
        path = path / "b"
    with pytest.raises(UserError, match=f"^{path}: {told}; give another$"):
        files.read_text(path, "give another")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    files.write_text(path, "é\n")

    def full(aside: Path, text: str, **_: object) -> None:
        aside.touch()  # and there it ends
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left") as caught:
        files.write_text(path, "other")
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == "é\n".encode()


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    (path := tmp_path / "table.csv").mkdir()
    with pytest.raises(UserError, match=f"^{path}: a folder, not a file; delete it and run again$"):
        files.write_text(path, "other")
    assert list(tmp_path.iterdir()) == [path]


def test_a_device_and_a_nul_are_refused() -> None:
    with pytest.raises(UserError, match="/dev/zero: a pipe or a device"):
        files.read_bytes(Path("/dev/zero"), "x")
    with pytest.raises(UserError, match="null"):
        files.read_bytes(Path("a\0b"), "x")
