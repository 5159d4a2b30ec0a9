# SPDX-License-Identifier: Apache-2.0
"""Damage to the bytes of a file, as disks, transfers and editors do it."""

from __future__ import annotations

import random
from collections.abc import Callable

OTHERS = (b"", b"{}", b"[]", b"null", b"PK\x03\x04", b"\x80\x04.", b"[" * 50_000, bytes(300), b"\xff" * 40)
Damage = Callable[[random.Random, bytes], bytes]


def cut(rng: random.Random, content: bytes) -> bytes:
    """The beginning alone, or nothing."""
    return content[: rng.randrange(len(content))]


def flip(rng: random.Random, content: bytes) -> bytes:
    """Some bits turned over."""
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 2, 8))):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def zero(rng: random.Random, content: bytes) -> bytes:
    """Some bytes in a row are 0."""
    start = rng.randrange(len(content))
    length = min(rng.choice((1, 4, 64)), len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


def grow(rng: random.Random, content: bytes) -> bytes:
    """Something behind, or something twice."""
    return content + rng.choice((b"\0", b"{}", b"\n", content, bytes(5000)))


def swap(rng: random.Random, content: bytes) -> bytes:
    """Another file altogether."""
    return rng.choice(
        (b"", b"{}", b"[]", b"null", b"PK\x03\x04", b"\x80\x04.", b"[" * 50_000, bytes(300), b"\xff" * 40)
    )


ALL: tuple[Damage, ...] = (cut, flip, zero, grow, swap)


def damaged(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """One of these at random, and its name."""
    damage = rng.choice(ALL if content else (grow, swap))
    return damage.__name__, damage(rng, content)
