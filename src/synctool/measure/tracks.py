"""A video as tracked faces, for everything that encodes or crops them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from synctool.errors import MissingError, PluginError, SyncToolError, described
from synctool.faces.checked import CheckedDetector
from synctool.faces.detector import FaceDetector
from synctool.faces.tracking import FaceTracker, TrackedFrame
from synctool.faces.upright import UprightFaces
from synctool.measure.detectors import needed
from synctool.measure.timing import Stopwatch
from synctool.media.frame_reader import TimelineFrame
from synctool.plugins import registry


class Frames(Protocol):
    """The frames of a video, once and in order: an opened video, or a part of a stream."""

    def __iter__(self) -> Iterator[TimelineFrame]: ...

    def note_turn(self, quarters: int) -> None:
        """Note that the reader turns the frames clockwise by so many quarters."""
        ...


def build_detector(name: str) -> FaceDetector:
    """Build a face detector by its registered name.

    Returns:
        The detector; when it fails or gives anything else than faces, a ``PluginError`` names it.

    Raises:
        UsageError: No such detector.
        MissingError: Its weights or a package that it needs are not here.
        PluginError: It cannot be built, or two plugins claim the name.
    """
    spec, weights = needed(name)
    told = f"the face detector {spec.name!r} ({registry.face_detectors.source(name)})"
    given = {} if weights is None else {"weights": weights}
    try:
        detector = registry.imported(spec.factory)(**given)
    except SyncToolError:
        raise
    except ImportError as error:
        raise MissingError(
            f"{told} cannot be built: {error}", remedy="Install the package that it needs."
        ) from error
    except Exception as error:  # a plugin's factory may fail in any way
        raise PluginError(
            f"{told} cannot be built: {described(error)}",
            remedy="Tell the authors of the plugin, or choose another with --detector.",
        ) from error
    return CheckedDetector(detector=detector, name=told)


def followed(
    video: Frames,
    detector: FaceDetector,
    *,
    max_faces: int,
    smallest_face_px: float | None = None,
    stopwatch: Stopwatch | None = None,
) -> Iterator[TrackedFrame]:
    """The frames of a video in order, each with the faces in it.

    Where faces lie on their side, the frames are turned, and the video says so.

    Args:
        video: An opened video, not yet iterated.
        detector: Finds the faces.
        max_faces: At most so many are followed at a time.
        smallest_face_px: Smaller faces are passed over, which makes looking for them cheaper; None
            follows faces of any size.
        stopwatch: Told when waiting for the decoder ends and work on faces begins.
    """

    def new_tracker(first_number: int) -> FaceTracker:
        return FaceTracker(
            detector=detector,
            max_faces=max_faces,
            smallest_face_px=smallest_face_px,
            first_number=first_number,
        )

    faces = UprightFaces(detector=detector, new_tracker=new_tracker, on_turn=video.note_turn)
    for frame in video:
        if stopwatch:
            stopwatch.now("faces")
        yield from faces.push(frame)
        if stopwatch:
            stopwatch.now("decode")
    yield from faces.flush()
