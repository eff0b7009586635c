"""Transport streams that go on under other PIDs or in another codec: where they do, and the file from there.

A broadcast may change its programme map on the way (ISO/IEC 13818-1, 2.4.4.8), recordings of several
channels are joined, and tables list streams that begin later. FFmpeg then goes on with what it knew at the
beginning. A player follows: to another stream of the same kind that begins where the one it plays ends, but
not to another programme that has been there all along.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

import av
from av.container import InputContainer
from av.error import FFmpegError

from synctool.media.transport import Programme, TransportScanner, UnitStart, later_s

FORMATS = {"mpegts"}
_AHEAD_BYTES = 8 << 20
"""So far ahead of the reader the packets are looked at."""
_BESIDE_S = 1.5
"""A stream that has run beside another for longer is another programme's."""
_QUIET_S, _QUIET_FEW_S, _QUIET_LAST_S = 0.5, 3.0, 0.3
"""A stream has ended when another goes on for so long without it; while hardly known; at the file's end."""
_QUIET_GAPS = 2.5
_FEW = 3
_INTO_PACKET = 16
"""FFmpeg gives the position of a packet, or one a few bytes into it."""
_LONGEST_STEP_S = 5.0


@dataclass
class _Run:
    """One stream while it is there.

    Attributes:
        begins: Position of its first unit.
        tables: Position of the tables before that.
        beside_s: How far the measured stream of its kind had come then; ``seen_s`` at its last unit.
        seconds: How much of it has passed; ``mark_s`` at the last unit of the measured stream.
        longest_s: Longest step from unit to unit.
        ends: Position of its last unit.
    """

    begins: int
    tables: int
    beside_s: float = 0.0
    seen_s: float = 0.0
    seconds: float = 0.0
    mark_s: float = 0.0
    longest_s: float = 0.0
    count: int = 0
    ends: int = -1
    _last_s: float | None = None

    def add(self, unit: UnitStart) -> None:
        self.count += 1
        self.ends = unit.position
        if unit.time_s is None:
            return
        step_s = 0.0 if self._last_s is None else later_s(self._last_s, unit.time_s)
        self._last_s = unit.time_s
        if 0 < step_s <= _LONGEST_STEP_S:
            self.seconds += step_s
            self.longest_s = max(self.longest_s, step_s)


@dataclass(frozen=True)
class Switch:
    """Where measured streams end and others go on.

    Attributes:
        at: Position to read the file from: tables, then what goes on.
        begins: Position of the first unit that goes on.
        ends: Position of the last unit that belongs to what was before, by kind.
        pids: Streams that may go on, by kind; kinds that do not change are left out.
        stops: Position at which everything of the old streams is over, where all of them change.
        recoded: Whether they are the same PIDs in another codec.
    """

    at: int
    begins: int
    ends: Mapping[str, int]
    pids: Mapping[str, frozenset[int]]
    stops: int | None = None
    recoded: bool = False


@dataclass
class _Watched:
    """The measured stream of one kind, and the others of that kind by PID."""

    pid: int
    run: _Run
    coding: tuple | None = None
    others: dict[int, _Run] = field(default_factory=dict)

    def is_beside(self, other: _Run) -> bool:
        return self.run.seconds - other.beside_s > _BESIDE_S

    def followers(self, least_s: float) -> dict[int, _Run]:
        """Streams that go on for at least so long where this one has ended."""
        return {
            pid: run
            for pid, run in self.others.items()
            if run.seconds - run.mark_s >= least_s and not self.is_beside(run)
        }

    def may_have_ended(self, least_s: float) -> bool:
        """Whether another stream has begun after the end of this one, and not gone on for long yet."""
        return not self.followers(least_s) and any(
            run.ends > self.run.ends for run in self.followers(0.0).values()
        )


class ProgrammeWatch:
    """Watches a transport stream somewhat ahead of the reader. Close it.

    Args:
        path: The file.
        pids: Of the measured streams, by kind.
        begin: Position to watch from.
        units_from: Position of the first unit that counts.
        first: Whether this is the beginning of the file, where a stream may begin as late as it likes.
    """

    def __init__(
        self,
        path: str,
        pids: Mapping[str, int],
        *,
        begin: int = 0,
        units_from: int = 0,
        first: bool = True,
    ) -> None:
        self._file: BinaryIO = open(path, "rb")
        self._length = os.path.getsize(path)
        self._scanner = TransportScanner(self._file, begin)
        self._units_from = units_from
        self._first = first
        self._watched = {kind: _Watched(pid, _Run(begin, begin)) for kind, pid in pids.items()}
        self._switch: Switch | None = None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def switch(self, position: int) -> Switch | None:
        """What changes before a position, or somewhat after it.

        Args:
            position: Where the reader is.
        """
        if self._switch is None and self._scanner.position < min(
            position + _AHEAD_BYTES, self._length
        ):
            self._look(position + _AHEAD_BYTES + (1 << 20))
        return self._switch

    def last_switch(self) -> Switch | None:
        """What changes anywhere in the rest of the file."""
        if self._switch is None:
            self._look(self._length)
        if self._switch is None:
            self._switch = self._ended(self._length, last=True)
        return self._switch

    @property
    def seconds(self) -> float:
        """How much of the measured streams has passed: of the longer one."""
        return max((watched.run.seconds for watched in self._watched.values()), default=0.0)

    @property
    def beyond_s(self) -> float:
        """For how long another programme goes on after the end of the measured video."""
        video = self._watched.get("video")
        if video is None:
            return 0.0
        return max((run.seconds - run.mark_s for run in video.others.values()), default=0.0)

    def _look(self, position: int) -> None:
        for event in self._scanner.to(min(position, self._length)):
            found = self._table(event) if isinstance(event, Programme) else self._unit(event)
            if found is not None:
                self._switch = found
                return

    def _table(self, table: Programme) -> Switch | None:
        """See whether a table tells another codec for the PIDs that are measured."""
        recoded: dict[str, frozenset[int]] = {}
        for kind, watched in self._watched.items():
            coding = table.codings.get(watched.pid)
            if coding is None or coding[0] != kind:
                continue
            if watched.coding not in (None, coding):
                recoded[kind] = frozenset({watched.pid})
            watched.coding = watched.coding or coding
        if not recoded:
            return None
        ends, stops = dict.fromkeys(self._watched, table.position), None
        if len(recoded) == len(self._watched):
            stops = table.position
        elif "video" in recoded:  # to FFmpeg its last unit and what follows are one
            ends["video"] = self._watched["video"].run.ends - _INTO_PACKET - 1
        return Switch(table.position, table.position, ends, recoded, stops, recoded=True)

    def _unit(self, unit: UnitStart) -> Switch | None:
        watched = self._watched.get(unit.kind)
        if watched is None or unit.position < self._units_from:
            return None
        if unit.pid == watched.pid:
            watched.run.add(unit)
            for other in watched.others.values():
                other.mark_s = other.seconds
            return None
        passed_s = watched.run.seconds
        run = watched.others.get(unit.pid)
        if run is None or passed_s - run.seen_s > _BESIDE_S:  # it has been away
            run = _Run(unit.position, self._scanner.last_pat, beside_s=passed_s)
            watched.others[unit.pid] = run
        run.seen_s = passed_s
        run.add(unit)
        return self._ended(unit.position)

    def _ended(self, at: int, *, last: bool = False) -> Switch | None:
        """What follows measured streams that have ended; None while none has."""
        waited_s = max(
            (
                run.seconds - run.mark_s
                for watched in self._watched.values()
                for run in watched.followers(self._patience_s(watched, last)).values()
            ),
            default=None,
        )
        if waited_s is None:
            return None
        undecided = any(w.may_have_ended(self._patience_s(w, last)) for w in self._watched.values())
        if undecided and waited_s < _QUIET_FEW_S and not last:
            return None
        changed = {
            kind: w.followers(self._patience_s(w, last)) for kind, w in self._watched.items()
        }
        changed = {kind: runs for kind, runs in changed.items() if runs}
        runs = [run for found in changed.values() for run in found.values()]
        ends = [run.begins for run in runs] + [self._watched[kind].run.ends for kind in changed]
        return Switch(
            at=min(run.tables for run in runs),
            begins=min(run.begins for run in runs),
            ends=dict.fromkeys(self._watched, max(ends)),
            pids={kind: frozenset(found) for kind, found in changed.items()},
            stops=at if len(changed) == len(self._watched) else None,
        )

    def _patience_s(self, watched: _Watched, last: bool) -> float:
        run = watched.run
        if not run.count:
            return math.inf if self._first else _QUIET_S
        if run.count < _FEW:
            return _QUIET_FEW_S
        return _QUIET_LAST_S if last else max(_QUIET_S, _QUIET_GAPS * run.longest_s)


class PartGate:
    """Lets through the packets that belong to one part of a transport stream, each once.

    Args:
        watch: Tells where the part ends.
        begin: Position in the file at which the part's container begins.
        read: Position of the last packet read so far, by kind; kept up to date.
    """

    def __init__(self, watch: ProgrammeWatch, begin: int, read: dict[str, int]) -> None:
        self._watch = watch
        self._begin = begin
        self._read = read
        self._at: dict[str, int] = {}
        self._ended: set[str] = set()
        self._resumed: dict[str, int] = {}

    def lets_through(self, packet: av.Packet) -> bool:
        """Whether a packet is to be read."""
        kind = packet.stream.type
        if packet.pos is not None:  # a further frame of the same unit has none
            self._at[kind] = self._begin + packet.pos
        at = self._at.get(kind, self._begin)
        switch = self._watch.switch(at)
        if switch is not None and at > switch.ends[kind] + _INTO_PACKET:
            self._ended.add(kind)
            return False
        if at <= self._resumed.setdefault(kind, self._read.get(kind, -1)):
            return False
        self._read[kind] = max(self._read.get(kind, -1), at)
        return True

    def is_over(self, kinds: Collection[str]) -> bool:
        """Whether nothing more can come of these kinds."""
        return self._ended >= set(kinds)


class Continuation:
    """The rest of a file from a position on. Close it when it is no longer read.

    Attributes:
        container: FFmpeg's container of the rest.
    """

    def __init__(self, container: InputContainer, file: _Rest) -> None:
        self.container = container
        self._file = file

    def close(self) -> None:
        """Close the container and the file."""
        self.container.close()
        self._file.close()


def continuation(
    path: str, at: int, end: int | None = None, *, format_name: str = "mpegts"
) -> Continuation | None:
    """The rest of a transport stream, or a part of it; None where it cannot be read.

    Args:
        path: The file.
        at: Position of its first packet.
        end: Where the part ends; None for the end of the file.
        format_name: FFmpeg's name of another format that is made of parts.
    """
    rest = _Rest(path, at, os.path.getsize(path) if end is None else end)
    try:
        container = av.open(rest, "r", format=format_name, metadata_errors="replace")
    except (FFmpegError, OSError, ValueError):
        rest.close()
        return None
    return Continuation(container, rest)


class _Rest:
    """A part of a file, for FFmpeg to read and search as if it were all."""

    def __init__(self, path: str, begin: int, end: int) -> None:
        self._file: BinaryIO = open(path, "rb")
        self._begin = begin
        self._end = end
        self._file.seek(begin)

    def read(self, size: int) -> bytes:
        """The next bytes."""
        return self._file.read(max(0, min(size, self._end - self._file.tell())))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position of the part."""
        origin = {os.SEEK_SET: self._begin, os.SEEK_END: self._end}.get(whence, self._file.tell())
        return self._file.seek(origin + offset) - self._begin

    def tell(self) -> int:
        """The position in the part."""
        return self._file.tell() - self._begin

    def close(self) -> None:
        """Close the file."""
        self._file.close()
