"""What the page of ``detect`` says of each video, as plain data for its template."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from synctool.report.channel_tables import channels_table, directions_table
from synctool.report.charts.description import Chart
from synctool.report.charts.offsets import detect_chart
from synctool.report.detect_tables import (
    outcome_cells,
    outcomes_table,
    several_speakers,
    spans_table,
    speakers,
    speakers_table,
    turns_table,
)
from synctool.report.html.page import embedded_json
from synctool.report.html.player import Copy, Player, player
from synctool.report.html.shots import Shot, Thumbnail, drawn, shots
from synctool.report.json_out import to_json, to_json_line
from synctool.report.outcome import Failure, Outcome
from synctool.report.tables import Cell, Table, name_cell
from synctool.report.text import clock, printable
from synctool.report.wording import Figure, capital, facts, figures, finding_and_advice, pace
from synctool.scoring.verdict import worst_ms
from synctool.types import VIDEO_FPS, DetectResult

MOST_VIDEOS = 60
"""Of more videos only the worst get a section of their own; the table has all."""
MOST_JSON_BYTES = 6_000_000
_VERDICTS = ("in sync", "detectable", "unacceptable", "inconclusive", "failed")
_WORST_FIRST = ("unacceptable", "detectable", "inconclusive", "in sync")
_STEPS = {
    "decode": "decoding",
    "faces": "faces",
    "video": "video",
    "audio": "audio",
    "scoring": "scoring",
}


@dataclass(frozen=True)
class VideoSection:
    """One video that was measured."""

    id: str
    name: str
    verdict: str
    finding: str
    advice: str
    figures: Sequence[Figure]
    chart: Chart
    shots: Sequence[tuple[Markup, str]]
    tables: Sequence[Table]
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    timing: Sequence[tuple[str, str, float]]
    json: Markup
    file_name: str
    player: Player | None
    no_player: str


@dataclass(frozen=True)
class Overview:
    """All videos in brief, so that their results need not stay in memory.

    Attributes:
        rows: Name, and the further cells of its row in the table.
        counts: How many videos there are of each verdict, mildest first.
        measured: How many have a result.
        chosen: Numbers of those that get a section: all, or of very many the worst, in order.
    """

    rows: Sequence[tuple[str, Sequence[Cell]]]
    counts: Sequence[tuple[str, int]]
    measured: int
    chosen: Sequence[int]


class Chosen(Sequence[DetectResult]):
    """The results of the videos that get a section; each is read when it is asked for.

    Args:
        outcomes: Of all videos.
        chosen: Numbers of those.
    """

    def __init__(self, outcomes: Sequence[Outcome], chosen: Sequence[int]) -> None:
        self._outcomes, self._chosen = outcomes, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: Any) -> Any:
        return self._outcomes[self._chosen[index]]


def overview(outcomes: Iterable[Outcome]) -> Overview:
    """Read all outcomes once, one at a time."""
    rows: list[tuple[str, Sequence[Cell]]] = []
    seen: Counter[str] = Counter()
    badness: list[tuple[tuple[int, float], int]] = []
    for index, outcome in enumerate(outcomes):
        rows.append((outcome.input, outcome_cells(outcome)))
        if isinstance(outcome, Failure):
            seen["failed"] += 1
            continue
        seen[outcome.verdict] += 1
        badness.append((_badness(outcome), index))
    worst = badness if len(badness) <= MOST_VIDEOS else sorted(badness)[:MOST_VIDEOS]
    return Overview(
        rows=rows,
        counts=[(verdict, seen[verdict]) for verdict in _VERDICTS if seen[verdict]],
        measured=len(badness),
        chosen=sorted(index for _, index in worst),
    )


def sections(
    outcomes: Sequence[Outcome],
    chosen: Iterable[int],
    thumbnails: Mapping[str, Sequence[Thumbnail | Shot]],
    copies: Mapping[str, Copy],
) -> list[VideoSection]:
    """The videos that get a section, by their numbers; each outcome is read when it is its turn."""
    left = MOST_JSON_BYTES
    made = []
    for index in chosen:
        result = outcomes[index]
        assert not isinstance(result, Failure)
        text = (to_json if len(outcomes) == 1 else to_json_line)(result)
        left -= len(text)
        kept = text if left > 0 or len(outcomes) == 1 else ""
        own, copy = thumbnails.get(result.input, ()), copies.get(result.input, "")
        made.append(_section(index, result, own, kept, copy))
    return made


def videos_table(videos: Overview) -> Table:
    """All videos, one row each, with links to their sections."""
    linked = set(videos.chosen)
    return outcomes_table(
        (name_cell(name, link=anchor_of(index) if index in linked else None), cells)
        for index, (name, cells) in enumerate(videos.rows)
    )


def anchor_of(index: int) -> str:
    """The anchor of a video's section."""
    return f"video-{index + 1}"


def _section(
    index: int,
    result: DetectResult,
    thumbnails: Sequence[Thumbnail | Shot],
    text: str,
    copy: Copy,
) -> VideoSection:
    finding, advice = finding_and_advice(result)
    return VideoSection(
        id=anchor_of(index),
        name=printable(result.input),
        verdict=result.verdict,
        finding=finding,
        advice=advice,
        figures=figures(result),
        chart=detect_chart(result),
        shots=[(drawn(shot), clock(shot.frame_index / VIDEO_FPS)) for shot in shots(thumbnails)],
        tables=list(_tables(index, result)),
        facts=[(capital(name), printable(value)) for name, value in facts(result)],
        warnings=[printable(warning) for warning in result.source.warnings],
        timing=_timing(result),
        json=embedded_json(text),
        file_name=f"{printable(os.path.basename(result.input)) or 'video'}.json",
        player=None if isinstance(copy, str) else player(anchor_of(index), result, copy),
        no_player=copy if isinstance(copy, str) else "",
    )


def _tables(index: int, result: DetectResult) -> Iterator[Table]:
    for name, caption, spans in (
        ("segments", "Segments", result.segments),
        ("faces", "Faces", result.tracks),
    ):
        if spans:
            yield spans_table(f"{name}-{index + 1}", caption, spans, speaking=speakers(result))
    if result.audio_channels:
        yield channels_table(result, f"channels-{index + 1}")
    if result.audio_direction and result.audio_direction.speakers:
        yield directions_table(result, f"directions-{index + 1}")
    if several_speakers(result):
        yield speakers_table(f"speakers-{index + 1}", "Speakers", result)
        yield turns_table(f"turns-{index + 1}", "Turns", result)


def _timing(result: DetectResult) -> list[tuple[str, str, float]]:
    """Steps of the work, their seconds, and their share of all."""
    if not (speed := pace(result)):
        return []
    seconds = result.timing_s
    steps = [
        (name, f"{seconds[key]:.2f} s", seconds[key] / seconds["total"])
        for key, name in _STEPS.items()
        if seconds.get(key, 0.0) > 0
    ]
    return [*steps, ("in all", speed, 0.0)]


def _badness(result: DetectResult) -> tuple[int, float]:
    worst = -worst_ms(result) if result.verdict != "inconclusive" else -result.confidence
    return _WORST_FIRST.index(result.verdict), worst
