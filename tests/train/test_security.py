# SPDX-License-Identifier: Apache-2.0
"""What listens while several processes train, and what becomes of what an attacker writes there."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import distributed
from torch._C._distributed_c10d import TCPStore  # torch.distributed has it, untyped

from adiabit.train import loop, resume
from adiabit.train.config import ModelConfig, TrainConfig
from adiabit.train.data.mnist import Digits
from adiabit.train.rendezvous import Rendezvous
from adiabit.train.task import Task
from tests.train.sockets import family, listening

SMALL = ModelConfig(topology="free", widths=(32, 16))


class Attack:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def _fit(folder: Path, machine: int, place: str, epochs: int, machines: int) -> None:
    train = TrainConfig(epochs=epochs, batch_size=100, threads=1, devices=2 // machines, machines=machines)
    rendezvous = Rendezvous(machine=machine, place=place)
    loop.fit(Digits(), SMALL, train, folder, progress=False, quiet=True, rendezvous=rendezvous)


@contextmanager
def training(folder: Path, *, place: str = "", machines: int = 1, epochs: int = 10_000) -> Iterator[list[Any]]:
    """Machines that train until the context ends."""
    context = multiprocessing.get_context("spawn")
    started = []
    for machine in range(machines):
        (own := folder / str(machine)).mkdir()
        started.append(context.Process(target=_fit, args=(own, machine, place, epochs, machines)))
        started[-1].start()
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.join()


def trains(folder: Path, process: Any) -> bool:
    """Wait for the first epoch."""
    while process.is_alive() and not (folder / "0" / resume.LAST).exists():
        time.sleep(0.05)
    return bool(process.is_alive())


def test_processes_of_one_machine_listen_on_loopback_alone(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    with training(tmp_path) as (process,):
        assert trains(tmp_path, process)
        members = family(process.pid)
        sockets = listening(process.pid)
        for address, port in sockets:
            with socket.create_connection((address, port), timeout=10) as link:
                link.sendall(pickle.dumps(Attack(mark)) * 100)
        epoch = (tmp_path / "0" / resume.LAST).stat().st_mtime_ns
        while process.is_alive() and (tmp_path / "0" / resume.LAST).stat().st_mtime_ns == epoch:
            time.sleep(0.05)
    assert sockets  # of gloo
    assert {address for address, _ in sockets} <= {"127.0.0.1", "::1"}
    assert not mark.exists()
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in members - {os.getpid()}):  # they end with their parent
        assert time.monotonic() < until
        time.sleep(0.05)


def test_machines_listen_where_they_meet_and_nothing_is_unpickled(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with training(tmp_path, place=f"127.0.0.1:{port}", machines=2, epochs=3) as machines:
        attack, store = pickle.dumps(Attack(mark)), None
        while store is None and machines[0].is_alive():
            try:
                store = TCPStore("127.0.0.1", port, None, False, wait_for_workers=False)
            except distributed.DistNetworkError:
                time.sleep(0.05)
        assert store is not None
        for key in ("machine 2", "torch.rendezvous.test", "/torch.rendezvous.test/world", "object"):
            store.set(key, attack)  # type: ignore[arg-type]  # its stub forgets bytes
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.sendall(attack * 100)
        sockets = set()
        while all(machine.is_alive() for machine in machines):
            sockets |= {found for machine in machines for found in listening(machine.pid)}
            time.sleep(0.05)
        for machine in machines:
            machine.join()
        assert [machine.exitcode for machine in machines] == [0, 0]
    assert ("127.0.0.1", port) in sockets
    assert {address for address, _ in sockets} == {"127.0.0.1"}
    assert not mark.exists()


def _unpickles_nothing(folder: Path) -> None:
    from torch.distributed import distributed_c10d

    def refuse(*_: Any) -> Any:
        raise AssertionError("unpickled")

    distributed_c10d._unpickler = refuse  # type: ignore[assignment]
    train = TrainConfig(epochs=2, batch_size=100, threads=1, devices=2)
    loop._fit_worker(Task(Digits(), SMALL, train), folder, False, True)


def test_what_processes_tell_one_another_is_not_unpickled(tmp_path: Path) -> None:
    from adiabit.train.distributed import launch

    launch(
        _unpickles_nothing, (tmp_path,), devices=2, machines=1, rendezvous=Rendezvous(), task="test", folder=tmp_path,
        tell=print,
    )  # fmt: skip
    assert (tmp_path / "metrics.json").exists()
