# SPDX-License-Identifier: Apache-2.0
"""`python -m adiabit` is the command line of :mod:`adiabit.flows.cli`."""

import sys

from adiabit.flows.cli import main

if __name__ == "__main__":
    sys.exit(main())
