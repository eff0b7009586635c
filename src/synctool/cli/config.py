"""``synctool config``: what settings hold and where each comes from, and a file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from synctool.cli.common import print_table, print_text
from synctool.cli.options import Given, JsonFile, settings_options
from synctool.cli.outputs import JsonOutput
from synctool.cli.places import STANDARD_OUTPUT
from synctool.errors import UsageError, no_effect
from synctool.settings.base import Settings
from synctool.settings.fields import did_you_mean
from synctool.settings.sources import (
    FILE_NAME,
    SECTIONS,
    SettingOrigin,
    origins,
    settings_file,
)

SCHEMA = "synctool.config/1"

app = typer.Typer(
    no_args_is_help=True, help="Show settings and where they come from; write a settings file."
)


def _commands(incomplete: str) -> list[str]:
    return [name for name in SECTIONS if name.startswith(incomplete)]


@app.command("show", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def show(
    context: typer.Context,
    command: Annotated[
        str | None,
        typer.Argument(
            metavar="COMMAND [FLAGS]...",
            help="A command, with flags as it would be given; all commands when left out.",
            autocompletion=_commands,
            show_default=False,
        ),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Show every setting of a command, its value, and where that comes from.

    Examples:

      synctool config show detect

      synctool config show detect --max-offset 50

      SYNCTOOL_TRAIN_EPOCHS=3 synctool config show train --json -

    Exit codes: 0 shown, 2 a setting is wrong, 1 anything else.
    """
    output = JsonOutput(json)
    wanted = [_known(command)] if command else list(SECTIONS)
    flags = _flags(SECTIONS[wanted[0]], context.args) if command else {}
    found = {name: origins(SECTIONS[name], flags) for name in wanted}
    file = settings_file()
    sections = {n: {o.setting.name: o.to_dict() for o in own} for n, own in found.items()}
    path = str(file.resolve()) if file.is_file() else None
    output.write({"schema": SCHEMA, "file": path, "sections": sections})
    if not output.for_people:
        return
    print_text(f"settings file: {file if file.is_file() else f'none ({file} is not there)'}")
    columns = ["command", "setting", "value", "from"]
    print_table(columns, [_row(name, origin) for name, own in found.items() for origin in own])


@app.command("init")
def init(
    commands: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMANDS...",
            help="Commands to include (default: all).",
            autocompletion=_commands,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            metavar="FILE",
            help=f"Settings file; - for stdout (default {FILE_NAME}).",
            show_default=False,
        ),
    ] = FILE_NAME,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a settings file that lists every setting with its help and default, commented out.

    Examples:

      synctool config init

      synctool config init detect compare --out ~/synctool.toml

    Exit codes: 0 written, 2 usage, 1 anything else.
    """
    from synctool.files import check_writable, write_text
    from synctool.settings.template import template

    text = template(map(_known, commands or ()))
    if out == STANDARD_OUTPUT and force:
        raise no_effect("--force", "on the standard output")
    if out == STANDARD_OUTPUT:
        typer.echo(text, nl=False)
        return
    path = Path(out).expanduser()
    check_writable(path)
    if path.exists() and not force:
        raise UsageError(f"{out} is there already", remedy="Give --force to replace it, or --out.")
    write_text(path, text)
    print_text(f"{out} written: every setting, commented out")


def _known(command: str) -> str:
    if command not in SECTIONS:
        raise UsageError(
            f"{command} has no settings{did_you_mean(command, SECTIONS)}",
            remedy=f"Those with settings are {', '.join(SECTIONS)}.",
        )
    return command


def _flags(kind: type[Settings], words: list[str]) -> dict[str, Any]:
    """The settings among the flags of a command, read as that command reads them."""
    read: list[Given[Any]] = []
    own = typer.Typer(add_completion=False)
    own.command()(settings_options(kind)(read.append))
    get_command(own).main(words, prog_name=f"synctool {kind.section}", standalone_mode=False)
    return dict(read[0].flags)


def _row(command: str, origin: SettingOrigin) -> list[str]:
    value = origin.setting.plain(origin.value)
    shown = "-" if value is None or value == () else str(value)
    if isinstance(value, bool):
        shown = "yes" if value else "no"
    elif isinstance(value, tuple) and value:
        shown = "; ".join(map(str, value))
    return [command, origin.setting.name, shown, origin.place or origin.source]
