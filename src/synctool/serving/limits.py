"""What a video may be at most: told from its header before the work, and from its frames during it."""

from __future__ import annotations

from contextlib import closing

from synctool.errors import UsageError
from synctool.measure.encode import DetectProgress
from synctool.media.announced import announced_length_s
from synctool.media.opening import open_video
from synctool.report.text import printable
from synctool.serving.jobs import VideoLimits
from synctool.types import VIDEO_FPS


class LimitError(UsageError):
    """A video that is longer or larger than is allowed."""


def check_limits(path: str, limits: VideoLimits) -> None:
    """See, before any frame is decoded, whether a video is inside the limits.

    Raises:
        LimitError: It is not.
        SyncToolError: It cannot be opened.
    """
    if not limits.any:
        return
    with closing(open_video(path)) as opened:
        streams = opened.container.streams
        if limits.streams is not None and len(streams) > limits.streams:
            raise LimitError(
                f"{opened.name} has {len(streams)} streams, and {limits.streams} are allowed",
                remedy="Keep the video and the audio that belong together.",
            )
        for stream in streams.video:
            if stream.codec_context is not None:
                _check_size(opened.name, stream.width, stream.height, limits)
        _check_length(opened.name, announced_length_s(opened.container), limits)


def check_progress(name: str, progress: DetectProgress, limits: VideoLimits) -> None:
    """See how long a video has turned out to be by now: its header may have told less, or nothing.

    Raises:
        LimitError: Too long.
    """
    _check_length(name, progress.frames_done / VIDEO_FPS, limits)


def _check_size(name: str, width: int, height: int, limits: VideoLimits) -> None:
    if limits.megapixels is not None and width * height > limits.megapixels * 1e6:
        raise LimitError(
            f"{name} has images of {width}x{height}, and {limits.megapixels:g} megapixels are allowed",
            remedy="Send a smaller version: the measurement needs no more than 1080 lines.",
        )


def _check_length(name: str, seconds: float, limits: VideoLimits) -> None:
    if limits.minutes is not None and seconds > limits.minutes * 60:
        raise LimitError(
            f"{printable(name)} is longer than {limits.minutes:g} min, which are allowed",
            remedy="Send a part of it.",
        )
