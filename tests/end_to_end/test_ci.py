# SPDX-License-Identifier: Apache-2.0
"""Continuous integration of a user's repository: the steps of the GitHub Action and of the GitLab job, executed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml
from ruamel.yaml import YAML

from adiabit import __version__
from adiabit.flows.init.ci import Host, texts

ROOT = Path(__file__).parents[2]
RECIPE = """
[model]
topology = "free"
widths = [8]
[train]
epochs = 1
[export]
frames = 10
[compile.fold]
fps = 100_000
[simulate]
stall_frames = 2
[budget]
"""
BASE = (
    "inputs.changed-only == 'true' && (github.event.pull_request.base.sha || github.event.merge_group.base_sha) || ''"
)
EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")


def read(text: str) -> Any:
    return YAML(typ="safe").load(text)


ACTION = read((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
(WORKFLOW,) = texts(Host.GITHUB).values()
(PIPELINE,) = texts(Host.GITLAB).values()


def evaluated(text: str, **values: str) -> str:
    """A text of the action with its expressions replaced; inputs have their defaults."""
    known = {f"inputs.{name}": str(given["default"]) for name, given in ACTION["inputs"].items()}
    known |= {f"inputs.{name.replace('_', '-')}": value for name, value in values.items()} | {BASE: values["BASE"]}
    return EXPRESSION.sub(lambda found: known[found[1]], text)


def run(name: str, place: Path, *, path: Sequence[Path] = (), base: str = "", **values: str) -> int:
    """Run a step as a runner does, in the repository `place`; its exit code.

    The files that a runner would give it are `summary` and `output` beside the repository.
    """
    step = STEPS[name]
    assert step["shell"] == "bash"
    env = {key: evaluated(value, BASE=base, **values) for key, value in step.get("env", {}).items()}
    env |= {"GITHUB_STEP_SUMMARY": str(place.parent / "summary"), "GITHUB_OUTPUT": str(place.parent / "output")}
    cwd = place / evaluated(step.get("working-directory", "."), BASE="", **values)
    script = place.parent / "script.sh"
    script.write_text(step["run"])
    return bash([str(script)], cwd, env, path)


def bash(words: Sequence[str], cwd: Path, env: Mapping[str, str], path: Sequence[Path]) -> int:
    """Run bash as GitHub does; the programs of `path` come first, then those of this environment."""
    ours = [str(Path(sys.executable).parent), os.environ["PATH"]] if os.environ["PATH"] else []
    variables = {
        **os.environ,
        "PATH": os.pathsep.join([*map(str, path), *ours]),
        "PYTHONPATH": str(ROOT / "src"),
        **env,
    }
    shell = shutil.which("bash", path=os.defpath)
    assert shell is not None
    command = [shell, "--noprofile", "--norc", "-eo", "pipefail", *words]
    return subprocess.run(command, cwd=cwd, env=variables).returncode


def git(place: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *words], cwd=place, capture_output=True, text=True, check=True)  # noqa: S607
    return done.stdout.strip()


def commit(place: Path, files: Mapping[str, str]) -> str:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    git(place, "add", "-A", *files)
    git(place, "commit", "-q", "-m", "x")
    return git(place, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "repository"
    place.mkdir()
    git(place, "init", "-q", "-b", "main")
    return place


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A folder for programs that only record how they were called, in the file `calls` beside it."""
    place = tmp_path / "bin"
    place.mkdir()
    return place


def stub(place: Path, *names: str, then: str = "") -> None:
    for name in names:
        (place / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{place.parent}/calls"\n{then}\n')
        (place / name).chmod(0o755)


def calls(place: Path) -> list[str]:
    path = place.parent / "calls"
    return path.read_text().splitlines() if path.exists() else []


def outcome(place: Path) -> tuple[str, list[str]]:
    """Run the step that shows the outcome; the summary's headings and the failed recipes."""
    for name in ("summary", "output"):
        (place.parent / name).unlink(missing_ok=True)
    assert run("Show the outcome", place, working_directory="hw") == 0
    heads = [line for line in (place.parent / "summary").read_text().splitlines() if not line.startswith(("|", " "))]
    ((name, value),) = [line.split("=", 1) for line in (place.parent / "output").read_text().splitlines()]
    assert ACTION["outputs"][name]["value"] == "${{ steps.outcome.outputs.failed }}"
    return "".join(heads), json.loads(value)


def test_the_action_checks_a_repository(repository: Path) -> None:
    """Nothing here is a stand-in: the recipe is trained, compiled, simulated and synthesized."""
    recipes = {"hw/recipes/tiny.toml": RECIPE + "cycles = 1000\n", "hw/recipes/broken.toml": "unknown = 1\n"}
    base = commit(repository, recipes)
    assert run("Check", repository, working_directory="hw") == 2
    assert outcome(repository) == (
        "## broken: **no result**`recipes/broken.toml`## tiny: passed", ["recipes/broken.toml"]
    )  # fmt: skip
    place = repository / evaluated(ACTION["outputs"]["results"]["value"], BASE="", working_directory="hw")
    junit = JUnitXml.fromfile(str(place / "junit.xml"))
    assert (junit.errors, junit.failures) == (1, 0)
    assert "</html>" in (place / "tiny/report.html").read_text()

    texts = {"hw/recipes/tiny.toml": RECIPE + "cycles = 10\n", "hw/recipes/broken.toml": "", "README.md": "text"}
    commit(repository, texts)
    git(repository, "rm", "-q", "hw/recipes/broken.toml")
    over = commit(repository, {"README.md": "more"})
    assert run("Check", repository, working_directory="hw", base=base) == 1
    assert outcome(repository) == ("## tiny: **failed**", ["recipes/tiny.toml"])
    assert (place / "tiny/badge.json").exists()

    commit(repository, {"README.md": "other"})
    assert run("Check", repository, working_directory="hw", base=over) == 0
    assert outcome(repository) == ("No recipe was checked.", [])
    assert JUnitXml.fromfile(str(place / "junit.xml")).tests == 0


def test_the_action_fetches_what_a_shallow_clone_lacks(repository: Path, recorded: Path) -> None:
    base = commit(repository, {"a": "1"})
    commit(repository, {"a": "2", "recipes/a.toml": ""})
    shallow = repository.parent / "shallow"
    git(repository, "clone", "-q", "--depth=1", f"file://{repository}", str(shallow))
    stub(recorded, "adiabit")
    recipes = "recipes/*.toml other/**/b?.toml\nlast.toml"
    assert run("Check", shallow, path=[recorded], base=base, recipes=recipes) == 0
    assert git(shallow, "cat-file", "-t", base) == "commit"
    words = "recipes/*.toml other/**/b?.toml last.toml"
    assert calls(recorded) == [f"adiabit check {words} --changed-since {base} --results adiabit-results"]
    assert run("Check", shallow, path=[recorded], base="0" * 40) == 0  # adiabit then checks all
    assert git(repository, "rev-list", "--count", "HEAD") == "2"
    assert run("Check", repository, path=[recorded], base=base) == 0
    assert git(repository, "rev-list", "--count", "HEAD") == "2"  # a full clone stays one


def test_the_outcome_of_a_check_that_did_not_begin_is_its_own_message(repository: Path) -> None:
    assert run("Check", repository) == 2
    assert run("Show the outcome", repository) == 0
    assert not (repository.parent / "output").exists()


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({}, "adiabit[all]"),
        ({"version": "0.1.0"}, "adiabit[all]==0.1.0"),
        ({"package": "./a b[all]"}, "./a b[all]"),
    ],
)
def test_the_action_installs_the_package(repository: Path, recorded: Path, inputs: dict[str, str], told: str) -> None:
    stub(recorded, "python")
    assert run("Install adiabit", repository, path=[recorded], **inputs) == 0
    assert calls(recorded) == [f"python -m pip install --disable-pip-version-check {told}"]


@pytest.mark.parametrize(("user", "called"), [("0", ["apt-get"]), ("1000", ["sudo", "apt-get"])])
def test_the_action_installs_missing_system_packages(
    repository: Path, recorded: Path, monkeypatch: pytest.MonkeyPatch, user: str, called: list[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    stub(recorded, "g++", "make", "perl", "apt-get")
    stub(recorded, "sudo", then='exec "$@"')
    stub(recorded, "id", then=f"echo {user}")
    assert run("Install system packages", repository, path=[recorded]) == 0
    told = calls(recorded)
    assert [line.split()[0] for line in told] == ["id", *called * 2]
    assert told[-1] == "apt-get -qq install -y g++ make perl ccache"
    stub(recorded, "ccache")
    assert run("Install system packages", repository, path=[recorded]) == 0
    assert calls(recorded)[len(told) :] == ["perl -MFindBin -e 1"]
    stub(recorded, "perl", then="exit 2")  # without its modules
    assert run("Install system packages", repository, path=[recorded]) == 0
    assert calls(recorded)[-1] == told[-1]


def test_no_script_holds_an_expression() -> None:
    """What a pull request brings, e.g. the name of a branch, would become a command."""
    assert [name for name, step in STEPS.items() if "${{" in step.get("run", "")] == []


def test_stages_are_saved_where_they_are_restored_and_whatever_a_check_says() -> None:
    restore, save = STEPS["Restore stages"]["with"], STEPS["Save stages"]["with"]
    assert (restore["path"], restore["key"]) == (save["path"], save["key"])
    assert "inputs.working-directory }}/build" in save["path"]
    assert all(restore["key"].startswith(key) for key in restore["restore-keys"].splitlines())
    assert "github.run_id" in restore["key"]  # a key is written once
    order = list(STEPS)
    for name in ("Show the outcome", "Save stages", "Upload results"):
        assert "!cancelled()" in STEPS[name]["if"]
        assert order.index(name) > order.index("Check")
    assert order.index("Restore stages") < order.index("Check")


def test_the_workflow_uses_the_action_of_this_version() -> None:
    _, step = read(WORKFLOW)["jobs"]["check"]["steps"]
    assert step["uses"] == f"adiabit/adiabit@v{__version__}"
    assert step["with"]["version"] == __version__
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert step["with"]["recipes"] == ACTION["inputs"]["recipes"]["default"]


def test_the_gitlab_job_runs_a_check(repository: Path, recorded: Path) -> None:
    job = read(PIPELINE)["adiabit"]
    stub(recorded, "adiabit", "python", "apt-get")
    commit(repository, {"recipes/a.toml": ""})
    given = {"CI_PROJECT_DIR": str(repository), "CI_MERGE_REQUEST_DIFF_BASE_SHA": "abc"}
    env = {k: v.replace("$CI_PROJECT_DIR", str(repository)) for k, v in job["variables"].items()} | given
    script = "\n".join([*job["before_script"], *job["script"]])
    stub(recorded, "g++", "make", "perl", "ccache", "git")
    assert bash(["-c", script], repository, env, [recorded]) == 0
    (results,) = job["artifacts"]["paths"]
    assert calls(recorded) == [
        f"python -m pip install --disable-pip-version-check adiabit[all]=={__version__}",
        f"adiabit check recipes/*.toml --changed-since abc --results {results}",
    ]
    assert job["artifacts"]["reports"]["junit"] == f"{results}/junit.xml"
    assert job["artifacts"]["when"] == job["cache"]["when"] == "always"
    for name in ("PIP_CACHE_DIR", "CCACHE_DIR"):
        assert env[name].removeprefix(f"{repository}/") in job["cache"]["paths"]


def documents() -> dict[str, tuple[str, str]]:
    """The name of the schema and the text of each YAML document of ours, by its place."""
    found = {
        "action.yml": ("vendor.github-actions", (ROOT / "action.yml").read_text()),
        "github.yml": ("vendor.github-workflows", WORKFLOW),
        "gitlab.yml": ("vendor.gitlab-ci", PIPELINE),
    }
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/ci.md").read_text(), re.DOTALL)):
        schema = "vendor.github-workflows" if "jobs" in read(text) else "vendor.gitlab-ci"
        found[f"docs/ci.md, example {number}"] = (schema, text)
    return found


@pytest.mark.parametrize(("schema", "text"), documents().values(), ids=documents())
def test_the_hosts_schemas_hold(schema: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "file.yml").write_text(text)
    transform = ["--data-transform", "gitlab-ci"] if schema == "vendor.gitlab-ci" else []
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        schema,
        *transform,
        tmp_path / "file.yml",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
