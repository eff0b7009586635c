"""A film as followed faces: the stretch of road that ``detect`` and ``preprocess`` share."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from synctool import registry
from synctool.engine.streams import Stopwatch
from synctool.faces.detector import FaceDetector
from synctool.faces.tracking import FaceTracker, TrackedPicture
from synctool.media.film import Film


def build_detector(name: str) -> FaceDetector:
    """Build a face detector by its registered name.

    Raises:
        UsageError: No such detector.
    """
    module, _, attribute = registry.face_detector(name).factory.partition(":")
    return getattr(importlib.import_module(module), attribute)()


def followed(
    film: Film, detector: FaceDetector, *, max_faces: int, watch: Stopwatch | None = None
) -> Iterator[TrackedPicture]:
    """The pictures of a film in order, each with the faces in it.

    Args:
        film: An opened film, not yet iterated.
        detector: Finds the faces.
        max_faces: At most so many are followed at a time.
        watch: Told when waiting for the decoder ends and work on faces begins.
    """
    tracker = FaceTracker(detector=detector, max_faces=max_faces)
    for picture in film:
        if watch:
            watch.now("faces")
        yield from tracker.push(picture)
        if watch:
            watch.now("decode")
    yield from tracker.flush()
