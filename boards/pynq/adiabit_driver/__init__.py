# SPDX-License-Identifier: Apache-2.0
"""Driver of an accelerator by adiabit; needs numpy, pynq or pyserial, and nothing of adiabit.

    from adiabit_driver import Accelerator, SerialAccelerator
    names = Accelerator("tfc.bit").classify(images)                         # on a PYNQ board
    names = SerialAccelerator("tfc.json", "/dev/ttyUSB0").classify(images)  # on a serial line

`predict` returns numbers instead of names, `logits` the logits of an accelerator that puts out sums, `outputs` the
integers as they come. Of a network that was trained on tables, `classify(encode(rows))` classifies raw rows.

From the command line, `python -m adiabit_driver tfc.bit --verify vectors.npz --measure` checks and measures, and
`python -m adiabit_driver tfc.json --port /dev/ttyUSB0 --verify vectors.npz` does on a serial line.
"""

from .accelerator import Accelerator, Job, Verification
from .files import DriverError
from .packing import Port
from .serial_line import SerialAccelerator

__all__ = ["Accelerator", "DriverError", "Job", "Port", "SerialAccelerator", "Verification"]
__version__ = "0.1.0"
