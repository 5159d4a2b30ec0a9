# SPDX-License-Identifier: Apache-2.0
"""A dataclass survives its file, and a damaged file is told with the key that is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.flows import documents
from adiabit.flows.ladder import StageName


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A part."""

    count: int


@dataclass(frozen=True, kw_only=True)
class Outer:
    """A document."""

    stage: StageName
    share: float | None
    parts: tuple[Inner, ...] = ()


def test_a_document_is_equal_after_a_round_trip(tmp_path: Path) -> None:
    document = Outer(stage=StageName.EMIT, share=None, parts=(Inner(count=1), Inner(count=2)))
    documents.write(tmp_path / "one.json", document)
    documents.write(tmp_path / "two.json", [document, document])
    read = documents.read(Outer, tmp_path / "one.json")
    assert read == document
    assert read.stage is StageName.EMIT
    assert documents.read(list[Outer], tmp_path / "two.json") == [document, document]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "invalid JSON: EOF while parsing a value at line 1 column 0"),
        ("[]", "input should be an object"),
        ('{"stage": "emit"}', "share: field required"),
        ('{"stage": "emmit", "share": 1}', "stage: input should be 'train', 'export'"),
        ('{"stage": "emit", "share": 1, "parts": [{"count": "x"}]}', "parts.0.count: input should be a valid integer"),
        ("[" * 100_000, "invalid JSON: recursion limit exceeded"),
    ],
)
def test_a_damaged_document_is_one_line(tmp_path: Path, text: str, fault: str) -> None:
    (path := tmp_path / "one.json").write_text(text)
    with pytest.raises(
        UserError, match=f"^{re.escape(f'{path}: damaged ({fault}')}.*; delete the folder {tmp_path} and"
    ):
        documents.read(Outer, path)
    with pytest.raises(UserError, match="; do something$"):
        documents.read(Outer, path, "do something")
