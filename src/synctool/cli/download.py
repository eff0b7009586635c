"""``synctool download``: weights and data sets, from the catalogue to the disk."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from synctool.cli import download_text
from synctool.cli.common import print_table, print_text, show_error
from synctool.cli.options import Given, JsonFile, Quiet, settings_options
from synctool.cli.outputs import JsonOutput
from synctool.cli.progress import bytes_bar
from synctool.errors import (
    EXIT_MISSING,
    EXIT_OK,
    EXIT_UNEXPECTED,
    SyncToolError,
    UsageError,
    no_effect,
)
from synctool.plugins import registry
from synctool.settings.download import DownloadSettings

if TYPE_CHECKING:
    from rich.progress import Progress

    from synctool.downloads.run import Credentials, Downloaded, Step
    from synctool.plugins.specs import CatalogueEntry

_LONGEST_NOTE = 60


class Kind(str, Enum):
    """What an entry is, for ``--kind``."""

    weights = "weights"
    dataset = "dataset"


class _GetByDefault(TyperGroup):
    """A group in which words that are no command are names to get."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``get`` in front, unless there is a command or a question for help."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["get", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_GetByDefault,
    no_args_is_help=True,
    subcommand_metavar="NAME... | COMMAND [ARGS]...",
    help="""Fetch weights and data sets; NAME... is short for get NAME...

    Examples:

      synctool download list

      synctool download syncnet

      synctool download syncnet --from /media/usb/syncnet_v2.model

    What is fetched is verified by size and SHA-256.
    """,
)


def _known_names(incomplete: str) -> list[str]:
    return [entry.name for entry in registry.catalogue.all() if entry.name.startswith(incomplete)]


Names = Annotated[
    list[str],
    typer.Argument(help="Names, as listed by synctool download list.", autocompletion=_known_names),
]


@app.command()
@settings_options(DownloadSettings)
def get(
    given: Given[DownloadSettings],
    names: Names,
    dest: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder for the files (default: the cache folder for weights, ./NAME for a data set).",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="File or folder to import from, verified.",
            readable=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be fetched, and fetch nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Fetch again what is already here.")
    ] = False,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Fetch missing weights and data sets, and verify them.

    Examples:

      synctool download get syncnet

      synctool download get grid --dest corpora/grid --dry-run

    Run it again after an interruption: it continues where it stopped. A password is asked for, or taken
    from SYNCTOOL_PASSWORD or ~/.netrc.

    Exit codes: 0 all is here; 1 one could not be fetched, or is damaged; 5 something is missing, such as a
    password or an extra; 2 usage.
    """
    settings, output = given.settings(), JsonOutput(json, quiet=quiet)
    _check_one(names, dest, source)
    if dry_run:
        _refuse_idle(
            [*(["--from"] if source else []), *(f"--{n}" for n in given.flags if n in given.names)]
        )
        _plan_each(names, dest, force, output)
        return
    options = {"settings": settings, "dest": dest, "source": source, "force": force}
    done, code = _get_each(names, options, quiet=not output.for_people)
    output.write([result.to_dict() for result in done])
    raise typer.Exit(code)


@app.command("list")
def list_entries(
    kind: Annotated[
        Kind | None,
        typer.Option(
            metavar="KIND",
            help="List one kind only (weights, dataset; default both).",
            show_default=False,
        ),
    ] = None,
    json: JsonFile = None,
) -> None:
    """List what can be fetched, and what is already here.

    Examples:

      synctool download list

      synctool download list --kind weights --json weights.json

    Exit codes: 0 listed, 2 usage, 1 anything else.
    """
    output = JsonOutput(json)
    from synctool.downloads.run import described, listing

    states = listing(kind.value if kind else None)
    output.write([described(state) for state in states])
    if output.for_people:
        columns = ["name", "kind", "size", "access", "here", "summary", "licence"]
        print_table(columns, [download_text.row(state) for state in states])


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="Name, as listed by synctool download list.", autocompletion=_known_names
        ),
    ],
    json: JsonFile = None,
) -> None:
    """Show one entry: files, mirrors, checksums, licence, access, and where it is.

    Examples:

      synctool download show syncnet

      synctool download show grid --json grid.json

    Exit codes: 0 shown, 2 usage, 1 anything else.
    """
    output = JsonOutput(json)
    from synctool.downloads import run as download

    state = download.show(name)
    output.write(download.described(state))
    if output.for_people:
        print_text(download_text.entry(state))


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names (default: all that are here).",
            show_default=False,
            autocompletion=_known_names,
        ),
    ] = None,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Verify what is here against the published checksums.

    Examples:

      synctool download verify

      synctool download verify syncnet --json verified.json

    Exit codes: 0 all is whole, 1 something is damaged, 5 something is missing, 2 usage.
    """
    from synctool.downloads.run import verify as run

    output = JsonOutput(json, quiet=quiet)
    with bytes_bar(quiet=not output.for_people) as bar:
        results = run(names or [], on_progress=_Display(bar).show)
    output.write([result.to_dict() for result in results])
    if output.for_people:
        print_text(download_text.verified(results))
    found = {result.status for result in results}
    missing = EXIT_MISSING if found & {"not here", "incomplete"} else EXIT_OK
    raise typer.Exit(EXIT_UNEXPECTED if "damaged" in found else missing)


def _refuse_idle(given: list[str]) -> None:
    """Nothing of how files are fetched matters where nothing is."""
    if given:
        raise no_effect(given[0].replace("_", "-"), "with --dry-run")


def _check_one(names: list[str], dest: Path | None, source: Path | None) -> None:
    for flag, value in (("--dest", dest), ("--from", source)):
        if value is not None and len(names) > 1:
            raise UsageError(
                f"{flag} is the place of one entry, and {len(names)} are named",
                remedy="Get one at a time.",
            )


def _plan_each(names: list[str], dest: Path | None, force: bool, output: JsonOutput) -> None:
    from synctool.downloads.run import plan

    plans = [plan(name, dest=dest, force=force) for name in names]
    output.write([made.to_dict() for made in plans])
    if output.for_people:
        for made in plans:
            print_text(download_text.planned(made))


def _get_each(
    names: list[str], options: dict[str, Any], *, quiet: bool
) -> tuple[list[Downloaded], int]:
    """Get one after the other; one that fails does not cost the others."""
    from synctool.downloads import run as download

    for name in names:
        download.entry_of(name)  # a wrong name is told before the first byte
    done, codes = [], [EXIT_OK]
    for name in names:
        try:
            with bytes_bar(quiet=quiet) as bar:
                display = _Display(bar)
                result = download.download(
                    name, on_progress=display.show, ask=display.ask, **options
                )
        except KeyboardInterrupt as stop:
            kept = "files that came in full are" if download.entry_of(name).hub else "what came is"
            raise KeyboardInterrupt(
                f"Stopped; {kept} kept. Run the same command again to go on."
            ) from stop
        except SyncToolError as error:
            if len(names) == 1:
                raise
            codes.append(show_error(error, debug=False))
            continue
        done.append(result)
        if not quiet:
            print_text(download_text.downloaded(result))
    return done, EXIT_UNEXPECTED if EXIT_UNEXPECTED in codes else max(codes)


class _Display:
    """Shows steps as a bar, and asks for passwords beside it."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: Any = None
        self._about: tuple[str, str] | None = None

    def show(self, name: str, step: Step) -> None:
        """Move the bar; another file, or another kind of work, gets a new one."""
        if (step.doing, step.path) != self._about:
            if self._task is not None:
                self._bar.remove_task(self._task)
            words = f"{step.doing} {step.path or name}"
            # What was here already must not count as speed.
            self._task = self._bar.add_task(words, completed=step.bytes_done, total=None, note="")
            self._about = (step.doing, step.path)
        from synctool.report.text import shortened

        note = f"({shortened(step.note, _LONGEST_NOTE)})" if step.note else ""
        self._bar.update(self._task, completed=step.bytes_done, total=step.bytes_total, note=note)

    @property
    def ask(self) -> Any:
        """Asks for a user name and a password, None where nobody sits at a terminal."""
        return self._ask if sys.stdin.isatty() else None

    def _ask(self, entry: CatalogueEntry, user: str | None) -> Credentials:
        from synctool.downloads.run import Credentials

        self._bar.stop()
        try:
            print_text(f"{entry.name}: {entry.access_note}", err=True)
            name = user or str(typer.prompt("User name", err=True))
            return Credentials(name, typer.prompt("Password", hide_input=True, err=True))
        except typer.Abort:  # Typer's word for Ctrl-C at a question
            raise KeyboardInterrupt from None
        finally:
            self._bar.start()
