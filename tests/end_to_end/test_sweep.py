# SPDX-License-Identifier: Apache-2.0
"""A sweep with real trials: what is killed goes on, and the results are the same."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest

from adiabit.flows import cli
from adiabit.flows.simulate import cosim

BASE = """
[model]
topology = "free"
widths = [12]
[train]
epochs = 3
batch_size = 200
threads = 1
[export]
frames = 100
"""
SWEEP = """
base = "tiny.toml"
[space]
"model.widths" = WIDTHS
"compile.fold.fps" = [20_000, 1_000_000]
"""
KILLS = 20


def sweep(folder: Path, widths: str) -> tuple[Path, Path]:
    """The file of a sweep, and the folder of its results without interruption."""
    file, out = folder / "some.toml", folder / "reference"
    (folder / "tiny.toml").write_text(BASE)
    file.write_text(SWEEP.replace("WIDTHS", widths))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosim, "tool", lambda: None)
        assert cli.main(["sweep", str(file), "--out", str(out)]) == 0
    return file, out


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A sweep of one network in two foldings."""
    return sweep(tmp_path_factory.mktemp("sweep"), "[[4]]")


def results(out: Path) -> dict[str, Any]:
    """What must not depend on interruptions: the figures of each run, and the digests of its networks."""
    found = {}
    for folder in sorted((out / "runs").iterdir()):
        outcome = json.loads((folder / "outcome.json").read_text())
        trained = json.loads((folder / "train" / "stage.json").read_text())["files"]
        found[folder.name] = (outcome["state"], outcome["exact"], outcome["quantities"], trained["model.pt"])
    return found


def test_each_point_is_a_normal_run(two: tuple[Path, Path]) -> None:
    _, reference = two
    found = results(reference)
    assert len(found) == 2
    assert {(state, exact) for state, exact, _, _ in found.values()} == {("finished", True)}
    assert len(list((reference / "stages").glob("train-*"))) == 1  # foldings of a network share its training
    for folder in (reference / "runs").iterdir():
        report = json.loads((folder / "report" / "report.json").read_text())
        assert [rung["status"] for rung in report["rungs"]].count("equal") == 6
        assert report["command"].startswith("adiabit run ")
        assert (folder / "report" / "report.html").exists()
    page = json.loads((reference / "pareto.json").read_text())
    assert [point["state"] for point in page["points"]] == ["finished"] * 2


def test_run_again_every_stage_is_reused(two: tuple[Path, Path]) -> None:
    file, reference = two
    before = {path: path.stat().st_mtime_ns for path in (reference / "stages").iterdir() if path.suffix != ".lock"}
    assert cli.main(["sweep", str(file), "--out", str(reference)]) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    overhead = [json.loads(path.read_text())["overhead"] for path in (reference / "runs").glob("*/outcome.json")]
    assert all(seconds > 0 for seconds in overhead)


@contextmanager
def cluster() -> Iterator[Any]:
    """A head without work, and two machines of one CPU each."""
    from ray.cluster_utils import Cluster

    made: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        made.machines = [made.add_node(num_cpus=1), made.add_node(num_cpus=1)]
        made.wait_for_nodes()
        yield made
    finally:
        made.shutdown()


def start(file: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    """A sweep in a process of its own."""
    command = [sys.executable, "-m", "adiabit", "sweep", str(file), "--out", str(out), *options]
    with (file.parent / "sweep.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def workers() -> list[psutil.Process]:
    """The processes that run our trials."""
    return [process for process in psutil.Process().children(recursive=True) if process.name() == "ray::run"]


def waited(process: subprocess.Popen[bytes], happens: Any) -> None:
    """Wait until something happens while the sweep runs."""
    while not happens():
        assert process.poll() is None, "ended too early"
        time.sleep(0.02)


def test_a_worker_killed_in_training_and_a_lost_machine_lose_nothing(two: tuple[Path, Path], tmp_path: Path) -> None:
    (file, reference), out = two, tmp_path / "out"
    with cluster() as machines:
        process = start(file, out, "--ray", machines.address)
        waited(process, lambda: list(out.glob("stages/.train-*.partial/last.ckpt")))
        workers()[0].kill()
        waited(process, lambda: list(out.glob("runs/*/outcome.json")))
        machines.remove_node(machines.machines.pop(), allow_graceful=False)
        assert process.wait(timeout=400) == 0
    assert results(out) == results(reference)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("where", ["here", "cluster"])
def test_kills_at_random_moments_lose_nothing(tmp_path: Path, where: str) -> None:
    """Driver, worker or machine, one at a time; the sweep is started again whenever its driver was killed."""
    file, reference = sweep(tmp_path, "[[4], [12]]")
    rng, left, round_ = random.Random(where), KILLS, 0  # noqa: S311  # nothing secret is drawn
    while left:
        out = tmp_path / f"out{round_}"
        left -= _killed(file, out, where, rng, left)
        round_ += 1
        assert results(out) == results(reference)


def _killed(file: Path, out: Path, where: str, rng: random.Random, most: int) -> int:
    """Run a sweep to its end with at most so many kills at random moments; how many there were."""
    kills = 0
    place: Any = cluster() if where == "cluster" else nullcontext()
    with place as machines:
        options = ("--ray", machines.address) if machines else ("--jobs", "2")
        process = start(file, out, *options)
        while process.poll() is None and kills < most:
            time.sleep(rng.uniform(1, 15))
            if process.poll() is not None:
                break
            kills += 1
            match rng.choice(["driver", "worker", *(["machine"] if machines else [])]):
                case "driver":
                    process.send_signal(rng.choice([signal.SIGKILL, signal.SIGTERM]))
                    process.wait(timeout=60)
                    process = start(file, out, *options)
                case "worker":
                    for worker in workers()[:1]:
                        worker.kill()
                case "machine":
                    machines.remove_node(machines.machines.pop(0), allow_graceful=False)
                    machines.machines.append(machines.add_node(num_cpus=1))
        assert process.wait(timeout=600) == 0
    return kills
