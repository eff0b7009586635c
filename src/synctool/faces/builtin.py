"""The face detectors that come with the package, registered through the plugin door."""

from __future__ import annotations

from synctool.plugins.hookspecs import hookimpl
from synctool.plugins.specs import FaceDetectorSpec


@hookimpl
def synctool_face_detectors() -> list[FaceDetectorSpec]:
    """CenterFace (the default), OpenCV's Haar cascade, and the whole image."""
    return [
        FaceDetectorSpec(
            name="centerface",
            factory="synctool.faces.centerface:CenterFaceDetector",
            summary="CenterFace, five landmarks, any size (default)",
        ),
        FaceDetectorSpec(
            name="haar",
            factory="synctool.faces.haar:HaarDetector",
            summary="OpenCV's Haar cascade, frontal faces only",
            landmarks=False,
        ),
        FaceDetectorSpec(
            name="whole",
            factory="synctool.faces.whole:WholeImage",
            summary="for videos that are face crops already: no detection",
            landmarks=False,
        ),
    ]
