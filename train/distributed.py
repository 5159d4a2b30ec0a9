# SPDX-License-Identifier: Apache-2.0
"""Training with several processes, one per device, on one machine or several.

Every process has a copy of the network and its share of each batch, and DDP averages the gradients (Li et al., VLDB
2020). Batch norms see the share of their process. Process 0 measures and decides, and it alone writes results.
Processes exchange tensors, JSON and files; torch's own `broadcast_object_list` would unpickle what it receives.
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
from adiabit.train.processes import run_all
from adiabit.train.rendezvous import Rendezvous, StoreAddress, joined


def launch(
    work: Callable[..., None], args: Sequence[Any], *, devices: int, machines: int, rendezvous: Rendezvous, task: str,
    folder: Path, tell: Callable[[str], None],
) -> None:  # fmt: skip
    """Call `work(*args)` in `devices` processes of this machine, which join those of the other `machines`.

    All machines must give the same `task`. `folder` holds the file by which the processes of one machine meet. `tell`
    takes a line about what is waited for. A process that fails ends all: `UserError` where one does, or where the
    other machines do not arrive in time.
    """
    with joined(rendezvous, machines, task, folder, tell) as address:
        each = [(address, rendezvous, local, devices, machines, work, *args) for local in range(devices)]
        run_all(_worker, each, first=rendezvous.machine * devices)


def _worker(
    address: StoreAddress, rendezvous: Rendezvous, local: int, devices: int, machines: int,
    work: Callable[..., None], *args: Any,
) -> None:  # fmt: skip
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // devices))
    os.environ |= {**address.environment, "LOCAL_RANK": str(local), "NODE_RANK": str(rendezvous.machine)}
    number, total = rendezvous.machine * devices + local, devices * machines
    store = _await_all(address.open(), number, total, rendezvous)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, store=store, rank=number, world_size=total)
    try:
        work(*args)
    except RuntimeError as error:
        if "gloo/transport" not in str(error):
            raise
        raise ConnectionError(f"another process has ended: {str(error).rpartition('] ')[2]}") from error
    distributed.destroy_process_group()


def _await_all(store: Store, number: int, total: int, rendezvous: Rendezvous) -> Store:
    """The store, once every process has reached it."""
    store.set(f"process {number}", "here")
    try:
        store.wait([f"process {other}" for other in range(total)], timedelta(seconds=rendezvous.wait))
    except distributed.DistStoreError as error:
        raise UserError(
            f"--meet {rendezvous.place}: not all {total} processes arrived within {rendezvous.wait:g} s; see the "
            "messages of the other machines, and run again"
        ) from error
    return store


class JoinedDDP(DDPStrategy):
    """Lightning's DDP among the processes that :func:`launch` has started."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cluster_environment=LightningEnvironment(), **options)

    def broadcast(self, obj: Any, src: int = 0) -> Any:  # noqa: ARG002  (it is always 0)
        """Process 0's value."""
        return broadcast(obj)


def rank() -> int:
    """This process's number; 0 where it is the only one."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    """The number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def broadcast(value: Any) -> Any:
    """Process 0's value, which JSON can represent."""
    return value if size() == 1 else json.loads(_broadcast_bytes(json.dumps(value).encode()))


def _broadcast_bytes(content: bytes) -> bytes:
    length = torch.tensor(len(content))
    distributed.broadcast(length, src=0)
    data = torch.empty(int(length), dtype=torch.uint8)
    if rank() == 0:
        data.numpy()[:] = bytearray(content)
    distributed.broadcast(data, src=0)
    return data.numpy().tobytes()


def broadcast_tensors(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with process 0's; every process passes them in the same order."""
    if size() > 1:
        for tensor in tensors:
            distributed.broadcast(tensor, src=0)


@torch.no_grad()
def mean(value: Tensor) -> Tensor:
    """The mean of a tensor over the processes."""
    if size() == 1:
        return value
    value = value.clone().cpu()
    distributed.all_reduce(value)
    return value / size()


def broadcast_file(path: Path) -> None:
    """Copy process 0's file, if it has one, to the other machines."""
    if size() == 1 or not broadcast(path.exists()):
        return
    content = _broadcast_bytes(path.read_bytes() if rank() == 0 else b"")
    if int(os.environ.get("LOCAL_RANK", "0")) == 0 and rank():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    mean(torch.zeros(1))  # the machine's other processes wait for it
