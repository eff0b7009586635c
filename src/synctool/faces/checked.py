"""A face detector of any origin, held to its word: what it gives are faces, or one clear error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from synctool.errors import PluginError, SyncToolError, described
from synctool.faces.detector import Face


class CheckedDetector:
    """Passes frames to a detector, and on what it finds if those are faces.

    Args:
        detector: Has ``detect`` and perhaps ``refind`` (see ``FaceDetector``).
        name: What it is and where it comes from, for the error.

    Raises:
        PluginError: It has no ``detect``.
    """

    def __init__(self, *, detector: Any, name: str) -> None:
        if not callable(getattr(detector, "detect", None)):
            raise PluginError(
                f"{name} cannot be used: a {type(detector).__name__} without the method 'detect'",
                remedy="Tell the authors of the plugin, or choose another with --detector.",
            )
        self._detector = detector
        self._name = name
        # As an attribute: whoever follows faces asks whether there is one.
        self.refind = self._refind if callable(getattr(detector, "refind", None)) else None

    def detect(self, gray: np.ndarray, *, smallest_face_px: float | None = None) -> list[Face]:
        """See ``FaceDetector.detect``.

        Raises:
            PluginError: The detector fails, or gives anything else than faces.
        """
        return self._asked(
            gray, lambda: self._detector.detect(gray, smallest_face_px=smallest_face_px)
        )

    def _refind(self, gray: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        return self._asked(gray, lambda: self._detector.refind(gray, boxes))

    def _asked(self, gray: np.ndarray, ask: Callable[[], object]) -> list[Face]:
        try:
            given = ask()
        except SyncToolError:
            raise
        except Exception as error:  # a plugin may fail in any way
            raise self._broken(
                f"failed on an image of {_size(gray)}: {described(error)}"
            ) from error
        if not isinstance(given, (list, tuple)):
            raise self._broken(f"gives {type(given).__name__} in place of a list of faces")
        faces = []
        for face in given:
            try:
                faces.append(_valid_face(face))
            except (AttributeError, TypeError, ValueError) as error:
                words = " ".join(str(error).split())
                raise self._broken(
                    f"gives something that is no face for an image of {_size(gray)}: {words}"
                ) from error
        return faces

    def _broken(self, what: str) -> PluginError:
        return PluginError(
            f"{self._name} {what}",
            remedy="Tell the authors of the plugin, or choose another with --detector.",
        )


def _valid_face(face: Any) -> Face:
    """The same face with arrays of the right kind.

    Raises:
        AttributeError, TypeError, ValueError: It is none.
    """
    box = np.asarray(face.box, np.float32)
    points = np.asarray(face.points, np.float32)
    score = float(face.score)
    if box.shape != (4,) or points.shape != (5, 2):
        raise ValueError(
            f"box {list(box.shape)} and points {list(points.shape)} in place of [4] and [5, 2]"
        )
    if not (np.isfinite(box).all() and np.isfinite(points).all() and np.isfinite(score)):
        raise ValueError("its box, points or score are not finite")
    if not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError(f"its box {box.tolist()} is empty; it is left, top, right, bottom")
    return Face(box, points, score)


def _size(gray: np.ndarray) -> str:
    return f"{gray.shape[1]}x{gray.shape[0]}"
