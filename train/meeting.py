# SPDX-License-Identifier: Apache-2.0
"""Where the processes of one training find each other: a file on one machine, a port of machine 0 on several.

Nothing listens beyond loopback unless several machines train. Then machine 0 binds the address that --meet names and
no other, and nothing that arrives is unpickled; but neither that port nor the links between the machines are
authenticated or encrypted, so their network must be a trusted one.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from torch import distributed
from torch._C._distributed_c10d import FileStore, Store, TCPStore  # torch.distributed has them, without types

from adiabit.errors import UserError

PATIENCE = 120.0  # seconds that machines wait for each other
ANSWER = 10.0  # seconds within which a store that is there answers
SIOCGIFADDR = 0x8915  # Linux: the IPv4 address of an interface
POLL = 0.1  # seconds
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """Where the machines of one training meet, and which of them this is; machine 0 keeps the results."""

    machine: int = 0
    place: str = ""  # machine 0, HOST:PORT as every machine sees it; empty where there is no other machine
    wait: float = PATIENCE  # seconds until all must be there

    def check(self, machines: int) -> None:
        """`UserError` where so many cannot meet here."""
        match = re.fullmatch(r".+:([1-9]\d{0,4})", self.place)
        if machines > 1 and (match is None or int(match[1]) > 0xFFFF):
            raise UserError(
                f"--meet {self.place or 'is missing'}: [train] machines = {machines} must know where they meet; give "
                "HOST:PORT of machine 0, the same on each, and --machine 1, 2, ... on the others"
            )
        if not 0 <= self.machine < machines:
            raise UserError(
                f"--machine {self.machine}: [train] machines = {machines}, so it must be less than that, and at least 0"
            )
        if not 0 < self.wait < math.inf:
            raise UserError(f"--wait {self.wait:g}: must be a finite number of seconds above 0, e.g. --wait 120")

    @property
    def host(self) -> str:
        """Machine 0's name or address; an IPv6 address stands in brackets before the port."""
        return self.place.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Machine 0's."""
        return int(self.place.rpartition(":")[2])


@dataclass(frozen=True, kw_only=True)
class Rendezvous:
    """The store through which the processes learn each other's addresses, and where those lie."""

    file: str = ""  # of one machine,
    host: str = ""  # else machine 0's address
    port: int = 0
    interface: str = "lo"  # whose address this machine's processes listen on; empty: gloo's and NCCL's own choice

    def open(self) -> Store:
        """For a process of this machine."""
        if self.file:
            return FileStore(self.file, -1)
        return TCPStore(self.host, self.port, None, False, timedelta(seconds=ANSWER), False)

    @property
    def environment(self) -> Mapping[str, str]:
        """What keeps gloo and NCCL on that interface."""
        names = {"GLOO_SOCKET_IFNAME": self.interface, "NCCL_SOCKET_IFNAME": f"={self.interface}"}
        if not self.interface:
            return {}
        return names if self.file else {key: os.environ.get(key, name) for key, name in names.items()}


@contextmanager
def gathered(meeting: Meeting, machines: int, name: str, tell: Callable[[str], None]) -> Iterator[Rendezvous]:
    """A store for the processes of this machine, which stands as long as the context does.

    Of several machines it comes when all are there, and all must give the same `name`. `UserError` where they do not
    come in time, or cannot meet at that place.
    """
    meeting.check(machines)
    if machines == 1:
        with TemporaryDirectory(prefix="adiabit-") as folder:  # readable by its owner alone
            yield Rendezvous(file=str(Path(folder) / "store"), interface=_loopback())
        return
    until = time.monotonic() + meeting.wait
    family, address = _resolved(meeting)
    whom = f"{machines - 1} more" if meeting.machine == 0 else "machine 0"
    tell(
        f"train: waits up to {meeting.wait:g} s for {whom} at {meeting.place}; the machines' links are neither "
        "encrypted nor authenticated: use a trusted network only"
    )
    found = Rendezvous(host=address, port=meeting.port)
    if meeting.machine == 0:
        store, own = _hosted(meeting, family, address), address
    else:
        own = _reached(meeting, address, until)
        store = _ours(meeting, found.open)
    _await(store, meeting, machines, name, until)
    yield replace(found, interface=_interface(own))


def _resolved(meeting: Meeting) -> tuple[int, str]:
    """Address family and address of machine 0."""
    try:
        family, *_, address = socket.getaddrinfo(meeting.host, meeting.port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"--meet {meeting.place}: {meeting.host!r} is no host that this machine knows ({error}); name machine 0 "
            "as all can reach it"
        ) from error
    return family, str(address[0])


def _hosted(meeting: Meeting, family: int, address: str) -> Store:
    """Machine 0's store: torch would listen on every interface, so the socket is bound here."""
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, meeting.port))
            listener.listen()
        except OSError as error:
            raise UserError(
                f"--meet {meeting.place}: machine 0 cannot listen there ({error.strerror}); give an address of this "
                "machine and a free port"
            ) from error
        return TCPStore(
            address, meeting.port, None, True, timedelta(seconds=ANSWER), False, master_listen_fd=listener.detach()
        )


def _reached(meeting: Meeting, address: str, until: float) -> str:
    """This machine's address as machine 0 sees it, once that one listens."""
    while True:
        left = until - time.monotonic()
        try:
            with socket.create_connection((address, meeting.port), timeout=max(POLL, left)) as link:
                return str(link.getsockname()[0])
        except OSError as error:
            if left <= POLL:
                raise UserError(
                    f"--meet {meeting.place}: machine 0 did not answer within {meeting.wait:g} s ({error}); start "
                    "`adiabit train` of the same recipe there, or name it as all can reach it"
                ) from error
            time.sleep(POLL)


def _await(store: Store, meeting: Meeting, machines: int, name: str, until: float) -> None:
    """Until all machines are there, which must train the same."""
    keys = [f"machine {number}" for number in range(machines)]
    _ours(meeting, partial(store.set, keys[meeting.machine], name))
    while missing := [key for key in keys if not _ours(meeting, partial(store.check, [key]))]:
        if time.monotonic() > until:
            raise UserError(
                f"--meet {meeting.place}: the {machines} machines did not come together within {meeting.wait:g} s, "
                f"{missing[0]} is missing; start `adiabit train` of the same recipe on each, or --wait longer"
            )
        time.sleep(POLL)
    for key in keys:
        if _ours(meeting, partial(store.get, key)) != name.encode():
            raise UserError(
                f"--meet {meeting.place}: {key} trains another recipe than this one, or on other data; give all "
                "the same"
            )


def _ours(meeting: Meeting, ask: Callable[[], T]) -> T:
    """What the store answers; `UserError` where it is none, has gone or says nothing.

    torch's client takes no signals and waits for ever for the first word, so it is asked in a thread.
    """
    answers: list[T] = []
    errors: list[BaseException] = []

    def listen() -> None:
        try:
            answers.append(ask())
        except distributed.DistError as error:
            errors.append(error)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    thread.join(ANSWER)
    if not answers:
        raise UserError(
            f"--meet {meeting.place}: what answers there is not machine 0 of a training, or has ended; start `adiabit "
            "train` of the same recipe there, then here again"
        ) from next(iter(errors), None)
    return answers[0]


def _loopback() -> str:
    """The name of the loopback interface: lo, or lo0."""
    return next((name for _, name in socket.if_nameindex() if re.fullmatch(r"lo\d*", name)), "lo")


def _interface(address: str) -> str:
    """The interface of this machine that has an IPv4 address; empty where none has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(any_socket, SIOCGIFADDR, struct.pack("256s", name.encode()))
            except OSError:  # it has none
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return ""
