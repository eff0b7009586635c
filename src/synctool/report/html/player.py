"""The player of a video on the page of ``detect``: a small copy, and what its audio is moved by."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from markupsafe import Markup

from synctool.errors import SyncToolError
from synctool.media.locating import is_pipe
from synctool.media.proxy import (
    EXCERPT_QUALITY,
    LEAD_IN_S,
    MARK_S,
    QUALITIES,
    Proxy,
    ProxyPart,
    Span,
    make_proxy,
)
from synctool.repairing.plan import RepairPlan, plan_repair
from synctool.report.html.page import embedded_json
from synctool.report.text import clock, known, printable
from synctool.settings.detect import DetectSettings
from synctool.types import AUDIO_HZ, DetectResult

_BASE64 = 4 / 3
_SHORTEST_S = 4.0
"""A shorter excerpt shows nothing."""
_PART_S = 12.0
"""About how long each part of an excerpt is."""
_MOST_PARTS = 6
_GRID_S = 0.2
_SPARE_S = 0.25

Copy = Proxy | str
"""A small copy of a video, or a sentence that says why there is none."""


@dataclass(frozen=True)
class Player:
    """What the template asks for.

    Attributes:
        id: Of the section.
        width: Of the images, in px.
        height: Of the images, in px.
        seconds: Length of the copy.
        repairable: Whether the audio can be heard repaired.
        sentences: What a person should know of it.
        plan: Times and offsets for the script, as JSON.
        video: The images in base64.
        video_type: Their MIME type.
        audio: The audio in base64.
        audio_type: Its MIME type.
    """

    id: str
    width: int
    height: int
    seconds: float
    repairable: bool
    sentences: Sequence[str]
    plan: Markup
    video: Markup
    video_type: str
    audio: Markup
    audio_type: str


def player(id: str, result: DetectResult, copy: Proxy) -> Player:
    """The player of a video.

    Args:
        id: Of its section.
        result: What was measured.
        copy: Its small copy.
    """
    plan = _plan(result)
    parts = copy.video_parts
    seconds = parts[-1].at_s + parts[-1].end_s - parts[-1].start_s
    excerpt = seconds < result.source.duration_s - _GRID_S
    sentences = []
    if excerpt:
        where = ", ".join(f"{clock(part.start_s)} to {clock(part.end_s)}" for part in parts)
        sentences.append(
            f"An excerpt, as the page would be too large: {where}. --player-mb allows more."
        )
    if plan is None:
        sentences.append("The offset is not known, so there is no repair to be heard.")
    elif len(plan.spans) > 1:
        sentences.append(f"Repaired means: {plan.in_words()}, each moved back into place.")
    data = {
        "parts": _plain(parts),
        "audio": _plain(copy.audio_parts),
        "end": round(seconds, 4),
        "frame": round(copy.frame_s, 5),
        "excerpt": excerpt,
        "hz": AUDIO_HZ,
        "mark": MARK_S,
        "lead": LEAD_IN_S,
        "spans": plan and [(s.start_s, s.offset_ms, s.drift_ms_per_min) for s in plan.spans],
    }
    return Player(
        id,
        *copy.size_px,
        round(seconds, 4),
        plan is not None,
        sentences,
        embedded_json(json.dumps(data, separators=(",", ":"))),
        _base64(copy.video),
        copy.video_type,
        _base64(copy.audio),
        copy.audio_type,
    )


def copies(
    results: Sequence[DetectResult],
    settings: DetectSettings,
    *,
    on_progress: Callable[[str, float, float], None] | None = None,
) -> Mapping[str, Copy]:
    """Small copies of videos, for which each is read once more.

    Args:
        results: What was measured; one at a time is read.
        settings: How they were measured; ``player_mb`` is shared among the videos.
        on_progress: Told the name of the video, the seconds of it that are done, and its length.

    Returns:
        By ``input``: the copy, or why there is none.
    """
    limits = shares(
        [result.source.duration_s for result in results], settings.player_mb * 1e6 / _BASE64
    )
    made: dict[str, Copy] = {}
    for result, limit in zip(results, limits):
        tell = None if on_progress is None else partial(_tell, on_progress, result)
        made[result.input] = _copy(result, settings, limit, tell)
    return made


def _tell(
    on_progress: Callable[[str, float, float], None], result: DetectResult, done_s: float
) -> None:
    on_progress(result.input, done_s, result.source.duration_s)


def shares(durations_s: Sequence[float], limit_bytes: float) -> list[float]:
    """A limit shared among videos: short ones get what they need, long ones the same of the rest.

    Args:
        durations_s: Lengths of the videos.
        limit_bytes: Of all.

    Returns:
        Bytes for each, in order.
    """
    wanted = [QUALITIES[0].bytes_per_s * (seconds + 2 * LEAD_IN_S) for seconds in durations_s]
    given = [0.0] * len(wanted)
    left, open_ones = limit_bytes, sorted(range(len(wanted)), key=wanted.__getitem__)
    while open_ones:
        index, share = open_ones[0], left / len(open_ones)
        given[index] = min(wanted[index], share)
        left -= given[index]
        open_ones.pop(0)
    return given


def telling_parts(result: DetectResult, seconds: float) -> tuple[Span, ...]:
    """The parts of a video that are worth hearing: where the offset changes, and where it is large and sure.

    Args:
        result: What was measured.
        seconds: How long they may be together, less than the video.

    Returns:
        In order, without overlap.
    """
    count = max(1, min(_MOST_PARTS, int(seconds / _PART_S)))
    length = int(seconds / count / _GRID_S)
    cells = max(int(result.source.duration_s / _GRID_S), length)
    worth = np.zeros(cells)
    frames = result.frames
    largest = max((abs(o) for o in frames.offset_frames if known(o)), default=0.0) or 1.0
    for t, offset, sure in zip(frames.t_s, frames.offset_frames, frames.confidence):
        if known(offset) and known(sure):
            worth[min(int(t / _GRID_S), cells - 1)] += sure * (1 + abs(offset) / largest)
    plan = _plan(result)
    changes = [] if plan is None else [span.start_s for span in plan.spans[1:]]
    free = np.ones(cells, bool)
    starts = []
    for change in changes[:count]:
        _occupy(free, starts, int(change / _GRID_S) - length // 2, length)
    summed = np.concatenate([[0.0], np.cumsum(worth)])
    while len(starts) < count:
        taken = np.concatenate([[0], np.cumsum(~free)])
        windows = summed[length:] - summed[:-length]
        windows[(taken[length:] - taken[:-length]) > 0] = -1.0
        best = int(windows.argmax())
        if windows[best] < 0:
            break
        _occupy(free, starts, best, length)
    spans: list[Span] = []
    for start in sorted(starts):
        begin, end = round(start * _GRID_S, 3), round((start + length) * _GRID_S, 3)
        if spans and spans[-1][1] >= begin:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    return tuple(spans)


def _occupy(free: np.ndarray, starts: list[int], start: int, length: int) -> None:
    """Take a window unless a part of it is taken already; at the ends it is moved inside."""
    start = max(0, min(start, free.size - length))
    if free[start : start + length].all():
        free[start : start + length] = False
        starts.append(start)


def _copy(
    result: DetectResult,
    settings: DetectSettings,
    limit_bytes: float,
    tell: Callable[[float], None] | None,
) -> Copy:
    if is_pipe(result.input):
        return "There is no player: the video came through a pipe, which can be read only once."
    duration_s = result.source.duration_s
    plan = _plan(result)
    pad_s = 0.0 if plan is None else _farthest_s(plan, duration_s) + _SPARE_S
    excerpt = None
    if duration_s * QUALITIES[-1].bytes_per_s > limit_bytes:
        room_s = limit_bytes / EXCERPT_QUALITY.bytes_per_s - LEAD_IN_S - 2 * pad_s
        if room_s < _SHORTEST_S:
            return "There is no player: the page would be too large. --player-mb allows more."
        excerpt = telling_parts(result, room_s)
    try:
        return make_proxy(
            result.input,
            duration_s=duration_s,
            limit_bytes=limit_bytes,
            excerpt=excerpt,
            pad_s=pad_s,
            streams=settings.streams,
            allow_external=settings.allow_external,
            stall_timeout=settings.stall_timeout,
            on_progress=tell,
        )
    except SyncToolError as error:
        return f"There is no player: {printable(error.cause)}."


def _plan(result: DetectResult) -> RepairPlan | None:
    """The repair that would be made; None where the offset is not known."""
    try:
        return plan_repair(result)
    except SyncToolError:
        return None


def _farthest_s(plan: RepairPlan, duration_s: float) -> float:
    """The largest offset in the video, either way."""
    ends = [*(span.start_s for span in plan.spans[1:]), duration_s]
    moments = [(span, t) for span, end in zip(plan.spans, ends) for t in (span.start_s, end)]
    return max(abs(span.offset_s(t)) for span, t in moments)


def _plain(parts: Sequence[ProxyPart]) -> list[list[float]]:
    return [[round(x, 5) for x in (part.at_s, part.start_s, part.end_s)] for part in parts]


def _base64(data: bytes) -> Markup:
    return Markup(base64.b64encode(data).decode("ascii"))
