# SPDX-License-Identifier: Apache-2.0
"""SVG elements as strings; every text and attribute is escaped here, so callers need not."""

from __future__ import annotations

from markupsafe import Markup, escape


def element(tag: str, *children: str, **attributes: object) -> Markup:
    """`<tag attributes>children</tag>`; `class_` is class, an underscore is a hyphen, None omits the attribute.

    Children that are not `Markup` are text and are escaped.
    """
    pairs = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    opening = "".join(f' {name}="{escape(_text(value))}"' for name, value in pairs.items())
    return Markup(f"<{tag}{opening}>{join(*children)}</{tag}>")  # noqa: S704  # tag and names are ours, the rest escaped


def join(*parts: str) -> Markup:
    """The concatenated parts."""
    return Markup("").join(escape(part) for part in parts)


def text(x: float, y: float, words: str, class_: str = "", anchor: str | None = None) -> Markup:
    """A line of text with its baseline at y."""
    return element("text", words, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def picture(width: float, height: float, label: str, *children: str, class_: str) -> Markup:
    """The outermost element; `label` is its text for screen readers."""
    return element(
        "svg", *children, viewBox=f"0 0 {_text(width)} {_text(height)}", width=width, height=height, class_=class_,
        role="img", aria_label=label, xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
