# SPDX-License-Identifier: Apache-2.0
"""Training by several processes: a device each, on one machine or on several that meet.

Every process has a copy of the network and its share of each batch, and DDP averages the gradients (Li et al., VLDB
2020). Batch norms see their process's share. What is measured and decided is process 0's, which alone writes results.
What processes tell one another is tensors, JSON and files; torch's own `broadcast_object_list` would unpickle it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed
from torch._C._distributed_c10d import Store  # torch.distributed has it, without types

from adiabit.errors import UserError
from adiabit.train.meeting import Meeting, Rendezvous, gathered
from adiabit.train.processes import run_all


def launch(
    work: Callable[..., None], args: Sequence[Any], *, devices: int, machines: int, meeting: Meeting, name: str,
    folder: Path, tell: Callable[[str], None],
) -> None:  # fmt: skip
    """Call `work(*args)` in `devices` processes of this machine, which join those of the other `machines`.

    `folder` keeps what they find each other by. All machines give the same `name`. `tell` learns what is waited for. A
    process that fails ends all. `UserError` where one does, or where the others do not come in time.
    """
    with gathered(meeting, machines, name, folder, tell) as store:
        members = [(store, meeting, local, devices, machines, work, *args) for local in range(devices)]
        run_all(_member, members, first=meeting.machine * devices)


def _member(
    found: Rendezvous, meeting: Meeting, local: int, devices: int, machines: int, work: Callable[..., None], *args: Any
) -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // devices))
    os.environ |= {**found.environment, "LOCAL_RANK": str(local), "NODE_RANK": str(meeting.machine)}
    number, total = meeting.machine * devices + local, devices * machines
    store = _entered(found.open(), number, total, meeting)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, store=store, rank=number, world_size=total)
    try:
        work(*args)
    except RuntimeError as error:
        if "gloo/transport" not in str(error):
            raise
        raise ConnectionError(f"another process has gone: {str(error).rpartition('] ')[2]}") from error
    distributed.destroy_process_group()


def _entered(store: Store, number: int, total: int, meeting: Meeting) -> Store:
    """The store, once every process has come to it."""
    store.set(f"process {number}", "here")
    try:
        store.wait([f"process {other}" for other in range(total)], timedelta(seconds=meeting.wait))
    except distributed.DistStoreError as error:
        raise UserError(
            f"--meet {meeting.place}: not all {total} processes came within {meeting.wait:g} s; see what the other "
            "machines tell, and run again"
        ) from error
    return store


class Together(DDPStrategy):
    """Lightning's DDP among processes that :func:`launch` has joined."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cluster_environment=LightningEnvironment(), **options)

    def broadcast(self, obj: Any, src: int = 0) -> Any:  # noqa: ARG002  (it is always 0)
        """Process 0's value."""
        return agreed(obj)


def rank() -> int:
    """This process's number; 0 where it is alone."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    """How many processes train."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def agreed(value: Any) -> Any:
    """What process 0 has for a value that JSON can tell."""
    return value if size() == 1 else json.loads(_agreed_bytes(json.dumps(value).encode()))


def _agreed_bytes(content: bytes) -> bytes:
    length = torch.tensor(len(content))
    distributed.broadcast(length, src=0)
    data = torch.empty(int(length), dtype=torch.uint8)
    if rank() == 0:
        data.numpy()[:] = bytearray(content)
    distributed.broadcast(data, src=0)
    return data.numpy().tobytes()


def agree_on(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors, in the same order everywhere, by process 0's."""
    if size() > 1:
        for tensor in tensors:
            distributed.broadcast(tensor, src=0)


@torch.no_grad()
def mean(value: Tensor) -> Tensor:
    """The mean over the processes of a tensor."""
    if size() == 1:
        return value
    value = value.clone().cpu()
    distributed.all_reduce(value)
    return value / size()


def share_file(path: Path) -> None:
    """Give the other machines process 0's file, where it has one."""
    if size() == 1 or not agreed(path.exists()):
        return
    content = _agreed_bytes(path.read_bytes() if rank() == 0 else b"")
    if int(os.environ.get("LOCAL_RANK", "0")) == 0 and rank():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    mean(torch.zeros(1))  # the machine's other processes wait for it
