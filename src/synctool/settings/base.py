"""The base of the classes of settings: checked when made, fixed afterwards, the same from every side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, TypeVar, get_type_hints

from synctool.errors import UsageError
from synctool.settings.fields import Setting, did_you_mean
from synctool.settings.values import name_and_value

Some = TypeVar("Some", bound="Settings")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a command. Every subclass is a frozen dataclass with keywords only.

    Attributes:
        section: Name of the command, and of the table in a settings file.

    Raises:
        UsageError: Naming every wrong value at once.
    """

    section: ClassVar[str] = ""

    def __post_init__(self) -> None:
        problems = []
        for row in rows(type(self)):
            try:
                object.__setattr__(self, row.name, row.parse(getattr(self, row.name)))
            except ValueError as error:
                problems.append(f"{row.name}: {error}")
        refuse(problems, self.section)
        self.check()

    def check(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            UsageError: Some do.
        """

    @classmethod
    def of(cls: type[Some], settings: Some | None, changes: Mapping[str, Any]) -> Some:
        """The settings of a call from Python.

        Args:
            settings: Settings to begin with; None for the defaults.
            changes: Values by name that differ from them.

        Raises:
            UsageError: Naming every unknown name and wrong value at once.
        """
        if settings is not None and not isinstance(settings, cls):
            raise UsageError(
                f"settings is a {type(settings).__name__}", remedy=f"Give a {cls.__name__}."
            )
        known = {row.name: row for row in rows(cls)}
        problems = []
        for name, value in changes.items():
            if name not in known:
                problems.append(f"{name}: unknown setting{did_you_mean(name, known)}")
                continue
            try:
                known[name].parse(value)
            except ValueError as error:
                problems.append(f"{name}: {error}")
        refuse(problems, cls.section)
        begun = {} if settings is None else settings.as_dict()
        made = cls(**{**begun, **changes})
        made.refuse_idle(changes)
        return made

    @classmethod
    def taken_from(cls: type[Some], other: Settings) -> Some:
        """Settings with the values of another command's, where both have one of a name."""
        names = {f.name for f in fields(other)} & {f.name for f in fields(cls)}
        return cls(**{name: getattr(other, name) for name in names})

    def refuse_idle(self, given: Iterable[str]) -> None:
        """Refuse settings that were asked for and would have no effect beside the others.

        Args:
            given: Names of settings that were asked for in this call, and not in a settings file.

        Raises:
            UsageError: There are some.
        """
        known = {row.name: row for row in rows(type(self))}
        idle = {
            name: known[name].line.needs
            for name in given
            if known[name].line.needs and not any(map(self._has, known[name].line.needs))
        }
        if not idle:
            return
        name, needs = next(iter(idle.items()))
        wanted = [_words(known, need) for need in needs]
        raise UsageError(
            f"{known[name].flag} has no effect without {' or '.join(wanted)}",
            remedy=f"Add {wanted[0]}, or leave {known[name].flag} out.",
        )

    def _has(self, need: str) -> bool:
        name, value = name_and_value(need)
        own = getattr(self, name)
        return str(own) == value if value else own != row_of(type(self), name).default

    def as_dict(self) -> dict[str, Any]:
        """A new dictionary of names and values, in the order of ``--help``."""
        return {row.name: getattr(self, row.name) for row in rows(type(self))}

    def plain(self) -> dict[str, Any]:
        """The same as JSON knows it."""
        return {row.name: row.plain(getattr(self, row.name)) for row in rows(type(self))}


@cache
def rows(kind: type[Settings]) -> tuple[Setting, ...]:
    """The settings of a class, its own before those that it shares with others."""
    hints = get_type_hints(kind)
    own = [f for f in fields(kind) if f.name in vars(kind).get("__annotations__", {})]
    shared = [f for f in fields(kind) if f not in own]
    return tuple(Setting.of(f, hints[f.name]) for f in (*own, *shared))


def row_of(kind: type[Settings], name: str) -> Setting:
    """One setting of a class.

    Raises:
        KeyError: It has no such setting.
    """
    return {row.name: row for row in rows(kind)}[name]


def _words(known: Mapping[str, Setting], need: str) -> str:
    name, value = name_and_value(need)
    row = known[name]
    return row.flag if row.switch else f"{row.flag} {value or row.metavar}"


def refuse(problems: list[str], section: str) -> None:
    """Raise an error that tells all problems, if there are any.

    Raises:
        UsageError: There are.
    """
    if not problems:
        return
    listed = "\n".join(f"  - {p}" for p in problems)
    many = f"{len(problems)} settings are wrong:\n{listed}"
    raise UsageError(
        problems[0] if len(problems) == 1 else many,
        remedy=f"'synctool {section} --help' lists the settings and their values.",
    )
