"""Names and figures as people read them."""

from __future__ import annotations

import math
from typing import TypeGuard

from synctool.names import printable
from synctool.types import MediaTrack, Source

__all__ = [
    "MINUS",
    "NOTHING",
    "chosen_streams",
    "clock",
    "counted",
    "known",
    "passed_over",
    "percent",
    "plain",
    "printable",
    "shortened",
    "signed",
]

NOTHING = "–"
ALIGNED = "aligned mix"
"""What ``--channels mix`` measures, as ``Source.channel``."""
MINUS = "\N{MINUS SIGN}"


def chosen_streams(source: Source) -> str:
    """Which tracks and channel are measured, where there was a choice; else empty."""
    said = []
    for kind in ("video", "audio"):
        tracks = [track for track in source.tracks if track.kind == kind]
        if len(tracks) > 1:
            said += [
                f"{kind} track {track.number} of {len(tracks)}{_details(track)}"
                for track in tracks
                if track.measured
            ]
    channels = next((t.channels for t in source.tracks if t.measured and t.channels), 0)
    if channels > 1:
        said.append(
            f"{'aligned mix' if source.channel == ALIGNED else 'mix'} of {channels} channels"
            if source.channel in ("mix", ALIGNED)
            else f"channel {source.channel}"
        )
    return ", ".join(said)


def passed_over(source: Source) -> list[str]:
    """The tracks that are not measured, each with the reason where there is one."""
    return [
        f"{track.kind} track {track.number}{_details(track)}{': ' if track.note else ''}{track.note}"
        for track in source.tracks
        if not track.measured
    ]


def _details(track: MediaTrack) -> str:
    known = [x for x in (track.codec, track.language, track.title, *track.dispositions) if x]
    return f" ({', '.join(known)})" if known else ""


def shortened(text: str, most: int) -> str:
    """Cut the middle out of a long name: its end tells as much as its beginning."""
    if len(text) <= most:
        return text
    head = (most - 3) // 2
    return f"{text[:head]}...{text[len(text) - (most - 3 - head) :]}"


def clock(seconds: float) -> str:
    """``1:02:03.4``, ``2:03.4`` or ``0:03.4``."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def known(value: float | None) -> TypeGuard[float]:
    """Whether there is a number."""
    return value is not None and math.isfinite(value)


def plain(value: float, digits: int, *, sign: bool = False) -> str:
    """A number with a true minus, and with no sign where it rounds to zero."""
    rounded = round(value, digits) + 0.0
    text = f"{rounded:{'+' if sign and rounded else ''}.{digits}f}"
    return text.replace("-", MINUS)


def signed(value: float, digits: int) -> str:
    """A number with its sign, in characters that any terminal shows."""
    return plain(value, digits, sign=True).replace(MINUS, "-")


def percent(share: float | None, digits: int = 0) -> str:
    """A share in per cent."""
    return f"{plain(100 * share, digits)} %" if known(share) else NOTHING


def counted(number: int, word: str) -> str:
    """``1 video``, ``2 videos``."""
    return f"{number} {word}{'' if number == 1 else 's'}"
