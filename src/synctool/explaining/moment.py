"""One face round one moment of a video: its crops and the audio, as a model takes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synctool.errors import UsageError
from synctool.faces.detector import FaceDetector
from synctool.measure.encode import DetectProgress
from synctool.measure.face_encoder import FrameCrops
from synctool.measure.tracks import followed
from synctool.media.video_file import VideoFile
from synctool.networks.loaded import LoadedModel
from synctool.types import SAMPLES_PER_FRAME, VIDEO_FPS, StreamSelection

LEAST_FRAMES = 10
"""A face must be seen so long round the moment."""
_AUDIO_MARGIN = 40
"""Frames of audio kept beyond what is compared, for the networks' context and the level."""


@dataclass(frozen=True)
class Moment:
    """What is explained.

    Attributes:
        at_s: The moment.
        face: Number of the face.
        first_frame: Frame index of the first crop.
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``, colours in the model's order.
        target: Which of these frames the explained score is the mean of.
        samples: int16 ``[N]``, 16 kHz.
        samples_frame: Frame index at which the first sample lies.
    """

    at_s: float
    face: int
    first_frame: int
    crops: np.ndarray
    target: slice
    samples: np.ndarray
    samples_frame: int


def read_moment(
    path: str | os.PathLike[str],
    model: LoadedModel,
    detector: FaceDetector,
    *,
    at_s: float,
    seconds: float,
    max_offset: int,
    face: int | None = None,
    streams: StreamSelection,
    max_faces: int,
    allow_external: bool = False,
    stall_s: float | None = None,
    on_progress: Callable[[DetectProgress], None] | None = None,
) -> Moment:
    """Read a video up to a moment, and cut out what the model sees of a face round it.

    Args:
        path: The video.
        model: The model.
        detector: Finds the faces.
        at_s: The moment, in seconds of the video.
        seconds: How much of the video round it is explained.
        max_offset: K.
        face: Number of the face; None for the largest there.
        streams: Which of its streams.
        max_faces: At most so many faces are followed.
        allow_external: Whether a playlist may name local files outside its folder.
        stall_s: Longest wait for a frame.
        on_progress: Called every second of video.

    Raises:
        UsageError: The moment lies outside the video, or there is no such face.
        SyncToolError: The video cannot be read.
    """
    wanted = model.spec.video
    colour = None if wanted.colour == "gray" else wanted.colour
    middle, half = round(at_s * VIDEO_FPS), max(round(seconds * VIDEO_FPS / 2), LEAST_FRAMES // 2)
    context = model.spec.receptive_field_frames // 2
    first, last = max(middle - half - context, 0), middle + half + context
    crops: dict[int, dict[int, np.ndarray]] = {}
    sizes: dict[int, float] = {}
    margin = max_offset + _AUDIO_MARGIN
    with VideoFile(
        path, streams=streams, colour=colour, allow_external=allow_external, stall_s=stall_s
    ) as video:
        for tracked in followed(video, detector, max_faces=max_faces):
            index = tracked.frame.index
            if on_progress is not None and index % VIDEO_FPS == 0:
                on_progress(DetectProgress(index, last + margin))
            if first <= index < last:
                cut = FrameCrops(tracked.frame, colour=colour)
                for number, pose in tracked.poses.items():
                    crops.setdefault(number, {})[index] = cut.cut(wanted, number, pose)
                    sizes[number] = sizes.get(number, 0.0) + float(pose.box[3] - pose.box[1])
            if index >= last + margin:
                break
        samples = video.audio.pop(video.audio.end)
        length_s = video.frame_count / VIDEO_FPS
    if middle * 1.0 >= length_s * VIDEO_FPS:
        raise UsageError(
            f"{os.fspath(path)} has no moment {at_s:g} s: it is {length_s:.2f} s long",
            remedy="Give another --at.",
        )
    number = _face(crops, sizes, face, at_s)
    start, stop = _run_round(crops[number], middle)
    if stop - start < LEAST_FRAMES:
        raise UsageError(
            f"face {number} is seen for {(stop - start) / VIDEO_FPS:.2f} s round {at_s:g} s",
            remedy="Give another --at, or another --face.",
        )
    low = max(start, middle - half)
    kept = np.stack([crops[number][i] for i in range(start, stop)])
    begin = max(first - margin, 0)
    return Moment(
        at_s,
        number,
        start,
        kept,
        slice(low - start, min(stop, middle + half) - start),
        samples[begin * SAMPLES_PER_FRAME : (last + margin) * SAMPLES_PER_FRAME],
        begin,
    )


def _face(
    crops: dict[int, dict[int, np.ndarray]], sizes: dict[int, float], face: int | None, at_s: float
) -> int:
    if not crops:
        raise UsageError(
            f"no face is seen round {at_s:g} s",
            remedy="Give another --at: synctool detect says when faces are seen.",
        )
    if face is None:
        return max(sizes, key=lambda number: sizes[number])
    if face not in crops:
        seen = ", ".join(map(str, sorted(crops)))
        raise UsageError(f"face {face} is not seen round {at_s:g} s", remedy=f"There is: {seen}.")
    return face


def _run_round(frames: dict[int, np.ndarray], middle: int) -> tuple[int, int]:
    """First and after the last of the frames without a gap round the middle one."""
    nearest = min(frames, key=lambda index: abs(index - middle))
    start = stop = nearest
    while start - 1 in frames:
        start -= 1
    while stop in frames:
        stop += 1
    return start, stop
