"""Options of a network as people write them: ``NAME=VALUE`` on the command line, tables in TOML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from synctool.errors import UsageError
from synctool.settings.values import value_of

_FORM = "Write NAME=VALUE, such as width=16, or video.NAME=VALUE for an encoder of a pair."


def network_options(given: Iterable[str | Mapping[str, Any]]) -> dict[str, Any]:
    """Options by name.

    Args:
        given: ``NAME=VALUE``, where the value is read as a number or true and false if it is one, or
            tables of values by name.

    Raises:
        UsageError: One is written in another way, or is there twice.
    """
    options: dict[str, Any] = {}
    for entry in given:
        for name, value in _pairs(entry):
            if name in options:
                raise UsageError(f"the option {name} twice", remedy="Give it once.")
            options[name] = value
    return options


def _pairs(entry: str | Mapping[str, Any]) -> list[tuple[str, Any]]:
    if not isinstance(entry, str):
        return list(entry.items())
    name, sign, value = (part.strip() for part in entry.partition("="))
    if not (name and sign and value):
        raise UsageError(f"{entry!r} is no option", remedy=_FORM)
    return [(name, value_of(value))]
