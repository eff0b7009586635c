"""``synctool plugins``: what is installed and what is broken, a new one, and whether one is sound."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synctool.cli.common import print_table, print_text
from synctool.cli.options import JsonFile
from synctool.cli.outputs import JsonOutput
from synctool.errors import EXIT_UNEXPECTED
from synctool.extras import require
from synctool.plugins import registry
from synctool.plugins.loader import PluginRecord, get_plugins

if TYPE_CHECKING:
    from synctool.testing import CheckOutcome

app = typer.Typer(no_args_is_help=True, help="List, check and create plugins.")
_MOST_NAMES = 5
_NETWORKS = "synctool_backbones"


@app.command("list")
def list_plugins(json: JsonFile = None) -> None:
    """List all plugins, what each provides, and why any is broken.

    Examples:

      synctool plugins list

      synctool plugins list --json plugins.json

    Exit codes: 0 listed, also where some are broken; 2 usage, 1 anything else.
    """
    output = JsonOutput(json)
    records = get_plugins().probe()
    output.write([record.to_dict() for record in records])
    if output.for_people:
        columns = ["plugin", "distribution", "status", "gives"]
        print_table(columns, [_row(record) for record in records])


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Its name: lower case, digits and dashes.")],
    role: Annotated[
        str,
        typer.Option(
            metavar="ROLE",
            help="What it encodes (video, audio; default video).",
            show_default=False,
            autocompletion=lambda: ["video", "audio"],
        ),
    ] = "video",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder to create (default synctool-plugin-NAME)."),
    ] = None,
) -> None:
    """Create a plugin: a package with a small trainable encoder to start from.

    Examples:

      synctool plugins new lips

      synctool plugins new hum --role audio --out ~/hum

    Exit codes: 0 created, 2 usage, 1 anything else.
    """
    from synctool.plugins.scaffold import new_plugin

    made = new_plugin(name, role=role, folder=out)
    print_text(f"made {made.folder}: the {role} encoder {made.name}, which works as it is; next:")
    print_text(f"  pip install -e {shlex.quote(f'{made.folder}[dev]')}")
    print_text(f"  python -m pytest {shlex.quote(str(made.folder))}")
    print_text(f"  synctool train --backbone {made.pair} --data processed/ --out runs/{made.name}")


@app.command("check")
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Plugins or networks (default: all plugins that do not come with synctool)."
        ),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Check that the networks of plugins meet the contract of all networks.

    Examples:

      synctool plugins check lips

      synctool plugins check graph fcn-mel --json checks.json

    They are built small, with random weights.

    Exit codes: 0 all pass, 1 one fails, 2 usage, 5 an extra is missing.
    """
    output = JsonOutput(json)
    records = [r for r in get_plugins().probe() if not r.builtin and r.status != "disabled"]
    wanted = names or [r.name for r in records if r.status == "ok" and r.gives.get(_NETWORKS)]
    specs = {spec.full_name: spec for name in wanted for spec in registry.backbones.of(name)}
    require("train", "checking networks", "torch")
    from synctool.testing import CheckOutcome, run_checks

    outcomes = list(run_checks(specs.values()))
    if not names:
        broken = [r for r in records if r.status == "broken"]
        outcomes += [CheckOutcome(r.name, "load", False, r.reason) for r in broken]
    output.write([outcome.to_dict() for outcome in outcomes])
    if output.for_people and outcomes:
        columns = ["network", "check", "result", "reason"]
        print_table(columns, [_verdict(outcome) for outcome in outcomes])
    elif output.for_people:
        print_text("No plugin with a network is installed beside synctool itself.")
    if not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(EXIT_UNEXPECTED)


def _verdict(outcome: CheckOutcome) -> list[str]:
    result = "pass" if outcome.passed else "FAIL"
    return [outcome.backbone, outcome.check, result, outcome.reason or ""]


def _row(record: PluginRecord) -> list[str]:
    distribution = f"{record.distribution or '-'} {record.version or ''}".strip()
    gives = "; ".join(_gift(hook, record.gives.get(hook)) for hook in record.hooks)
    return [record.name, distribution, record.status, record.reason or gives]


def _gift(hook: str, names: tuple[str, ...] | None) -> str:
    """``backbones: a, b``; the names of commands are not known before the program is built."""
    what = hook.removeprefix("synctool_").replace("_", " ")
    if names is None:
        return what
    more = len(names) - _MOST_NAMES
    shown = [*names[:_MOST_NAMES], *([f"{more} more"] if more > 0 else [])]
    return f"{what}: {', '.join(shown) or 'none'}"
