# SPDX-License-Identifier: Apache-2.0
"""An accelerator on a serial line: a frame goes out, its result comes back. Needs pyserial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .accelerator import Classifier, needed
from .files import DriverError, load_description

IDENTIFY, FRAME = b"I", b"F"


class SerialAccelerator(Classifier):
    """An accelerator on a board with an open toolchain.

    `description`: NAME.json, which lies beside the bitstream. `port`: the serial port, e.g. /dev/ttyUSB0. `timeout`:
    seconds for a result. `DriverError` where nothing answers or the circuit is not the described one.
    """

    def __init__(self, description: str, port: str, *, timeout: float = 2.0) -> None:
        self.description, self.input, self.output = load_description(Path(description), ("identity", "baud"))
        serial = needed("serial", "install it: pip install pyserial")
        try:
            self.line = serial.Serial(port, self.description["baud"], timeout=timeout)
        except serial.SerialException as error:
            raise DriverError(f"{port}: {error}; is the board connected and the port yours to use?") from error
        self.line.reset_input_buffer()
        self.line.write(IDENTIFY)
        identity = f"{int.from_bytes(self._read(8, port), 'little'):016x}"
        if identity != self.description["identity"]:
            raise DriverError(
                f"{port}: the circuit is accelerator {identity}, {description} is of {self.description['identity']}; "
                "load the bitstream of this description"
            )

    def _read(self, count: int, what: str) -> bytes:
        answer: bytes = self.line.read(count)
        if len(answer) != count:
            raise DriverError(f"{what}: {len(answer)} of {count} bytes came in {self.line.timeout:g} s; is it loaded?")
        return answer

    def outputs(self, images: Any) -> Any:
        """The outputs of any number of frames (F, *input shape), or labels (F,) where a frame has one output."""
        values = self.input.check(images)
        frames = np.zeros((len(values), self.input.frame_bytes), np.uint8)
        results = np.zeros((len(values), self.output.frame_bytes), np.uint8)
        self.input.pack(values, frames)
        for number, frame in enumerate(frames):
            self.line.write(FRAME + frame.tobytes())
            answer = self._read(self.output.frame_bytes, f"frame {number}")
            results[number] = np.frombuffer(answer, np.uint8)
        found = self.output.unpack(results)
        return found.reshape(len(values)) if self.output.shape == (1,) else found

    def close(self) -> None:
        """Close the port."""
        self.line.close()
