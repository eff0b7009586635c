"""Following faces through a stream of frames, a few frames behind the decoder.

Faces are detected every few frames and joined by overlap. Positions between detections are
interpolated, short losses bridged, and everything is smoothed over nine frames. A shot cut ends all
tracks. Frames leave in order as soon as nothing later can change their faces, so only some thirty
are ever held.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from synctool.faces.detector import Face, FaceDetector, overlap
from synctool.faces.shots import ShotCuts
from synctool.media.frame_reader import TimelineFrame

DETECT_EVERY_FRAMES = 5
FULL_FRAME_EVERY_FRAMES = 50
"""Between thorough looks while faces are followed; doubled while they find nobody new, up to ..."""
SELDOM_FRAMES = 200
"""... this."""
SEARCH_EVERY_FRAMES = 10
"""Between thorough looks while there is no face; doubled likewise, up to ``THOROUGH_EVERY_TICKS``."""
WHOLE_EVERY_FRAMES = 50
"""In between, a detector that can looks only near the faces that are followed."""
BRIDGED_FRAMES = 20
SMOOTHING_FRAMES = 4
"""Radius of the smoothing: nine frames in all, as in the published training recipes."""
_SAME_FACE_OVERLAP = 0.3
_GROWTH = 1.5
"""Boxes are compared at this size: a face may move by 0.8 of its width between two looks."""
_CASUAL_FACE = 0.15
"""Size, relative to the frame, of the faces sought by the quick looks while there is no face."""
_SMOOTHING = np.exp(-0.5 * (np.arange(-SMOOTHING_FRAMES, SMOOTHING_FRAMES + 1) / 2.0) ** 2)


@dataclass(frozen=True)
class Pose:
    """Where a followed face is in one frame: ``box`` ``[4]`` and ``points`` ``[5, 2]``, in pixels."""

    box: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class TrackedFrame:
    """A frame with the faces in it, by track number; ``cut``: whether it starts a new shot."""

    frame: TimelineFrame
    poses: dict[int, Pose]
    cut: bool = False


@dataclass
class _Track:
    id: int
    indices: list[int] = field(default_factory=list)
    places: list[np.ndarray] = field(default_factory=list)  # [14]: box and points
    open: bool = True

    def add(self, index: int, face: Face) -> None:
        self.indices.append(index)
        self.places.append(np.concatenate([face.box, face.points.ravel()]).astype(np.float32))
        keep = 2 * (BRIDGED_FRAMES + SMOOTHING_FRAMES)  # older ones can no longer matter
        if len(self.indices) > keep:
            del self.indices[0], self.places[0]

    @property
    def last_box(self) -> np.ndarray:
        return self.places[-1][:4]


class FaceTracker:
    """Turns frames into tracked frames.

    Args:
        detector: Finds the faces.
        max_faces: At most so many are followed at a time, the largest first.
        detect_every: Frames from one detection to the next.
        smallest_face_px: Lower faces are passed over; None follows faces of any size.
        first_number: Number of the first track.
    """

    def __init__(
        self,
        *,
        detector: FaceDetector,
        max_faces: int = 4,
        detect_every: int = DETECT_EVERY_FRAMES,
        smallest_face_px: float | None = None,
        first_number: int = 0,
    ) -> None:
        self._detector = detector
        self._max_faces = max_faces
        self._every = detect_every
        self._smallest_px = smallest_face_px
        self._cuts = ShotCuts()
        self._pending: deque[TimelineFrame] = deque()
        self._tracks: list[_Track] = []
        self._first_frames: dict[int, int] = {}
        self._next_id = first_number
        self._shot_start: int | None = None
        self._cut_at: set[int] = set()
        self._thorough_at = self._whole_at = 0
        self._patience = 0
        self._detected_at = -1

    def push(self, frame: TimelineFrame) -> Iterator[TrackedFrame]:
        """Take the next frame; give those that are settled."""
        luma = frame.luma
        if luma is None:
            yield from self._settle(everything=True)
            yield TrackedFrame(frame, {})
            self._shot_start = None
            return
        cut = self._cuts.starts_with(frame.index, luma)
        if cut or self._shot_start is None:
            yield from self._settle(everything=True)
            self._shot_start = self._thorough_at = frame.index
            self._patience = 0
            if cut:
                self._cut_at.add(frame.index)
        self._pending.append(frame)
        if (frame.index - self._shot_start) % self._every == 0:
            self._detect(frame.index, luma)
            yield from self._settle()

    def flush(self) -> Iterator[TrackedFrame]:
        """Give the rest, at the end of the video."""
        yield from self._settle(everything=True)

    def _detect(self, index: int, luma: np.ndarray) -> None:
        active = [t for t in self._tracks if t.open]
        smallest = min(
            (float(t.last_box[3] - t.last_box[1]) for t in active),
            default=_CASUAL_FACE * max(luma.shape),
        )
        lost = any(t.indices[-1] != self._detected_at for t in active)
        thorough = lost or index >= self._thorough_at
        faces = self._look(index, luma, active, smallest, thorough=thorough)
        self._detected_at = index
        faces = sorted(faces, key=lambda f: -f.height_px)
        faces = [f for f in faces if f.height_px >= (self._smallest_px or 0)]
        taken: set[int] = set()
        if active and faces:
            match = overlap(
                _grown(np.stack([t.last_box for t in active])),
                _grown(np.stack([f.box for f in faces])),
            )
            for i, j in _assigned(match):
                if match[i, j] >= _SAME_FACE_OVERLAP:
                    active[i].add(index, faces[j])
                    taken.add(j)
        following = len(active)
        for j, face in enumerate(faces):
            if j not in taken and following < self._max_faces:
                track = _Track(self._next_id)
                self._next_id += 1
                self._first_frames[track.id] = max(index - self._every + 1, self._shot_start or 0)
                track.add(index, face)
                self._tracks.append(track)
                following += 1
        for track in active:
            if index - track.indices[-1] > BRIDGED_FRAMES:
                track.open = False
        followed = sum(t.open for t in self._tracks)
        if thorough or followed != len(active):
            self._wait(index, anybody=followed > 0, change=followed != len(active))

    def _wait(self, index: int, *, anybody: bool, change: bool) -> None:
        """Set the time of the next full-frame detection: the later, the longer nothing has changed."""
        shortest = FULL_FRAME_EVERY_FRAMES if anybody else SEARCH_EVERY_FRAMES
        longest = SELDOM_FRAMES if anybody else FULL_FRAME_EVERY_FRAMES
        self._patience = shortest if change else min(max(2 * self._patience, shortest), longest)
        self._thorough_at = index + self._patience

    def _look(
        self,
        index: int,
        luma: np.ndarray,
        active: list[_Track],
        smallest: float,
        *,
        thorough: bool,
    ) -> list[Face]:
        """Find the faces: near where they were, and every second in the whole frame."""
        refind = getattr(self._detector, "refind", None)
        if refind is not None and active and not thorough and index < self._whole_at:
            faces = refind(luma, [t.last_box for t in active])
            if len(faces) == len(active):
                return faces
        self._whole_at = index + WHOLE_EVERY_FRAMES
        wanted = self._smallest_px if thorough else smallest
        return self._detector.detect(luma, smallest_face_px=wanted)

    def _settle(self, *, everything: bool = False) -> Iterator[TrackedFrame]:
        settled = self._detected_at - self._every
        for track in self._tracks:
            if track.open:
                settled = min(settled, track.indices[-1] - SMOOTHING_FRAMES)
        while self._pending and (everything or self._pending[0].index <= settled):
            frame = self._pending.popleft()
            poses = {}
            for track in self._tracks:
                pose = self._pose(track, frame.index)
                if pose is not None:
                    poses[track.id] = pose
            cut = frame.index in self._cut_at
            self._cut_at.discard(frame.index)
            yield TrackedFrame(frame, poses, cut)
        if everything:
            self._tracks.clear()
        else:
            oldest = self._pending[0].index if self._pending else self._detected_at
            self._tracks = [
                t for t in self._tracks if t.open or t.indices[-1] + self._every >= oldest
            ]
        kept = {t.id for t in self._tracks}
        self._first_frames = {n: at for n, at in self._first_frames.items() if n in kept}

    def _pose(self, track: _Track, index: int) -> Pose | None:
        held_until = track.indices[-1] + self._every - 1
        if not self._first_frames[track.id] <= index <= held_until:
            return None
        around = np.arange(index - SMOOTHING_FRAMES, index + SMOOTHING_FRAMES + 1)
        # Keep the window symmetric at the ends of the track, or the smoothing would lag there.
        reach = min(
            SMOOTHING_FRAMES, max(index - track.indices[0], 0), max(track.indices[-1] - index, 0)
        )
        inside = np.abs(around - index) <= reach
        # Only what lies round the window: a long track would make every frame dear.
        first = max(bisect_right(track.indices, index - reach) - 1, 0)
        last = bisect_left(track.indices, index + reach) + 1
        places = _interpolate(around[inside], track.indices[first:last], track.places[first:last])
        weights = _SMOOTHING[inside]
        place = weights @ places / weights.sum()
        return Pose(place[:4], place[4:].reshape(5, 2))


def _assigned(match: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows and columns of the greatest sum (Kuhn 1955, "The Hungarian method")."""
    if 1 in match.shape:  # the usual video of one face does without a slow import
        i, j = np.unravel_index(match.argmax(), match.shape)
        return [(int(i), int(j))]
    from scipy.optimize import linear_sum_assignment

    return list(zip(*linear_sum_assignment(-match)))


def _grown(boxes: np.ndarray) -> np.ndarray:
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.concatenate([middle - _GROWTH * half, middle + _GROWTH * half], 1)


def _interpolate(at: np.ndarray, indices: list[int], places: list[np.ndarray]) -> np.ndarray:
    known = np.asarray(indices)
    right = np.clip(np.searchsorted(known, at), 1, max(len(indices) - 1, 1))
    if len(indices) == 1:
        return np.repeat(places[0][None], len(at), 0)
    stacked = np.stack(places)
    left = right - 1
    share = np.clip((at - known[left]) / (known[right] - known[left]), 0, 1)[:, None]
    return stacked[left] * (1 - share) + stacked[right] * share
