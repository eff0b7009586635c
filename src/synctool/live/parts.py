"""What a source gives: parts without a break, each with frames and audio on one timeline."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from synctool.media.audio_track import AudioTrack
from synctool.media.frame_choice import Lateness
from synctool.media.frame_reader import TimelineFrame

EndReason = Literal["end", "break", "lost", "overload", "stopped"]
"""Why a part ends: the source has ended; its timestamps break; nothing comes any more; this program is too
slow; somebody stopped it."""


@dataclass(frozen=True)
class PartEnd:
    """The end of a part.

    Attributes:
        reason: Why.
        detail: In words, empty where there is nothing to add.
    """

    reason: EndReason
    detail: str = ""


@dataclass(frozen=True)
class PartFacts:
    """What a part looks like when it begins.

    Attributes:
        width_px: Width of its frames, 0 where that is not known yet.
        height_px: Their height.
        video_fps: Their rate as announced, 0 likewise.
        audio_hz: Rate of its audio.
        notes: What a person should know: which track was chosen, say.
    """

    width_px: int
    height_px: int
    video_fps: float
    audio_hz: int
    notes: tuple[str, ...] = ()


class Part:
    """A part of a stream. Iterate over it once, to its end, before the next one is asked for.

    Args:
        number: Counted from 0.
        facts: What it looks like.
        lateness: How far the frames lie beside their moments; grows while it is read.
        on_turn: Told by how many quarters the frames are turned clockwise.

    Attributes:
        audio: Its audio; grows while it is read.
        decoded: Frames decoded so far.
        end: Why it ended; None before its end.
    """

    def __init__(
        self,
        number: int,
        facts: PartFacts,
        lateness: Lateness,
        audio: AudioTrack,
        *,
        on_turn: Callable[[int], None] = lambda quarters: None,
    ) -> None:
        self.number = number
        self.facts = facts
        self.lateness = lateness
        self.audio = audio
        self.decoded = 0
        self.end: PartEnd | None = None
        self._on_turn = on_turn
        self.take: Callable[[], TimelineFrame | PartEnd] = lambda: PartEnd("end")

    def __iter__(self) -> Iterator[TimelineFrame]:
        while self.end is None:
            item = self.take()
            if isinstance(item, PartEnd):
                self.end = item
            else:
                yield item

    def note_turn(self, quarters: int) -> None:
        """See ``synctool.measure.tracks.Frames``."""
        self._on_turn(quarters)


class PartQueue:
    """Hands parts, frames and ends from the thread that reads to the one that measures.

    Args:
        most: At most so many frames wait.
        stopped: Whether somebody stopped it.
    """

    def __init__(self, most: int, stopped: Callable[[], bool]) -> None:
        self._queue: queue.Queue[Part | TimelineFrame | PartEnd | Finished] = queue.Queue(most)
        self._stopped = stopped

    def put(
        self, item: Part | TimelineFrame | PartEnd | Finished, *, within_s: float | None
    ) -> bool:
        """Hand something over.

        Args:
            item: The thing.
            within_s: Longest wait for room; None for as long as it takes.

        Returns:
            Whether there was room in time, and nobody stopped it.
        """
        waited_s = 0.0
        while not self._stopped():
            try:
                self._queue.put(item, timeout=_LOOK_S)
                return True
            except queue.Full:
                waited_s += _LOOK_S
                if within_s is not None and waited_s >= within_s:
                    return False
        return False

    def get(self) -> Part | TimelineFrame | PartEnd | Finished:
        """The next thing; ``Finished`` once it was stopped."""
        while True:
            try:
                return self._queue.get(timeout=_LOOK_S)
            except queue.Empty:
                if self._stopped():
                    return Finished()


@dataclass(frozen=True)
class Finished:
    """No part follows.

    Attributes:
        error: Why, where that is an error.
    """

    error: BaseException | None = None


_LOOK_S = 0.25
