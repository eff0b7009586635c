"""A film as followed faces: the stretch of road that ``detect`` and ``preprocess`` share."""

from __future__ import annotations

from collections.abc import Iterator

from synctool import registry
from synctool.engine.stopwatch import Stopwatch
from synctool.faces.detector import FaceDetector
from synctool.faces.tracking import FaceTracker, TrackedPicture
from synctool.media.film import Film


def build_detector(name: str) -> FaceDetector:
    """Build a face detector by its registered name.

    Raises:
        UsageError: No such detector.
    """
    return registry.imported(registry.face_detector(name).factory)()


def followed(
    film: Film,
    detector: FaceDetector,
    *,
    max_faces: int,
    smallest_face_px: float | None = None,
    watch: Stopwatch | None = None,
) -> Iterator[TrackedPicture]:
    """The pictures of a film in order, each with the faces in it.

    Args:
        film: An opened film, not yet iterated.
        detector: Finds the faces.
        max_faces: At most so many are followed at a time.
        smallest_face_px: Smaller faces are passed over, which makes looking for them cheaper; None
            follows faces of any size.
        watch: Told when waiting for the decoder ends and work on faces begins.
    """
    tracker = FaceTracker(detector=detector, max_faces=max_faces, smallest_face_px=smallest_face_px)
    for picture in film:
        if watch:
            watch.now("faces")
        yield from tracker.push(picture)
        if watch:
            watch.now("decode")
    yield from tracker.flush()
