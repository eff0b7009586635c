"""Videos that lie on their side, or upside down, without a display matrix that says so.

While no upright face is followed, the frames of a moment are held, and now and then a few of them are
searched in the other three directions. Where faces turn out to be upright there, the video is followed that
way from the held frames on: nothing is read twice. As soon as an upright face is followed, the search is
over, so that an ordinary video costs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from synctool.faces.detector import FaceDetector
from synctool.faces.tracking import FaceTracker, TrackedFrame
from synctool.media.frame_reader import TimelineFrame
from synctool.types import VIDEO_FPS

ENOUGH_UPRIGHT = 10
"""Frames with an upright face after which a video counts as upright: a glimpse may be a mistake."""
HELD_FRAMES = 2 * VIDEO_FPS
HELD_BYTES = 64_000_000
"""At most so many frames are held, and so many bytes of them, but never fewer than three."""
FIRST_PAUSE_FRAMES = 2 * VIDEO_FPS
"""Frames from the first search to the next; doubled every time."""
LEAST_SCORE = 0.6
"""Mean score of the turned faces, 0..1, below which they are no faces."""
_SAMPLES = 3
_SMALLEST_SHARE = 0.1
_STEEPEST = 1.2  # of the way from the eyes to the mouth, sideways against down: 50 degrees


def is_upright(points: np.ndarray) -> bool:
    """Whether the mouth lies below the eyes, within 50 degrees.

    Args:
        points: ``[5, 2]``: eyes, nose, mouth corners.
    """
    right, down = points[3:].mean(axis=0) - points[:2].mean(axis=0)
    return bool(down > 0 and abs(right) <= _STEEPEST * down)


def turned(frame: TimelineFrame, quarters: int) -> TimelineFrame:
    """A frame turned clockwise by so many quarters."""
    if frame.luma is None or not quarters % 4:
        return frame
    arrays = (
        None if array is None else np.ascontiguousarray(np.rot90(array, -quarters))
        for array in (frame.luma, frame.colour)
    )
    luma, colour = arrays
    return replace(frame, luma=luma, colour=colour)


class UprightFaces:
    """Follows the faces of a video, turning it where they lie on their side.

    Args:
        detector: Finds the faces.
        new_tracker: Makes a tracker, given the number of its first track.
        on_turn: Told once, with the quarters by which the video is turned clockwise.
    """

    def __init__(
        self,
        *,
        detector: FaceDetector,
        new_tracker: Callable[[int], FaceTracker],
        on_turn: Callable[[int], None],
    ) -> None:
        self._detector = detector
        self._new_tracker = new_tracker
        self._on_turn = on_turn
        self._tracker = new_tracker(0)
        self._quarters = 0
        self._searching = True
        self._held: list[TimelineFrame] = []
        self._results: list[TrackedFrame] = []
        self._bytes = 0
        self._given_numbers: set[int] = set()
        self._upright = 0
        self._next_search = 0
        self._pause = FIRST_PAUSE_FRAMES

    def push(self, frame: TimelineFrame) -> Iterator[TrackedFrame]:
        """Take the next frame; give those that are settled."""
        if not self._searching:
            yield from self._tracker.push(turned(frame, self._quarters))
            return
        if frame.luma is not None and frame.index >= self._next_search:
            self._held.append(frame)
            self._bytes += frame.luma.nbytes
            self._bytes += 0 if frame.colour is None else frame.colour.nbytes
        self._note(self._tracker.push(frame))
        full = len(self._held) >= HELD_FRAMES or (
            self._bytes >= HELD_BYTES and len(self._held) >= _SAMPLES
        )
        if self._searching and full:
            self._search()
        if not self._held or not self._searching:
            yield from self._given()

    def flush(self) -> Iterator[TrackedFrame]:
        """Give the rest, at the end of the video."""
        self._note(self._tracker.flush())
        if self._searching and self._held:
            self._search()
        yield from self._given()
        yield from self._tracker.flush()

    def _note(self, results: Iterable[TrackedFrame]) -> None:
        """Keep what was followed, and see whether it is upright."""
        for tracked in results:
            self._results.append(tracked)
            self._upright += any(is_upright(pose.points) for pose in tracked.poses.values())
        if self._upright >= ENOUGH_UPRIGHT:
            self._searching = False
            self._held.clear()

    def _given(self) -> Iterator[TrackedFrame]:
        results, self._results = self._results, []
        self._given_numbers.update(n for tracked in results for n in tracked.poses)
        yield from results

    def _search(self) -> None:
        """Look at the held frames in all directions, and follow them again where another one is right."""
        held, self._held, self._bytes = self._held, [], 0
        quarters = self._direction(held)
        if not quarters:
            self._next_search = held[-1].index + 1 + self._pause
            self._pause *= 2
            return
        self._on_turn(quarters)
        self._searching, self._quarters = False, quarters
        first = held[0].index
        self._note(self._tracker.flush())
        before = [tracked for tracked in self._results if tracked.frame.index < first]
        numbers = self._given_numbers.union(*(tracked.poses for tracked in before))
        self._tracker = self._new_tracker(max(numbers, default=-1) + 1)
        again = [t for frame in held for t in self._tracker.push(turned(frame, quarters))]
        self._results = [*before, *again]

    def _direction(self, held: list[TimelineFrame]) -> int:
        """Quarters, clockwise, by which faces stand upright in each of a few frames; 0 for none."""
        at = np.linspace(0, len(held) - 1, 2 * min(_SAMPLES, len(held)) + 1).round().astype(int)
        samples = [held[i] for i in at[1::2]]
        scores = [self._score(samples, quarters) for quarters in range(4)]
        best = int(np.argmax(scores))
        return best if scores[best] >= LEAST_SCORE else 0

    def _score(self, samples: list[TimelineFrame], quarters: int) -> float:
        """Mean score of the best upright face in each frame; 0 where one of them has none."""
        best = []
        for frame in samples:
            luma = turned(frame, quarters).luma
            if luma is None:
                return 0.0
            smallest = _SMALLEST_SHARE * max(luma.shape)
            faces = self._detector.detect(luma, smallest_face_px=smallest)
            best.append(max((f.score for f in faces if is_upright(f.points)), default=0.0))
            if not best[-1]:
                return 0.0
        return float(np.mean(best))
