# SPDX-License-Identifier: Apache-2.0
"""The front end has qonnx transform nothing but QDQ: import-linter sees no further than `qonnx`."""

from __future__ import annotations

import re
from pathlib import Path

import adiabit.flows.frontend

FRONTEND = Path(adiabit.flows.frontend.__file__).parent


def test_qonnx_transforms_only_qdq_in_the_front_end() -> None:
    sources = sorted(FRONTEND.glob("*.py"))
    assert sources
    assert [p.name for p in sources if re.search(r"\bqonnx\.transformation\b|\.transform\(", p.read_text())] == [
        "qdq.py"
    ]
