"""``synctool plugins``: what is installed, and what is broken."""

from __future__ import annotations

import typer

from synctool.cli.common import JsonFlag, print_json, print_table
from synctool.plugins import PluginRecord, get_plugins

app = typer.Typer(no_args_is_help=True, help="Show the plugins.")


@app.command("list")
def list_plugins(json: JsonFlag = False) -> None:
    """List all plugins, and why one is broken."""
    records = get_plugins().probe()
    if json:
        print_json([record.to_dict() for record in records])
    else:
        columns = ["plugin", "distribution", "status", "gives"]
        print_table(columns, [_row(record) for record in records])


def _row(record: PluginRecord) -> list[str]:
    distribution = f"{record.distribution or '-'} {record.version or ''}".strip()
    gives = ", ".join(hook.removeprefix("synctool_").replace("_", " ") for hook in record.hooks)
    return [record.name, distribution, record.status, record.reason or gives]
