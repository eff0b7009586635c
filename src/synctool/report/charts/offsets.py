"""Offset over time: of one video through one model, or through several, a panel each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from synctool.report.charts.description import (
    Area,
    Axis,
    Band,
    Chart,
    Dots,
    Key,
    Line,
    Look,
    Mark,
    Panel,
    Readout,
    Role,
    across,
    labelled,
    nice_ticks,
    time_axis,
)
from synctool.report.charts.speakers import speakers_described, speakers_panel
from synctool.report.compare_rows import Model, model_of
from synctool.report.text import clock, known, plain, printable, shortened
from synctool.report.wording import trial_finding
from synctool.scoring.verdict import (
    DETECTABLE_MS,
    LEAST_CONFIDENCE,
    UNACCEPTABLE_MS,
    ends_ms,
    in_words,
)
from synctool.types import FRAME_MS, DetectResult, FrameSeries, Segment, Trial, Verdict

MOST_POINTS = 1200
"""Of a longer series the surest frame of each spot is drawn."""
_WIDTH = 880.0
_OFFSET_HEIGHT, _ROW_HEIGHT, _CONFIDENCE_HEIGHT = 232.0, 120.0, 56.0
_LEAST_BAND = 13.0
_TITLE_CHARACTERS = 110
_ITU = "The shaded ranges are those of ITU-R BT.1359-1."


@dataclass(frozen=True)
class _Row:
    """What one model found along a video."""

    name: str
    title: str
    frames: FrameSeries
    segments: Sequence[Segment]
    truth: Sequence[Segment] = ()
    remark: str = ""
    drift_ms_per_min: float = 0.0


def detect_chart(result: DetectResult) -> Chart:
    """Offset over time with the ranges of ITU-R BT.1359-1, confidence below, and who of several speaks."""
    remark = "inconclusive" if result.verdict == "inconclusive" else ""
    if not any(map(known, result.frames.offset_frames)):
        remark = "nothing could be measured"
    frames = _thinned(result.frames, MOST_POINTS)
    drift = result.drift_ms_per_min or 0.0
    row = _Row("", "Offset of the audio", frames, result.segments, (), remark, drift)
    more = () if result.offset_frames is None else (result.offset_frames,)
    title = f"Offset and confidence over time, {printable(result.input)}"
    chart = _chart([row], result.source.duration_s, _OFFSET_HEIGHT, title, more)
    panels = [*chart.panels, _confidence(row.frames, chart.x)]
    if (timeline := speakers_panel(result)) is not None:
        panels.append(timeline)
        described = f"{chart.description}. {speakers_described(result)}"
        chart = replace(chart, description=described)
    return replace(chart, panels=tuple(panels))


def compare_chart(
    trials: Sequence[Trial], names: Mapping[Model, str], *, most_points: int = MOST_POINTS
) -> Chart:
    """Offset over time, a panel a model, with what is known about the video.

    Args:
        trials: One a model, of one video under one condition.
        names: Of the models.
        most_points: Of a longer series the surest frame of each spot is drawn.

    Raises:
        ValueError: There are no trials.
    """
    if not trials:
        raise ValueError("no trials to draw")
    rows = [
        _Row(
            names[model_of(trial)],
            shortened(f"{names[model_of(trial)]}: {trial_finding(trial)}", _TITLE_CHARACTERS),
            _thinned(trial.frames, most_points),
            trial.segments,
            _truth(trial),
            "" if trial.error is None else "failed",
        )
        for trial in trials
    ]
    more = [t.offset_frames for t in trials if t.answered and t.offset_frames is not None]
    seconds = max(trial.duration_s for trial in trials)
    title = f"Offset over time, {printable(trials[0].film)}"
    return _chart(rows, seconds, _ROW_HEIGHT, title, more)


def _chart(
    rows: Sequence[_Row],
    duration_s: float,
    height: float,
    title: str,
    more: Sequence[float],
) -> Chart:
    x = time_axis(duration_s)
    y = _offset_axis(rows, more)
    second = Axis(y.low / FRAME_MS, y.high / FRAME_MS, (), "frames")
    ticks = labelled(nice_ticks(second.low, second.high, 5), lambda n: plain(n, 0, sign=True))
    second = Axis(second.low, second.high, ticks, second.title)
    panels = tuple(
        Panel(y, _marks(row, y, height), height, row.title, second, row.remark) for row in rows
    )
    return Chart(
        title,
        _described(rows, duration_s),
        x,
        panels,
        _WIDTH,
        keys=_keys(rows),
        caption=_ITU,
        readouts=tuple(map(_readout, rows)),
    )


def _offset_axis(rows: Sequence[_Row], more: Sequence[float]) -> Axis:
    """In ms: the ranges of the ITU, everything that is to be seen, and a little more."""
    seen = list(more)
    for row in rows:
        seen += [s.offset_frames for s in (*row.segments, *row.truth)]
        pairs = list(zip(row.frames.offset_frames, row.frames.confidence, strict=True))
        seen += [o for o, c in pairs if known(o) and _is_sure(c)] or [
            o for o, _ in pairs if known(o)
        ]
    values = [FRAME_MS * offset for offset in seen if known(offset)]
    low, high = min([UNACCEPTABLE_MS[0], *values]), max([UNACCEPTABLE_MS[1], *values])
    room = 0.12 * (high - low)
    low, high = low - room, high + room
    return Axis(low, high, labelled(nice_ticks(low, high), in_words))


def _marks(row: _Row, y: Axis, height: float) -> tuple[Mark, ...]:
    weak, sure = (
        tuple(
            (t, offset * FRAME_MS)
            for t, offset, c in zip(
                row.frames.t_s, row.frames.offset_frames, row.frames.confidence, strict=True
            )
            if known(offset) and _is_sure(c) == chosen
        )
        for chosen in (False, True)
    )
    return (
        *_bands(y, height),
        Dots(weak, Look("weak")),
        Dots(sure, Look("dots", 0)),
        *(_level(segment, "segment", row.drift_ms_per_min) for segment in row.segments),
        *(_level(span, "truth") for span in row.truth),
    )


def _bands(y: Axis, height: float) -> list[Band]:
    """The ranges of ITU-R BT.1359-1, with a name where it has room."""
    ranges: tuple[tuple[float, float, Verdict], ...] = (
        (y.low, UNACCEPTABLE_MS[0], "unacceptable"),
        (UNACCEPTABLE_MS[0], DETECTABLE_MS[0], "detectable"),
        (DETECTABLE_MS[0], DETECTABLE_MS[1], "in sync"),
        (DETECTABLE_MS[1], UNACCEPTABLE_MS[1], "detectable"),
        (UNACCEPTABLE_MS[1], y.high, "unacceptable"),
    )
    least = _LEAST_BAND / height * (y.high - y.low)
    return [
        Band(low, high, word, word if high - low >= least else "") for low, high, word in ranges
    ]


def _level(segment: Segment, role: Role, drift_ms_per_min: float = 0.0) -> Line:
    start, end = ends_ms(segment, drift_ms_per_min)
    return Line(((segment.start_s, start), (segment.end_s, end)), Look(role))


def _confidence(frames: FrameSeries, x: Axis) -> Panel:
    points = tuple(
        (t, c) if known(c) else None for t, c in zip(frames.t_s, frames.confidence, strict=True)
    )
    marks = (
        Area(points, Look("area", 0)),
        Line(points, Look("thin", 0)),
        across(x, LEAST_CONFIDENCE),
    )
    ticks = labelled((0.0, 0.5, 1.0), lambda share: f"{share:g}")
    return Panel(Axis(0.0, 1.0, ticks), marks, _CONFIDENCE_HEIGHT, "Confidence")


def _keys(rows: Sequence[_Row]) -> tuple[Key, ...]:
    pairs = [
        (offset, c)
        for row in rows
        for offset, c in zip(row.frames.offset_frames, row.frames.confidence, strict=True)
        if known(offset)
    ]
    return tuple(
        key
        for key, shown in (
            (Key(Look("large", 0), "per frame"), any(_is_sure(c) for _, c in pairs)),
            (
                Key(Look("weak"), f"per frame, confidence below {LEAST_CONFIDENCE:g}"),
                any(not _is_sure(c) for _, c in pairs),
            ),
            (Key(Look("segment"), "segment"), any(row.segments for row in rows)),
            (Key(Look("truth"), "known offset"), any(row.truth for row in rows)),
        )
        if shown
    )


def _readout(row: _Row) -> Readout:
    frames = row.frames
    return Readout(
        row.name,
        tuple(round(t, 2) for t in frames.t_s),
        tuple(round(o * FRAME_MS) if known(o) else None for o in frames.offset_frames),
        tuple(round(c, 2) if known(c) else None for c in frames.confidence),
    )


def _described(rows: Sequence[_Row], duration_s: float) -> str:
    """What is to be seen, in words."""
    words = []
    for row in rows:
        seen = sorted(o * FRAME_MS for o in row.frames.offset_frames if known(o))
        name = f"{row.name}: " if row.name else ""
        if not seen:
            words.append(f"{name}no frame has an offset")
            continue
        low, middle, high = (
            plain(ms, 0, sign=True) for ms in (seen[0], seen[len(seen) // 2], seen[-1])
        )
        words.append(
            f"{name}{len(seen)} of {len(row.frames.t_s)} frames have an offset, "
            f"from {low} to {high} ms, median {middle} ms"
        )
    return f"Video of {clock(duration_s)}. " + "; ".join(words)


def _thinned(frames: FrameSeries, most: int) -> FrameSeries:
    """At most so many frames: of every spot the one with the highest confidence."""
    count = len(frames.t_s)
    if count <= most:
        return frames
    chosen = [
        max(
            range(spot * count // most, (spot + 1) * count // most),
            key=lambda i: c if known(c := frames.confidence[i]) else -1.0,
        )
        for spot in range(most)
    ]
    return FrameSeries(
        tuple(frames.t_s[i] for i in chosen),
        tuple(frames.offset_frames[i] for i in chosen),
        tuple(frames.confidence[i] for i in chosen),
    )


def _truth(trial: Trial) -> tuple[Segment, ...]:
    """What is known about the video, under the trial's condition."""
    if trial.label.segments:
        moved = trial.condition.moved_frames
        return tuple(
            Segment(s.start_s, s.end_s, s.offset_frames + moved, 1.0) for s in trial.label.segments
        )
    if trial.truth_frames is None:
        return ()
    return (Segment(0.0, trial.duration_s, trial.truth_frames, 1.0),)


def _is_sure(confidence: float | None) -> bool:
    return known(confidence) and confidence >= LEAST_CONFIDENCE
