# SPDX-License-Identifier: Apache-2.0
"""A block design as a Vivado project: one Tcl script that packages the core, builds the system and checks timing.

The script needs Vivado 2022.1 or newer and nothing else; it names no path outside its own folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adiabit.boards.catalog import Board
from adiabit.boards.pynq.block_design import PS, VENDOR, BlockDesign, Cell

SCRIPT = "build.tcl"
NEGATIVE_SLACK = 3  # exit code of the script


def script(design: BlockDesign, board: Board, *, name: str, top: str, sources: Sequence[str]) -> str:
    """`build.tcl` for the core `top`, whose sources lie in `rtl/` beside the script; it leaves `out/NAME.bit`."""
    vendor, library = VENDOR.split(":")
    words = {"title": board.title, "part": board.part, "vendor": vendor, "library": library, "name": name, "top": top}
    processor = next(cell for cell in design.cells if cell.name == PS)
    return "\n".join([
        _HEAD.format(**words, files="\n".join(f"  {source}" for source in sources)),
        *_board(board),
        _SYSTEM,
        *(line for cell in design.cells for line in _cell(cell)),
        *_preset(board),
        *_config(processor),
        "",
        *(f"connect_bd_intf_net [get_bd_intf_pins {a}] [get_bd_intf_pins {b}]" for a, b in design.buses),
        *(
            " \\\n  ".join([f"connect_bd_net [get_bd_pins {driver}]", *(f"[get_bd_pins {pin}]" for pin in pins)])
            for driver, pins in design.nets
        ),
        "",
        *(
            f"assign_bd_address -offset {w.offset:#010x} -range {w.size:#010x} "
            f"-target_address_space [get_bd_addr_spaces {w.space}] [get_bd_addr_segs {w.segment}]"
            for w in design.windows
        ),
        "# The rest: the memory, as the DMA sees it.",
        "assign_bd_address",
        _BUILD.format(code=NEGATIVE_SLACK),
    ])  # fmt: skip


def _board(board: Board) -> Iterator[str]:
    """Vivado's settings for the board, if it knows it: the processor's memory and peripherals."""
    if board.board_part:
        known = board.board_part.rsplit(":", 1)[0]
        yield f"set boards [get_board_parts -quiet {{{known}:*}}]"
        yield "if {[llength $boards]} { set_property board_part [lindex $boards end] [current_project] }"
    else:
        yield "set boards {}"


def _cell(cell: Cell) -> Iterator[str]:
    yield f"create_bd_cell -type ip -vlnv [newest {cell.core}] {cell.name}"
    if cell.name != PS:  # its settings come after those of the board
        yield from _config(cell)


def _config(cell: Cell) -> Iterator[str]:
    if cell.config:
        pairs = "".join(f"  {key} {{{value}}} \\\n" for key, value in cell.config.items())
        yield f"set_property -dict [list \\\n{pairs}] [get_bd_cells {cell.name}]"


def _preset(board: Board) -> Iterator[str]:
    """The processor's settings: the board's own, then what the design needs."""
    rule, more = {
        "zynq7000": ("processing_system7", ' make_external "FIXED_IO, DDR" Master "Disable" Slave "Disable"'),
        "zynqmp": ("zynq_ultra_ps_e", ""),
    }[board.shell]
    yield "set preset [expr {[llength $boards] ? 1 : 0}]"
    yield (
        f"apply_bd_automation -rule xilinx.com:bd_rule:{rule} "
        f"-config [list apply_board_preset $preset{more}] [get_bd_cells {PS}]"
    )


_HEAD = """\
# SPDX-License-Identifier: Apache-2.0
# Written by adiabit, for {title}: vivado -mode batch -source build.tcl
# Leaves out/{name}.bit, out/{name}.hwh and the reports; exit code 3 where the timing is not met.

set here [file dirname [file normalize [info script]]]
set out [file join $here out]
set name {name}
set top {top}
file mkdir $out

# The newest core of that name in Vivado's catalog.
proc newest {{core}} {{
  set found [get_ipdefs -all "$core:*"]
  if {{![llength $found]}} {{ error "Vivado has no core $core" }}
  return [lindex [lsort -dictionary $found] end]
}}

# The accelerator as an IP core of its own, in ip/.
create_project -force package [file join $here vivado package] -part {part}
set files {{
{files}
}}
foreach file $files {{ add_files [file join $here rtl $file] }}
set_property top $top [current_fileset]
update_compile_order -fileset sources_1
ipx::package_project -root_dir [file join $here ip] -vendor {vendor} -library {library} -taxonomy /UserIP \\
  -import_files -force
set core [ipx::current_core]
set_property name $top $core
set_property version 1.0 $core
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::save_core $core
close_project

create_project -force system [file join $here vivado system] -part {part}"""
_SYSTEM = """\
set_property ip_repo_paths [file join $here ip] [current_project]
update_ip_catalog

create_bd_design system"""
_BUILD = """
validate_bd_design
save_bd_design
make_wrapper -files [get_files system.bd] -top -import
set_property top system_wrapper [current_fileset]

launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
if {{[get_property PROGRESS [get_runs impl_1]] ne "100%"}} {{ error "impl_1 failed; see vivado/system/system.runs" }}
open_run impl_1
report_utilization -hierarchical -file [file join $out utilization.txt]
report_timing_summary -file [file join $out timing.txt]
set made [file join $here vivado system]
file copy -force [file join $made system.runs impl_1 system_wrapper.bit] [file join $out $name.bit]
file copy -force [file join $made system.gen sources_1 bd system hw_handoff system.hwh] [file join $out $name.hwh]

set path [get_timing_paths -max_paths 1]
set slack [get_property SLACK $path]
puts "adiabit: worst slack $slack ns, from [get_property STARTPOINT_PIN $path] to [get_property ENDPOINT_PIN $path]"
if {{$slack < 0}} {{ exit {code} }}
exit 0
"""
