# SPDX-License-Identifier: Apache-2.0
"""Kernels in C++ for what lies between the products of a training step on a CPU.

A step in bfloat16 spends most of its time outside of its products if each operation reads and writes all activations.
`kernels.cpp` is compiled by g++ for the machine's own CPU when it is first needed, and kept in the cache folder. Its
threads are those of torch, since both use the same OpenMP library.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch  # noqa: F401  (its OpenMP library must be loaded first, so that the kernels use the same one)

from adiabit.files import CACHE

SOURCE = Path(__file__).with_name("kernels.cpp")
OPTIONS = (
    "-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-shared", "-fPIC",
    *(["-mprefer-vector-width=512"] if platform.machine() == "x86_64" else []),
)  # fmt: skip
CPU = Path("/proc/cpuinfo")


def library() -> ctypes.CDLL | None:
    """The compiled kernels; None where there is no compiler, or none that can compile them."""
    found = _loaded()
    return None if isinstance(found, str) else found


def why_none() -> str | None:
    """Why there are no kernels; None if there are."""
    found = _loaded()
    return found if isinstance(found, str) else None


@functools.cache
def _loaded() -> ctypes.CDLL | str:
    """The kernels, compiled if they are not yet, or why there are none."""
    name = os.environ.get("CXX", "g++")
    compiler = shutil.which(name)
    if compiler is None:
        return f"{name} is not on PATH; apt-get install g++"
    try:
        path = CACHE / f"kernels-{_key(compiler)}.so"
        if not path.exists():
            _compile(compiler, path)
        return ctypes.CDLL(str(path))
    except subprocess.CalledProcessError as error:
        told = [line for line in error.stderr.decode(errors="replace").splitlines() if "error" in line]
        return f"{name} cannot compile {SOURCE.name}: {told[0] if told else f'exit code {error.returncode}'}"
    except OSError as error:
        return f"{SOURCE.name} compiled by {name}: {error}"


def _key(compiler: str) -> str:
    """Tells apart sources, compilers and CPUs."""
    version = subprocess.run([compiler, "--version"], check=True, capture_output=True).stdout
    flags = [line for line in CPU.read_text().splitlines() if line.startswith(("flags", "Features"))][:1]
    parts = (SOURCE.read_bytes(), " ".join(OPTIONS).encode(), version, "".join(flags).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _compile(compiler: str, path: Path) -> None:
    """Compile next to `path`, then rename: another process may do the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        subprocess.run([compiler, *OPTIONS, str(SOURCE), "-o", str(made)], check=True, capture_output=True)
        made.replace(path)
