# SPDX-License-Identifier: Apache-2.0
"""Reads a model in a separate process first, because onnx and onnxruntime may crash or hang on a malformed one.

`python -m adiabit.flows.frontend.probe FILE` reads the file and executes one frame. It exits with 0, or with 2 and one
line on stdout.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

from adiabit.errors import UserError

ADDRESSES = 8 << 30  # bytes that the libraries may reserve even on a machine with less memory
SECONDS = 120  # a network that compiles in minutes is read in a few seconds


def probe(path: Path, *, refusals: bool = True) -> None:
    """Raise `UserError` if the process crashes, hangs, or refuses the model; a bug shows again in our own process.

    Without `refusals`, a model that the process refuses is left to our own process.
    """
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-m", __name__, str(path)]
    try:
        done = subprocess.run(
            command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"{path}: onnx has not finished reading this model after {SECONDS} s; a few are normal; make it smaller, "
            "or export it again"
        ) from error
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise UserError(f"{path}: onnx crashed ({name}) on this model; its nodes do not fit together; export it again")
    if done.returncode == 2 and refusals:
        raise UserError(os.fsdecode(done.stdout).rstrip("\n").rpartition("\n")[2])


def main(path: Path) -> int:
    """Read and execute a model; returns 0, or 2 if it is refused."""
    import numpy as np

    from adiabit.flows.frontend.model_file import load
    from adiabit.flows.frontend.read import read
    from adiabit.flows.frontend.simplify import run, stand_in

    try:
        network = read(path, trusted=True)
        model = stand_in(load(path).model)
        try:
            run(model, {network.input_name: np.zeros(network.input_shape, np.float32)})
        except ValueError as error:
            raise UserError(f"{path}: onnxruntime cannot execute it ({error}); export it again") from error
    except UserError as error:
        sys.stdout.buffer.write(os.fsencode(f"{error}\n"))
        return 2
    except MemoryError:
        sys.stdout.buffer.write(os.fsencode(f"{path}: does not fit into memory; make the network smaller\n"))
        return 2
    return 0


def _limit_memory() -> None:
    """Make the process fail instead of swapping, and leave no core dump."""
    memory = max(ADDRESSES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))


if __name__ == "__main__":
    _limit_memory()
    sys.exit(main(Path(sys.argv[1])))
