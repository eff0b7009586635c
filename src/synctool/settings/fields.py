"""One line per setting: name, type, default, help, range, flag; and the check of a value against it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field
from difflib import get_close_matches
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

AUTO = ("auto", "yes", "no")
"""Choices of a switch that may be left to the program."""
Auto = Literal["auto", "yes", "no"]
"""Type of such a switch."""

_LINE = "synctool"
_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    Path: "a path",
    tuple: "a list of texts",
    dict: "a text or a table",
}
_TAKEN = {int: Integral, float: Real, str: str, Path: (str, Path), dict: str}
_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_METAVARS = {int: "N", float: "X", Path: "PATH", tuple: "NAME", dict: "TEXT", str: "NAME"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """What the line of a setting says beside its name, type and default.

    Attributes:
        help: One line without a closing full stop.
        minimum: Least value allowed, None for no bound.
        maximum: Greatest value allowed, None for no bound.
        flag: Name of the flag without dashes, where it is not the setting's.
        short: Short spelling of the flag, for example ``-k``.
        metavar: What ``--help`` calls the value.
        group: Heading in ``--help``; "" for ``Options``.
        unset: What having no value means, in place of a default.
        separator: What stands between the values of a list that is given as one text; "" for a list
            whose flag is given once for each value.
        joined: Whether a text may be given as a list of values, which are joined with commas.
        flag_only: Whether it cannot stand in a settings file or the environment.
        formerly: Earlier name, which is taken with a warning.
        needs: Settings of which one must be given, too, for this one to have an effect: ``name``, or
            ``name=value`` for that value of it.
        read: Reads a text that stands for a value, such as a time; raises ``ValueError`` where it does not.
        check: Raises ``ValueError`` for a value that is not allowed.
    """

    help: str
    minimum: float | None = None
    maximum: float | None = None
    flag: str = ""
    short: str = ""
    metavar: str = ""
    group: str = ""
    unset: str = ""
    separator: str = ""
    joined: bool = False
    flag_only: bool = False
    formerly: str = ""
    needs: tuple[str, ...] = ()
    read: Callable[[str], Any] | None = None
    check: Callable[[Any], object] | None = None


def setting(default: Any, help: str, **more: Any) -> Any:
    """The right side of a setting in a class of settings.

        batch_size: int = setting(32, "Clips per batch", minimum=1, group="Optimization")

    Args:
        default: Value when nobody says anything else; None where there is none.
        help: One line without a closing full stop.
        more: See ``Line``.
    """
    return field(default=default, metadata={_LINE: Line(help=help, **more)})


@dataclass(frozen=True)
class Setting:
    """One setting as its class declares it.

    Attributes:
        name: Name in Python, in files, and in the environment; the flag has dashes for underscores.
        kind: ``int``, ``float``, ``str``, ``bool``, ``Path``, ``tuple`` for a list of texts (and
            tables), or ``dict`` for a table that may be written as one text.
        default: Value when nobody says anything else.
        line: The rest of what its line says.
        optional: Whether it may have no value.
        choices: The only values allowed, empty for any. ``auto``, ``yes`` and ``no`` may be given as
            true and false too, and are a flag with its opposite on the command line.
        tables: Whether a list may hold tables.
    """

    name: str
    kind: type
    default: Any
    line: Line
    optional: bool = False
    choices: tuple[str, ...] = ()
    tables: bool = False

    @classmethod
    def of(cls, own: Field[Any], annotation: Any) -> Setting:
        """The setting that a field of a class of settings declares.

        Raises:
            TypeError: Its type is none that a setting can have.
        """
        kinds = [a for a in _alternatives(annotation) if a is not type(None)]
        optional = len(kinds) < len(_alternatives(annotation))
        choices: tuple[str, ...] = ()
        tables = False
        if len(kinds) == 1 and get_origin(kinds[0]) is Literal:
            kind, choices = str, get_args(kinds[0])
        elif len(kinds) == 1 and get_origin(kinds[0]) is tuple:
            kind = tuple
            tables = any(_is_mapping(a) for a in _alternatives(get_args(kinds[0])[0]))
        elif any(_is_mapping(k) for k in kinds):
            kind = dict
        else:
            kind = kinds[0]
        if kind not in _KINDS or own.default is MISSING:
            raise TypeError(f"{own.name}: {annotation} cannot be the type of a setting")
        return cls(own.name, kind, own.default, own.metadata[_LINE], optional, choices, tables)

    @property
    def flag(self) -> str:
        """The name on the command line, for example ``--max-offset``."""
        return f"--{self.line.flag or self.name.replace('_', '-')}"

    @property
    def negative_flag(self) -> str:
        """What switches it off, for example ``--no-tensorboard``; empty for what is no switch."""
        return f"--no-{self.flag.removeprefix('--')}" if self.switch else ""

    @property
    def metavar(self) -> str:
        """What ``--help`` calls the value."""
        return self.line.metavar or _METAVARS.get(self.kind, "")

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.kind in (int, float)

    @property
    def switch(self) -> bool:
        """Whether it is switched on and off; one with ``auto`` may be left to the program."""
        return self.kind is bool or self.choices == AUTO

    @property
    def range_text(self) -> str:
        """The values allowed in words, empty when any will do."""
        low, high = self.line.minimum, self.line.maximum
        if self.choices:
            return ", ".join(self.choices)
        if low is not None and high is not None:
            return f"{_figure(low)} to {_figure(high)}"
        if high is not None:
            return f"at most {_figure(high)}"
        return f"at least {_figure(low)}" if low else ""

    @property
    def default_text(self) -> str:
        """The default as it would be typed, empty where there is none."""
        if self.kind is tuple:
            return (self.line.separator or "; ").join(map(str, self.default or ()))
        if self.default is None or self.default is False:
            return ""
        if self.default is True:
            return "yes"
        return _figure(self.default) if self.kind is float else str(self.default)

    @property
    def help_text(self) -> str:
        """Help, values allowed and default, for ``--help``."""
        allowed = "" if self.switch else self.range_text
        usual = self.default_text or self.line.unset
        default = f"default {usual}" if usual else ""
        extra = "; ".join(filter(None, [allowed, default]))
        return f"{self.line.help} ({extra})." if extra else f"{self.line.help}."

    def plain(self, value: Any) -> Any:
        """A value as JSON knows it: a list with commas as one text, a path as a text."""
        if isinstance(value, tuple) and self.line.separator:
            return self.line.separator.join(map(str, value)) or None
        return os.fspath(value) if isinstance(value, Path) else value

    def parse(self, value: object, *, text: bool = False) -> Any:
        """Check a value and bring it to the setting's type.

        Args:
            value: What a settings file, the environment, a flag or a program gives.
            text: Whether the value is text that has still to be read as a number.

        Raises:
            ValueError: The value has the wrong type or lies outside what is allowed; the message
                continues a sentence that begins with the name of the setting.
        """
        if self.optional and (value is None or (text and str(value).lower() == "none")):
            return None
        parsed = self._typed(value, text=text)
        if self.choices and parsed not in self.choices:
            near = did_you_mean(str(parsed), self.choices)
            raise ValueError(f"{parsed!r} is not one of {self.range_text}{near}")
        low, high = self.line.minimum, self.line.maximum
        if (low is not None and parsed < low) or (high is not None and parsed > high):
            raise ValueError(f"{parsed} is out of range: {self._bounds()}")
        if self.line.check is not None:
            self.line.check(parsed)
        return parsed

    def _bounds(self) -> str:
        return self.range_text or f"at least {_figure(self.line.minimum or 0)}"

    def _typed(self, value: Any, *, text: bool) -> Any:
        if self.kind is bool:
            return self._truth(value, text=text)
        if self.kind is tuple:
            return self._listed(value, text=text)
        if self.line.read is not None and isinstance(value, str):
            value, text = self.line.read(value), False
        if text and self.kind in (int, float, Path):
            try:
                value = self.kind(str(value).strip())
            except ValueError:
                self._wrong_type(value)
        if self.switch and isinstance(value, bool):
            value = "yes" if value else "no"
        if self.kind is dict and isinstance(value, Mapping):
            return dict(value)
        if self.line.joined and isinstance(value, list | tuple):
            value = ",".join(map(str, value))
        if isinstance(value, bool) or not isinstance(value, _TAKEN[self.kind]):
            self._wrong_type(value)
        kept: Any = str if self.kind is dict else self.kind
        typed = kept(value.strip() if isinstance(value, str) else value)
        if not str(value).strip() or (isinstance(typed, float) and not isfinite(typed)):
            self._wrong_type(value)
        return typed

    def _truth(self, value: object, *, text: bool) -> bool:
        known = _TRUTHS.get(str(value).strip().lower()) if text else value
        if not isinstance(known, bool):
            self._wrong_type(value)
        return known

    def _listed(self, value: Any, *, text: bool) -> tuple[Any, ...]:
        separator = self.line.separator
        if isinstance(value, str) and (separator or text):
            items = [part.strip() for part in value.split(separator or ";")]
            items = items if separator else [item for item in items if item]
        else:
            items = [value] if isinstance(value, str | os.PathLike) else value
        if not isinstance(items, list | tuple):
            self._wrong_type(value)
        listed = []
        for item in items:
            if isinstance(item, Mapping) and self.tables:
                listed.append(dict(item))
            elif isinstance(item, str | os.PathLike) and os.fspath(item).strip():
                listed.append(os.fspath(item))
            else:
                self._wrong_type(value)
        return tuple(listed)

    def _wrong_type(self, value: object) -> NoReturn:
        more = " or tables" if self.tables else " with commas" if self.line.separator else ""
        raise ValueError(f"{value!r} is not {_KINDS[self.kind]}{more}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the nearest known name, empty when none is near."""
    near = get_close_matches(name.lower(), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _is_mapping(annotation: Any) -> bool:
    return get_origin(annotation) is Mapping


def _figure(value: float) -> str:
    """A number in full: ``:g`` would round whole numbers of more than six digits."""
    return str(int(value)) if float(value).is_integer() else f"{value:g}"
