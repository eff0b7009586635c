"""What the page of ``detect`` says of each film, as plain data for its template."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from synctool.report.charts.description import Chart
from synctool.report.charts.offsets import detect_chart
from synctool.report.html.page import embedded_json
from synctool.report.html.parts import (
    Cell,
    Column,
    Figure,
    Table,
    name_cell,
    number_cell,
    offset_cell,
    verdict_cell,
)
from synctool.report.html.pictures import Picture, Shot, drawn, shots
from synctool.report.json_out import to_json, to_json_line
from synctool.report.outcome import Failure, Outcome, worst_ms
from synctool.report.text import (
    NOTHING,
    chosen_streams,
    clock,
    known,
    passed_over,
    percent,
    plain,
    printable,
)
from synctool.scoring.verdict import drift_matters, sentence
from synctool.types import VIDEO_FPS, DetectResult, Segment, Track

MOST_FILMS = 60
"""Of more films only the worst get a section of their own; the table has all."""
MOST_JSON_BYTES = 6_000_000
_VERDICTS = ("in sync", "detectable", "unacceptable", "inconclusive", "failed")
_WORST_FIRST = ("unacceptable", "detectable", "inconclusive", "in sync")
_STEPS = {
    "decode": "decoding",
    "faces": "faces",
    "video": "pictures",
    "audio": "sound",
    "scoring": "scoring",
}


@dataclass(frozen=True)
class FilmSection:
    """One film that was measured."""

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
    file_name: str = field(default="result.json")


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


def overview(outcomes: Iterable[Outcome]) -> Overview:
    """Read all outcomes once, one at a time."""
    rows: list[tuple[str, Sequence[Cell]]] = []
    seen: Counter[str] = Counter()
    badness: list[tuple[tuple[int, float], int]] = []
    for index, outcome in enumerate(outcomes):
        rows.append((outcome.input, _cells(outcome)))
        if isinstance(outcome, Failure):
            seen["failed"] += 1
            continue
        seen[outcome.verdict] += 1
        badness.append((_badness(outcome), index))
    worst = badness if len(badness) <= MOST_FILMS else sorted(badness)[:MOST_FILMS]
    return Overview(
        rows=rows,
        counts=[(verdict, seen[verdict]) for verdict in _VERDICTS if seen[verdict]],
        measured=len(badness),
        chosen=sorted(index for _, index in worst),
    )


def sections(
    outcomes: Sequence[Outcome],
    chosen: Iterable[int],
    thumbnails: Mapping[str, Sequence[Picture | Shot]],
) -> list[FilmSection]:
    """The videos that get a section, by their numbers; each outcome is read when it is its turn."""
    left = MOST_JSON_BYTES
    made = []
    for index in chosen:
        result = outcomes[index]
        text = (to_json if len(outcomes) == 1 else to_json_line)(result)
        left -= len(text)
        kept = text if left > 0 or len(outcomes) == 1 else ""
        made.append(_section(index, result, thumbnails.get(result.input, ()), kept))
    return made


def summary(films: Overview) -> Table:
    """All films, one row each."""
    columns = [
        Column("Film"),
        Column("Verdict"),
        Column("Audio", True),
        Column("Confidence", True),
        Column("Coverage", True),
        Column("Length", True),
        Column("Remark"),
    ]
    linked = set(films.chosen)
    rows = [
        [name_cell(name, link=anchor_of(index) if index in linked else None), *cells]
        for index, (name, cells) in enumerate(films.rows)
    ]
    return Table("films", "Films", columns, rows, choices=(1,))


def _cells(outcome: Outcome) -> list[Cell]:
    """The row of a video without its name."""
    if isinstance(outcome, Failure):
        nothing = [Cell(NOTHING, sort=None, kind="number none")] * 4
        why = " ".join(filter(None, (f"{outcome.cause}.", outcome.remedy)))
        return [verdict_cell("failed"), *nothing, _words(why)]
    length = outcome.source.duration_s
    return [
        verdict_cell(outcome.verdict),
        offset_cell(outcome.offset_frames),
        number_cell(outcome.confidence, 2),
        Cell(percent(outcome.coverage), sort=outcome.coverage, kind="number"),
        Cell(clock(length), sort=length, kind="number"),
        _words(_remark(outcome)),
    ]


def anchor_of(index: int) -> str:
    """The anchor of a film's section."""
    return f"film-{index + 1}"


def _section(
    index: int, result: DetectResult, pictures: Sequence[Picture | Shot], text: str
) -> FilmSection:
    name = printable(result.input)
    finding, advice = _said(result)
    return FilmSection(
        id=anchor_of(index),
        name=name,
        verdict=result.verdict,
        finding=finding,
        advice=advice,
        figures=_figures(result),
        chart=detect_chart(result),
        shots=[(drawn(shot), clock(shot.tick / VIDEO_FPS)) for shot in shots(pictures)],
        tables=_tables(index, result),
        facts=_facts(result),
        warnings=[printable(warning) for warning in result.source.warnings],
        timing=_timing(result),
        json=embedded_json(text),
        file_name=f"{printable(os.path.basename(result.input)) or 'film'}.json",
    )


def _said(result: DetectResult) -> tuple[str, str]:
    """The sentence in two: what was found, and what can be done about it."""
    first, *more = printable(sentence(result)).split("; ")
    first = first.removesuffix(f": {result.verdict}").removeprefix(f"{result.verdict}: ")
    return _capital(first), _capital("; ".join(more)) + ("." if more else "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _remark(result: DetectResult) -> str:
    if result.reason:
        return result.reason
    return "; ".join([*sentence(result).split("; ")[1:], *result.source.warnings])


def _words(text: str) -> Cell:
    return Cell(printable(text), sort=printable(text) or None, kind="words")


def _figures(result: DetectResult) -> list[Figure]:
    offset, drift = result.offset_frames, result.drift_ms_per_min
    whose = "as published"
    if result.backbone.partition(".")[0] != "syncnet":
        whose = f"of {result.backbone.partition('.')[0]}, not SyncNet's scale"
    figures = [
        Figure("Offset", NOTHING, "", "not known")
        if offset is None
        else Figure(
            "Offset",
            plain(result.offset_ms, 0, sign=True),
            "ms",
            f"{plain(offset, 2, sign=True)} frames, audio {result.audio_is}",
        ),
        Figure(
            "Confidence",
            plain(result.confidence, 2),
            "",
            "probability of being right within a frame",
        ),
        *_belonging(result),
        Figure("Coverage", plain(100 * result.coverage, 0), "%", _covered(result)),
        Figure("Drift", NOTHING, "", "too little film")
        if drift is None
        else Figure(
            "Drift",
            plain(drift, 1, sign=True),
            "ms/min",
            "matters over this film" if drift_matters(result) else "less than a frame in all",
        ),
    ]
    if known(result.syncnet_confidence):
        note = f"higher is better; {whose}"
        figures.append(Figure("LSE-C", plain(result.syncnet_confidence, 3), "", note))
    if known(result.min_distance):
        note = f"lower is better; {whose}"
        figures.append(Figure("LSE-D", plain(result.min_distance, 3), "", note))
    return figures


def _belonging(result: DetectResult) -> list[Figure]:
    if result.audio_belongs is None:
        return []
    note = "probability that the audio is this face's own"
    return [Figure("Own audio", plain(result.audio_belongs, 2), "", note)]


def _covered(result: DetectResult) -> str:
    """What the coverage is of, and what share of the video the verdict rests on."""
    shown = "of the film shows a face"
    if not result.verdict_coverage:
        return shown
    return f"{shown}; {plain(100 * result.verdict_coverage, 0)} % carry the verdict"


def _tables(index: int, result: DetectResult) -> list[Table]:
    tables = []
    if result.segments:
        tables.append(_stretches(f"segments-{index + 1}", "Segments", result.segments))
    if result.tracks:
        tables.append(_stretches(f"faces-{index + 1}", "Faces", result.tracks))
    return tables


def _stretches(anchor: str, title: str, stretches: Sequence[Segment | Track]) -> Table:
    columns = [Column("No.", True), Column("From", True), Column("To", True), Column("Audio", True)]
    columns += [Column("Frames", True), Column("Confidence", True)]
    faces = any(isinstance(stretch, Track) for stretch in stretches)
    if faces:
        columns += [
            Column("Speaks"),
            Column("Place, px", True, "x, y, width, height in the picture"),
        ]
    rows = []
    for number, stretch in enumerate(stretches, 1):
        label = stretch.id if isinstance(stretch, Track) else number
        row = [
            Cell(str(label), sort=label, kind="number"),
            Cell(clock(stretch.start_s), sort=stretch.start_s, kind="number"),
            Cell(clock(stretch.end_s), sort=stretch.end_s, kind="number"),
            offset_cell(stretch.offset_frames),
            number_cell(stretch.offset_frames, 2, sign=True),
            number_cell(stretch.confidence, 2),
        ]
        if isinstance(stretch, Track):
            box = ", ".join(plain(x, 0) for x in stretch.box_px)
            row += [
                Cell("yes" if stretch.speaking else "no"),
                Cell(box, sort=stretch.box_px[0], kind="number"),
            ]
        rows.append(row)
    return Table(anchor, title, columns, rows, sortable=len(rows) > 1)


def _facts(result: DetectResult) -> list[tuple[str, str]]:
    source = result.source
    return [
        ("Length", clock(source.duration_s)),
        ("Picture", f"{source.width_px} × {source.height_px}, {source.video_fps:.6g} frames/s"),
        ("Sound", f"{source.audio_hz} Hz"),
        (
            "Starts",
            f"picture at {plain(source.video_start_s, 3)} s, sound at {plain(source.audio_start_s, 3)} s",
        ),
        *([("Streams", printable(streams))] if (streams := chosen_streams(source)) else []),
        *(("Not read", printable(other)) for other in passed_over(source)),
        ("Network", printable(result.backbone)),
        ("Weights", printable(result.weights)),
        ("Searched", f"±{result.max_offset} frames of 40 ms"),
        ("Made with", f"synctool {printable(result.synctool)}"),
    ]


def _timing(result: DetectResult) -> list[tuple[str, str, float]]:
    """Steps of the work, their seconds, and their share of all."""
    total = result.timing_s.get("total", 0.0)
    if not total > 0:
        return []
    steps = [
        (name, f"{result.timing_s[key]:.2f} s", result.timing_s[key] / total)
        for key, name in _STEPS.items()
        if result.timing_s.get(key, 0.0) > 0
    ]
    pace = f"{result.source.duration_s / total:.3g} × real time"
    return [*steps, ("in all", f"{total:.2f} s, {pace}", 0.0)]


def _badness(result: DetectResult) -> tuple[int, float]:
    worst = -worst_ms(result) if result.verdict != "inconclusive" else -result.confidence
    return _WORST_FIRST.index(result.verdict), worst
