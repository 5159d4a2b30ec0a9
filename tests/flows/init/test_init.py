# SPDX-License-Identifier: Apache-2.0
"""`adiabit init` writes a project and files for its repository, and over nothing of the user's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.flows import cli
from adiabit.flows.init import project
from adiabit.flows.init.ci import PLACES, Host, texts
from adiabit.flows.init.write import write
from adiabit.flows.recipe import load


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
    assert (tmp_path / "new/project" / PLACES[host]).read_text() == text.replace("recipes/*.toml", "project.toml")


@pytest.mark.parametrize("host", Host)
def test_an_existing_file_is_kept_unless_forced(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    place = Path(PLACES[host])
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("mine")
    assert cli.main(["init", "--ci", host]) == 2
    assert capsys.readouterr().err == f"adiabit: {place}: exists already; keep it, or overwrite it with --force\n"
    assert place.read_text() == "mine"
    assert cli.main(["init", "--ci", host, "--force"]) == 0
    assert place.read_text() != "mine"
    assert list(place.parent.glob(f".{place.name}.*")) == []


@pytest.mark.parametrize(("folder", "name"), [("demo", "demo"), ("My Net/", "my_net"), ("2nd", "net_2nd")])
def test_a_project_has_the_name_of_its_folder(
    folder: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", folder]) == 0
    place = tmp_path / folder
    written = capsys.readouterr().out.splitlines()
    assert sorted(written) == sorted(
        str(Path(folder) / file) for file in (f"{name}.toml", "my_data.py", "my_net.py", "README.md", ".gitignore")
    )
    assert load(place / f"{name}.toml").name == name
    assert "$" not in "".join(path.read_text() for path in place.iterdir())
    assert f"adiabit run {name}.toml" in (place / "README.md").read_text()
    lines = (place / f"{name}.toml").read_text().splitlines()
    assert len([line for line in lines if line and not line.startswith("#")]) < 15


def test_a_project_is_written_over_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place := tmp_path / "demo").mkdir()
    (place / "README.md").write_text("mine")
    assert cli.main(["init", str(place)]) == 2
    assert [path.name for path in place.iterdir()] == ["README.md"]
    assert (
        capsys.readouterr().err
        == f"adiabit: {place}/README.md: exists already; keep it, or overwrite it with --force\n"
    )
    assert cli.main(["init", str(place), "--force"]) == 0
    assert (place / "README.md").read_text().startswith("# demo\n")


def test_every_template_is_used() -> None:
    assert {path.name for path in project.HERE.iterdir() if path.is_file()} == set(project.FILES.values())


@pytest.mark.full
def test_a_new_project_runs_as_written(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "adiabit"]
    subprocess.run([*command, "init", "demo"], cwd=tmp_path, check=True)
    subprocess.run([*command, "check", "demo.toml"], cwd=tmp_path / "demo", check=True)
    figures = json.loads((tmp_path / "demo/build/demo/report/report.json").read_text())
    assert figures["exact"] is True
    assert {rung["name"] for rung in figures["rungs"] if rung["status"] == "equal"} >= {
        "torch",
        "QONNX",
        "RTL simulation",
    }


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
        ([], "init: nothing to write; `adiabit init DIR` writes a project into a new folder"),
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
