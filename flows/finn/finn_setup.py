# SPDX-License-Identifier: Apache-2.0
"""FINN's global settings, environment variables and output, confined to a context."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def finn(log: Path) -> Iterator[None]:
    """Make FINN's transformations usable outside its builder; its output and warnings go into `log`.

    FINN needs a folder in FINN_BUILD_DIR and a settings file (otherwise it creates ~/.finn). Both are temporary and
    next to the log.
    """
    before, state = dict(os.environ), random.getstate()
    random.seed(0)  # qonnx draws the names of tensors; equal models must give equal files
    with (
        tempfile.TemporaryDirectory(prefix="finn-", dir=log.parent) as folder,
        log.open("a") as sink,
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
        warnings.catch_warnings(),
    ):
        warnings.showwarning = lambda message, kind, file, line, *_: print(
            warnings.formatwarning(message, kind, file, line), end="", file=sink
        )
        handler = logging.StreamHandler(sink)
        logging.getLogger().addHandler(handler)
        os.environ.update(FINN_BUILD_DIR=folder, FINN_SETTINGS=f"{folder}/settings.yaml")
        try:
            from finn.util.settings import initialize_dummy_settings  # reads the environment on import

            initialize_dummy_settings()
            yield
        finally:
            random.setstate(state)
            logging.getLogger().removeHandler(handler)
            for key in os.environ.keys() - before.keys():
                del os.environ[key]
            os.environ.update(before)
