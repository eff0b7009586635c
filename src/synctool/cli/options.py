"""Options of the commands: those of a class of settings, and those of inputs and results, each written
once."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic

import typer

from synctool.errors import UsageError
from synctool.settings.base import Some, rows
from synctool.settings.fields import Setting
from synctool.settings.sources import resolve

RESULTS = "Results"
"""Heading of the options that say where results go."""

_FORMER, _NEGATIVE = "former_", "no_"
_log = logging.getLogger(__name__)

Complete = Callable[[str], list[str]]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
"""``--quiet`` of all commands."""
FromFile = Annotated[
    str | None,
    typer.Option(
        "--from-file",
        metavar="FILE",
        help="List of videos, one per line; - for the standard input.",
    ),
]
"""``--from-file`` of the commands that take videos."""


def result_option(name: str, help: str, *former: str, metavar: str = "FILE") -> Any:
    """An option for a file that results are written to.

    Args:
        name: The flag, for example ``--json``.
        help: What is written.
        former: Earlier spellings; see ``renamed``.
        metavar: What ``--help`` calls the value.
    """
    return typer.Option(name, *former, metavar=metavar, help=help, rich_help_panel=RESULTS)


JsonFile = Annotated[str | None, result_option("--json", "JSON; - for stdout.")]
"""``--json`` of the commands whose result is one object or list."""
JournalFile = Annotated[
    str | None,
    result_option("--journal", "Journal of finished videos; the same command continues from it."),
]
"""``--journal`` of the commands that compare and test."""


def renamed(old: str, new: str, value: Any, other: Any) -> Any:
    """The value of a flag that has a new name, given by either.

    Args:
        old: The earlier flag.
        new: The flag.
        value: Value of the earlier one, None unless given.
        other: Value of the new one, None unless given.

    Raises:
        UsageError: Both are given.
    """
    if value is None:
        return other
    if other is not None:
        raise UsageError(f"{old} and {new} are the same", remedy=f"Give {new} only.")
    _log.warning("%s is called %s now", old, new)
    return value


@dataclass(frozen=True)
class Given(Generic[Some]):
    """The flags of a command that are settings.

    Attributes:
        kind: Class of the settings.
        flags: Values by name, None for a flag that was not given.
    """

    kind: type[Some]
    flags: Mapping[str, Any]

    @property
    def names(self) -> set[str]:
        """The settings whose flags were given."""
        return {name for name, value in self.flags.items() if value is not None}

    def settings(self, *, file: Path | None = None, **more: Any) -> Some:
        """The settings from all places.

        Args:
            file: Settings file; None for the usual one.
            more: Values by name that other options of the command give.

        Raises:
            MissingError: The file does not exist.
            UsageError: Naming every unknown setting and wrong value at once.
        """
        return resolve(self.kind, {**self.flags, **more}, file=file)


def settings_options(
    kind: type[Some], complete: Mapping[str, Complete] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator that puts an option for every setting of a class before those of a command.

    The function gets a ``Given`` of the class in the place of its first parameter.

    Args:
        kind: Class of settings.
        complete: What the shell completes, by name of the setting.
    """
    own_rows = rows(kind)

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()

        def command(**values: Any) -> None:
            function(Given(kind, _flags(own_rows, values)), **values)

        parameters = []
        for row in own_rows:
            parameters += _parameters(row, (complete or {}).get(row.name))
        parameters += [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        command.__module__, command.__qualname__ = function.__module__, function.__qualname__
        # Typer asks for both.
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def _flags(known: Sequence[Setting], values: dict[str, Any]) -> dict[str, Any]:
    """Take the settings out of the values of all options."""
    flags = {}
    for row in known:
        value = values.pop(row.name)
        if row.kind is bool and values.pop(_NEGATIVE + row.name, None):
            value = False
        if row.line.formerly:
            old = f"--{row.line.formerly.replace('_', '-')}"
            value = renamed(old, row.flag, values.pop(_FORMER + row.name), value)
        flags[row.name] = value or None if row.kind is tuple else value
    return flags


def _both(row: Setting) -> bool:
    """Whether help shows how to switch it off, too: it is on unless told, or has a third state."""
    return row.switch and (row.kind is not bool or row.default is True)


def _parameters(row: Setting, complete: Complete | None) -> list[inspect.Parameter]:
    more: dict[str, Any] = {"help": row.help_text, "show_default": False}
    if row.line.group:
        more["rich_help_panel"] = row.line.group
    if complete is None and row.choices and not row.switch:
        complete = _starting_with(row.choices)
    if complete is not None:
        more["autocompletion"] = complete
    if not row.switch:
        more["metavar"] = row.metavar
    both = _both(row)
    names = [f"{row.flag}/{row.negative_flag}" if both else row.flag]
    names += [row.line.short] if row.line.short else []
    made = [_parameter(row.name, row, names, more)]
    if row.kind is bool and not both:  # takes back what a settings file says
        made.append(_parameter(_NEGATIVE + row.name, row, [row.negative_flag], {"hidden": True}))
    if row.line.formerly:
        old = f"--{row.line.formerly.replace('_', '-')}"
        made.append(_parameter(_FORMER + row.name, row, [old], {"hidden": True}))
    return made


def _parameter(
    name: str, row: Setting, names: Sequence[str], more: Mapping[str, Any]
) -> inspect.Parameter:
    if row.kind is tuple:
        annotation: Any = str | None if row.line.separator else list[str] | None
    else:
        annotation = bool | None if row.switch else Path | None if row.kind is Path else str | None
    # What reads a file says why it cannot, with a remedy.
    option = typer.Option(*names, readable=False, **more)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[annotation, option],
    )


def _starting_with(choices: Sequence[str]) -> Complete:
    return lambda incomplete: [choice for choice in choices if choice.startswith(incomplete)]
