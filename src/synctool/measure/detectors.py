"""Which face detectors there are, and whether what they need is here. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synctool.errors import MissingError
from synctool.plugins import registry
from synctool.plugins.specs import FaceDetectorSpec
from synctool.weights.locate import located


@dataclass(frozen=True)
class DetectorStatus:
    """A face detector as a list shows it.

    Attributes:
        spec: What it is.
        weights: The file of its weights; None if it needs none, or they are not here.
    """

    spec: FaceDetectorSpec
    weights: Path | None

    @property
    def ready(self) -> bool:
        """Whether nothing has to be fetched before it can be used."""
        return self.spec.weights is None or self.weights is not None


def face_detectors() -> list[DetectorStatus]:
    """All face detectors, by name.

    Raises:
        PluginError: Two plugins claim one name.
    """
    return [
        DetectorStatus(spec, located(spec.weights) if spec.weights else None)
        for spec in registry.face_detectors.all()
    ]


def needed(name: str) -> tuple[FaceDetectorSpec, Path | None]:
    """A face detector by name, with the file of its weights.

    Returns:
        The spec, and the file; None if it needs none.

    Raises:
        UsageError: There is no such detector.
        PluginError: Two plugins claim the name.
        MissingError: It needs weights that are not here; the remedy says how to get them.
    """
    spec = registry.face_detectors.get(name)
    if spec.weights is None:
        return spec, None
    path = located(spec.weights)
    if path is None:
        entry = spec.weights.catalogue
        raise MissingError(
            f"the weights of the face detector {spec.name} ({spec.weights.file_name}) are not here",
            remedy=f"Fetch them with: synctool download {entry}, or import a copy with: "
            f"synctool download {entry} --from FILE"
            if entry
            else "See the description of the plugin that it comes from.",
        )
    return spec, path
