"""Options of a command from the table of settings, for commands that take all of a section."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from synctool.cli.common import setting_option
from synctool.settings import table as config

_ANNOTATIONS = {
    int: int | None,
    float: float | None,
    str: str | None,
    Path: Path | None,
    tuple: list[str] | None,
    dict: str | None,
}


def settings_options(
    section: str, short: Mapping[str, str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator that puts an option for every setting of a section before those of a command.

    The function gets their values, None where a flag was not given, as one dictionary in the place of
    its first parameter, which is what ``config.resolve`` takes.

    Args:
        section: Section of the table.
        short: Short spellings by name of the setting, for example ``{"backbone": "-b"}``.
    """
    rows = config.SECTIONS[section]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()

        def command(**values: Any) -> None:
            given = {row.name: values.pop(row.name) for row in rows}
            function(given, **values)

        parameters = [_parameter(section, row, (short or {}).get(row.name)) for row in rows]
        parameters += [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        command.__module__, command.__qualname__ = function.__module__, function.__qualname__
        # Typer asks for both.
        command.__signature__ = inspect.Signature(parameters)
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def _parameter(section: str, row: config.Setting, short: str | None) -> inspect.Parameter:
    option = setting_option(section, row.name, *filter(None, [short]))
    kind = bool | None if row.switch else _ANNOTATIONS[row.type]
    return inspect.Parameter(
        row.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind, option],
    )
