# SPDX-License-Identifier: Apache-2.0
"""`python -m adiabit` is the command line of :mod:`adiabit.flows.cli`."""

import sys

from adiabit.flows.interrupts import guarded


def _invoke() -> int:
    from adiabit.flows.cli import invoke  # its imports may be interrupted too

    return invoke()


def main() -> int:
    """Run the command of this process; its exit code."""
    return guarded(_invoke, last=True)


if __name__ == "__main__":
    sys.exit(main())
