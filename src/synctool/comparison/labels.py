"""``truth.csv``: the known offsets of videos, and which video each of them belongs to.

One row a video, or one a segment where the offset changes within it::

    path,offset_ms,person,language
    interviews/anna.mp4,80,anna,de
    interviews/ben.mp4,-40,ben,en

``path`` is relative to the file's folder, absolute, or as the video was given; where no path fits, a
video is found by its name alone, if only one video and one row have it.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import logging
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from synctool.errors import UsageError
from synctool.types import FRAME_MS, Label, Segment
from synctool.untrusted.origin import Origin
from synctool.untrusted.regular import MIB, read_regular

COLUMNS = (
    *("path", "offset_frames", "offset_ms", "start_s", "end_s"),
    *("person", "source", "language"),
)
_UNITS = {"offset_frames": 1.0, "offset_ms": FRAME_MS}
"""Columns of offsets, and how many of each unit make a frame."""
_WHO = ("person", "source", "language")
_EQUAL_FRAMES = 1e-6
_SHOWN = 5
_LARGEST = 256 * MIB
_FARTHEST = 1e9
"""Milliseconds, frames or seconds: nothing lasts longer."""
_EXAMPLE = "A labels file begins like: path,offset_ms"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledVideo:
    """What a labels file says about one video.

    Attributes:
        path: As it is written there.
        line: Where, counted from 1.
        label: What is known.
    """

    path: str
    line: int
    label: Label


@dataclass(frozen=True)
class LabelTable:
    """A labels file.

    Attributes:
        place: The file.
        videos: What it says, in its order.
    """

    place: Path
    videos: tuple[LabelledVideo, ...]

    def path_of(self, video: LabelledVideo) -> str:
        """Where the video is: relative paths start at the file's folder."""
        return os.path.join(self.place.parent, _slashes(video.path))

    def match(self, videos: Sequence[str], *, every: bool = True) -> list[Label]:
        """The label of each video.

        Args:
            videos: Videos as they were given.
            every: Whether each must have one.

        Returns:
            One label per video; an empty one where nothing is known.

        Raises:
            UsageError: Videos have no label, or two rows are about one video.
        """
        by_path = self._by_path()
        found = [by_path.get(_full(video)) for video in videos]
        taken = {id(row) for row in found if row}
        by_name: dict[str, list[LabelledVideo]] = {}
        for row in self.videos:
            if id(row) not in taken:
                by_name.setdefault(_name(row.path), []).append(row)
        given = Counter(_name(video) for video, row in zip(videos, found) if row is None)
        alike = 0
        for i, video in enumerate(videos):
            rows = by_name.get(_name(video), [])
            if found[i] is None and rows:
                if len(rows) == given[_name(video)] == 1:
                    found[i] = rows[0]
                else:
                    alike += 1
        self._check(videos, found, alike, every)
        return [row.label if row else Label() for row in found]

    def _by_path(self) -> dict[str, LabelledVideo]:
        found: dict[str, LabelledVideo] = {}
        for row in self.videos:
            before = found.setdefault(_full(self.path_of(row)), row)
            if before is not row:
                raise self._wrong(row.line, f"is about the same video as line {before.line}")
        for row in self.videos:  # as given, that is relative to where the program was started
            found.setdefault(_full(_slashes(row.path)), row)
        return found

    def _check(
        self, videos: Sequence[str], found: list[LabelledVideo | None], alike: int, every: bool
    ) -> None:
        lacking = [video for video, row in zip(videos, found) if row is None]
        if lacking and every:
            why = f" ({alike} of them share their name with others)" if alike else ""
            raise UsageError(
                f"{self.place} says nothing about {len(lacking)} of {len(videos)} videos{why}: "
                f"{_list(lacking)}",
                remedy="Add them with their paths, or leave these videos out.",
            )
        matched = {id(row) for row in found if row}
        idle = [row.path for row in self.videos if id(row) not in matched]
        if idle:
            _log.warning(
                "%s labels %d videos that are not among those given: %s",
                *(self.place, len(idle), _list(idle)),
            )

    def _wrong(self, line: int, what: str) -> UsageError:
        return _wrong(self.place, line, what)


def read_labels(path: str | os.PathLike[str]) -> LabelTable:
    """Read a labels file.

    Args:
        path: A CSV file in UTF-8 with the columns ``path`` and ``offset_frames`` or ``offset_ms``
            (audio ahead positive), and optionally ``start_s`` and ``end_s`` (several rows of one
            video are its segments), ``person``, ``source`` and ``language``. Semicolons and tabs
            may stand for the commas; an empty offset is one that nobody knows.

    Raises:
        MissingError: It cannot be read.
        UsageError: It is of another form; the message says in which line.
    """
    place = Path(path)
    text = _text(place)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise UsageError(f"{place} is empty", remedy=f"{_EXAMPLE}.")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = _Rows(place, decimal_comma=delimiter != ",")
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.add(reader.line_num, [cell.strip() for cell in cells])
    except csv.Error as error:
        raise _wrong(place, reader.line_num, f"is no line of a CSV file: {error}") from error
    return LabelTable(place, rows.videos())


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    offset_frames: float | None
    span: tuple[float, float] | None
    who: tuple[str, str, str]


class _Rows:
    """Rows as they are read, and the videos that they are about."""

    def __init__(self, place: Path, *, decimal_comma: bool) -> None:
        self._place = place
        self._decimal_comma = decimal_comma
        self._columns: list[str] | None = None
        self._unit = ""
        self._rows: dict[str, list[_Row]] = {}

    def add(self, line: int, cells: list[str]) -> None:
        if self._columns is None:
            self._columns = [cell.lower() for cell in cells]
            self._unit = self._checked_columns(line)
            return
        if len(cells) > len(self._columns):
            raise _wrong(
                self._place, line, f"has {len(cells)} cells for {len(self._columns)} columns"
            )
        row = dict.fromkeys(COLUMNS, "") | dict(zip(self._columns, cells))
        if not row["path"]:
            raise _wrong(self._place, line, "has no path")
        offset = self._number(line, self._unit, row[self._unit])
        made = _Row(
            line=line,
            path=row["path"],
            offset_frames=None if offset is None else offset / _UNITS[self._unit],
            span=self._span(line, row),
            who=(row["person"], row["source"], row["language"]),
        )
        self._rows.setdefault(os.path.normpath(_slashes(made.path)), []).append(made)

    def videos(self) -> tuple[LabelledVideo, ...]:
        if not self._rows:
            raise UsageError(f"{self._place} labels no video", remedy="Give a line for each video.")
        return tuple(
            LabelledVideo(rows[0].path, rows[0].line, self._label(rows))
            for rows in self._rows.values()
        )

    def _checked_columns(self, line: int) -> str:
        columns = self._columns or []
        for name in columns:
            if name not in COLUMNS:
                near = difflib.get_close_matches(name, COLUMNS, 1)
                remedy = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(COLUMNS)}."
                raise _wrong(self._place, line, f"has an unknown column {name!r}", remedy)
        twice = [name for name, count in Counter(columns).items() if count > 1]
        if twice:
            raise _wrong(self._place, line, f"has the column {twice[0]} twice")
        if "path" not in columns:
            raise _wrong(self._place, line, "has no column path", f"{_EXAMPLE}.")
        units = [unit for unit in _UNITS if unit in columns]
        if len(units) != 1:
            what = "has both offset_frames and offset_ms" if units else "has no column of offsets"
            raise _wrong(self._place, line, what, "Give one of offset_frames and offset_ms.")
        return units[0]

    def _number(self, line: int, name: str, text: str) -> float | None:
        if not text:
            return None
        plain = text.replace(",", ".") if self._decimal_comma else text
        try:
            value = float(plain)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise _wrong(self._place, line, f"has {text[:80]!r} as {name}, which is no number")
        if abs(value) > _FARTHEST:
            raise _wrong(self._place, line, f"has {text[:80]} as {name}, which is too much")
        return value

    def _span(self, line: int, row: dict[str, str]) -> tuple[float, float] | None:
        start, end = (self._number(line, name, row[name]) for name in ("start_s", "end_s"))
        if start is None and end is None:
            return None
        if start is None or end is None:
            raise _wrong(self._place, line, "has only one of start_s and end_s")
        if not 0 <= start < end:
            raise _wrong(self._place, line, f"has a segment from {start:g} to {end:g} s")
        return start, end

    def _label(self, rows: list[_Row]) -> Label:
        person, source, language = (self._same(rows, i) for i in range(len(_WHO)))
        first = rows[0]
        if len(rows) == 1 and first.span is None:
            return Label(first.offset_frames, person, source, language)
        spans: list[tuple[tuple[float, float], _Row]] = []
        for row in rows:
            if row.span is None:
                raise _wrong(
                    self._place,
                    *(max(row.line, rows[1].line), f"is about the same video as line {first.line}"),
                    "Give each video once, or give all its segments start_s and end_s.",
                )
            spans.append((row.span, row))
        spans.sort(key=lambda span: span[0])
        segments: list[Segment] = []
        for (start_s, end_s), row in spans:
            if row.offset_frames is None:
                raise _wrong(self._place, row.line, "is a segment without an offset")
            segments.append(Segment(start_s, end_s, row.offset_frames, 1.0))
        for (before_s, before), (row_s, row) in pairwise(spans):
            if row_s[0] < before_s[1]:
                raise _wrong(self._place, row.line, f"overlaps the segment of line {before.line}")
        offsets = [segment.offset_frames for segment in segments]
        one = max(offsets) - min(offsets) <= _EQUAL_FRAMES
        return Label(
            offset_frames=offsets[0] if one else None,
            person=person,
            source=source,
            language=language,
            segments=tuple(segments),
        )

    def _same(self, rows: list[_Row], which: int) -> str:
        """What the rows of a video say about it, which must be one thing; empty cells say nothing."""
        said: dict[str, int] = {}
        for row in rows:
            if row.who[which]:
                said.setdefault(row.who[which], row.line)
        if len(said) > 1:
            lines = list(said.values())
            raise _wrong(
                self._place,
                *(lines[1], f"gives the video of line {lines[0]} another {_WHO[which]}"),
            )
        return next(iter(said), "")


def _text(place: Path) -> str:
    origin = Origin(str(place), f"{_EXAMPLE}.", words="is no labels file", error=UsageError)
    with origin.reading("file", place, missing="Check the path of --labels."):
        raw = read_regular(place, most=_LARGEST)
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raw = raw.decode("utf-16", "replace").encode()
    if b"\0" in raw:
        raise UsageError(f"{place} is no text file", remedy=f"{_EXAMPLE}.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _wrong(place, line, "is not in UTF-8", "Save the file as CSV in UTF-8.") from error


def _wrong(place: Path, line: int, what: str, remedy: str = "Correct this line.") -> UsageError:
    return UsageError(f"{place}: line {line} {what}", remedy=remedy)


def _slashes(path: str) -> str:
    """Paths written on Windows are found elsewhere, too."""
    return path if os.sep == "\\" or os.path.lexists(path) else path.replace("\\", "/")


def _full(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))


def _name(path: str) -> str:
    return _slashes(path).rsplit("/", 1)[-1].rsplit(os.sep, 1)[-1]


def _list(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
