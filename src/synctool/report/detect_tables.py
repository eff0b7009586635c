"""Tables of what ``detect`` finds, for terminal and pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from synctool.report.outcome import Failure, Outcome
from synctool.report.tables import (
    UNKNOWN,
    Cell,
    Column,
    Table,
    name_cell,
    number_cell,
    offset_cell,
    share_cell,
    verdict_cell,
    words_cell,
)
from synctool.report.text import clock, plain
from synctool.report.wording import remark
from synctool.types import Segment, Track


def spans_table(anchor: str, caption: str, spans: Sequence[Segment | Track]) -> Table:
    """Segments, or faces, of a video with their offsets."""
    columns = [Column("No.", True), Column("From", True), Column("To", True), Column("Audio", True)]
    columns += [Column("Frames", True), Column("Confidence", True)]
    if any(isinstance(span, Track) for span in spans):
        columns += [Column("Speaks"), Column("Box, px", True, "x, y, width, height in the frame")]
    rows = []
    for number, span in enumerate(spans, 1):
        label = span.id if isinstance(span, Track) else number
        row = [
            Cell(str(label), sort=label, kind="number"),
            Cell(clock(span.start_s), sort=span.start_s, kind="number"),
            Cell(clock(span.end_s), sort=span.end_s, kind="number"),
            offset_cell(span.offset_frames),
            number_cell(span.offset_frames, 2, sign=True),
            number_cell(span.confidence, 2),
        ]
        if isinstance(span, Track):
            box = ", ".join(plain(x, 0) for x in span.box_px)
            row += [Cell("yes" if span.speaking else "no")]
            row += [Cell(box, sort=span.box_px[0], kind="number")]
        rows.append(row)
    return Table(anchor, caption, columns, rows, sortable=len(rows) > 1)


def outcome_cells(outcome: Outcome) -> list[Cell]:
    """What a list of videos says of one, without its name."""
    if isinstance(outcome, Failure):
        return [verdict_cell("failed"), *[UNKNOWN] * 4, words_cell(outcome.said)]
    length = outcome.source.duration_s
    return [
        verdict_cell(outcome.verdict),
        offset_cell(outcome.offset_frames),
        number_cell(outcome.confidence, 2),
        share_cell(outcome.coverage),
        Cell(clock(length), sort=length, kind="number"),
        words_cell(remark(outcome)),
    ]


def outcomes_table(rows: Iterable[tuple[Cell, Sequence[Cell]]]) -> Table:
    """A list of videos.

    Args:
        rows: Name of each, and its ``outcome_cells``.
    """
    columns = [
        Column("Video"),
        Column("Verdict"),
        Column("Audio", True),
        Column("Confidence", True),
        Column("Coverage", True),
        Column("Length", True),
        Column("Remark"),
    ]
    return Table(
        "videos", "Videos", columns, [[name, *cells] for name, cells in rows], choices=(1,)
    )


def summary(outcomes: Iterable[Outcome]) -> Table:
    """A list of videos, without links."""
    return outcomes_table((name_cell(o.input), outcome_cells(o)) for o in outcomes)
