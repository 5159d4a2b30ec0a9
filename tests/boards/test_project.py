# SPDX-License-Identifier: Apache-2.0
"""The Vivado project of each Zynq board: run by tclsh under a stub that knows the commands and checks the design."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adiabit.boards import catalog
from adiabit.boards.pynq.adiabit_driver.files import FORMAT
from adiabit.boards.pynq.block_design import block_design
from adiabit.errors import UserError
from adiabit.flows import cli
from adiabit.flows.bitstream import project
from adiabit.flows.ladder import Vectors
from adiabit.flows.toolchain import ToolError
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator
from tests.hw.hls.test_emit_hls import conv, tfc
from tests.hw.rtl.chain import some_frames

DRIVER = ("__init__", "__main__", "accelerator", "encoding", "files", "packing", "serial_line")
STUB = Path(__file__).parent / "vivado_stub.tcl"
ZYNQ = [name for name in catalog.names() if catalog.load(name).shell.startswith("zynq")]
Edit = tuple[str, str]


def vectors(accelerator: Accelerator, count: int = 5) -> Vectors:
    frames = some_frames(accelerator.input, np.random.default_rng(0), count)
    labels = golden.run(accelerator, frames)[:, 0].astype(np.int64)
    return Vectors(frames=frames, labels=labels, logits=np.zeros((count, 1), np.float32), predictions=labels)


def written(accelerator: Accelerator, board: str, folder: Path) -> Path:
    folder.mkdir()
    target = catalog.load(board)
    project.write_project(accelerator, vectors(accelerator), target, target.clock_mhz, accelerator.name, folder)
    return folder


def play(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run build.tcl under the stub."""
    command = [shutil.which("tclsh") or "tclsh", str(STUB), "build.tcl"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.mark.parametrize("board", ZYNQ)
@pytest.mark.parametrize("make", [tfc, conv])
def test_the_script_builds_a_whole_system(board: str, make: Callable[[], Accelerator], tmp_path: Path) -> None:
    accelerator = make()
    folder = written(accelerator, board, tmp_path / "project")
    for boards in ("", catalog.load(board).board_part):  # with the board's own settings and without
        done = play(folder, STUB_BOARDS=boards)
        assert (done.returncode, done.stderr) == (0, "")
        assert "adiabit: worst slack 0.5 ns, from from to to" in done.stdout
    assert (folder / "out" / f"{accelerator.name}.bit").exists()
    assert (folder / "out" / f"{accelerator.name}.hwh").exists()


def test_negative_slack_is_an_exit_code(tmp_path: Path) -> None:
    assert play(written(tfc(), "pynq-z2", tmp_path / "project"), STUB_SLACK="-0.25").returncode == 3


FAULTS: dict[str, tuple[Edit, str]] = {
    "a missing source": (("  bnn_mvu.sv\n", "  bnn_muv.sv\n"), "bnn_muv.sv does not exist"),
    "a forgotten memory": (("  tfc_3_weights.mem\n", ""), "the memory file tfc_3_weights.mem is not among the sources"),
    "no such option": (("-to_step write", "-to write"), "launch_runs has no option -to"),
    "no such command": (("validate_bd_design\n", "validate_design\n"), "validate_design: no such command"),
    "no such pin": (("dma/axi_resetn", "dma/aresetn"), "pin dma/aresetn: dma (xilinx.com:ip:axi_dma) has only"),
    "no such key": (("CONFIG.NUM_MI", "CONFIG.NUM_M"), "xilinx.com:ip:smartconnect has no NUM_M"),
    "a clock to a reset": (("get_bd_pins tfc_ip/aclk", "get_bd_pins tfc_ip/aresetn"), "are not of one kind"),
    "an open clock": ((" \\\n  [get_bd_pins dma/m_axi_s2mm_aclk]", ""), "dma/m_axi_s2mm_aclk is not driven"),
    "a slave to a slave": (("get_bd_intf_pins tfc_ip/m_axis", "get_bd_intf_pins tfc_ip/s_axis"), "is slave"),
    "a width": (("c_m_axis_mm2s_tdata_width {64}", "c_m_axis_mm2s_tdata_width {32}"), "has 32 bits, tfc_ip/s_axis 64"),
    "an overlap": (("-offset 0x40010000", "-offset 0x40000000"), "tfc_ip/s_axi/reg0 overlaps dma/S_AXI_LITE/Reg"),
    "no alignment": (("-offset 0x40010000", "-offset 0x40018000"), "is not aligned to 0x00010000"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_stub_finds_a_fault(fault: str, tmp_path: Path) -> None:
    folder = written(tfc(), "pynq-z2", tmp_path / "project")
    (old, new), told = FAULTS[fault]
    text = (folder / "build.tcl").read_text()
    assert old in text
    (folder / "build.tcl").write_text(text.replace(old, new, 1))
    done = play(folder)
    assert done.returncode == 9
    assert told in done.stderr


def test_modules_with_cells_of_xilinx_parts_have_them(tmp_path: Path) -> None:
    rtl = written(conv(), "pynq-z2", tmp_path / "project") / "rtl"
    begin = "`ifndef VERILATOR\n`define BNN_XILINX\n`endif\n// SPDX"
    found = {path.name for path in rtl.glob("*.sv") if path.read_text().startswith(begin)}
    assert found == {"bnn_count.sv", "bnn_lut_pair.sv", "bnn_popcount.sv"}
    assert found == {path.name for path in rtl.glob("*.sv") if "BNN_XILINX" in path.read_text()}


def test_the_project_is_self_contained(tmp_path: Path) -> None:
    folder = written(conv(), "zcu104", tmp_path / "project")
    moved = tmp_path / "elsewhere" / "on another machine"
    shutil.copytree(folder, moved)
    shutil.rmtree(folder)
    assert play(moved).returncode == 0
    assert str(tmp_path) not in "".join(p.read_text() for p in moved.rglob("*.tcl"))
    description = json.loads((moved / "conv.json").read_text())
    assert (description["identity"], description["address"]) == (storage.digest(conv()), 0xA001_0000)
    with np.load(moved / "vectors.npz") as saved:
        assert np.array_equal(saved["outputs"], golden.run(conv(), saved["frames"]))


def test_a_board_without_a_processor_has_no_block_design(tmp_path: Path) -> None:
    board = dataclasses.replace(catalog.load("pynq-z2"), shell="uart")  # noqa: S604  # no such shell
    with pytest.raises(UserError) as caught:
        block_design(board, 100.0, "tfc_ip", 8)
    assert str(caught.value) == "board pynq-z2: its shell is 'uart'; a block design needs zynq7000 or zynqmp"


# Vivado itself, played by a script that runs the stub.

UTILIZATION = """\
+--------+--------+------------+------------+---------+------+-----+--------+--------+------------+
| Instance | Module | Total LUTs | Logic LUTs | LUTRAMs | SRLs | FFs | RAMB36 | RAMB18 | DSP Blocks |
+--------+--------+------------+------------+---------+------+-----+--------+--------+------------+
| system_wrapper | (top) | 5123 | 4900 | 200 | 23 | 6001 | 4 | 3 | 1 |
|   system_i | system | 5123 | 4900 | 200 | 23 | 6001 | 4 | 3 | 1 |
"""


def vivado(folder: Path, code: str = "") -> Path:
    """A program that is called as Vivado is."""
    text = (
        "#!/bin/sh\necho Starting Placer Task\n"
        f'test "$*" = "-mode batch -nojournal -nolog -source build.tcl" || exit 8\n{code}\n'
        f"tclsh {STUB} build.tcl || exit $?\ncat > out/utilization.txt <<'E'\n{UTILIZATION}E\n"
    )
    program = folder / "vivado"
    program.write_text(text)
    program.chmod(0o755)
    return program


def test_vivado_is_run_followed_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = vivado(tmp_path)
    told: list[str] = []
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert project.tool() == program
    (out := tmp_path / "out").mkdir()
    project.build(tfc(), vectors(tfc()), catalog.load("pynq-z2"), 100.0, "tfc", out, told.append)
    assert told == ["vivado: Starting Placer Task"]
    assert json.loads((out / "bitstream.json").read_text()) == {
        "tool": "Vivado", "clock_mhz": 100.0, "total": {"lut": 5123.0, "ff": 6001.0, "bram18": 11.0, "dsp": 1.0},
        "capacity": None, "fmax_mhz": None, "slack_ns": 0.5,
    }  # fmt: skip
    assert (out / "out" / "tfc.bit").exists()


def test_a_timing_that_is_not_met_names_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tfc(), "pynq-z2", tmp_path / "project")
    monkeypatch.setenv("STUB_SLACK", "-1.25")
    with pytest.raises(UserError) as caught:
        project.run_vivado(vivado(tmp_path), folder, 100.0, print)
    assert str(caught.value) == (
        f"{folder}: timing is not met at 100 MHz: worst slack -1.25 ns, from from to to; lower target.clock_mhz or "
        f"fold it more; {folder / 'out' / 'timing.txt'} has the critical path"
    )


def test_a_vivado_that_fails_shows_the_end_of_its_log(tmp_path: Path) -> None:
    folder = written(tfc(), "pynq-z2", tmp_path / "project")
    with pytest.raises(ToolError, match=r"vivado exited with 5; the end of .*vivado\.log:\n(.*\n)*no license"):
        project.run_vivado(vivado(tmp_path, "echo no license; exit 5"), folder, 100.0, print)


# The command line, and the archive.


def test_the_command_line_writes_the_project_and_tells_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "tool", lambda: None)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text('[model]\ntopology = "free"\nwidths = [8]\n[train]\nepochs = 1\n')
    command = ["--out", str(tmp_path / """it's an "out"; $x é"""), "--board", "kv260"]
    assert cli.main(["bitstream", str(recipe), *command]) == 0
    *_, told, place = capsys.readouterr().out.splitlines()
    cd = shlex.join(["cd", place])
    assert told == f"Vivado is not on PATH; on a machine that has it: {cd} && vivado -mode batch -source build.tcl"
    assert play(Path(place)).returncode == 0
    assert "-part xck26-sfvc784-2LV-c\n" in (Path(place) / "build.tcl").read_text()

    assert cli.main(["package", str(recipe), *command, "--bit", str(tmp_path / "none.bit")]) == 2
    assert capsys.readouterr().err == (
        f"adiabit: {tmp_path / 'none.bit'}: not found; build the project on a machine with Vivado (vivado -mode batch "
        f"-source build.tcl in {place}), then give the bitstream with --bit\n"
    )
    for end in ("bit", "hwh"):
        (tmp_path / f"built.{end}").write_text(end)
    assert cli.main(["package", str(recipe), *command, "--bit", str(tmp_path / "built.bit")]) == 0
    archive = Path(capsys.readouterr().out.splitlines()[-1])
    first = archive.read_bytes()
    with zipfile.ZipFile(archive) as files:
        assert sorted(files.namelist()) == sorted([
            *(f"tiny/tiny.{end}" for end in ("bit", "hwh", "json", "ipynb")), "tiny/README.md", "tiny/vectors.npz",
            *(f"tiny/adiabit_driver/{n}.py" for n in DRIVER),
        ])  # fmt: skip
        assert files.read("tiny/tiny.bit") == b"bit"
        assert json.loads(files.read("tiny/tiny.json"))["format"] == FORMAT
        notebook = json.loads(files.read("tiny/tiny.ipynb"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            compile("".join(cell["source"]), "cell", "exec")
    assert cli.main(["package", str(recipe), *command, "--bit", str(tmp_path / "built.bit")]) == 0
    assert archive.read_bytes() == first


def test_a_board_without_pynq_is_not_packaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny.toml").write_text("")
    assert cli.main(["package", str(tmp_path / "tiny.toml"), "--board", "ulx3s-85f"]) == 2
    assert capsys.readouterr().err == (
        "adiabit: ulx3s-85f: not a PYNQ board; package makes archives for PYNQ; `adiabit bitstream` leaves all that "
        "this board needs in one folder\n"
    )


def test_the_boards_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["boards"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in catalog.names())
