# SPDX-License-Identifier: Apache-2.0
"""Whatever a model file holds, it is read, or refused in one line: no traceback, no crash, no hang."""

from __future__ import annotations

from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.normalize import normalize
from adiabit.flows.frontend.read import read
from tests.fuzz.onnx_models import cases

QUICK, LONG = 20, 150
SEED = 1


def test_the_cases_are_the_same_each_time() -> None:
    assert list(cases(SEED, QUICK)) == list(cases(SEED, LONG))[:QUICK]


def outcome(path: Path) -> str:
    """What the user is told; nothing where the model is read."""
    try:
        normalize(read(path), CompileConfig())
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("first", "count"), [(0, QUICK), pytest.param(QUICK, LONG, marks=pytest.mark.full)], ids=["quick", "long"]
)
def test_a_file_is_read_or_refused_in_one_line(tmp_path: Path, first: int, count: int) -> None:
    path, told = tmp_path / "n.onnx", {}
    for name, content in list(cases(SEED, first + count))[first:]:
        path.write_bytes(content)
        told[name] = outcome(path)
    assert all(text.startswith(f"{path}: ") and "\n" not in text for text in told.values() if text), told
    assert 0 < list(told.values()).count("") < count, told
