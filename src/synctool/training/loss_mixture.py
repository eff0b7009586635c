"""Mixtures of losses as people write them: ``NAME=WEIGHT`` on the command line, tables in TOML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from synctool.errors import UsageError
from synctool.plugins import registry
from synctool.settings.values import name_and_value, value_of
from synctool.training.losses.objective import LossTerm

_KEYS = ("name", "weight", "options")
_FORM = "Write NAME, NAME=WEIGHT, or NAME=WEIGHT,OPTION=VALUE,..., for example focal=0.5,gamma=1."


def parse_loss(text: str) -> LossTerm:
    """One term as it is written on the command line.

    Args:
        text: ``NAME``, ``NAME=WEIGHT`` or ``NAME=WEIGHT,OPTION=VALUE,...``; the weight is 1 unless
            given.

    Raises:
        UsageError: It is written otherwise, or there is no such loss or option.
    """
    first, *rest = (part.strip() for part in text.split(","))
    name, weight = name_and_value(first)
    options: dict[str, Any] = {}
    for part in rest:
        key, value = name_and_value(part)
        if not (key and value):
            raise UsageError(f"{part!r} in {text!r} is no option", remedy=_FORM)
        if key in options:
            raise UsageError(f"{key} twice in {text!r}", remedy=_FORM)
        options[key] = value_of(value)
    if not name or weight == "":
        raise UsageError(f"{text!r} is no loss", remedy=_FORM)
    return loss_term(name, weight=1.0 if weight is None else value_of(weight), options=options)


def loss_terms(given: Iterable[str | Mapping[str, Any]]) -> tuple[LossTerm, ...]:
    """A mixture from texts as for ``parse_loss``, or tables with ``name``, ``weight``, ``options``.

    Raises:
        UsageError: A table has another key, or there is no such loss or option.
    """
    return tuple(parse_loss(x) if isinstance(x, str) else _from_table(x) for x in given)


def loss_term(
    name: str, *, weight: object = 1.0, options: Mapping[str, Any] | None = None
) -> LossTerm:
    """One term, its name and the names of its options checked.

    Raises:
        UsageError: There is no such loss or option, or the weight is no positive number.
        PluginError: Two plugins claim the name.
    """
    spec = registry.losses.get(name)
    factor = _number(weight)
    if factor is None or factor <= 0:
        raise UsageError(
            f"the weight of {spec.name} is {weight!r}",
            remedy="Give a number above 0; a loss that is not named takes no part.",
        )
    chosen: dict[str, Any] = {}
    for key, value in (options or {}).items():
        if key not in spec.options:
            raise UsageError(
                f"the loss {spec.name} has no option {key!r}", remedy=_options(key, spec.options)
            )
        chosen[key] = _fitting(spec.name, key, value, spec.options[key])
    return LossTerm(spec.name, factor, chosen, spec.factory)


def _from_table(table: object) -> LossTerm:
    if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
        raise UsageError(
            f"{table!r} is no loss", remedy='Write a table with a name, like { name = "focal" }.'
        )
    for key in table:
        if key not in _KEYS:
            raise UsageError(
                f"{key!r} in the table of the loss {table['name']}",
                remedy=f"It has {', '.join(_KEYS)}; options of the loss belong into options.",
            )
    options = table.get("options", {})
    if not isinstance(options, Mapping):
        raise UsageError(
            f"the options of the loss {table['name']} are {options!r}",
            remedy="Write a table, like { gamma = 1.0 }.",
        )
    return loss_term(table["name"], weight=table.get("weight", 1.0), options=options)


def _fitting(name: str, key: str, value: Any, default: Any) -> Any:
    """The value, if it is of a kind with the default: a loss need not expect anything else."""
    if isinstance(default, bool):
        fits, kind = isinstance(value, bool), "true or false"
    elif isinstance(default, float):
        fits, kind = _number(value) is not None, "a number"
    elif isinstance(default, str):
        fits, kind = isinstance(value, str), "a word"
    else:
        fits, kind = True, ""
    if not fits:
        raise UsageError(
            f"{key} of the loss {name} is {value!r}", remedy=f"Give {kind}, like {_shown(default)}."
        )
    return float(value) if isinstance(default, float) else value


def _number(value: object) -> float | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _options(key: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(key.lower(), known, n=2)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"It has {', '.join(known)}." if known else "It has none."


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
