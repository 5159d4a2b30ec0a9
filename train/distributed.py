# SPDX-License-Identifier: Apache-2.0
"""Training by several processes: a device each, on one machine or on several that meet.

Every process has a copy of the network and its share of each batch, and DDP averages the gradients (Li et al., VLDB
2020). Batch norms see their process's share. What is measured and decided is process 0's, which alone writes results.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure, record
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from adiabit.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """Where the machines of one training meet, and which of them this is; machine 0 keeps the results."""

    machine: int = 0
    place: str = ""  # machine 0, HOST:PORT as every machine sees it; empty where there is no other machine

    def check(self, machines: int) -> None:
        """`UserError` where so many cannot meet here."""
        if machines > 1 and not re.fullmatch(r".+:[1-9]\d{0,4}", self.place):
            raise UserError(
                f"--meet {self.place or 'is missing'}: [train] machines = {machines} must know where they meet; give "
                "HOST:PORT of machine 0, the same on each, and --machine 1, 2, ... on the others"
            )
        if not 0 <= self.machine < machines:
            raise UserError(
                f"--machine {self.machine}: [train] machines = {machines}, so it must be less than that, and at least 0"
            )


def launch(
    work: Callable[..., None], args: Sequence[Any], *, devices: int, machines: int, meeting: Meeting, name: str,
    wait: float = 900,
) -> None:  # fmt: skip
    """Call `work(*args)` in `devices` processes of this machine, which join those of the other `machines`.

    All give the same `name`. A process that fails ends all. `UserError` where one does, or where the others do not come
    within `wait` seconds.
    """
    meeting.check(machines)
    config = LaunchConfig(
        min_nodes=machines, max_nodes=machines, nproc_per_node=devices, run_id=name, max_restarts=0,
        rdzv_backend="static" if machines > 1 else "c10d", rdzv_endpoint=meeting.place or "127.0.0.1:0",
        rdzv_configs={"rank": meeting.machine, "timeout": wait},
    )  # fmt: skip
    try:
        elastic_launch(config, _member)(work, devices, *args)
    except distributed.DistError as error:
        raise UserError(
            f"--meet {meeting.place}: the {machines} machines did not come together ({str(error).splitlines()[0]}); "
            "start `adiabit train` of the same recipe on each, and name machine 0 as all can reach it"
        ) from error
    except ChildFailedError as error:
        raise UserError(_why(*error.get_first_failure())) from error
    except SignalException as error:
        raise KeyboardInterrupt from error


def _why(number: int, failure: ProcessFailure) -> str:
    """One line; a `UserError` of the process has its own."""
    said = failure.message["message"] if isinstance(failure.message, dict) else ""
    if said.startswith(prefix := f"{UserError.__name__}: "):
        return said.removeprefix(prefix)
    return (
        f"training: process {number} ended with exit code {failure.exitcode}{f' ({said})' if said else ''}; mend that "
        "and run again, which goes on after the last whole epoch"
    )


@record
def _member(work: Callable[..., None], devices: int, *args: Any) -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // devices))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        work(*args)
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """This process's number; 0 where it is alone."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    """How many processes train."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def agreed(value: Any) -> Any:
    """What process 0 has for a plain value or bytes."""
    if size() == 1:
        return value
    holder = [value]
    distributed.broadcast_object_list(holder, src=0, device=torch.device("cpu"))
    return holder[0]


@torch.no_grad()
def mean(value: torch.Tensor) -> torch.Tensor:
    """The mean over the processes of a tensor."""
    if size() == 1:
        return value
    value = value.clone().cpu()
    distributed.all_reduce(value)
    return value / size()


def share_file(path: Path) -> None:
    """Give the other machines process 0's file, where it has one."""
    content = agreed(path.read_bytes() if rank() == 0 and path.exists() else None)
    if content is not None and int(os.environ.get("LOCAL_RANK", "0")) == 0 and rank():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    mean(torch.zeros(1))  # the machine's other processes wait for it
