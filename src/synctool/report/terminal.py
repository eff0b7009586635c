"""Results on a terminal: a sentence to act on, then the figures.

File names are shown as they are: nothing in them is read as markup, and what a terminal cannot show
is escaped.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from synctool.report.outcome import Failure, Outcome
from synctool.report.text import chosen_streams, clock, passed_over, printable, signed
from synctool.scoring.verdict import SMALL_COVERAGE, in_words, sentence
from synctool.types import FRAME_MS, DetectResult, Segment, Track

STYLES = {
    "in sync": "bold green",
    "detectable": "bold yellow",
    "unacceptable": "bold red",
    "inconclusive": "bold magenta",
    "failed": "bold red",
}

_PIPE_WIDTH = 240


def print_result(result: DetectResult, *, console: Console | None = None) -> None:
    """Show all about one film; ``console`` is one on the standard output unless given."""
    console = console or _standard_console()
    console.print(result_view(result, console.encoding))


def print_summary(outcomes: Sequence[Outcome], *, console: Console | None = None) -> None:
    """Show several films, one row each; ``console`` is one on the standard output unless given."""
    console = console or _standard_console()
    console.print(summary_view(outcomes, console.encoding))


def result_view(result: DetectResult, encoding: str = "utf-8") -> RenderableType:
    """The sentence and the tables of one film, for any console of that encoding."""
    heading = Text.assemble(
        (printable(result.input, encoding), "bold"),
        ": ",
        (printable(sentence(result), encoding), STYLES[result.verdict]),
    )
    figures = Table.grid(padding=(0, 2))
    figures.add_column(style="dim", no_wrap=True)
    figures.add_column(overflow="fold")
    for name, value in _figures(result):
        figures.add_row(name, Text(printable(value, encoding)))
    for warning in result.source.warnings:
        figures.add_row("warning", Text(printable(warning, encoding), style="yellow"))
    parts: list[RenderableType] = [heading, figures]
    if len(result.segments) > 1 or 0 < result.verdict_coverage < SMALL_COVERAGE:
        parts.append(_stretches("Segments", result.segments))
    if len(result.tracks) > 1:
        parts.append(_stretches("Faces", result.tracks))
    return Group(*parts)


def summary_view(outcomes: Iterable[Outcome], encoding: str = "utf-8") -> RenderableType:
    """One row per film: name, verdict, offset, confidence, remark or cause of failure."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column("film", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("audio", no_wrap=True, justify="right")
    table.add_column("confidence", no_wrap=True, justify="right")
    table.add_column("remark", overflow="fold")
    for outcome in outcomes:
        name = Text(printable(outcome.input, encoding))
        if isinstance(outcome, Failure):
            remark = Text(printable(_without_name(outcome), encoding))
            table.add_row(name, Text("failed", STYLES["failed"]), "-", "-", remark)
            continue
        table.add_row(
            name,
            Text(outcome.verdict, STYLES[outcome.verdict]),
            "-" if outcome.offset_ms is None else in_words(outcome.offset_ms),
            f"{outcome.confidence:.2f}",
            Text(printable(_remark(outcome), encoding)),
        )
    return table


def _standard_console() -> Console:
    """The standard output; wide where nobody's window cuts the lines, so that none is folded."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)


def _figures(result: DetectResult) -> Iterable[tuple[str, str]]:
    """Names and values of the figures of one film."""
    source = result.source
    yield "offset", _offset(result.offset_frames)
    yield "confidence", f"{result.confidence:.2f} (probability of being right within one frame)"
    if result.audio_belongs is not None:
        yield "audio", f"{result.audio_belongs:.2f} (probability that it is this face's own)"
    standard = "" if result.verdict == "inconclusive" else " (ITU-R BT.1359-1)"
    yield "verdict", f"{result.verdict}{standard}"
    yield "coverage", f"{100 * result.coverage:.0f} % of the film{_carrying(result)}"
    yield "drift", _drift(result.drift_ms_per_min)
    if result.syncnet_confidence is not None:
        yield "LSE-C", f"{result.syncnet_confidence:.3f} ({_whose(result)}, higher is better)"
    if result.min_distance is not None:
        yield "LSE-D", f"{result.min_distance:.3f} ({_whose(result)}, lower is better)"
    yield (
        "film",
        f"{clock(source.duration_s)}, {source.width_px}x{source.height_px}, "
        f"{source.video_fps:.6g} frames/s, sound {source.audio_hz} Hz",
    )
    if source.video_start_s or source.audio_start_s:
        yield (
            "starts",
            f"picture at {source.video_start_s:.3f} s, sound at {source.audio_start_s:.3f} s",
        )
    if streams := chosen_streams(source):
        yield "streams", streams
    for other in passed_over(source):
        yield "not read", other
    yield "network", f"{result.backbone} ({result.weights}), ±{result.max_offset} frames"
    total = result.timing_s.get("total", 0.0)
    if total > 0:
        yield "speed", f"{source.duration_s / total:.3g} x real time ({total:.2f} s)"


def _carrying(result: DetectResult) -> str:
    """What share of the video the verdict rests on."""
    if not result.verdict_coverage:
        return ""
    return f" shows a face, {100 * result.verdict_coverage:.0f} % carry the verdict"


def _whose(result: DetectResult) -> str:
    """Whose embeddings a distance is measured between: only SyncNet's own are the published scale."""
    name = result.backbone.partition(".")[0]
    return "as published" if name == "syncnet" else f"of {name}, not SyncNet's scale"


def _offset(offset_frames: float | None) -> str:
    if offset_frames is None:
        return "not known"
    return f"{signed(offset_frames, 2)} frames (audio {in_words(offset_frames * FRAME_MS)})"


def _drift(drift: float | None) -> str:
    if drift is None:
        return "not known (too little film)"
    if round(drift, 1) == 0:
        return "none found"
    return f"{signed(drift, 1)} ms per minute"


def _stretches(title: str, stretches: Sequence[Segment | Track]) -> RenderableType:
    """A table of segments or tracks."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(title, no_wrap=True)
    for name in ("from", "to", "frames", "audio", "confidence"):
        table.add_column(name, justify="right", no_wrap=True)
    faces = any(isinstance(stretch, Track) for stretch in stretches)
    if faces:
        table.add_column("speaks", no_wrap=True)
    for number, stretch in enumerate(stretches):
        offset = stretch.offset_frames
        row = [
            str(stretch.id if isinstance(stretch, Track) else number + 1),
            clock(stretch.start_s),
            clock(stretch.end_s),
            "-" if offset is None else signed(offset, 2),
            "-" if offset is None else in_words(offset * FRAME_MS),
            f"{stretch.confidence:.2f}",
        ]
        if isinstance(stretch, Track):
            row.append("yes" if stretch.speaking else "no")
        table.add_row(*row)
    return Group(Text(), table)


def _without_name(failure: Failure) -> str:
    """The cause of a failure without the film's name at its ends, which stands beside it."""
    cause = failure.cause
    for name in filter(None, (failure.input, os.path.basename(failure.input))):
        cause = cause.removeprefix(name).removesuffix(name).strip(" :")
    return cause or failure.cause


def _remark(result: DetectResult) -> str:
    """What else is worth a look, for the summary."""
    if result.reason:
        return result.reason
    remarks = sentence(result).split("; ")[1:]
    return "; ".join([*remarks, *result.source.warnings])
