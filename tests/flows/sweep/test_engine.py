# SPDX-License-Identifier: Apache-2.0
"""The engine runs tasks here, in parallel, and on a cluster whose workers and machines are lost."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adiabit.errors import UserError
from adiabit.flows.sweep.engine import Engine, Here, opened


def square(number: int) -> int:
    return number * number


def refuse(text: str) -> int:
    raise UserError(text)


def linger(number: int, folder: Path) -> int:
    """The first time, note the process and wait to be killed; later, return at once."""
    mark = folder / f"{number}.pid"
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        time.sleep(300)
    return number


def all_of(engine: Engine[int, int]) -> dict[int, int]:
    return dict(engine.next() for _ in range(engine.busy))


def waited(folder: Path, count: int) -> list[int]:
    """The processes of that many tasks."""
    deadline = time.monotonic() + 120
    while len(marks := [mark for mark in folder.glob("*.pid") if mark.read_text()]) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [int(mark.read_text()) for mark in marks]


def test_one_job_runs_in_this_process() -> None:
    with opened() as engine:
        assert isinstance(engine, Here)
        assert engine.free == 1
        engine.give(3, square, 3)
        assert (engine.free, engine.busy) == (0, 1)
        assert engine.next() == (3, 9)
        engine.give(0, refuse, "no")
        with pytest.raises(UserError, match="no"):
            engine.next()


def test_several_jobs_and_a_killed_worker(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with opened(2) as engine:
        assert signal.getsignal(signal.SIGTERM) is before
        assert engine.free == 2
        for number in range(4):
            engine.give(number, square, number)
        assert all_of(engine) == {0: 0, 1: 1, 2: 4, 3: 9}
        for number in (5, 6):
            engine.give(number, linger, number, tmp_path)
        for process in waited(tmp_path, 2):
            os.kill(process, signal.SIGKILL)
        assert all_of(engine) == {5: 5, 6: 6}
        engine.give(0, refuse, "no such thing")
        with pytest.raises(UserError, match="^no such thing$"):
            engine.next()


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without work, and two machines of one CPU each."""
    from ray.cluster_utils import Cluster

    path = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[3]), path])  # for the tasks above
    made: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.machines = [made.add_node(num_cpus=1), made.add_node(num_cpus=1)]
    made.wait_for_nodes()
    yield made
    made.shutdown()
    os.environ["PYTHONPATH"] = path


def test_a_cluster_that_loses_a_machine(cluster: Any, tmp_path: Path) -> None:
    with opened(address=cluster.address) as engine:
        assert engine.free == 2
        for number in (1, 2):
            engine.give(number, linger, number, tmp_path)
        waited(tmp_path, 2)
        cluster.remove_node(cluster.machines.pop(), allow_graceful=False)
        os.kill(the_survivor(waited(tmp_path, 2)), signal.SIGKILL)
        assert all_of(engine) == {1: 1, 2: 2}


def the_survivor(processes: list[int]) -> int:
    """The process that is left once that of the lost machine has ended, which takes a moment."""
    deadline = time.monotonic() + 120
    while len(left := [process for process in processes if _lives(process)]) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return left[0]


def _lives(process: int) -> bool:
    try:
        return "linger" in Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return False


def test_no_cluster_is_told() -> None:
    with pytest.raises(UserError, match=r"^ray 127.0.0.1:1: .*; start a cluster with `ray start --head`"):
        opened(address="127.0.0.1:1").__enter__()


def test_ray_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"ray: not installed; several jobs need it; install it: pip install 'adiabit"):
        opened(2).__enter__()
