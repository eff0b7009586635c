"""Values as they are written on the command line."""

from __future__ import annotations


def value_of(text: str) -> int | float | bool | str:
    """A number where the text is one, true and false, and else the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)
