# SPDX-License-Identifier: Apache-2.0
"""The system around an accelerator on a Zynq, as data: cells, nets and addresses.

The processor writes the registers of a DMA and of the accelerator; the DMA reads frames from memory and writes
results there. One clock, the processor's first fabric clock, drives all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adiabit.boards.catalog import Board
from adiabit.errors import UserError

PS, RESET, DMA, CONTROL, MEMORY = "ps", "reset", "dma", "control", "memory"
VENDOR = "adiabit:user"  # and library, of the accelerator's core
REGISTER_RANGE = 0x10000  # bytes of a cell's window
LENGTH_BITS = 26  # of a transfer: up to 64 MiB - 1


@dataclass(frozen=True, kw_only=True)
class Cell:
    """An instance of a core of Vivado's catalog."""

    name: str
    core: str  # vendor:library:name, without version
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Where a master sees a slave's registers."""

    space: str  # CELL/SPACE
    segment: str  # CELL/INTERFACE/SEGMENT
    offset: int
    size: int


@dataclass(frozen=True, kw_only=True)
class BlockDesign:
    """Cells; buses from master to slave, CELL/INTERFACE each; nets from a driver to pins, CELL/PIN each."""

    name: str
    cells: tuple[Cell, ...]
    buses: tuple[tuple[str, str], ...]
    nets: tuple[tuple[str, tuple[str, ...]], ...]
    windows: tuple[Window, ...]

    def window(self, cell: str) -> Window:
        """The registers of a cell."""
        return next(w for w in self.windows if w.segment.startswith(f"{cell}/"))


@dataclass(frozen=True, kw_only=True)
class _Processor:
    """The differences between the two families."""

    core: str
    clock: str
    reset: str
    control: str  # the port through which it accesses registers
    control_clock: str
    memory: str  # the port through which others access memory
    memory_clock: str
    base: int  # of registers behind the control port
    config: Mapping[str, str]


def _processor(board: Board, clock_mhz: float) -> _Processor:
    if board.shell == "zynq7000":
        return _Processor(
            core="xilinx.com:ip:processing_system7", clock="FCLK_CLK0", reset="FCLK_RESET0_N", control="M_AXI_GP0",
            control_clock="M_AXI_GP0_ACLK", memory="S_AXI_HP0", memory_clock="S_AXI_HP0_ACLK", base=0x4000_0000,
            config={
                "CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ": f"{clock_mhz:g}",
                "CONFIG.PCW_USE_M_AXI_GP0": "1",
                "CONFIG.PCW_USE_S_AXI_HP0": "1",
                "CONFIG.PCW_S_AXI_HP0_DATA_WIDTH": "64",
            },
        )  # fmt: skip
    if board.shell == "zynqmp":
        return _Processor(
            core="xilinx.com:ip:zynq_ultra_ps_e", clock="pl_clk0", reset="pl_resetn0", control="M_AXI_HPM0_FPD",
            control_clock="maxihpm0_fpd_aclk", memory="S_AXI_HP0_FPD", memory_clock="saxihp0_fpd_aclk",
            base=0xA000_0000,
            config={
                "CONFIG.PSU__FPGA_PL0_ENABLE": "1",
                "CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": f"{clock_mhz:g}",
                "CONFIG.PSU__USE__M_AXI_GP0": "1",
                "CONFIG.PSU__USE__M_AXI_GP1": "0",
                "CONFIG.PSU__USE__M_AXI_GP2": "0",
                "CONFIG.PSU__USE__S_AXI_GP2": "1",
                "CONFIG.PSU__SAXIGP2__DATA_WIDTH": "64",
            },
        )  # fmt: skip
    raise UserError(f"board {board.name}: its shell is {board.shell!r}; a block design needs zynq7000 or zynqmp")


def block_design(board: Board, clock_mhz: float, top: str, word_bytes: int) -> BlockDesign:
    """The system of a board around `top`, an IP core by `adiabit.hw.emit.ip`."""
    processor = _processor(board, clock_mhz)
    bits = str(8 * word_bytes)
    dma = {
        "CONFIG.c_include_sg": "0",
        "CONFIG.c_sg_length_width": str(LENGTH_BITS),
        "CONFIG.c_m_axi_mm2s_data_width": bits,
        "CONFIG.c_m_axis_mm2s_tdata_width": bits,
        "CONFIG.c_m_axi_s2mm_data_width": bits,
        "CONFIG.c_mm2s_burst_size": "16",
        "CONFIG.c_s2mm_burst_size": "16",
    }
    smartconnect = "xilinx.com:ip:smartconnect"
    cells = (
        Cell(name=PS, core=processor.core, config=processor.config),
        Cell(name=RESET, core="xilinx.com:ip:proc_sys_reset"),
        Cell(name=DMA, core="xilinx.com:ip:axi_dma", config=dma),
        Cell(name=CONTROL, core=smartconnect, config={"CONFIG.NUM_SI": "1", "CONFIG.NUM_MI": "2"}),
        Cell(name=MEMORY, core=smartconnect, config={"CONFIG.NUM_SI": "2", "CONFIG.NUM_MI": "1"}),
        Cell(name=top, core=f"{VENDOR}:{top}"),
    )
    buses = (
        (f"{PS}/{processor.control}", f"{CONTROL}/S00_AXI"),
        (f"{CONTROL}/M00_AXI", f"{DMA}/S_AXI_LITE"),
        (f"{CONTROL}/M01_AXI", f"{top}/s_axi"),
        (f"{DMA}/M_AXI_MM2S", f"{MEMORY}/S00_AXI"),
        (f"{DMA}/M_AXI_S2MM", f"{MEMORY}/S01_AXI"),
        (f"{MEMORY}/M00_AXI", f"{PS}/{processor.memory}"),
        (f"{DMA}/M_AXIS_MM2S", f"{top}/s_axis"),
        (f"{top}/m_axis", f"{DMA}/S_AXIS_S2MM"),
    )
    clocked = (
        f"{PS}/{processor.control_clock}", f"{PS}/{processor.memory_clock}", f"{RESET}/slowest_sync_clk",
        f"{CONTROL}/aclk", f"{MEMORY}/aclk", f"{DMA}/s_axi_lite_aclk", f"{DMA}/m_axi_mm2s_aclk",
        f"{DMA}/m_axi_s2mm_aclk", f"{top}/aclk",
    )  # fmt: skip
    reset = (f"{CONTROL}/aresetn", f"{MEMORY}/aresetn", f"{DMA}/axi_resetn", f"{top}/aresetn")
    nets = (
        (f"{PS}/{processor.clock}", clocked),
        (f"{PS}/{processor.reset}", (f"{RESET}/ext_reset_in",)),
        (f"{RESET}/peripheral_aresetn", reset),
    )
    windows = tuple(
        Window(space=f"{PS}/Data", segment=segment, offset=processor.base + n * REGISTER_RANGE, size=REGISTER_RANGE)
        for n, segment in enumerate((f"{DMA}/S_AXI_LITE/Reg", f"{top}/s_axi/reg0"))
    )
    return BlockDesign(name="system", cells=cells, buses=buses, nets=nets, windows=windows)
