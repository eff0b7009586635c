"""Streams on a terminal while they are watched: the offset now, where it has been, and how sure that is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from synctool.live.answers import Answer
from synctool.live.events import Event
from synctool.report.terminal import STYLES
from synctool.report.text import printable
from synctool.scoring.verdict import in_words
from synctool.types import FRAME_MS

STRIP = 60
"""So many of the last seconds are drawn."""
_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-=+*#@"
_NONE, _ASCII_NONE = "·", " "
_ENDED = "ended"
_SPAN_MS = 240.0
"""Offsets of so much, ahead or behind, reach the ends of the strip."""
_TOLD = {"alarm", "recovery", "change", "lost", "break", "overload", "failed"}


@dataclass
class _Source:
    """What is known of one source."""

    state: str = "waiting for data"
    last: Event | None = None
    strip: deque[Event] = field(default_factory=lambda: deque(maxlen=STRIP))
    alarm: bool = False
    again_at: float | None = None
    format: str = ""


class LiveView:
    """What is shown of sources; give it to ``rich.live.Live``.

    Args:
        sources: Their names, in the order in which they are shown.
        clock: Seconds, for what is to come.
    """

    def __init__(
        self, sources: Sequence[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sources = {name: _Source() for name in sources}
        self._clock = clock

    def add(self, event: Event) -> Text | None:
        """Take an event.

        Returns:
            A line that should stay on the screen, for what does not happen every second.
        """
        source = self._sources[event.source]
        source.alarm = event.alarm
        if event.kind == "answer":
            source.last = event
            source.strip.append(event)
            source.state, source.again_at = "", None
        elif event.kind == "part":
            source.state, source.again_at = "", None
            source.format = _format(event)
        elif event.kind in ("lost", "failed", "end"):
            source.state = _ENDED if event.kind == "end" else event.detail
            again = event.more.get("again_in_s")
            source.again_at = None if again is None else self._clock() + float(again)
        return _line(event) if event.kind in _TOLD else None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = (options.height or console.height) // max(len(self._sources), 1)
        ascii_only = not _can_draw(console.encoding)
        parts = []
        for name, source in self._sources.items():
            parts.append(self._head(name, source, options.max_width))
            if room >= 4:
                parts.append(_strip(source, options.max_width, ascii_only=ascii_only))
                parts.append(_foot(source, options.max_width))
        yield Group(*parts)

    def _head(self, name: str, source: _Source, width: int) -> Table:
        row = Table.grid(expand=True, padding=(0, 2, 0, 0))
        row.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
        row.add_column(justify="right", no_wrap=True)
        row.add_row(Text(printable(name), "bold"), self._now(source))
        return row

    def _now(self, source: _Source) -> Text:
        event = source.last
        if source.state == _ENDED and event is not None:
            return Text.assemble((f"{_ENDED}; last ", "bold magenta"), _last(source))
        if source.state:
            wait = "" if source.again_at is None else self._again(source.again_at)
            return Text(f"{printable(source.state)[:56]}{wait}", "bold magenta")
        if event is None or event.answer is None:
            return Text("listening", "dim")
        alarm = Text(" ALARM ", "bold white on red") if source.alarm else Text("")
        return Text.assemble(alarm, " ", _answer(event.answer))

    def _again(self, at: float) -> str:
        return f", again in {max(at - self._clock(), 0):.0f} s"


def _last(source: _Source) -> Text:
    """The latest answer on the strip that has an offset: what a reader wants to keep of a video."""
    answers = [event.answer for event in source.strip if event.answer is not None]
    told = [answer for answer in answers if answer.offset_ms is not None] or answers
    return _answer(told[-1])


def _answer(answer: Answer) -> Text:
    if answer.offset_ms is None:
        return Text("no answer", STYLES["inconclusive"])
    said = in_words(answer.offset_ms)
    return Text.assemble(
        *(said if said.startswith("0") else f"audio {said}", "  "),
        (answer.verdict, STYLES[answer.verdict]),
        f"  confidence {answer.confidence:.2f}",
    )


def _strip(source: _Source, width: int, *, ascii_only: bool) -> Text:
    """The offsets of the last seconds: in the middle in sync, higher ahead, lower behind."""
    bars, none = (_ASCII_BARS, _ASCII_NONE) if ascii_only else (_BARS, _NONE)
    drawn = Text("  ")
    events = list(source.strip)[-max(width - 22, 10) :]
    for event in events:
        answer = event.answer
        if answer is None or answer.offset_ms is None:
            drawn.append(none, "dim")
            continue
        share = (answer.offset_ms + _SPAN_MS) / (2 * _SPAN_MS)
        level = min(max(int(share * len(bars)), 0), len(bars) - 1)
        drawn.append(bars[level], STYLES[answer.verdict].removeprefix("bold "))
    if events:
        drawn.append(f"  last {len(events)} s", "dim")
    return drawn


def _foot(source: _Source, width: int) -> Text:
    event = source.last
    said = [source.format] if source.format else []
    if event is not None and event.answer is not None and not source.state:
        answer = event.answer
        if answer.reason:
            said = [answer.reason]
        else:
            faces = "1 face" if answer.faces == 1 else f"{answer.faces} faces"
            speaks = "" if answer.speaker is None else f", face {answer.speaker} speaks"
            said.append(f"{faces}{speaks}")
            if event.drift is not None:
                drift = event.drift
                half = (drift.high - drift.low) / 2
                said.append(f"drift {drift.ms_per_hour:+.1f} ±{half:.1f} ms/h")
            if event.delay_s is not None:
                said.append(f"delay {event.delay_s:.1f} s")
    text = Text("  " + printable("; ".join(said)), "dim", no_wrap=True, overflow="ellipsis")
    text.truncate(width, overflow="ellipsis")
    return text


def _format(event: Event) -> str:
    width, height = event.more.get("width_px"), event.more.get("height_px")
    fps = event.more.get("video_fps")
    return f"{width}x{height} at {fps:g} fps" if width and fps else ""


def _line(event: Event) -> Text:
    """An event in one line."""
    at = datetime.fromtimestamp(event.time.timestamp()).strftime("%H:%M:%S")
    words = {
        "alarm": ("ALARM", "bold red"),
        "recovery": ("recovered", "bold green"),
    }.get(event.kind, (event.kind, "bold magenta"))
    detail = printable(event.detail)
    if event.answer is not None and event.answer.offset_frames is not None:
        detail = f"audio {in_words(event.answer.offset_frames * FRAME_MS)}"
    return Text.assemble((at, "dim"), " ", printable(event.source), " ", words, " ", detail)


def _can_draw(encoding: str) -> bool:
    try:
        (_BARS + _NONE).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
