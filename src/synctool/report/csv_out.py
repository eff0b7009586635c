"""CSV: one row per video, always the same columns.

============================  ======================================================================
column                        content
============================  ======================================================================
input                         name of the video as it was given
verdict                       ``in sync``, ``detectable``, ``unacceptable``, ``inconclusive``;
                              empty for a failure
offset_frames, offset_ms      > 0: audio ahead; empty when inconclusive
audio_is                      ``ahead``, ``behind``, ``level``
offset_spans_ms               where the true offset lies, as often as ``--set-coverage`` says:
                              ``80.0 to 160.0``, several joined with ``; ``
confidence                    probability in 0..1 that the offset is right within ±1 frame
audio_belongs                 probability in 0..1 that the audio is this face's own; empty where unknown
reason                        why it is inconclusive
reason_code                   the same by name: ``no_face``, ``no_speech``, ``too_short``,
                              ``face_too_small``, ``face_turned_away``, ``out_of_range``,
                              ``audio_from_elsewhere``, ``weak_evidence``
coverage                      share of the video, 0..1, with evidence
verdict_coverage              share of the video, 0..1, in the segments that carry the verdict
drift_ms_per_min              empty when the video is too short to tell
drift_low_ms_per_min          lower end of its 95 % interval
drift_high_ms_per_min         upper end
syncnet_confidence            LSE-C (median minus minimum distance)
min_distance                  LSE-D
segments, tracks              how many
max_offset                    largest offset searched, in frames
duration_s .. audio_hz        the video itself, on its presentation timeline
backbone, weights, synctool   what measured it
total_s                       seconds that it took
warnings                      joined with ``; ``
error                         cause of a failure, with its remedy; else empty
============================  ======================================================================

UTF-8, comma, RFC 4180 quotes, line feeds, one heading row.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Iterable
from typing import Any

from synctool.report.outcome import Failure, Outcome
from synctool.report.stream import send
from synctool.types import DetectResult

_RESULT_COLUMNS = (
    "input",
    "verdict",
    "offset_frames",
    "offset_ms",
    "audio_is",
    "offset_spans_ms",
    "confidence",
    "audio_belongs",
    "reason",
    "reason_code",
    "coverage",
    "verdict_coverage",
    "drift_ms_per_min",
    "drift_low_ms_per_min",
    "drift_high_ms_per_min",
    "syncnet_confidence",
    "min_distance",
)
_SOURCE_COLUMNS = (
    "duration_s",
    "video_fps",
    "video_start_s",
    "audio_start_s",
    "width_px",
    "height_px",
    "audio_hz",
)
COLUMNS = (
    *_RESULT_COLUMNS,
    "segments",
    "tracks",
    "max_offset",
    *_SOURCE_COLUMNS,
    "backbone",
    "weights",
    "synctool",
    "total_s",
    "warnings",
    "error",
)


def to_csv(outcomes: Iterable[Outcome]) -> str:
    """The table with its heading."""
    return (heading() + b"".join(map(row, outcomes))).decode("utf-8")


def write_csv(outcomes: Iterable[Outcome], target: str | os.PathLike[str]) -> None:
    """Write the table to a file, or for ``-`` to the standard output.

    Raises:
        OutputError: It cannot be written.
    """
    send(target, to_csv(outcomes).encode("utf-8"))


def heading() -> bytes:
    """The first line."""
    return _lines(lambda writer: writer.writeheader())


def row(outcome: Outcome) -> bytes:
    """The row of a video, with its line feed; there may be others in quotes."""
    return _lines(lambda writer: writer.writerow(_row(outcome)))


def _lines(write: Callable[[csv.DictWriter[str]], object]) -> bytes:
    text = io.StringIO()
    write(csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n"))
    return text.getvalue().encode("utf-8", "backslashreplace")


def _row(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        return {"input": outcome.input, "error": outcome.said}
    return {name: _cell(value) for name, value in _figures(outcome).items()}


def _figures(result: DetectResult) -> dict[str, Any]:
    data = result.to_dict()
    ends = data["drift_interval_ms_per_min"] or (None, None)
    spans = data["offset_set"]["spans_ms"] if data["offset_set"] else ()
    data["offset_spans_ms"] = "; ".join(f"{low} to {high}" for low, high in spans)
    data["drift_low_ms_per_min"], data["drift_high_ms_per_min"] = ends
    return {
        **{name: data[name] for name in _RESULT_COLUMNS},
        **{name: data["source"][name] for name in _SOURCE_COLUMNS},
        "segments": len(result.segments),
        "tracks": len(result.tracks),
        "max_offset": result.max_offset,
        "backbone": result.backbone,
        "weights": result.weights,
        "synctool": result.synctool,
        "total_s": data["timing_s"].get("total"),
        "warnings": "; ".join(result.source.warnings),
    }


def _cell(value: Any) -> Any:
    """Empty for what is not known; NaN never appears."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return value
