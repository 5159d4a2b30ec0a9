# SPDX-License-Identifier: Apache-2.0
"""`adiabit init` writes files into a repository, and over nothing of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.flows import cli
from adiabit.flows.init.ci import PLACES, Host, texts
from adiabit.flows.init.write import write


@pytest.mark.parametrize("host", Host)
def test_the_file_of_a_host_is_written_where_the_host_reads_it(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (text,) = texts(host).values()
    assert cli.main(["init", "--ci", host]) == 0
    assert capsys.readouterr().out == f"{PLACES[host]}\n"
    assert Path(PLACES[host]).read_text() == text
    assert cli.main(["init", "new/project", "--ci", host]) == 0
    assert (tmp_path / "new/project" / PLACES[host]).read_text() == text


@pytest.mark.parametrize("host", Host)
def test_an_existing_file_is_kept_unless_forced(host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / PLACES[host]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("mine")
    assert cli.main(["init", str(tmp_path), "--ci", host]) == 2
    assert capsys.readouterr().err == f"adiabit: {place}: exists already; keep it, or overwrite it with --force\n"
    assert place.read_text() == "mine"
    assert cli.main(["init", str(tmp_path), "--ci", host, "--force"]) == 0
    assert place.read_text() != "mine"
    assert list(place.parent.glob(f".{place.name}.*")) == []


def test_all_files_are_written_or_none(tmp_path: Path) -> None:
    (tmp_path / "b").symlink_to("gone")
    with pytest.raises(UserError, match=f"^{tmp_path}/b: exists already"):
        write(tmp_path, {"sub/a": "1", "b": "2"}, force=False)
    (tmp_path / "b").unlink()
    (tmp_path / "b").mkdir()
    with pytest.raises(UserError, match=f"^{tmp_path}/b: a folder, where a file is to be written; move it away"):
        write(tmp_path, {"sub/a": "1", "b": "2"}, force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
    (tmp_path / "b").rmdir()
    assert write(tmp_path, {"sub/a": "1", "b": "2"}, force=False) == [tmp_path / "sub/a", tmp_path / "b"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "init: nothing to write; choose with --ci github or --ci gitlab"),
        (["--ci", "hub"], "'hub' is not one of 'github', 'gitlab'"),
        (["file", "--ci", "gitlab"], "file: cannot make this folder (File exists); use another DIR"),
    ],
)
def test_a_fault_is_one_line(
    options: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    assert cli.main(["init", *options]) == 2
    told_lines = capsys.readouterr().err.splitlines()
    assert len(told_lines) == 1
    assert told in told_lines[0]
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
