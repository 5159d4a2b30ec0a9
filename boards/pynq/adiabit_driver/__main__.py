# SPDX-License-Identifier: Apache-2.0
"""`python -m adiabit_driver tfc.bit --verify vectors.npz --measure`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from . import Accelerator, DriverError, SerialAccelerator


def main(argv: list[str] | None = None, platform: Any = None) -> int:
    """0: done; 1: a frame differs; 2: the board, the files or the vectors are at fault."""
    parser = argparse.ArgumentParser(prog="adiabit_driver", description="Check and measure an accelerator on a board.")
    parser.add_argument("file", help="the bitstream, with .hwh and .json beside it; with --port the .json alone")
    parser.add_argument("--port", help="the serial port of a board without a processor, e.g. /dev/ttyUSB0")
    parser.add_argument("--verify", metavar="NPZ", help="run the saved vectors and compare every integer")
    parser.add_argument("--measure", action="store_true", help="frames a second, latency, cycles a frame (PYNQ)")
    parser.add_argument("--batch", type=int, default=256, help="most frames that travel at once (256; PYNQ)")
    options = parser.parse_args(argv)
    try:
        if options.port:
            line = SerialAccelerator(options.file, options.port)
            print(f"accelerator {line.description['identity']}")
            return _verify(line, options.verify)
        accelerator = Accelerator(options.file, batch=options.batch, platform=platform)
        code = _verify(accelerator, options.verify)
        if options.measure:
            frames = np.full((options.batch, *accelerator.input.shape), accelerator.input.range[1])
            for name, value in accelerator.measure(frames).items():
                print(f"{name}: {value:.6g}")
        for name, value in accelerator.counters().items():
            print(f"{name}: {value}")
    except (DriverError, OSError, ValueError, KeyError) as error:
        print(f"adiabit_driver: {error}", file=sys.stderr)
        return 2
    return code


def _verify(accelerator: Accelerator | SerialAccelerator, vectors: str | None) -> int:
    if vectors is None:
        return 0
    verification = accelerator.verify(vectors)
    print(verification)
    return 0 if verification.first is None else 1


if __name__ == "__main__":
    sys.exit(main())
