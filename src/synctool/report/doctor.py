"""The doctor's findings on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from synctool.doctor.findings import Diagnosis, Finding
from synctool.report.terminal import standard_console
from synctool.report.text import counted, printable

_STYLES = {"ok": "green", "note": "dim", "warning": "bold yellow", "problem": "bold red"}


def print_diagnosis(diagnosis: Diagnosis, *, console: Console | None = None) -> None:
    """Show all findings by section, and in the end what to do."""
    console = console or standard_console()
    console.print(Group(*_sections(diagnosis), _conclusion(diagnosis)))


def conclusion(diagnosis: Diagnosis) -> str:
    """One sentence."""
    problems, warnings = (
        sum(finding.status == status for finding in diagnosis.findings)
        for status in ("problem", "warning")
    )
    if problems:
        return f"{counted(problems, 'problem')}: this installation cannot be relied on."
    if warnings:
        return f"No problem, {counted(warnings, 'warning')}."
    return "All is well."


def _sections(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    for section, findings in groupby(diagnosis.findings, key=lambda finding: finding.section):
        yield Text(section, style="bold")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(style="dim")
        grid.add_column(overflow="fold")
        for finding in findings:
            grid.add_row(*_row(finding))
        yield grid
        yield Text()


def _row(finding: Finding) -> tuple[Text, Text, Text]:
    style = _STYLES[finding.status]
    told = Text(printable(finding.value))
    if finding.remedy:
        told.append(f"\n-> {printable(finding.remedy)}", style="" if style == "dim" else style)
    return Text(f"  {finding.status}", style=style), Text(printable(finding.name)), told


def _conclusion(diagnosis: Diagnosis) -> Text:
    return Text(conclusion(diagnosis), style="bold green" if diagnosis.healthy else "bold red")
