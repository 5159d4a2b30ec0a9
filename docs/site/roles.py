# SPDX-License-Identifier: Apache-2.0
"""An extension of griffe: `:func:` and its kin in docstrings become links, or code where there is no page of it."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":(?:func|class|meth|mod|data):`~?([\w.]+)`")
PUBLIC = re.compile(r"adiabit\.\w+")


class Roles(Extension):
    """Rewrites the roles of each docstring."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Called for each object that is read."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub(_shown, obj.docstring.value)


def _shown(found: re.Match[str]) -> str:
    name = found[1]
    return f"[`{name}`][{name}]" if PUBLIC.fullmatch(name) else f"`{name}`"
