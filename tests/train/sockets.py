# SPDX-License-Identifier: Apache-2.0
"""Which sockets of a process and its descendants listen, and where, as the Linux kernel tells it."""

from __future__ import annotations

import ipaddress
from pathlib import Path

PROC = Path("/proc")
LISTENS = "0A"  # the state of a TCP socket


def family(pid: int) -> set[int]:
    """A process, its children, theirs, and so on."""
    parents = {}
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has gone meanwhile
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def listening(pid: int) -> set[tuple[str, int]]:
    """Address and port of each listening TCP socket of a family."""
    inodes = {inode for member in family(pid) for inode in _inodes(member)}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in (PROC / "net" / table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == LISTENS and rest[5] in inodes:
                address, port = local.split(":")
                words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
                found.add((str(ipaddress.ip_address(b"".join(words))), int(port, 16)))
    return found


def _inodes(pid: int) -> set[str]:
    found = set()
    try:
        for entry in (PROC / str(pid) / "fd").iterdir():
            target = str(entry.readlink())
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:  # the process, or this file of it, has gone meanwhile
        pass
    return found
