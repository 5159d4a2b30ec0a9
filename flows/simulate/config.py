# SPDX-License-Identifier: Apache-2.0
"""The configuration of simulations."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from adiabit.flows.toolchain import cores


class SimulateConfig(BaseModel):
    """The recipe's table `[simulate]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int = Field(default=0, ge=0)
    """The saved vector to start from."""
    frames: int | None = Field(default=None, ge=1)
    """How many; by default all that follow."""
    stall_frames: int = Field(default=64, ge=0)
    """How many of these run again with random gaps and stalls."""
    seed: int = Field(default=1, ge=1, le=2**31 - 1)
    """Of register contents, gaps and stalls."""
    trace: bool = False
    """Write waveforms; all frames are one run then."""
    activity: int = Field(default=0, ge=0)
    """Frames over which the changes of every net are counted: `activity.saif`, which power estimation of vendors'
    tools reads, and their sum a frame, *toggles*, a proxy of energy.
    """
    jobs: int | None = Field(default=None, ge=1)
    """Processes that simulate at once, by default all cores; the results do not depend on it."""

    @property
    def processes(self) -> int:
        """The number of processes at once."""
        return self.jobs or cores()
