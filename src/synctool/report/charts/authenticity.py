"""Whether lips and voice belong together, over time: scores by span, the offset, the mouth, what is worth a
look."""

from __future__ import annotations

from synctool.measure.verify import Verification
from synctool.report.charts.description import (
    Axis,
    Chart,
    Dots,
    Key,
    Line,
    Look,
    Mark,
    Panel,
    Point,
    across,
    labelled,
    nice_ticks,
    time_axis,
    whiskers,
)
from synctool.report.text import clock, known, plain, printable
from synctool.scoring.verdict import LEAST_CONFIDENCE, in_words
from synctool.types import FRAME_MS, VIDEO_FPS, Authenticity, AuthenticitySpan

_WIDTH = 880.0
_SCORES, _OFFSETS, _MOUTH, _ROW = 110.0, 110.0, 90.0, 16.0
_MOST_POINTS = 1500
_ROOM = 0.06
"""Share of an axis kept free beyond the outermost values, so that lines and dots there are whole."""
_SIGN_ROWS = (
    ("still", "lips still"),
    ("silent", "in silence"),
    ("again", "lips repeat"),
    ("elsewhere", "elsewhere"),
)


def authenticity_chart(outcome: Verification) -> Chart:
    """The chart of one video; of several faces the mouth of the one with most speech is drawn."""
    found = outcome.authenticity
    x = time_axis(outcome.result.source.duration_s)
    panels = [_scores(found, x), _offsets(outcome)]
    if outcome.foremost is not None:
        panels.append(_mouth(outcome, outcome.foremost))
    if found.signs:
        panels.append(_signs(found))
    return Chart(
        f"Evidence over time, {printable(outcome.input)}",
        _described(found),
        x,
        tuple(panels),
        _WIDTH,
        keys=(
            Key(Look("line", 1), "dub score"),
            Key(Look("line", 3), "re-animation score"),
            Key(Look("large", 0), "offset round every frame"),
            Key(Look("weak"), f"the same, confidence below {LEAST_CONFIDENCE:g}"),
            Key(Look("thin", 2), "opening of the mouth"),
        ),
        caption="Scores above one half speak against the verdict natural. Upright strokes: 90 % intervals.",
    )


def _scores(found: Authenticity, x: Axis) -> Panel:
    marks: list[Mark] = [across(x, 0.5)]
    for model, name in ((1, "dub"), (3, "reanimation")):
        points: list[Point | None] = []
        spans = []
        for span in found.spans:
            score = getattr(span, name)
            if score is not None:
                points += [(span.start_s, score.value), (span.end_s, score.value), None]
                middle = (span.start_s + span.end_s) / 2 + 0.01 * model * x.high
                spans.append((middle, score.low, score.high))
        marks += [Line(tuple(points), Look("line", model)), whiskers(spans, model)]
    axis = Axis(-_ROOM, 1.0 + _ROOM, labelled((0.0, 0.5, 1.0), lambda share: f"{share:g}"))
    return Panel(axis, tuple(marks), _SCORES, "Scores")


def _offsets(outcome: Verification) -> Panel:
    frames = outcome.result.frames
    found = [
        (t, offset * FRAME_MS, known(sure) and sure >= LEAST_CONFIDENCE)
        for t, offset, sure in _thinned(
            list(zip(frames.t_s, frames.offset_frames, frames.confidence))
        )
        if known(offset)
    ]
    weak, sure = (tuple((t, y) for t, y, s in found if s == wanted) for wanted in (False, True))
    values = [y for _, y, _ in found] or [0.0]
    low, high = min([*values, -185.0]), max([*values, 90.0])
    room = _ROOM * (high - low)
    axis = Axis(low - room, high + room, labelled(nice_ticks(low, high, 4), in_words))
    marks = (Dots(weak, Look("weak")), Dots(sure, Look("dots", 0)))
    return Panel(axis, marks, _OFFSETS, "Offset of the audio")


def _mouth(outcome: Verification, number: int) -> Panel:
    series = outcome.mouths[number]
    closed = float(series.opening.min(initial=1.0))  # its constant means nothing
    points = [
        ((series.first_frame + t) / VIDEO_FPS, float(y) - closed)
        for t, y in enumerate(series.opening)
    ]
    high = max((y for _, y in points), default=0.0) + 1e-3
    axis = Axis(0.0, 1.05 * high, ((0.0, "closed"), (high, "open")))
    marks = (Line(tuple(_thinned(points)), Look("thin", 2)),)
    return Panel(axis, marks, _MOUTH, f"Opening of the mouth, face {number}")


def _signs(found: Authenticity) -> Panel:
    rows = [row for row in _SIGN_ROWS if any(s.kind == row[0] for s in found.signs)]
    marks: list[Mark] = []
    ticks = []
    for place, (kind, label) in enumerate(rows):
        y = len(rows) - place - 0.5
        points: list[Point | None] = []
        for sign in found.signs:
            if sign.kind == kind:
                points += [(sign.start_s, y), (sign.end_s, y), None]
        marks.append(Line(tuple(points), Look("turn", 4)))
        ticks.append((y, label))
    return Panel(
        Axis(0.0, float(len(rows)), tuple(ticks)), tuple(marks), len(rows) * _ROW, "Worth a look"
    )


def _described(found: Authenticity) -> str:
    if not found.spans:
        return "Nothing could be judged"
    return "; ".join(map(_span_words, found.spans))


def _span_words(span: AuthenticitySpan) -> str:
    score = "" if span.dub is None else f", dub score {plain(span.dub.value, 2)}"
    return f"face {span.track}, {clock(span.start_s)} to {clock(span.end_s)}: {span.verdict}{score}"


def _thinned(points: list) -> list:
    step = -(-len(points) // _MOST_POINTS)
    return points[::step] if step else points
