# SPDX-License-Identifier: Apache-2.0
"""One cocotb bench of one top: build, run, and what failed."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

WARNINGS = ("-Wall",)
RANDOM = ("--x-assign", "unique", "--x-initial", "unique")


def assert_passes(
    module: str, top: str, sources: Sequence[Path], folder: Path, environment: Mapping[str, str], *, tests: int,
    build_args: Sequence[str] = (*WARNINGS, *RANDOM),
) -> None:  # fmt: skip
    """Run the bench `module`, which has so many tests, on `top`, whose memory files lie in `folder/rtl`."""
    from cocotb_tools.runner import get_runner

    results, log = folder / "results.xml", folder / "run.log"
    runner = get_runner("verilator")
    runner.build(
        sources=list(sources),
        hdl_toplevel=top,
        build_dir=folder / "build",
        build_args=["--assert", "-j", "2", *build_args],
        timescale=("1ns", "1ps"),
        always=True,
    )
    with contextlib.suppress(SystemExit):  # of the runner, where a test fails
        runner.test(
            test_module=module,
            hdl_toplevel=top,
            build_dir=folder / "build",
            test_dir=folder / "rtl",
            results_xml=str(results),
            extra_env=dict(environment),
            plusargs=["+verilator+rand+reset+2", "+verilator+seed+1"],
            log_file=log,
        )
    cases = list(ET.parse(results).getroot().iter("testcase"))  # noqa: S314  # written by our own run
    failed = [c.attrib["name"] for c in cases if c.find("failure") is not None or c.find("error") is not None]
    assert len(cases) == tests
    assert failed == [], log.read_text()[-4000:]
