# SPDX-License-Identifier: Apache-2.0
"""`python -m adiabit_driver tfc.bit --verify vectors.npz --measure`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from . import Accelerator, DriverError


def main(argv: list[str] | None = None, platform: Any = None) -> int:
    """0: done; 1: a frame differs; 2: the board, the files or the vectors are at fault."""
    parser = argparse.ArgumentParser(
        prog="adiabit_driver", description="Check and measure an accelerator on the board."
    )
    parser.add_argument("bitfile", help="the bitstream; .hwh and .json lie beside it")
    parser.add_argument("--verify", metavar="NPZ", help="run the saved vectors and compare every integer")
    parser.add_argument("--measure", action="store_true", help="frames a second, latency, cycles a frame")
    parser.add_argument("--batch", type=int, default=256, help="most frames that travel at once (256)")
    options = parser.parse_args(argv)
    try:
        accelerator = Accelerator(options.bitfile, batch=options.batch, platform=platform)
        code = 0
        if options.verify:
            verification = accelerator.verify(options.verify)
            print(verification)
            code = 0 if verification.first is None else 1
        if options.measure:
            frames = np.zeros((options.batch, *accelerator.input.shape), np.int64)
            frames += accelerator.input.range[1]
            for name, value in accelerator.measure(frames).items():
                print(f"{name}: {value:.6g}")
        for name, value in accelerator.counters().items():
            print(f"{name}: {value}")
    except (DriverError, OSError, ValueError, KeyError) as error:
        print(f"adiabit_driver: {error}", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
