"""Options of a network: as people write them, whether a backbone has them, and whose in a pair they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from synctool.errors import UsageError
from synctool.plugins.specs import BackboneSpec, PairSpec
from synctool.settings.values import name_and_value, value_of

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
    name, value = name_and_value(entry)
    if not (name and value):
        raise UsageError(f"{entry!r} is no option", remedy=_FORM)
    return [(name, value_of(value))]


def check_options(spec: BackboneSpec, options: Mapping[str, Any]) -> None:
    """Make sure that a backbone has these options.

    Raises:
        UsageError: It has no such option; the remedy names the nearest and all.
    """
    pair = isinstance(spec, PairSpec)
    unknown = sorted(
        name
        for name in set(options) - set(spec.options)
        if not (pair and name.startswith("head."))  # which there are depends on the head
    )
    if unknown:
        near = get_close_matches(unknown[0], list(spec.options), n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"{spec.full_name} has no option {unknown[0]!r}", remedy=f"{hint}{known_options(spec)}"
        )


def known_options(spec: BackboneSpec) -> str:
    """A sentence with all options of a backbone and their defaults."""
    words = [f"{name} ({value})" for name, value in sorted(spec.options.items())]
    return f"Its options and their defaults: {', '.join(words) or 'none'}."


def options_of(part: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of one part of a pair (``video``, ``audio`` or ``head``), without its name."""
    prefix = f"{part}."
    return {k.removeprefix(prefix): v for k, v in options.items() if k.startswith(prefix)}
