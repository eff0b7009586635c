"""Tables of what ``detect`` finds, for terminal and pages."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

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
from synctool.report.text import NOTHING, clock, plain
from synctool.report.wording import remark, span_words, speaker_name
from synctool.types import DetectResult, Segment, Track


def spans_table(
    anchor: str,
    caption: str,
    spans: Sequence[Segment | Track],
    *,
    speaking: Container[int | None] = (),
) -> Table:
    """Segments, or faces, of a video with their offsets.

    Args:
        anchor: Name of the table on a page.
        caption: Its title.
        spans: The segments or faces.
        speaking: Numbers of faces that have turns, also where no one offset suits their whole track.
    """
    columns = [Column("No.", True), Column("From", True), Column("To", True), Column("Audio", True)]
    columns += [Column("Frames", True), Column("Confidence", True)]
    if any(isinstance(span, Track) for span in spans):
        columns += [Column("Speaks"), Column("Box, px", True, "x, y, width, height in the frame")]
    sets = any(isinstance(span, Segment) and span.offset_set for span in spans)
    if sets:
        columns.append(Column("Within, ms", True))
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
        if sets and isinstance(span, Segment):
            found = span.offset_set
            shown = " or ".join(map(span_words, found.spans_ms)) if found else NOTHING
            row.append(Cell(shown, sort=found.width_ms if found else None, kind="number"))
        if isinstance(span, Track):
            box = ", ".join(plain(x, 0) for x in span.box_px)
            row += [Cell("yes" if span.speaking or span.id in speaking else "no")]
            row += [Cell(box, sort=span.box_px[0], kind="number")]
        rows.append(row)
    return Table(anchor, caption, columns, rows, sortable=len(rows) > 1)


def speakers(result: DetectResult) -> list[int | None]:
    """Who speaks in a video, the one who speaks longest first; None stands for an off-screen voice."""
    spoken: dict[int | None, float] = {}
    for turn in result.speakers or ():
        spoken[turn.track] = spoken.get(turn.track, 0.0) + turn.end_s - turn.start_s
    return sorted(spoken, key=lambda track: -spoken[track])


def several_speakers(result: DetectResult) -> bool:
    """Whether there is anything to tell: more than one face, or a voice that is none of theirs."""
    return bool(result.speakers) and (len(result.tracks) > 1 or None in speakers(result))


def speakers_table(anchor: str, caption: str, result: DetectResult) -> Table:
    """Who speaks in a video, and for how long."""
    turns = result.speakers or ()
    total_s = sum(turn.end_s - turn.start_s for turn in turns if not turn.overlapping)
    columns = [Column("Speaker"), Column("Time", True), Column("Share", True, "of all speech")]
    columns += [Column("Turns", True), Column("Confidence", True)]
    rows = []
    for track in speakers(result):
        own = [turn for turn in turns if turn.track == track]
        spoken_s = sum(turn.end_s - turn.start_s for turn in own)
        sure = sum(turn.confidence * (turn.end_s - turn.start_s) for turn in own) / spoken_s
        rows.append(
            [
                Cell(speaker_name(track)),
                Cell(clock(spoken_s), sort=spoken_s, kind="number"),
                share_cell(spoken_s / total_s if total_s else None),
                Cell(str(len(own)), sort=len(own), kind="number"),
                number_cell(sure, 2),
            ]
        )
    return Table(anchor, caption, columns, rows, sortable=len(rows) > 1)


def turns_table(anchor: str, caption: str, result: DetectResult) -> Table:
    """Who speaks when."""
    columns = [Column("From", True), Column("To", True), Column("Speaker")]
    columns += [Column("Confidence", True), Column("Beside another", False)]
    rows = [
        [
            Cell(clock(turn.start_s), sort=turn.start_s, kind="number"),
            Cell(clock(turn.end_s), sort=turn.end_s, kind="number"),
            Cell(speaker_name(turn.track)),
            number_cell(turn.confidence, 2),
            Cell("yes" if turn.overlapping else ""),
        ]
        for turn in result.speakers or ()
    ]
    return Table(anchor, caption, columns, rows, sortable=len(rows) > 1).trimmed()


def outcome_cells(outcome: Outcome) -> list[Cell]:
    """What a list of videos says of one, without its name."""
    if isinstance(outcome, Failure):
        return [verdict_cell("failed"), *[UNKNOWN] * 4, words_cell(outcome.remark)]
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
