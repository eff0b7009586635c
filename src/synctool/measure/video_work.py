"""What measures one video after the other: in this process, or as the work of a worker process."""

from __future__ import annotations

from dataclasses import dataclass

from synctool.errors import SyncToolError, described
from synctool.measure.detect import Detector, DetectProgress
from synctool.measure.thumbnails import Thumbnail
from synctool.settings.detect import DetectSettings
from synctool.types import DetectResult
from synctool.workers import Tell, limit_torch

BUG = "Run this video alone with --debug to see where."
"""Remedy of an error that is no ``SyncToolError``."""


@dataclass(frozen=True)
class Measured:
    """What became of a video.

    Attributes:
        outcome: The result, or what went wrong; a bug with one video must not cost the others.
        thumbnails: A few of its frames, where they were asked for.
    """

    outcome: DetectResult | Exception
    thumbnails: tuple[Thumbnail, ...] = ()


class VideoWork:
    """Measures videos.

    Args:
        detector: What measures them.
        thumbnails: Whether they are wanted.
        picklable: Whether errors must be such that another process can read them.
    """

    def __init__(self, detector: Detector, *, thumbnails: bool, picklable: bool = False) -> None:
        self._detector, self._thumbnails, self._picklable = detector, thumbnails, picklable

    def __call__(self, name: str, tell: Tell) -> Measured:
        """Measure a video; ``tell`` is given its ``DetectProgress``."""
        tell(DetectProgress(0, None))
        kept: list[Thumbnail] = []
        try:
            result = self._detector.detect(
                name, on_progress=tell, on_thumbnails=kept.extend if self._thumbnails else None
            )
        except SyncToolError as error:
            return Measured(error)
        except Exception as error:
            return Measured(
                SyncToolError(described(error), remedy=BUG) if self._picklable else error
            )
        return Measured(result, tuple(kept))


def video_worker(settings: DetectSettings, thumbnails: bool, threads: int) -> VideoWork:
    """What a worker process begins with.

    Args:
        settings: How to measure.
        thumbnails: Whether they are wanted.
        threads: Of the model.
    """
    detector = Detector(settings, threads=threads)
    limit_torch(threads)
    return VideoWork(detector, thumbnails=thumbnails, picklable=True)
