# SPDX-License-Identifier: Apache-2.0
"""Hooks of MkDocs: the repository's documents outside of docs/ become pages, and links between all of them hold."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PAGES = {  # document of the repository -> page
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "hw/rtl/README.md": "hw/rtl.md",
    "hw/hls/README.md": "hw/hls.md",
    **{f"benchmarks/{path.name}": f"benchmarks/{path.name}" for path in sorted((ROOT / "benchmarks").glob("*.md"))},
}
SHIM = "https://unpkg.com/iframe-worker/shim"  # by which the search works from a disk; ours lies beside the pages:
OURS = "assets/iframe-worker.js"
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages whose documents lie outside of docs/."""
    for document, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / document)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make links lead to pages; those to files that are no page become plain text."""
    documents = {where: document for document, where in PAGES.items()}
    here = documents.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def moved(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        document = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        if not (ROOT / document).exists():
            return found[0]  # which MkDocs will report
        if document not in PAGES and not re.fullmatch(r"docs/[\w/]+\.(md|ipynb)", document):
            return words
        to = PAGES.get(document, document.removeprefix("docs/"))
        return f"[{words}]({posixpath.relpath(to, posixpath.dirname(page.file.src_uri) or '.')}{anchor})"

    return LINK.sub(moved, markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Take the search's shim from our own files, so that a page asks no server for anything."""
    return output.replace(SHIM, posixpath.relpath(OURS, posixpath.dirname(page.file.dest_uri) or "."))


def on_post_template(output_content: str, **_: Any) -> str:
    """The same for the page of a missing page."""
    return output_content.replace(SHIM, f"/{OURS}")
