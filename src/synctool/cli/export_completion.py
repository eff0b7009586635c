"""What the shell completes for ``synctool export``."""

from __future__ import annotations

INT8 = ("static", "dynamic")


def complete_format(incomplete: str) -> list[str]:
    """Names of export formats."""
    from synctool.plugins import registry

    return [spec.name for spec in registry.exporters.all() if spec.name.startswith(incomplete)]


def complete_parts(incomplete: str) -> list[str]:
    """Names of graphs, the last of several with commas."""
    before, comma, begun = incomplete.rpartition(",")
    named = before.split(",")
    names = ["video", "audio", "head", *([] if comma else ["one"])]
    return [f"{before}{comma}{n}" for n in names if n.startswith(begun) and n not in named]


def complete_int8(incomplete: str) -> list[str]:
    """Ways to eight bits."""
    return [name for name in INT8 if name.startswith(incomplete)]
