# SPDX-License-Identifier: Apache-2.0
"""`python -m adiabit_driver tfc.bit --verify vectors.npz --measure`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from . import Accelerator, DriverError, SerialAccelerator


def main(argv: list[str] | None = None, platform: Any = None) -> int:
    """Exit code 0: success; 1: a frame differs; 2: a fault of the board, the files or the vectors."""
    parser = argparse.ArgumentParser(prog="adiabit_driver", description="Check and measure an accelerator on a board.")
    parser.add_argument("file", help="the bitstream, with .hwh and .json beside it; with --port the .json alone")
    parser.add_argument("--port", help="the serial port of a board without a processor, e.g. /dev/ttyUSB0")
    parser.add_argument("--verify", metavar="NPZ", help="run the saved vectors and compare every integer")
    parser.add_argument("--save", metavar="FILE", help="write down what --verify found, for adiabit report")
    parser.add_argument("--measure", action="store_true", help="frames a second, latency, cycles a frame (PYNQ)")
    parser.add_argument("--batch", type=int, default=256, help="most frames that travel at once (256; PYNQ)")
    options = parser.parse_args(argv)
    if options.save and not options.verify:
        parser.error("--save writes down what --verify finds; give that too")
    try:
        if options.port:
            line = SerialAccelerator(options.file, options.port)
            print(f"accelerator {line.description['identity']}")
            return _verify(line, options, {})
        accelerator = Accelerator(options.file, batch=options.batch, platform=platform)
        measured: dict[str, float] = {}
        if options.measure:
            frames = np.full((options.batch, *accelerator.input.shape), accelerator.input.range[1])
            measured = accelerator.measure(frames)
            for name, value in measured.items():
                print(f"{name}: {value:.6g}")
        code = _verify(accelerator, options, measured)
        for name, value in accelerator.counters().items():
            print(f"{name}: {value}")
    except (DriverError, OSError, ValueError, KeyError) as error:
        print(f"adiabit_driver: {error}", file=sys.stderr)
        return 2
    return code


def _verify(
    accelerator: Accelerator | SerialAccelerator, options: argparse.Namespace, measured: dict[str, float]
) -> int:
    """Verify, report and save, as requested; returns the exit code."""
    if options.verify is None:
        return 0
    verification = accelerator.verify(options.verify)
    print(verification)
    if options.save:
        record = {"identity": accelerator.description["identity"], **vars(verification), "measured": measured}
        Path(options.save).write_text(json.dumps(record, indent=1) + "\n")
    return 0 if verification.first is None else 1


if __name__ == "__main__":
    sys.exit(main())
