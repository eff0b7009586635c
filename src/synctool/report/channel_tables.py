"""The channels of a video's audio: where each stands beside the reference, and its own offset."""

from __future__ import annotations

from synctool.features.channel_mix import metres
from synctool.report.tables import (
    UNKNOWN,
    Cell,
    Column,
    Table,
    number_cell,
    offset_cell,
    share_cell,
    words_cell,
)
from synctool.report.text import plain, printable
from synctool.types import AudioChannel, DetectResult

_NOTABLE_MS = 1.0
"""Smaller delays are those of a microphone pair; a third of a metre."""


def channels_table(result: DetectResult, anchor: str = "") -> Table:
    """A row for each channel."""
    channels = result.audio_channels or ()
    columns = [Column("Channel"), Column("Level, dB", True), Column("Later by, ms", True)]
    columns += [Column("Same sound", True), Column("In the mix", True), Column("Audio", True)]
    columns += [Column("Confidence", True), Column("Remark")]
    rows = [
        [
            Cell(printable(c.name), sort=printable(c.name)),
            number_cell(c.level_db, 1),
            number_cell(c.delay_ms, 1, sign=True),
            share_cell(c.coherence),
            share_cell(c.weight),
            offset_cell(c.offset_frames),
            UNKNOWN if c.verdict is None else number_cell(c.confidence, 2),
            words_cell("; ".join(_remarks(c))),
        ]
        for c in channels
    ]
    return Table(anchor, "Channels", columns, rows, sortable=len(rows) > 1)


def directions_table(result: DetectResult, anchor: str = "") -> Table:
    """A row for each face whose voice was heard alone."""
    columns = [Column("Face", True), Column("Place", True), Column("Right louder by, dB", True)]
    columns += [Column("Right earlier by, ms", True), Column("Speech, s", True)]
    found = result.audio_direction
    rows = [
        [
            number_cell(one.track, 0),
            number_cell(one.place, 2, sign=True),
            number_cell(one.level_db, 1, sign=True),
            number_cell(one.delay_ms, 2, sign=True),
            number_cell(one.speech_s, 1),
        ]
        for one in (found.speakers if found else ())
    ]
    return Table(anchor, "Directions", columns, rows, sortable=len(rows) > 1)


def _remarks(channel: AudioChannel) -> list[str]:
    said = ["reference"] if channel.reference else []
    if channel.inverted:
        said.append("inverted: it cancels the reference in a plain mix")
    if channel.delay_ms is None:
        said.append("other sound, or silence")
    elif abs(channel.delay_ms) >= _NOTABLE_MS:
        away = plain(abs(metres(channel.delay_ms)), 1)
        where = "further away" if channel.delay_ms > 0 else "nearer"
        said.append(f"as from a microphone {away} m {where}")
    if channel.reason:
        said.append(channel.reason)
    return said
