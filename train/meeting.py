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
ANSWER = 10.0  # seconds within which who is there says something
SIOCGIFADDR = 0x8915  # Linux: the IPv4 address of an interface
POLL = 0.1  # seconds
LINE = 200  # characters that machines say to one another at most
HELLO = re.compile(r"adiabit machine (\d{1,4}) trains (.+)\n")
UNLIKE = "trains another recipe than machine 0, or on other data"


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
def gathered(
    meeting: Meeting, machines: int, name: str, folder: Path, tell: Callable[[str], None]
) -> Iterator[Rendezvous]:
    """A store for the processes of this machine, in `folder` or on a port, which stands as long as the context does.

    Of several machines it comes when all are there, and all must give the same `name`. `UserError` where they do not
    come in time, or cannot meet at that place.
    """
    meeting.check(machines)
    if machines == 1:
        with TemporaryDirectory(prefix="adiabit-", dir=folder) as private:  # readable by its owner alone
            yield Rendezvous(file=str(Path(private) / "store"), interface=_loopback())
        return
    until = time.monotonic() + meeting.wait
    family, address = _resolved(meeting)
    whom = ("machine 1" if machines == 2 else f"machines 1 to {machines - 1}") if meeting.machine == 0 else "machine 0"
    tell(
        f"train: waits up to {meeting.wait:g} s for {whom} at {meeting.place}; the machines' links are neither "
        "encrypted nor authenticated: use a trusted network only"
    )
    found = Rendezvous(host=address, port=meeting.port)
    if meeting.machine:
        yield replace(found, interface=_interface(_reached(meeting, address, name, until)))
        return
    listener = _listening(meeting, family, address)
    with closing(listener):
        _hear(listener, meeting, machines, name, until)
        store = TCPStore(address, meeting.port, None, True, timedelta(seconds=ANSWER), False,
                         master_listen_fd=listener.detach())  # fmt: skip
    yield replace(found, interface=_interface(address))
    del store  # it stands until here


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


def _listening(meeting: Meeting, family: int, address: str) -> socket.socket:
    """Machine 0's socket, later its store's: torch itself would listen on every interface."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, meeting.port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise UserError(
            f"--meet {meeting.place}: machine 0 cannot listen there ({error.strerror}); give an address of this "
            "machine and a free port"
        ) from error
    return listener


def _hear(listener: socket.socket, meeting: Meeting, machines: int, name: str, until: float) -> None:
    """Machine 0 hears who comes, and answers when all are there: each must train the same."""
    links: dict[int, socket.socket] = {}
    names: dict[int, str] = {}
    with ExitStack() as stack:
        while missing := sorted(set(range(1, machines)) - links.keys()):
            listener.settimeout(max(POLL, until - time.monotonic()))
            try:
                link = stack.enter_context(listener.accept()[0])
            except TimeoutError as error:
                raise _late(meeting, f"machine {missing[0]}") from error
            match = HELLO.fullmatch(_line(link, ANSWER) or "")
            if match and 0 < (number := int(match[1])) < machines:
                links[number], names[number] = link, match[2]  # come again, it counts anew
        strange = [number for number in sorted(names) if names[number] != name]
        fault = f"machine {strange[0]} {UNLIKE}" if strange else ""
        for link in links.values():
            link.sendall(f"{fault}\n".encode())
    listener.setblocking(True)
    if fault:
        raise _unlike(meeting, fault)


def _reached(meeting: Meeting, address: str, name: str, until: float) -> str:
    """This machine's address as machine 0 sees it, once that one has heard all."""
    with _connected(meeting, address, until) as link:
        own = str(link.getsockname()[0])
        link.sendall(f"adiabit machine {meeting.machine} trains {name}\n".encode())
        answer = _line(link, max(POLL, until - time.monotonic()))
    if answer is None:
        raise _late(meeting, "another machine")
    if not re.fullmatch(rf"(machine \d+ {UNLIKE})?\n", answer):
        raise UserError(
            f"--meet {meeting.place}: what answers there is not machine 0 of a training, or has ended; start `adiabit "
            "train` of the same recipe there, then here again"
        )
    if answer.strip():
        raise _unlike(meeting, answer.strip())
    return own


def _connected(meeting: Meeting, address: str, until: float) -> socket.socket:
    """A link to machine 0, once that one listens."""
    while True:
        left = until - time.monotonic()
        try:
            return socket.create_connection((address, meeting.port), timeout=max(POLL, left))
        except OSError as error:
            if left <= POLL:
                raise UserError(
                    f"--meet {meeting.place}: machine 0 did not answer within {meeting.wait:g} s ({error}); start "
                    "`adiabit train` of the same recipe there, or name it as all can reach it"
                ) from error
            time.sleep(POLL)


def _line(link: socket.socket, seconds: float) -> str | None:
    """What comes first, a short line; empty where the other end hangs up, None where it says nothing."""
    link.settimeout(seconds)
    try:
        return link.makefile("rb").readline(LINE).decode("ascii", "replace")
    except TimeoutError:
        return None
    except OSError:  # it hung up
        return ""


def _late(meeting: Meeting, who: str) -> UserError:
    return UserError(
        f"--meet {meeting.place}: the machines did not come together within {meeting.wait:g} s, {who} is missing; "
        "start `adiabit train` of the same recipe on each, or --wait longer"
    )


def _unlike(meeting: Meeting, fault: str) -> UserError:
    return UserError(f"--meet {meeting.place}: {fault}; give all the same")


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
