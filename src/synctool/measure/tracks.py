"""A film as followed faces: the stretch of road that ``detect`` and ``preprocess`` share."""

from __future__ import annotations

from collections.abc import Iterator

from synctool.errors import MissingError, PluginError, SyncToolError
from synctool.faces.checked import CheckedDetector
from synctool.faces.detector import FaceDetector
from synctool.faces.tracking import FaceTracker, TrackedPicture
from synctool.faces.upright import UprightFaces
from synctool.measure.detectors import needed
from synctool.measure.timing import Stopwatch
from synctool.media.film import Film
from synctool.plugins import registry


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
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginError(
            f"{told} cannot be built: {words}",
            remedy="Tell the authors of the plugin, or choose another with --detector.",
        ) from error
    return CheckedDetector(detector=detector, name=told)


def followed(
    film: Film,
    detector: FaceDetector,
    *,
    max_faces: int,
    smallest_face_px: float | None = None,
    watch: Stopwatch | None = None,
) -> Iterator[TrackedPicture]:
    """The pictures of a film in order, each with the faces in it.

    Where faces lie on their side, the pictures are turned, and the film says so.

    Args:
        film: An opened film, not yet iterated.
        detector: Finds the faces.
        max_faces: At most so many are followed at a time.
        smallest_face_px: Smaller faces are passed over, which makes looking for them cheaper; None
            follows faces of any size.
        watch: Told when waiting for the decoder ends and work on faces begins.
    """

    def new_tracker(first_number: int) -> FaceTracker:
        return FaceTracker(
            detector=detector,
            max_faces=max_faces,
            smallest_face_px=smallest_face_px,
            first_number=first_number,
        )

    faces = UprightFaces(detector=detector, new_tracker=new_tracker, on_turn=film.note_turn)
    for picture in film:
        if watch:
            watch.now("faces")
        yield from faces.push(picture)
        if watch:
            watch.now("decode")
    yield from faces.flush()
