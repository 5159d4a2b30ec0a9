# SPDX-License-Identifier: Apache-2.0
"""As much of Vivado's hardware hand-off (.hwh) as cocotbpynq reads, from the same block design as the Tcl."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from adiabit.boards.pynq.block_design import DMA, PS, BlockDesign

AXI_LITE = {
    **{f"AW{e}": f"s_axi_aw{e.lower()}" for e in ("ADDR", "PROT", "VALID", "READY")},
    **{f"W{e}": f"s_axi_w{e.lower()}" for e in ("DATA", "STRB", "VALID", "READY")},
    **{f"B{e}": f"s_axi_b{e.lower()}" for e in ("RESP", "VALID", "READY")},
    **{f"AR{e}": f"s_axi_ar{e.lower()}" for e in ("ADDR", "PROT", "VALID", "READY")},
    **{f"R{e}": f"s_axi_r{e.lower()}" for e in ("DATA", "RESP", "VALID", "READY")},
}
STREAM = ("TDATA", "TLAST", "TVALID", "TREADY")


def hwh(design: BlockDesign, top: str, module: str) -> str:
    """The hand-off in which the cell `top` is an instance of `module`, whose clock is `clk`."""
    root = ET.Element("EDKSYSTEM")
    modules = ET.SubElement(root, "MODULES")

    def cell(name: str, kind: str, vlnv: str) -> tuple[ET.Element, ET.Element]:
        made = ET.SubElement(modules, "MODULE", INSTANCE=name, FULLNAME=f"/{name}", MODTYPE=kind, VLNV=vlnv)
        return made, ET.SubElement(made, "BUSINTERFACES")

    def bus(interfaces: ET.Element, name: str, net: str, kind: str, role: str, ports: dict[str, str]) -> None:
        made = ET.SubElement(interfaces, "BUSINTERFACE", NAME=name, BUSNAME=net, TYPE=role,
                             VLNV=f"xilinx.com:interface:{kind}:1.0")  # fmt: skip
        maps = ET.SubElement(made, "PORTMAPS")
        for logical, physical in ports.items():
            ET.SubElement(maps, "PORTMAP", LOGICAL=logical, PHYSICAL=physical)

    nets = {end: f"net{n}" for n, pair in enumerate(design.buses) for end in pair}
    core, core_buses = cell(top, module, f"adiabit:user:{top}:1.0")
    ports = ET.SubElement(core, "PORTS")
    ET.SubElement(ports, "PORT", NAME="clk", SIGIS="clk")
    ET.SubElement(ports, "PORT", NAME="aresetn", SIGIS="rst", POLARITY="ACTIVE_LOW")
    bus(core_buses, "s_axi", nets[f"{top}/s_axi"], "aximm", "SLAVE", AXI_LITE)
    for side, role in (("s_axis", "TARGET"), ("m_axis", "INITIATOR")):
        bus(core_buses, side, nets[f"{top}/{side}"], "axis", role, {e: f"{side}_{e.lower()}" for e in STREAM})
    _, dma_buses = cell(DMA, "axi_dma", "xilinx.com:ip:axi_dma:7.1")
    bus(dma_buses, "M_AXIS_MM2S", nets[f"{DMA}/M_AXIS_MM2S"], "axis", "INITIATOR", {})
    bus(dma_buses, "S_AXIS_S2MM", nets[f"{DMA}/S_AXIS_S2MM"], "axis", "TARGET", {})
    processor, _ = cell(PS, "processing_system7", "xilinx.com:ip:processing_system7:5.5")
    memory = ET.SubElement(processor, "MEMORYMAP")
    for window in design.windows:
        name, interface, _ = window.segment.split("/")
        ET.SubElement(memory, "MEMRANGE", INSTANCE=name, SLAVEBUSINTERFACE=interface,
                      BASEVALUE=f"{window.offset:#x}", HIGHVALUE=f"{window.offset + window.size - 1:#x}")  # fmt: skip
    return ET.tostring(root, encoding="unicode")
