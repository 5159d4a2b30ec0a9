# SPDX-License-Identifier: Apache-2.0
"""The configuration of simulations."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from adiabit.flows.toolchain import cores


class SimulateConfig(BaseModel):
    """The recipe's table `[simulate]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int = Field(default=0, ge=0)  # the saved vector to start from
    frames: int | None = Field(default=None, ge=1)  # how many; by default all that follow
    stall_frames: int = Field(default=64, ge=0)  # how many of these run again with random gaps and stalls
    seed: int = Field(default=1, ge=1, le=2**31 - 1)  # of register contents, gaps and stalls
    trace: bool = False  # write waveforms (VCD) of every run
    activity: int = Field(default=0, ge=0)  # frames over which changes of all nets are counted, as activity.saif
    jobs: int | None = Field(default=None, ge=1)  # processes at once, by default all cores; the results are the same

    @property
    def processes(self) -> int:
        """The number of processes at once."""
        return self.jobs or cores()
