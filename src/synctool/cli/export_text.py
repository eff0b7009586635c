"""What ``synctool export`` shows: the steps, the report, and the formats."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from synctool.cli.common import print_table, print_text
from synctool.cli.places import STANDARD_OUTPUT
from synctool.cli.progress import progress_bar
from synctool.settings.shared import DEFAULT_BACKBONE

if TYPE_CHECKING:
    from synctool.exporting.event import ExportEvent
    from synctool.exporting.run import ExportReport
    from synctool.networks.formats import FormatStatus

_MEASURING = {"video", "audio", "head"}


class ExportBar:
    """The step at hand, and how far it is."""

    def __init__(self, *, quiet: bool) -> None:
        self._bars = progress_bar(quiet=quiet)

    def __enter__(self) -> ExportBar:
        self._bar = self._bars.__enter__()
        self._task = self._bar.add_task("export", total=None, speed="")
        return self

    def __exit__(self, *error: Any) -> None:
        self._bars.__exit__(*error)

    def __call__(self, event: ExportEvent) -> None:
        from synctool.report.text import printable

        self._bar.update(
            self._task,
            description=printable(event.step),
            completed=event.done,
            total=event.total or None,
            speed=f"{event.done}/{event.total}" if event.total else "",
        )


def show_report(report: ExportReport, *, json: str | None, quiet: bool) -> None:
    """Write the report where it is wanted, and show it to people unless that is the same place.

    Raises:
        OutputError: It cannot be written.
    """
    from synctool.report.export_out import write_json
    from synctool.report.export_table import print_export

    if json is not None:
        write_json(report.to_dict(), json)
    if not quiet and json != STANDARD_OUTPUT:
        print_export(report)
        complete = {graph.name for graph in report.graphs} >= _MEASURING
        if report.passed and complete and not report.fixed_frames:
            print_text(f"\n{_use_of(report)}")


def show_formats(json: str | None) -> None:
    """List the formats: what each can be written in, and what is here of its tools.

    Raises:
        OutputError: The file cannot be written.
    """
    from synctool.networks.formats import formats
    from synctool.report.export_out import write_json

    found = formats()
    if json is not None:
        write_json([status.to_dict() for status in found], json)
    if json != STANDARD_OUTPUT:
        columns = ["name", "precisions", "writes", "runs", "summary"]
        print_table(columns, [_row(status) for status in found])


def _row(status: FormatStatus) -> list[str]:
    from synctool.networks.formats import installing_writer

    writes = installing_writer(status.spec) if status.lacks_to_write else "yes"
    runs = f"no: {status.cannot_run_because}" if status.cannot_run_because else "yes"
    return [status.spec.name, ", ".join(status.spec.precisions), writes, runs, status.spec.summary]


def _use_of(report: ExportReport) -> str:
    """How to measure with an exported model, in one line."""
    name = "" if report.backbone == DEFAULT_BACKBONE else f"--backbone {report.backbone} "
    trust = f" --trust {report.trust}" if report.trust else ""
    return f"use it: synctool detect VIDEO {name}--weights {shlex.quote(report.folder)}{trust}"
