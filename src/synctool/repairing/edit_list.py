"""A constant offset repaired in MP4 and MOV by the container's own means: the edit list.

The file is copied byte for byte but for the edit lists of its audio tracks (ISO/IEC 14496-12, 8.6.6), so
that nothing can be lost that a remuxer does not know: timed metadata, vendors' boxes, HDR, rotation,
chapters, covers. All common players honour these edits, as every encoder's delay is told by one. The
index comes first in the new file ("faststart"), and what it says about places moves along.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from synctool.errors import MediaError
from synctool.media.boxes import boxes

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".3gp", ".3g2"})
_LARGEST_INDEX = 1 << 30
_EMPTY = -1
_BLOCK = 1 << 22
_LONGEST_DELAY_S = Fraction(1, 10)
"""What an edit list hides at the start is an encoder's delay if it is no longer."""
_UNMOVABLE = (b"saio", b"iloc")
"""Boxes that hold places in the file beyond those of chunks."""


@dataclass(frozen=True)
class Edit:
    """One entry of an edit list.

    Attributes:
        lasts: In units of the movie.
        media_time: Where it begins in the track, in the track's units; -1 shows nothing.
        rate: 16.16 fixed point.
    """

    lasts: int
    media_time: int
    rate: int = 1 << 16


@dataclass(frozen=True)
class Units:
    """Units a second of the movie and of one track."""

    movie: int
    track: int


class _Unsuitable(Exception):
    """The file is made in a way that is better remuxed."""


def has_editable_index(path: Path) -> bool:
    """Whether a file is an MP4 or MOV whose edit lists can be changed in a copy."""
    try:
        with path.open("rb") as file:
            _read(file)
    except (_Unsuitable, OSError, struct.error):
        return False
    return True


def move_audio(
    source: Path,
    target: Path,
    *,
    later_s: Fraction,
    track_ids: Collection[int],
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Copy an MP4 or MOV with some tracks moved; the length of the video stays.

    Args:
        source: The file; see ``has_editable_index``.
        target: The new file.
        later_s: By how much the tracks are moved later; negative for earlier.
        track_ids: Their ids.
        on_progress: Told the share that is done, 0..1.

    Raises:
        MediaError: Nothing would be left of a track, or the file is damaged.
        OSError: The new file cannot be written.
    """
    with source.open("rb") as file:
        try:
            layout, index = _read(file)
            moved = _moved_index(index, later_s, track_ids)
        except (struct.error, _Unsuitable) as error:
            raise MediaError(
                f"{source.name}: its index is damaged", remedy="Write to .mkv instead."
            ) from error
        with target.open("wb") as copy:
            _write(file, copy, layout, moved, on_progress)


# --------------------------------------------------------------------------- the file


@dataclass(frozen=True)
class _Part:
    """A box of the topmost level with its header."""

    kind: bytes
    start: int
    end: int


def _read(file: BinaryIO) -> tuple[list[_Part], bytes]:
    """The parts of a file, and the content of its index (``moov``).

    Raises:
        _Unsuitable: It is no such file, or one in fragments, with a packed index, or with places that
            are not understood.
    """
    size = file.seek(0, os.SEEK_END)
    parts, start = [], 0
    for box in boxes(file, 0, size):
        parts.append(_Part(box.kind, start, box.end))
        start = box.end
    kinds = [part.kind for part in parts]
    if start != size or kinds.count(b"moov") != 1 or b"mdat" not in kinds or b"moof" in kinds:
        raise _Unsuitable
    if any(part.kind == b"meta" and part.end - part.start > 1 << 16 for part in parts):
        raise _Unsuitable
    part = parts[kinds.index(b"moov")]
    if part.end - part.start > _LARGEST_INDEX:
        raise _Unsuitable
    file.seek(part.start)
    whole = file.read(part.end - part.start)
    content = whole[16 if whole[:4] == b"\0\0\0\1" else 8 :]
    inside = {kind for kind, _ in _children(content)}
    if not {b"mvhd", b"trak"} <= inside or inside & {b"mvex", b"cmov"}:
        raise _Unsuitable
    if any(kind in content for kind in _UNMOVABLE):
        raise _Unsuitable
    return parts, content


def _write(
    file: BinaryIO,
    copy: BinaryIO,
    parts: list[_Part],
    index: bytes,
    on_progress: Callable[[float], None] | None,
) -> None:
    """Write all parts with a new index, which stands before the media."""
    if parts[-1].end + len(index) + 8 > 0xFFFF_FFFF:
        index = _with_long_places(index)
    order = [part for part in parts if part.kind != b"moov"]
    first = next(i for i, part in enumerate(order) if part.kind == b"mdat")
    head, tail = order[:first], order[first:]
    # Moves of the parts, by where they began.
    moves: list[tuple[_Part, int]] = []
    at = 0
    for part in head:
        moves.append((part, at - part.start))
        at += part.end - part.start
    at += len(index) + 8
    for part in tail:
        moves.append((part, at - part.start))
        at += part.end - part.start
    index = _with_moved_places(index, sorted(moves, key=lambda m: m[0].start))
    total = max(at, 1)
    written = 0
    for part in (*head, None, *tail):
        if part is None:
            written += copy.write(_box(b"moov", index))
            continue
        for block in _blocks(file, part, last=part is order[-1]):
            written += copy.write(block)
            if on_progress:
                on_progress(written / total)


def _blocks(file: BinaryIO, part: _Part, *, last: bool) -> Iterator[bytes]:
    file.seek(part.start)
    left = part.end - part.start
    while left:
        block = file.read(min(left, _BLOCK))
        if not block:
            raise MediaError("the file became shorter while it was read", remedy="Try again.")
        if left == part.end - part.start and block[:4] == bytes(4) and not last:
            block = _closed(block, left)  # a size of 0 means "to the end", which is another one now
        yield block
        left -= len(block)


def _closed(block: bytes, size: int) -> bytes:
    if size > 0xFFFF_FFFF:
        raise MediaError(
            "its media are of unknown size, and too large to be told", remedy="Write to .mkv."
        )
    return struct.pack(">I", size) + block[4:]


# --------------------------------------------------------------------------- the index


def _children(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kinds and contents of the boxes in a box."""
    at = 0
    while at + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", content, at + 8)[0], 16
        elif size == 0:
            size = len(content) - at
        if size < head or at + size > len(content):
            if not content[at:].strip(b"\0"):
                return
            raise _Unsuitable
        yield kind, content[at + head : at + size]
        at += size


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def _joined(parts: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(_box(kind, content) for kind, content in parts)


def _changed(content: bytes, path: tuple[bytes, ...], change: Callable[[bytes], bytes]) -> bytes:
    """The content of a box with those at ``path`` below it changed."""
    return _joined(
        (
            kind,
            inner
            if kind != path[0]
            else (change(inner) if len(path) == 1 else _changed(inner, path[1:], change)),
        )
        for kind, inner in _children(content)
    )


def _only(content: bytes, *path: bytes) -> bytes:
    """The content of the first box at a path.

    Raises:
        _Unsuitable: There is none.
    """
    for kind in path:
        found = next((inner for k, inner in _children(content) if k == kind), None)
        if found is None:
            raise _Unsuitable
        content = found
    return content


def _moved_index(index: bytes, later_s: Fraction, track_ids: Collection[int]) -> bytes:
    movie, limit = _times(_only(index, b"mvhd"))
    parts, ends = [], [0]
    for kind, inner in _children(index):
        if kind != b"trak":
            parts.append((kind, inner))
            continue
        track_id, _ = _track_header(_only(inner, b"tkhd"))
        if track_id in track_ids:
            inner = _moved_track(inner, movie, limit, later_s)
        parts.append((kind, inner))
        ends.append(_track_header(_only(inner, b"tkhd"))[1])
    length = max(ends)
    return _joined(
        (kind, _with_time(inner, length) if kind == b"mvhd" else inner) for kind, inner in parts
    )


def _moved_track(track: bytes, movie: int, limit: int, later_s: Fraction) -> bytes:
    track_units, media_lasts = _times(_only(track, b"mdia", b"mdhd"))
    units = Units(movie, track_units)
    edits = _edits(track)
    if not edits:
        edits = [Edit(round(Fraction(media_lasts * movie, track_units)), 0)]
    moved = moved_edits(edits, units, later_s, limit=limit)
    content = _edit_list(moved)
    lasts = sum(edit.lasts for edit in moved)
    parts = []
    for kind, inner in _children(track):
        if kind == b"edts":
            continue
        if kind == b"tkhd":
            parts += [(kind, _with_track_time(inner, lasts)), (b"edts", _box(b"elst", content))]
        else:
            parts.append((kind, inner))
    return _joined(parts)


def moved_edits(edits: list[Edit], units: Units, later_s: Fraction, *, limit: int) -> list[Edit]:
    """An edit list moved in time.

    Args:
        edits: The old one.
        units: Of the movie and the track.
        later_s: By how much later.
        limit: Where it must end at the latest, in units of the movie.

    Raises:
        MediaError: Nothing is left of it, or it plays at another speed.
    """
    if any(e.rate != 1 << 16 and e.media_time != _EMPTY for e in edits):
        raise _Unsuitable
    shown = list(edits)
    before = Fraction(0)
    while shown and shown[0].media_time == _EMPTY:
        before += Fraction(shown.pop(0).lasts, units.movie)
    before += later_s
    while shown and before < 0:
        first = shown.pop(0)
        lasts_s = Fraction(first.lasts, units.movie)
        if lasts_s <= -before:
            before += lasts_s
            continue
        shown.insert(0, _shortened(first, -before, units))
        before = Fraction(0)
    if before > 0 and shown:
        before, shown[0] = _uncovered(before, shown[0], units)
    empty = round(before * units.movie)
    moved = [Edit(empty, _EMPTY)] if empty else []
    left = limit - empty
    for edit in shown:
        kept = replace(edit, lasts=min(edit.lasts, left))
        if kept.lasts > 0:
            moved.append(kept)
        left -= kept.lasts
    if all(edit.media_time == _EMPTY for edit in moved):
        raise MediaError(
            f"nothing of the audio is left when it is moved by {float(later_s):+.3f} s",
            remedy="Give a smaller offset.",
        )
    return moved


def _uncovered(before: Fraction, edit: Edit, units: Units) -> tuple[Fraction, Edit]:
    """What is shown of nothing, and an edit after it that hides no encoder's delay.

    That delay is silence and may as well be heard; some players (Chromium) forget, where a track starts
    late, that what they leave out takes time.
    """
    hidden = Fraction(edit.media_time, units.track)
    if not 0 < hidden <= min(before, _LONGEST_DELAY_S):
        return before, edit
    return before - hidden, Edit(edit.lasts + round(hidden * units.movie), 0, edit.rate)


def _shortened(edit: Edit, by_s: Fraction, units: Units) -> Edit:
    """An edit without its beginning."""
    lasts = edit.lasts - round(by_s * units.movie)
    if edit.media_time == _EMPTY:
        return replace(edit, lasts=lasts)
    return replace(edit, lasts=lasts, media_time=edit.media_time + round(by_s * units.track))


def _edits(track: bytes) -> list[Edit]:
    try:
        content = _only(track, b"edts", b"elst")
    except _Unsuitable:
        return []
    version, count = content[0], struct.unpack_from(">I", content, 4)[0]
    form = ">QqI" if version else ">IiI"
    size = struct.calcsize(form)
    if 8 + count * size > len(content):
        raise _Unsuitable
    return [Edit(*struct.unpack_from(form, content, 8 + i * size)) for i in range(count)]


def _edit_list(edits: list[Edit]) -> bytes:
    long = any(e.lasts > 0x7FFF_FFFF or e.media_time > 0x7FFF_FFFF for e in edits)
    form = ">QqI" if long else ">IiI"
    entries = b"".join(struct.pack(form, e.lasts, e.media_time, e.rate) for e in edits)
    return struct.pack(">B3xI", int(long), len(edits)) + entries


def _times(header: bytes) -> tuple[int, int]:
    """Units a second and length, of ``mvhd`` or ``mdhd``."""
    return (
        struct.unpack_from(">IQ", header, 20)
        if header[0]
        else struct.unpack_from(">II", header, 12)
    )


def _with_time(header: bytes, lasts: int) -> bytes:
    """The header of the movie with another length."""
    changed = bytearray(header)
    struct.pack_into(*((">Q", changed, 24) if header[0] else (">I", changed, 16)), lasts)
    return bytes(changed)


def _track_header(header: bytes) -> tuple[int, int]:
    """Id and length of a track."""
    form, at = (">I4xQ", 20) if header[0] else (">I4xI", 12)
    return struct.unpack_from(form, header, at)


def _with_track_time(header: bytes, lasts: int) -> bytes:
    changed = bytearray(header)
    struct.pack_into(*((">Q", changed, 28) if header[0] else (">I", changed, 20)), lasts)
    return bytes(changed)


# --------------------------------------------------------------------------- places in the file

_TABLE = (b"trak", b"mdia", b"minf", b"stbl")


def _with_long_places(index: bytes) -> bytes:
    """The index with 64-bit places, as for files of more than 4 GB."""

    def longer(content: bytes) -> bytes:
        return _joined(
            (b"co64", _long_places(inner)) if kind == b"stco" else (kind, inner)
            for kind, inner in _children(content)
        )

    return _changed(index, _TABLE, longer)


def _with_moved_places(index: bytes, moves: list[tuple[_Part, int]]) -> bytes:
    starts = [part.start for part, _ in moves]

    def moved(form: str) -> Callable[[bytes], bytes]:
        def change(content: bytes) -> bytes:
            old = np.frombuffer(_read_places(content, form), f">u{struct.calcsize(form)}")
            which = np.clip(np.searchsorted(starts, old, side="right") - 1, 0, None)
            by = np.array([move for _, move in moves], np.int64)[which]
            new = (old.astype(np.int64) + by).astype(old.dtype)
            return content[:8] + new.tobytes()

        return change

    index = _changed(index, (*_TABLE, b"stco"), moved("I"))
    return _changed(index, (*_TABLE, b"co64"), moved("Q"))


def _read_places(content: bytes, form: str) -> bytes:
    count = struct.unpack_from(">I", content, 4)[0]
    size = count * struct.calcsize(form)
    if 8 + size > len(content):
        raise _Unsuitable
    return content[8 : 8 + size]


def _long_places(content: bytes) -> bytes:
    places = np.frombuffer(_read_places(content, "I"), ">u4").astype(">u8")
    return struct.pack(">II", 0, len(places)) + places.tobytes()
