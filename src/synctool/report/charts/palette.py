"""Colours of pages and plots, in light and dark.

Those of models are after Okabe & Ito ("Color universal design", 2008), which people with any colour
vision tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping

MODELS = 7
"""Different colours of models; the models after these get them again, with other strokes."""

LIGHT: Mapping[str, str] = {
    "page": "#f7f7f5", "card": "#ffffff", "ink": "#16191d", "soft": "#596270",
    "line": "#dcdfe3", "faint": "#eceef0",
    "accent": "#0a5a9c", "focus": "#0a5a9c", "tint": "#eef3f8",
    "in-sync": "#00704f", "detectable": "#8f5200", "unacceptable": "#b3261e",
    "inconclusive": "#5d4b8c",
    "b-in-sync": "#d9efe7", "b-detectable": "#fbeccb", "b-unacceptable": "#f9dfdc",
    "m0": "#0068a8", "m1": "#c24a00", "m2": "#00805a", "m3": "#a8427f", "m4": "#9a6b00",
    "m5": "#3d84b8", "m6": "#4a4f57",
    "weak": "#9aa5b1", "segment": "#d0342c", "truth": "#16191d",
}  # fmt: skip
DARK: Mapping[str, str] = {
    "page": "#111417", "card": "#191d21", "ink": "#e9ecef", "soft": "#a1abb7",
    "line": "#343b43", "faint": "#262c32",
    "accent": "#7cbcf0", "focus": "#7cbcf0", "tint": "#1d2730",
    "in-sync": "#4fd1a5", "detectable": "#f2b84b", "unacceptable": "#ff8f7d",
    "inconclusive": "#b9a8ec",
    "b-in-sync": "#16372d", "b-detectable": "#3a2f14", "b-unacceptable": "#3c2220",
    "m0": "#5eb3ee", "m1": "#ff9350", "m2": "#3ccb9c", "m3": "#ec93c6", "m4": "#e3b341",
    "m5": "#a4d3f3", "m6": "#c3cad2",
    "weak": "#6b7682", "segment": "#ff7b6b", "truth": "#e9ecef",
}  # fmt: skip


def style_sheet() -> str:
    """The colours as custom properties of a page: light on paper and unless dark is preferred or chosen."""
    dark = _rules("dark", DARK)
    return (
        f":root {{ {_rules('light', LIGHT)} }}\n"
        "@media screen and (prefers-color-scheme: dark) { "
        f':root:not([data-theme="light"]) {{ {dark} }} }}\n'
        f'@media screen {{ :root[data-theme="dark"] {{ {dark} }} }}'
    )


def _rules(scheme: str, colours: Mapping[str, str]) -> str:
    named = "; ".join(f"--{name}: {colour}" for name, colour in colours.items())
    return f"color-scheme: {scheme}; {named}"
