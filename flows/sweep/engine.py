# SPDX-License-Identifier: Apache-2.0
"""Where the work of a sweep or a comparison runs: in this process, on this machine's cores, or on a Ray cluster."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from adiabit.errors import UserError

T = TypeVar("T")
K = TypeVar("K")
REACH = 10.0  # seconds until an address counts as dead
RETRIES = 5  # of a task whose worker or machine is lost


class Engine(Protocol[K, T]):
    """Runs tasks, several at once, and hands over their results as they end."""

    @property
    def free(self) -> int:
        """The number of tasks that could start now."""

    @property
    def busy(self) -> int:
        """The number of tasks that were given and whose results were not handed over."""

    def give(self, key: K, task: Callable[..., T], *args: Any) -> None:
        """Start a task; its arguments and its result are pickled."""

    def next(self) -> tuple[K, T]:
        """Wait for a task to end; its key and its result. What the task raises is raised here."""


@dataclass
class Here(Generic[K, T]):
    """One task at a time, in this process."""

    waiting: deque[tuple[K, Callable[..., T], tuple[Any, ...]]] = field(default_factory=deque)

    @property
    def free(self) -> int:
        """The number of tasks that could start now."""
        return 1 - len(self.waiting)

    @property
    def busy(self) -> int:
        """The number of tasks that were given and whose results were not handed over."""
        return len(self.waiting)

    def give(self, key: K, task: Callable[..., T], *args: Any) -> None:
        """Keep a task until its result is wanted."""
        self.waiting.append((key, task, args))

    def next(self) -> tuple[K, T]:
        """Run the task."""
        key, task, args = self.waiting.popleft()
        return key, task(*args)


@dataclass
class Cluster(Generic[K, T]):
    """Tasks on Ray. One whose worker dies, or whose machine is lost, is started again elsewhere."""

    ray: Any
    demands: dict[str, Any]
    running: dict[Any, K] = field(default_factory=dict)  # keys by Ray's reference
    remotes: dict[Callable[..., T], Any] = field(default_factory=dict)  # Ray's functions by ours

    @property
    def free(self) -> int:
        """The number of tasks that could start now; without any machine yet, one may wait for the first."""
        resources = self.ray.cluster_resources()
        rooms = [int(resources.get("CPU", 0) / self.demands["num_cpus"])]
        if self.demands["num_gpus"]:
            rooms.append(int(resources.get("GPU", 0) / self.demands["num_gpus"]))
        return max(1, min(rooms)) - len(self.running)

    @property
    def busy(self) -> int:
        """The number of tasks that were given and whose results were not handed over."""
        return len(self.running)

    def give(self, key: K, task: Callable[..., T], *args: Any) -> None:
        """Start a task on a free worker."""
        if task not in self.remotes:
            self.remotes[task] = self.ray.remote(max_retries=RETRIES, retry_exceptions=False, **self.demands)(task)
        self.running[self.remotes[task].remote(*args)] = key

    def next(self) -> tuple[K, T]:
        """Wait for a task to end."""
        (done,), _ = self.ray.wait(list(self.running), num_returns=1)
        key = self.running.pop(done)
        try:
            return key, self.ray.get(done)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self.ray.exceptions.RayError as error:
            raise UserError(
                f"{key}: lost {RETRIES + 1} times ({type(error).__name__}), by too little memory or by machines that "
                "went away; demand more memory, or run again to resume"
            ) from error

    def cancel(self) -> None:
        """End all tasks."""
        for reference in self.running:
            self.ray.cancel(reference, force=True)


@contextmanager
def opened(
    jobs: int = 1, address: str = "", *, cpus: float = 1.0, gpus: float = 0.0, memory_gb: float = 0.0
) -> Iterator[Engine[Any, Any]]:
    """An engine: `jobs` tasks at once on this machine, or as many as the Ray cluster at `address` has room for.

    Each task takes these CPUs, GPUs and GB of memory; on this machine, `jobs` stands for the CPUs. However the block
    ends, so do the tasks. `UserError` where Ray is missing or there is no cluster.
    """
    if jobs == 1 and not address:
        yield Here()
        return
    demands = {"num_cpus": cpus if address else 1, "num_gpus": gpus, "memory": int(memory_gb * 1e9) or None}
    ray = _connected(address, jobs)
    cluster: Cluster[Any, Any] = Cluster(ray, demands)
    try:
        yield cluster
    finally:
        cluster.cancel()
        ray.shutdown()


def _connected(address: str, jobs: int) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent from a user's machine
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UserError("ray: not installed; several jobs need it; install it: pip install 'adiabit[sweep]'") from error
    before = signal.getsignal(signal.SIGTERM)
    try:
        _reach(address)
        ray.init(
            address=address or "local", num_cpus=None if address else jobs,
            include_dashboard=None if address else False, log_to_driver=False,
            logging_level=logging.ERROR, configure_logging=False,
        )  # fmt: skip
    except Exception as error:  # what Ray raises where it cannot start has no type of its own
        remedy = (
            "start a cluster with `ray start --head`, and give its HOST:PORT, or auto"
            if address
            else ("the machine may be overloaded; run again, or with --jobs 1, which needs no Ray")
        )
        raise UserError(f"ray {address or 'on this machine'}: {str(error).splitlines()[0]}; {remedy}") from error
    finally:
        signal.signal(signal.SIGTERM, before)  # Ray replaces the handler by one that leaves our work unfinished
    return ray


def _reach(address: str) -> None:
    """`OSError` where nothing answers at HOST:PORT; Ray itself would try for many minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in address:
        socket.create_connection((host, int(port)), timeout=REACH).close()
