"""Verdicts as a page shows them: a sign and a colour, so that none is known by its colour alone."""

from __future__ import annotations

from markupsafe import Markup

from synctool.report.charts.svg import element

_SIGNS = {
    "in sync": "●",
    "detectable": "▲",
    "unacceptable": "■",
    "inconclusive": "○",
    "failed": "✕",
}


def verdict_mark(verdict: str) -> Markup:
    """The sign and the word of a verdict."""
    sign = element("span", _SIGNS.get(verdict, ""), class_="sign", aria_hidden="true")
    return element("span", sign, f" {verdict}", class_=f"mark {verdict_class(verdict)}")


def verdict_class(verdict: str) -> str:
    """The class of a verdict's colour."""
    return "v-" + verdict.replace(" ", "-")
