# SPDX-License-Identifier: Apache-2.0
"""Rendezvous: how the processes of one training find each other, by a file on one machine or a port on several.

Nothing listens beyond loopback unless several machines train. Then machine 0 binds the address that --meet names and
no other, and nothing that arrives is unpickled. But neither that port nor the connections between the machines are
authenticated or encrypted, so their network must be a trusted one.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from torch._C._distributed_c10d import FileStore, Store, TCPStore  # torch.distributed has them, without types

from adiabit.errors import UserError

PATIENCE = 120.0  # seconds that machines wait for each other
ANSWER = 10.0  # seconds to wait for the first line of a connection
SIOCGIFADDR = 0x8915  # Linux: the IPv4 address of an interface
POLL = 0.1  # seconds
LINE = 200  # characters of a line between machines, at most
HELLO = re.compile(r"adiabit machine (\d{1,4}) trains (.+)\n")
MISMATCH = "trains a different recipe than machine 0, or uses different data"


@dataclass(frozen=True, kw_only=True)
class Rendezvous:
    """Where the machines of one training meet, and which of them this is; machine 0 keeps the results."""

    machine: int = 0
    place: str = ""  # HOST:PORT of machine 0 as every machine sees it; empty where there is only one machine
    wait: float = PATIENCE  # seconds until all machines must have arrived

    def check(self, machines: int) -> None:
        """`UserError` where this cannot bring that many machines together."""
        match = re.fullmatch(r".+:([1-9]\d{0,4})", self.place)
        if machines > 1 and (match is None or int(match[1]) > 0xFFFF):
            raise UserError(
                f"--meet {self.place or 'is missing'}: [train] machines = {machines} need an address to meet at; give "
                "HOST:PORT of machine 0, the same on every machine, and --machine 1, 2, ... on the others"
            )
        if not 0 <= self.machine < machines:
            raise UserError(
                f"--machine {self.machine}: must be at least 0 and less than [train] machines = {machines}; give each "
                "machine a number of its own"
            )
        if not 0 < self.wait < math.inf:
            raise UserError(f"--wait {self.wait:g}: must be a finite number of seconds above 0, e.g. --wait 120")

    @property
    def host(self) -> str:
        """Machine 0's name or address; an IPv6 address stands in brackets before the port."""
        return self.place.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Machine 0's port."""
        return int(self.place.rpartition(":")[2])


@dataclass(frozen=True, kw_only=True)
class StoreAddress:
    """Where the processes find the store through which they exchange their addresses."""

    file: str = ""  # on one machine
    host: str = ""  # else machine 0's address
    port: int = 0
    interface: str = "lo"  # this machine's processes listen on it; empty: the choice of gloo and NCCL

    def open(self) -> Store:
        """A connection for one process of this machine."""
        if self.file:
            return FileStore(self.file, -1)
        return TCPStore(self.host, self.port, None, False, timedelta(seconds=ANSWER), False)

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that keep gloo and NCCL on the interface."""
        names = {"GLOO_SOCKET_IFNAME": self.interface, "NCCL_SOCKET_IFNAME": f"={self.interface}"}
        if not self.interface:
            return {}
        return names if self.file else {key: os.environ.get(key, name) for key, name in names.items()}


@contextmanager
def joined(
    rendezvous: Rendezvous, machines: int, task: str, folder: Path, tell: Callable[[str], None]
) -> Iterator[StoreAddress]:
    """A store for the processes of this machine, in `folder` or on a port, that exists as long as the context.

    With several machines, the context begins when all have arrived, and all must name the same `task`. `UserError`
    where they do not arrive in time or cannot meet at that address.
    """
    rendezvous.check(machines)
    if machines == 1:
        with TemporaryDirectory(prefix="adiabit-", dir=folder) as private:  # readable by its owner alone
            yield StoreAddress(file=str(Path(private) / "store"), interface=_loopback())
        return
    deadline = time.monotonic() + rendezvous.wait
    family, host = _resolve(rendezvous)
    others = "machine 1" if machines == 2 else f"machines 1 to {machines - 1}"
    tell(
        f"train: waiting up to {rendezvous.wait:g} s for {'machine 0' if rendezvous.machine else others} at "
        f"{rendezvous.place}; connections are neither encrypted nor authenticated: use a trusted network only"
    )
    address = StoreAddress(host=host, port=rendezvous.port)
    if rendezvous.machine:
        yield replace(address, interface=_interface(_join(rendezvous, host, task, deadline)))
        return
    listener = _listen(rendezvous, family, host)
    with closing(listener):
        _accept_all(listener, rendezvous, machines, task, deadline)
        store = TCPStore(host, rendezvous.port, None, True, timedelta(seconds=ANSWER), False,
                         master_listen_fd=listener.detach())  # fmt: skip
    yield replace(address, interface=_interface(host))
    del store  # the server runs until here


def _resolve(rendezvous: Rendezvous) -> tuple[int, str]:
    """Address family and address of machine 0."""
    try:
        found = socket.getaddrinfo(rendezvous.host, rendezvous.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"--meet {rendezvous.place}: unknown host {rendezvous.host!r} ({error}); name machine 0 so that every "
            "machine reaches it"
        ) from error
    family, *_, address = found[0]
    return family, str(address[0])


def _listen(rendezvous: Rendezvous, family: int, host: str) -> socket.socket:
    """Machine 0's socket, later its store's: torch itself would listen on every interface."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, rendezvous.port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise UserError(
            f"--meet {rendezvous.place}: machine 0 cannot listen there ({error.strerror}); give an address of this "
            "machine and a free port"
        ) from error
    return listener


def _accept_all(listener: socket.socket, rendezvous: Rendezvous, machines: int, task: str, deadline: float) -> None:
    """Machine 0 waits for every other machine, then answers all of them: each must train the same."""
    links: dict[int, socket.socket] = {}
    tasks: dict[int, str] = {}
    with ExitStack() as stack:
        while missing := sorted(set(range(1, machines)) - links.keys()):
            listener.settimeout(max(POLL, deadline - time.monotonic()))
            try:
                link = stack.enter_context(listener.accept()[0])
            except TimeoutError as error:
                raise _timed_out(rendezvous, f"machine {missing[0]}") from error
            match = HELLO.fullmatch(_read_line(link, ANSWER) or "")
            if match and 0 < (number := int(match[1])) < machines:
                links[number], tasks[number] = link, match[2]  # a machine that comes again replaces its first link
        different = [number for number in sorted(tasks) if tasks[number] != task]
        fault = f"machine {different[0]} {MISMATCH}" if different else ""
        for link in links.values():
            link.sendall(f"{fault}\n".encode())
    listener.setblocking(True)
    if fault:
        raise _mismatch(rendezvous, fault)


def _join(rendezvous: Rendezvous, host: str, task: str, deadline: float) -> str:
    """This machine's address as machine 0 sees it, once machine 0 has heard from all machines."""
    with _connect(rendezvous, host, deadline) as link:
        own = str(link.getsockname()[0])
        link.sendall(f"adiabit machine {rendezvous.machine} trains {task}\n".encode())
        answer = _read_line(link, max(POLL, deadline - time.monotonic()))
    if answer is None:
        raise _timed_out(rendezvous, "another machine")
    if not re.fullmatch(rf"(machine \d+ {MISMATCH})?\n", answer):
        raise UserError(
            f"--meet {rendezvous.place}: what answers there is not machine 0 of a training, or has ended; start "
            "`adiabit train` with the same recipe there, then here again"
        )
    if answer.strip():
        raise _mismatch(rendezvous, answer.strip())
    return own


def _connect(rendezvous: Rendezvous, host: str, deadline: float) -> socket.socket:
    """A connection to machine 0, as soon as it listens."""
    while True:
        left = deadline - time.monotonic()
        try:
            return socket.create_connection((host, rendezvous.port), timeout=max(POLL, left))
        except OSError as error:
            if left <= POLL:
                raise UserError(
                    f"--meet {rendezvous.place}: machine 0 did not answer within {rendezvous.wait:g} s ({error}); "
                    "start `adiabit train` with the same recipe there, or name it so that every machine reaches it"
                ) from error
            time.sleep(POLL)


def _read_line(link: socket.socket, seconds: float) -> str | None:
    """The first line, a short one; empty where the other end hangs up, None where it sends nothing."""
    link.settimeout(seconds)
    try:
        return link.makefile("rb").readline(LINE).decode("ascii", "replace")
    except TimeoutError:
        return None
    except OSError:  # it hung up
        return ""


def _timed_out(rendezvous: Rendezvous, who: str) -> UserError:
    return UserError(
        f"--meet {rendezvous.place}: {who} did not arrive within {rendezvous.wait:g} s; start `adiabit train` with the "
        "same recipe on every machine, or --wait longer"
    )


def _mismatch(rendezvous: Rendezvous, fault: str) -> UserError:
    return UserError(f"--meet {rendezvous.place}: {fault}; give all machines the same")


def _loopback() -> str:
    """The name of the loopback interface: lo, or lo0."""
    return next((name for _, name in socket.if_nameindex() if re.fullmatch(r"lo\d*", name)), "lo")


def _interface(address: str) -> str:
    """The interface of this machine that has an IPv4 address; empty where none has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(any_socket, SIOCGIFADDR, struct.pack("256s", name.encode()))
            except OSError:  # it has no address
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return ""
