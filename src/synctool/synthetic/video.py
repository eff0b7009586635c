"""Writing a scene as a video file, its streams with the times that were asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.codec import Codec
from av.error import FFmpegError

from synctool.errors import MediaError, OutputNameError
from synctool.files import atomic_path
from synctool.synthetic.scene import Rendering, Scene
from synctool.types import AUDIO_HZ, VIDEO_FPS

NOTE = "synthetic: drawn faces, synthesized voices (synctool demo)"
"""What the file says of itself."""
SUFFIXES = (".mp4", ".mov", ".mkv")
"""Of the containers that can be written."""
_TIME_BASE = Fraction(1, 90_000)
_ENCODERS = (
    ("libx264", {"preset": "ultrafast", "crf": "20"}),
    ("libopenh264", {}),
    ("mpeg4", {"qscale": "3", "flags": "+qscale"}),
)
"""The first that this FFmpeg has is taken."""
_BLOCK = 1024


@dataclass(frozen=True)
class Timing:
    """When the streams of a file show and play what.

    Attributes:
        fps: Frames per second.
        times_s: When each frame is shown, where the rate is not constant; None for a constant one.
        video_start_s: Where the video track begins.
        audio_start_s: Where the audio track begins.
    """

    fps: float = VIDEO_FPS
    times_s: Sequence[float] | None = None
    video_start_s: float = 0.0
    audio_start_s: float = 0.0

    def frames_s(self, duration_s: float) -> np.ndarray:
        """The presentation time of every frame: float64 ``[N]``."""
        if self.times_s is not None:
            return np.asarray(self.times_s, float)
        count = round((duration_s - self.video_start_s) * self.fps)
        return self.video_start_s + np.arange(max(count, 1)) / self.fps


def is_synthetic(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a video that was written here; it says so itself."""
    try:
        with av.open(f"file:{os.fspath(path)}", metadata_errors="replace") as file:
            return NOTE in {file.metadata.get("comment"), file.metadata.get("COMMENT")}
    except (FFmpegError, OSError, ValueError):
        return False


def check_name(path: str | os.PathLike[str]) -> None:
    """See whether a video can have this name.

    Raises:
        OutputNameError: It is a folder, or the ending tells no container that is written.
    """
    if os.path.isdir(path):
        raise OutputNameError(
            f"{os.fspath(path)} is a folder",
            remedy=f"Give a file, such as {Path(path) / 'demo.mp4'}.",
        )
    if Path(path).suffix.lower() not in SUFFIXES:
        raise OutputNameError(
            f"{os.fspath(path)} is no name of a video that can be written",
            remedy=f"Give a name that ends in {', '.join(SUFFIXES)}.",
        )


def write_scene(
    scene: Scene,
    path: str | os.PathLike[str],
    timing: Timing | None = None,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Render a scene into a file, atomically; the ending chooses the container.

    Args:
        scene: What is seen and heard.
        path: The file.
        timing: The times of the streams; 25 frames per second from 0 unless told.
        on_progress: Called with the share that is done, 0..1.

    Raises:
        MediaError: No encoder takes it.
        OutputError: It cannot be written.
        OutputNameError: The ending tells no container that is written.
    """
    timing = timing or Timing()
    check_name(path)
    rendering = Rendering(scene)
    with atomic_path(path) as temporary:
        try:
            with av.open(f"file:{temporary}", "w") as file:
                file.metadata["comment"] = NOTE
                _write(file, rendering, scene, timing, on_progress)
        except FFmpegError as error:
            if isinstance(error, OSError) and error.errno:
                raise OSError(error.errno, error.strerror) from error
            raise MediaError(f"cannot write {os.fspath(path)}: {error}") from error


def _write(
    file: Any,
    rendering: Rendering,
    scene: Scene,
    timing: Timing,
    on_progress: Callable[[float], None] | None,
) -> None:
    name, options = _encoder()
    video = file.add_stream(
        name, rate=Fraction(timing.fps).limit_denominator(1001), options=options
    )
    video.width, video.height = scene.size_px
    video.pix_fmt = "yuv420p"
    if name != "mpeg4":
        video.codec_context.time_base = _TIME_BASE
    audio = file.add_stream("aac", rate=AUDIO_HZ, layout="mono")
    audio.bit_rate = 64_000
    start = round(timing.audio_start_s * AUDIO_HZ)
    count = round(scene.duration_s * AUDIO_HZ) - start
    played = _audio_packets(audio, rendering.samples(start / AUDIO_HZ, count), start)
    waiting = next(played, None)
    for packet in _video_packets(video, rendering, timing.frames_s(scene.duration_s)):
        while (
            waiting is not None and waiting.dts * waiting.time_base <= packet.dts * packet.time_base
        ):
            file.mux(waiting)
            waiting = next(played, None)
        file.mux(packet)
        if on_progress is not None:
            on_progress(float(packet.pts * packet.time_base) / scene.duration_s)
    while waiting is not None:
        file.mux(waiting)
        waiting = next(played, None)


def _encoder() -> tuple[str, dict[str, str]]:
    for name, options in _ENCODERS:
        try:
            Codec(name, "w")
        except ValueError:
            continue
        return name, options
    raise MediaError(
        "this FFmpeg has no encoder for video", remedy="pip install --force-reinstall av"
    )


def _video_packets(stream: Any, rendering: Rendering, times_s: np.ndarray) -> Iterator[Any]:
    for time_s, image in zip(times_s, rendering.frames(list(times_s))):
        planes = np.asarray(
            cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8
        )  # swscale is slower
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        base = stream.codec_context.time_base
        frame.pts, frame.time_base = round(float(time_s) / base), base
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _audio_packets(stream: Any, samples: np.ndarray, start: int) -> Iterator[Any]:
    whole = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    for begin in range(0, len(whole), _BLOCK):
        frame = av.AudioFrame.from_ndarray(whole[None, begin : begin + _BLOCK], "s16", "mono")
        frame.sample_rate, frame.time_base = AUDIO_HZ, Fraction(1, AUDIO_HZ)
        frame.pts = start + begin
        yield from stream.encode(frame)
    yield from stream.encode(None)
