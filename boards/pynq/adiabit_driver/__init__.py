# SPDX-License-Identifier: Apache-2.0
"""Driver of an accelerator by adiabit on a PYNQ board; needs numpy and pynq, and nothing of adiabit.

    from adiabit_driver import Accelerator
    labels = Accelerator("tfc.bit").classify(images)

`python -m adiabit_driver tfc.bit --verify vectors.npz --measure` checks and measures from the command line.
"""

from .accelerator import Accelerator, DriverError, Job, Verification
from .packing import Port

__all__ = ["Accelerator", "DriverError", "Job", "Port", "Verification"]
