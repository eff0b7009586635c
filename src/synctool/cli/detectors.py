"""``synctool detectors``: the face detectors that can be chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synctool.cli.common import print_table
from synctool.cli.options import JsonFile
from synctool.cli.outputs import JsonOutput

if TYPE_CHECKING:
    from synctool.measure.detectors import DetectorStatus


def detectors(json: JsonFile = None) -> None:
    """List the face detectors that --detector takes.

    Examples:

      synctool detectors

      synctool detectors --json detectors.json

    Exit codes: 0 listed, 2 usage, 1 anything else.
    """
    output = JsonOutput(json)
    from synctool.measure.detectors import face_detectors

    found = face_detectors()
    output.write([_data(status) for status in found])
    if output.for_people:
        columns = ["name", "landmarks", "weights", "licence", "summary"]
        print_table(columns, [_row(status) for status in found])


def _row(status: DetectorStatus) -> list[str]:
    spec = status.spec
    licence = spec.weights.licence if spec.weights else "-"
    return [spec.name, "yes" if spec.landmarks else "no", _weights(status), licence, spec.summary]


def _weights(status: DetectorStatus) -> str:
    """``none`` needed, ``here``, or ``download``."""
    if status.spec.weights is None:
        return "none"
    return "here" if status.ready else "download"


def _data(status: DetectorStatus) -> dict[str, Any]:
    spec, weights = status.spec, None
    if spec.weights:
        weights = {
            "name": spec.weights.name,
            "licence": spec.weights.licence,
            "download": spec.weights.catalogue,
            "path": str(status.weights) if status.weights else None,
        }
    return {
        "name": spec.name,
        "landmarks": spec.landmarks,
        "ready": status.ready,
        "weights": weights,
        "summary": spec.summary,
    }
