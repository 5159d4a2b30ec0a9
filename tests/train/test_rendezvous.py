# SPDX-License-Identifier: Apache-2.0
"""Machines that meet, and those that do not: one line each, in the time that was given."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.train.rendezvous import Rendezvous, joined

QUICK = 0.5  # seconds


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def meet(machine: int, place: str, told: list[str], machines: int = 2, name: str = "test", wait: float = QUICK) -> str:
    with joined(Rendezvous(machine=machine, place=place, wait=wait), machines, name, Path(), told.append) as found:
        return found.interface


@pytest.mark.parametrize(
    ("rendezvous", "message"),
    [
        (Rendezvous(), "^--meet is missing: .* give HOST:PORT of machine 0"),
        (Rendezvous(place="somewhere"), "^--meet somewhere: .* give HOST:PORT"),
        (Rendezvous(place="somewhere:70000"), "^--meet somewhere:70000: .* give HOST:PORT"),
        (
            Rendezvous(place="somewhere:1", machine=2),
            "^--machine 2: must be at least 0 and less than .train. mach",
        ),
        (Rendezvous(place="somewhere:1", wait=0), "^--wait 0: must be a finite number of seconds above 0"),
        (Rendezvous(place="somewhere:1", wait=float("inf")), "^--wait inf: must be a finite number"),
        (Rendezvous(place="no-such-host.invalid:29500"), "^--meet .*: unknown host 'no-such-host.invalid' "),
        (
            Rendezvous(place="192.0.2.77:29500"),
            "^--meet 192.0.2.77:29500: machine 0 cannot listen there .*; give an ",
        ),
    ],
)
def test_machines_that_do_not_know_where_to_meet(rendezvous: Rendezvous, message: str) -> None:
    with pytest.raises(UserError, match=message), joined(rendezvous, 2, "test", Path(), print):
        pass


@pytest.mark.parametrize(
    ("machine", "whom", "message"),
    [
        (
            1,
            "machine 0",
            r"machine 0 did not answer within 0\.5 s \(.*refused.*\); start `adiabit train` with the same",
        ),
        (0, "machine 1", r"machine 1 did not arrive within 0\.5 s; start `adiabit train` with the same"),
    ],
)
def test_machines_that_do_not_come(port: int, machine: int, whom: str, message: str) -> None:
    told: list[str] = []
    with pytest.raises(UserError, match=message):
        meet(machine, f"127.0.0.1:{port}", told)
    assert told == [
        f"train: waiting up to 0.5 s for {whom} at 127.0.0.1:{port}; connections are neither encrypted nor "
        "authenticated: use a trusted network only"
    ]


def pair(port: int, names: tuple[str, str]) -> list[str | UserError]:
    """What becomes of two machines."""
    found: list[str | UserError] = ["", ""]

    def come(machine: int) -> None:
        try:
            found[machine] = meet(machine, f"127.0.0.1:{port}", [], name=names[machine], wait=60)
        except UserError as error:
            found[machine] = error

    threads = [threading.Thread(target=come, args=(machine,)) for machine in (1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_machines_that_meet(port: int) -> None:
    assert pair(port, ("test", "test")) == ["lo", "lo"]


def test_machines_of_other_recipes_do_not_train_together(port: int) -> None:
    first, second = pair(port, ("one", "other"))
    message = f"--meet 127.0.0.1:{port}: machine 1 trains a different recipe than machine 0, or uses different data"
    assert str(first) == str(second) == f"{message}; give all machines the same"


@pytest.fixture
def web() -> Iterator[int]:
    """A server of something else."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"HTTP/1.1 400 Bad Request" * 10)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_what_is_no_machine_0_is_told(web: int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="what answers there is not machine 0 of a training, or has ended; start"):
        meet(1, f"127.0.0.1:{web}", [], wait=30)
    assert capfd.readouterr().err == ""


def test_what_says_nothing_is_no_machine_0() -> None:
    message = r"another machine did not arrive within 0\.5 s; start"
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UserError, match=message):
        meet(1, f"127.0.0.1:{silent.getsockname()[1]}", [])


def test_strangers_do_not_count(port: int) -> None:
    """Whoever connects and says something else, or says it is machine 0 or 2 of two, or hangs up."""

    def knock() -> None:
        for words in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"adiabit machine 0 trains test\n",
            b"adiabit machine 2 trains test\n",
            b"",
        ):
            for _ in range(100):
                try:
                    with socket.create_connection(("127.0.0.1", port)) as link:
                        link.sendall(words)
                    break
                except OSError:  # it does not listen yet
                    time.sleep(0.01)

    thread = threading.Thread(target=knock)
    thread.start()
    with pytest.raises(UserError, match="machine 1 did not arrive"):
        meet(0, f"127.0.0.1:{port}", [], wait=3)
    thread.join()
