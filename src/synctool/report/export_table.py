"""The report of an export on a terminal: what was made, how far it is from PyTorch, what it costs."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from synctool.disk_space import amount
from synctool.exporting.formats.checks import (
    AccuracyChange,
    Difference,
    ExportReport,
    Share,
    disturbed,
)
from synctool.report.terminal import facts_grid, standard_console
from synctool.report.text import printable, signed

MADE_UP = "made-up windows: give --clips for a check on real ones"
NOT_CHECKED = "NOT CHECKED HERE"
_WHOLE = ({"video", "audio", "head"}, {"model"})


def print_export(report: ExportReport, *, console: Console | None = None) -> None:
    """Show a report; ``console`` is one on the standard output unless given."""
    console = console or standard_console()
    console.print(export_view(report, console.encoding))


def export_view(report: ExportReport, encoding: str = "utf-8") -> RenderableType:
    """The verdict, the figures and the tables, for any console of that encoding."""
    heading = Text.assemble(
        (printable(f"{report.backbone}, {report.format} {report.precision}", encoding), "bold"),
        ": ",
        _verdict(report),
    )
    figures = facts_grid(_figures(report), encoding)
    for note in report.notes:
        figures.add_row("note", Text(printable(note, encoding), style="yellow"))
    for problem in report.problems:
        figures.add_row("problem", Text(printable(problem, encoding), style="red"))
    parts: list[RenderableType] = [heading, figures, _graphs(report)]
    if report.speeds:
        parts.append(_speeds(report))
    if report.accuracy:
        parts.append(_accuracy(report))
    return Group(*parts)


def _verdict(report: ExportReport) -> Text:
    if report.problems:
        return Text("did not pass the check", "bold red")
    if not report.checked:
        return Text(f"{NOT_CHECKED}: {report.unchecked_because}", "bold yellow")
    return Text("answers as PyTorch does", "bold green")


def _figures(report: ExportReport) -> Iterator[tuple[str, str]]:
    """Names and values of what is said of the model as a whole."""
    yield "folder", report.folder
    yield "weights", report.weights
    yield "licence", report.licence
    if report.pruned:
        yield "pruned", f"{_percent(report.pruned)} of the channels taken out"
    yield "size", _size(report)
    if not report.windows:
        return
    yield "compared on", f"{report.windows} {'real windows' if report.real else MADE_UP}"
    if report.agreement is not None:
        wanted = f" (at least {_percent(report.least_agreement)})" if report.real else ""
        yield "same offset", f"{_percent(report.agreement)} of the windows{wanted}"
    if report.scores is not None:
        yield (
            "scores",
            (
                f"differ by at most {report.scores.maximum:.1e}, on average {report.scores.mean:.1e}; "
                f"{report.scores.relative:.1e} of their spread (at most {report.tolerance:g})"
            ),
        )


def _size(report: ExportReport) -> str:
    whole = {graph.name for graph in report.graphs} in _WHOLE
    if not whole or not report.torch_bytes:
        return f"{amount(report.bytes)}; PyTorch's whole network: {amount(report.torch_bytes)}"
    share = _percent(report.bytes / report.torch_bytes)
    return f"{amount(report.bytes)}, {share} of PyTorch's {amount(report.torch_bytes)}"


def _graphs(report: ExportReport) -> RenderableType:
    table = _table("graph", "file", "size", "largest", "mean", "relative", left=2)
    for graph in report.graphs:
        known = dict(graph.differences) or {graph.name: None}
        for number, (name, difference) in enumerate(known.items()):
            whose = name if name == graph.name else f"{graph.name}: {name}"
            file = (graph.file, amount(graph.bytes)) if not number else ("", "")
            table.add_row(whose, *file, *_difference(difference))
    title = "Differences from PyTorch" if report.windows else "Graphs"
    return Group(Text(f"\n{title}", "bold"), table)


def _difference(difference: Difference | None) -> list[str]:
    if difference is None:
        return ["-", "-", "-"]
    return [f"{value:.1e}" for value in (difference.maximum, difference.mean, difference.relative)]


def _speeds(report: ExportReport) -> RenderableType:
    table = _table("graph", "threads", "PyTorch", report.format, "times as fast", left=1)
    doubtful = disturbed(report.speeds)
    for speed in report.speeds:
        faster = f"{speed.torch_ms / speed.export_ms:.2f}" if speed.export_ms else "-"
        table.add_row(
            speed.graph,
            str(speed.threads),
            _ms(speed.torch_ms),
            _ms(speed.export_ms),
            "-" if speed in doubtful else faster,
        )
    return Group(Text("\nMilliseconds per second of video, on this machine", "bold"), table)


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _accuracy(report: ExportReport) -> RenderableType:
    table = _table("right within a frame", "before", "after", "change", "95 %", left=1)
    for row in report.accuracy:
        table.add_row(_of(row), _percent(row.before.mean), _percent(row.after.mean), *_change(row))
    clips = max(row.clips for row in report.accuracy)
    people = max(row.people for row in report.accuracy)
    title = f"\nAccuracy on {clips} clips of {people} people"
    return Group(Text(title, "bold"), table)


def _of(row: AccuracyChange) -> str:
    return f"windows of {row.frames} frames" if row.of == "windows" else "whole clips"


def _change(row: AccuracyChange) -> tuple[str, str]:
    change: Share = row.change
    low, high = (signed(100 * end, 2) for end in (change.low, change.high))
    return f"{signed(100 * change.mean, 2)} points", f"{low} to {high}"


def _table(*names: str, left: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, name in enumerate(names):
        table.add_column(name, no_wrap=True, justify="left" if number < left else "right")
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
