"""A short video of an explanation: the crops with the map, the score volume beside it, the audio."""

from __future__ import annotations

import os
from fractions import Fraction

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError

from synctool.errors import OutputError, OutputNameError
from synctool.explaining.run import Explanation
from synctool.files import atomic_path
from synctool.report.explanation_images import overlay, volume_image
from synctool.types import AUDIO_HZ, SAMPLES_PER_FRAME, VIDEO_FPS

SIDE_PX = 432
_BARS_PX = 60
_ENDINGS = (".mp4", ".mkv", ".mov")


def check_ending(path: str | os.PathLike[str]) -> None:
    """Make sure before the work that the video can be written.

    Raises:
        OutputNameError: The ending is not known.
    """
    if os.path.splitext(os.fspath(path))[1].lower() not in _ENDINGS:
        raise OutputNameError(
            f"{os.fspath(path)} is no name of a video",
            remedy=f"Give a name that ends in {', '.join(_ENDINGS)}.",
        )


def write_video(explanation: Explanation, colour: str, path: str | os.PathLike[str]) -> None:
    """Write it: H.264 and AAC, at the speed of the video.

    Args:
        explanation: The explanation.
        colour: Order of the crops' colours.
        path: Ends in .mp4, .mkv or .mov.

    Raises:
        OutputError: It cannot be written.
    """
    check_ending(path)
    try:
        with atomic_path(path) as beside:
            with av.open(str(beside), "w", format=_format(path)) as out:
                _write(explanation, colour, out)
    except FFmpegError as error:
        raise OutputError(f"{os.fspath(path)} cannot be written: {error}") from error


def _format(path: str | os.PathLike[str]) -> str:
    ending = os.path.splitext(os.fspath(path))[1].lower()
    return {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov"}[ending]


def _write(explanation: Explanation, colour: str, out: OutputContainer) -> None:
    video = out.add_stream("libx264", rate=VIDEO_FPS, options={"crf": "20", "preset": "fast"})
    video.width, video.height, video.pix_fmt = 2 * SIDE_PX, SIDE_PX + _BARS_PX, "yuv420p"
    audio = out.add_stream("aac", rate=AUDIO_HZ, layout="mono")
    frames = len(explanation.moment.crops)
    whole = volume_image(explanation.volume, size_px=(SIDE_PX, SIDE_PX))
    for t in range(frames):
        left = overlay(explanation, t, colour, side_px=SIDE_PX)
        image = np.concatenate([left, _at(whole, explanation, t)], 1)
        image = np.concatenate([image, _bars(explanation, t)], 0)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        frame.pts, frame.time_base = t, Fraction(1, VIDEO_FPS)
        out.mux(video.encode(frame))
    out.mux(video.encode(None))
    heard = av.AudioFrame.from_ndarray(_own_samples(explanation)[None], format="s16", layout="mono")
    heard.sample_rate, heard.pts, heard.time_base = AUDIO_HZ, 0, Fraction(1, AUDIO_HZ)
    out.mux(audio.encode(heard))
    out.mux(audio.encode(None))


def _own_samples(explanation: Explanation) -> np.ndarray:
    """The audio of the crops, as a player gives it: not moved."""
    moment = explanation.moment
    start = (moment.first_frame - moment.samples_frame) * SAMPLES_PER_FRAME
    count = len(moment.crops) * SAMPLES_PER_FRAME
    samples = moment.samples[start : start + count]
    return np.pad(samples, (0, count - samples.size))


def _at(whole: np.ndarray, explanation: Explanation, frame: int) -> np.ndarray:
    """The score volume with a line at a frame, and a dot at the explained offset."""
    image = whole.copy()
    frames, rows = len(explanation.moment.crops), len(explanation.volume)
    x = round((frame + 0.5) / frames * SIDE_PX)
    y = round((rows - explanation.row - 0.5) / rows * SIDE_PX)
    cv2.line(image, (x, 0), (x, SIDE_PX), (255, 255, 255), 1)
    cv2.circle(image, (x, y), 6, (255, 255, 255), 2, cv2.LINE_AA)
    return image


def _bars(explanation: Explanation, frame: int) -> np.ndarray:
    """What each frame carried, video above audio, with the present one bright."""
    image = np.full((_BARS_PX, 2 * SIDE_PX, 3), 24, np.uint8)
    frames = len(explanation.frames)
    half = _BARS_PX // 2
    for floor, values, colour in (
        (half - 2, explanation.frames, (168, 104, 0)),
        (_BARS_PX - 2, explanation.audio, (0, 74, 194)),
    ):
        highest = max(float(values.max()), 1e-9)
        for t in range(frames):
            tall = round((half - 6) * max(float(values[t]), 0.0) / highest)
            left, right = (round(x / frames * 2 * SIDE_PX) for x in (t, t + 1))
            shown = (255, 255, 255) if t == frame else colour
            cv2.rectangle(image, (left, floor - tall), (right - 2, floor), shown, -1)
    return image
