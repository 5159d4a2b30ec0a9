# SPDX-License-Identifier: Apache-2.0
"""The documentation's site: it builds without a warning, its links hold, and its pages ask no server for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import adiabit

ROOT = Path(__file__).parents[1]
LOADS = {"script": "src", "img": "src", "iframe": "src", "link": "href"}  # what a browser fetches by itself


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "--strict", "--site-dir", str(out)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
    return out


class Page(HTMLParser):
    """What a page loads, what it links to, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads, self.links, self.anchors = list[str](), list[str](), set[str]()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each tag."""
        found = {name: value or "" for name, value in attrs}
        self.anchors.add(found.get("id", ""))
        if (key := LOADS.get(tag)) and key in found and found.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(found[key])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for path in pages:
        assert [place for place in Page(path).loads if re.match(r"(https?:)?//", place)] == []
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", path.read_text())


def test_links_between_pages_hold(site: Path) -> None:
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    missing = []
    for path, page in pages.items():
        for link in page.links:
            place, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:|//", place):
                continue
            target = (path.parent / place).resolve() if place else path
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                missing.append((path.name, link))
    assert missing == []


def test_the_whole_interface_is_on_its_page(site: Path) -> None:
    anchors = Page(site / "python.html").anchors
    shown = [name for name in adiabit.__all__ if name not in ("Recipe", "UserError")]
    assert [name for name in shown if f"adiabit.{name}" not in anchors] == []
    text = (site / "python.html").read_text()
    assert ":func:" not in text
    assert ":class:" not in text
