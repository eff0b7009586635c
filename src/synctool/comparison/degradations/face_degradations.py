"""What is done to faces: the mouth behind a box, the head out of the frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from synctool.errors import MediaError
from synctool.faces.detector import FaceDetector
from synctool.faces.tracking import FaceTracker, Pose, TrackedFrame
from synctool.media.frame_reader import Planes
from synctool.media.frames import Frame
from synctool.media.video_file import VideoFile
from synctool.types import PLAYED, VIDEO_FPS, StreamSelection

_GREY, _BLACK, _NEUTRAL = 126, 16, 128
_BOX_HEIGHT = 2 / 3
_CYCLE_S = 2.0
"""Of a pan away from the face and back: at rest, away, out, back."""
_REST_S, _MOVE_S, _OUT_S = 0.6, 0.4, 0.6


def face_change(
    name: str,
    value: float,
    rng: np.random.Generator,
    video: Path,
    *,
    streams: StreamSelection = PLAYED,
    allow_external: bool = False,
    detector: FaceDetector | None = None,
) -> Callable[[Iterator[Frame]], Iterator[Frame]]:
    """What a degradation does to the faces of a video.

    Args:
        name: ``mouth`` or ``head``.
        value: Of its level.
        rng: Random generator.
        video: The video, which is read once to find them.
        streams: Which of its streams, as a player takes them unless told.
        allow_external: Whether a playlist may name local files outside its folder.
        detector: Finds the faces; CenterFace if None.

    Raises:
        MediaError: There is none.
    """
    poses = _followed(video, streams, allow_external, detector)
    if not any(poses):
        raise MediaError(
            f"{video.name}: no face was found, which the degradation {name} needs",
            remedy="Give a video that shows a face, or leave this degradation out.",
        )
    if name == "mouth":
        return lambda frames: (_covered(frame, poses, value / 100) for frame in frames)
    side = 1 if rng.random() < 0.5 else -1
    return lambda frames: _panned(frames, poses, value / 100, side)


def _followed(
    video: Path, streams: StreamSelection, allow_external: bool, detector: FaceDetector | None
) -> list[Sequence[Pose]]:
    """The faces of every frame, the largest first."""
    if detector is None:
        from synctool.faces.centerface import CenterFaceDetector

        detector = CenterFaceDetector()
    tracker = FaceTracker(detector=detector)

    def tracked(opened: VideoFile) -> Iterator[TrackedFrame]:
        for frame in opened:
            yield from tracker.push(frame)
        yield from tracker.flush()

    with VideoFile(video, streams=streams, allow_external=allow_external) as opened:
        return [
            sorted(frame.poses.values(), key=lambda pose: pose.box[1] - pose.box[3])
            for frame in tracked(opened)
        ]


def _at(poses: list[Sequence[Pose]], time_s: float) -> Sequence[Pose]:
    return poses[min(round(time_s * VIDEO_FPS), len(poses) - 1)]


def _covered(frame: Frame, poses: list[Sequence[Pose]], share: float) -> Frame:
    luma, blue, red = (plane.copy() for plane in frame.planes)
    planes = luma, blue, red
    for pose in _at(poses, frame.time_s):
        width = share * float(pose.box[2] - pose.box[0])
        half = np.array([width, width * _BOX_HEIGHT]) / 2
        middle = pose.points[3:5].mean(0)
        for plane, level, scale in zip(planes, (_GREY, _NEUTRAL, _NEUTRAL), (1, 2, 2)):
            low = np.maximum(np.round((middle - half) / scale), 0).astype(int)
            high = np.maximum(np.round((middle + half) / scale), 0).astype(int)
            plane[low[1] : high[1], low[0] : high[0]] = level
    return Frame(frame.time_s, frame.lasts_s, planes)


def _panned(
    frames: Iterator[Frame], poses: list[Sequence[Pose]], share: float, side: int
) -> Iterator[Frame]:
    move_px = 0.0
    for frame in frames:
        shown = _at(poses, frame.time_s)
        if shown:  # or else where the face was last
            left, _, right, _ = shown[0].box
            edge = frame.planes[0].shape[1] - right if side > 0 else left
            move_px = side * (float(edge) + share * float(right - left))
        pixels = 2 * round(move_px * _away(frame.time_s) / 2)
        yield frame.changed(partial(_moved, pixels=pixels))


def _away(time_s: float) -> float:
    """How far the pan has gone, 0..1, smoothly."""
    t = time_s % _CYCLE_S - _REST_S
    going = np.clip(t / _MOVE_S, 0, 1) - np.clip((t - _MOVE_S - _OUT_S) / _MOVE_S, 0, 1)
    return float(0.5 - 0.5 * np.cos(np.pi * going))


def _moved(planes: Planes, pixels: int) -> Planes:
    """Moved to the right; what was outside the frame is black."""
    moved: list[np.ndarray] = []
    for plane, level, step in zip(planes, (_BLACK, _NEUTRAL, _NEUTRAL), (1, 2, 2)):
        height, width = plane.shape
        how = np.array([[1, 0, pixels / step], [0, 1, 0]], np.float32)
        moved.append(
            cv2.warpAffine(plane, how, (width, height), flags=cv2.INTER_NEAREST, borderValue=level)
        )
    luma, blue, red = moved
    return luma, blue, red
