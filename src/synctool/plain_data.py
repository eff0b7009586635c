"""Dataclasses from the plain data that ``dataclasses.asdict`` gives, or JSON. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def from_plain(kind: type[T], data: Mapping[str, Any], *, schema: str | None = None) -> T:
    """A dataclass from what ``asdict`` gave, also after a way through JSON.

    Keys that it does not know, as a newer version may have, are passed over.

    Args:
        kind: The dataclass. Its fields may be dataclasses, tuples, mappings, plain values or None.
        data: Its plain data.
        schema: What ``data["schema"]`` must be; None for data without.

    Raises:
        ValueError: Another schema, or something is missing.
    """
    if schema is not None and data.get("schema") != schema:
        raise ValueError(f"no {schema}")
    hints = _hints(kind)
    given = {name: _value(hints[name], data[name]) for name in hints if name in data}
    lacking = [name for name in _needed(kind) if name not in given]
    if lacking:
        raise ValueError(f"{kind.__name__} lacks {', '.join(lacking)}")
    return kind(**given)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {entry.name: hints[entry.name] for entry in fields(kind)}


@cache
def _needed(kind: Any) -> tuple[str, ...]:
    return tuple(
        entry.name
        for entry in fields(kind)
        if entry.default is MISSING and entry.default_factory is MISSING
    )


def _value(hint: Any, value: Any) -> Any:
    """A value of JSON as the type that a field has."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):  # one type or None
        return None if value is None else _value(inner[0], value)
    if origin is tuple:
        if inner[-1] is Ellipsis:
            simple = not (is_dataclass(inner[0]) or get_origin(inner[0]) in (tuple, Mapping))
            return tuple(value) if simple else tuple(_value(inner[0], entry) for entry in value)
        return tuple(_value(one, entry) for one, entry in zip(inner, value))
    if origin is Mapping:
        return {inner[0](key): _value(inner[1], entry) for key, entry in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return from_plain(hint, value)
    return value
