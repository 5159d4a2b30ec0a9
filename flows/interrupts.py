# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM: a run ends with one line and the exit code that shells give to the signal.

Libraries turn an interruption into what they like: an exit code of their own, a line of their log, nothing at all
while they are imported. So whatever follows a signal counts as its consequence, and a run that has not ended after
some seconds is ended. Nothing heavy is imported here, so that this is in force before anything heavy is.
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

    So does one while a module is imported, for torch's libraries abort where an exception comes then. What a stage has
    begun lies in its own folder, where the next run finds it.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.timer: threading.Timer | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """What `signal.signal` is given."""
        again, self.received = self.received is not None, self.received or number
        if again or _importing(frame):
            os._exit(self.tell())
        sys.unraisablehook = lambda _: None  # what swallows the exception below must not print it at length
        self.limit()
        raise KeyboardInterrupt

    def limit(self) -> None:
        """End the process in `GRACE` seconds, unless the timer is cancelled."""
        self.timer = threading.Timer(GRACE, lambda: os._exit(self.tell()))
        self.timer.daemon = True
        self.timer.start()

    def tell(self) -> int:
        """Print the one line of an interrupted run; 130 for SIGINT, 143 for SIGTERM."""
        number = signal.Signals(self.received or signal.SIGINT)
        print(f"adiabit: interrupted by {number.name}; run the same command again, it resumes",
              file=sys.stderr, flush=True)  # fmt: skip
        return 128 + number


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported where the signal came."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def guarded(work: Callable[[], int], *, last: bool = False) -> int:
    """The exit code of `work`, or that of the signal that came meanwhile, whatever `work` made of it.

    `last` says that the process ends with it: then later signals change nothing any more.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()  # Python handles signals in its main thread alone
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
    return code if interrupts.received is None else interrupts.tell()
