# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM end a run with one line and the shell's exit code for the signal.

Libraries handle an interrupt in their own ways: with their own exit code, with a line in their log, or, during import,
not at all. So whatever follows a signal is attributed to it, and a run that lingers is killed after a few seconds. This
module imports nothing heavy, so it is in force before anything heavy loads.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

GRACE = 5.0  # seconds to clean up
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """The first signal raises KeyboardInterrupt in the main thread; a second one ends the process at once.

    So does a signal during an import, because torch's libraries abort on an exception there. A stage's unfinished work
    stays in its own folder, where the next run finds it.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.timer: threading.Timer | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler for `signal.signal`."""
        again, self.received = self.received is not None, self.received or number
        if again or _importing(frame):
            os._exit(self.report())
        sys.unraisablehook = lambda _: None  # code that swallows the exception below must not print its traceback
        self.start_timer()
        raise KeyboardInterrupt

    def start_timer(self) -> None:
        """End the process in `GRACE` seconds, unless the timer is cancelled."""
        self.timer = threading.Timer(GRACE, lambda: os._exit(self.report()))
        self.timer.daemon = True
        self.timer.start()

    def report(self) -> int:
        """Print the one line of an interrupted run and return its exit code: 130 for SIGINT, 143 for SIGTERM."""
        number = signal.Signals(self.received or signal.SIGINT)
        print(f"adiabit: interrupted by {number.name}; run the same command again to resume",
              file=sys.stderr, flush=True)  # fmt: skip
        return 128 + number


def _importing(frame: FrameType | None) -> bool:
    """Whether the signal arrived during an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def guarded(work: Callable[[], int], *, last: bool = False) -> int:
    """The exit code of `work`, or of a signal that arrived meanwhile, however `work` handled it.

    `last` means that the process ends afterwards, so later signals are ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()  # Python handles signals only in its main thread
    interrupts, hook = Interrupts(), sys.unraisablehook
    before = {number: signal.signal(number, interrupts.handle) for number in SIGNALS}
    try:
        code = work()
    except KeyboardInterrupt:
        interrupts.received = interrupts.received or signal.SIGINT
    except BaseException:
        if interrupts.received is None:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if last else handler)
        if interrupts.timer is not None and not last:
            interrupts.timer.cancel()
            sys.unraisablehook = hook
    return code if interrupts.received is None else interrupts.report()
