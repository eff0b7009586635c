"""A comparison for programs: one JSON object, JSON Lines of trials, CSV of trials and of metrics.

The JSON object has the schema ``synctool.compare/1``; its keys may grow, and the schema changes when
one changes its meaning:

============  ========================================================================================
key           content
============  ========================================================================================
schema        ``synctool.compare/1``
command       what was typed
versions      of synctool, Python and the packages that figures depend on
settings      what the models were given: shifts, pieces, largest offset, seed ...
models        ``name`` as in the metrics, ``backbone``, ``weights``
videos         names, in order
metrics       figures with 95% intervals: ``synctool.evaluation.metric_specs.Metric``
agreement     pairs of models: share of frames, and of trials, on which they are within a frame
reliability   by model: bins of confidence, and how often it was right
trials        one object a video, condition and model: ``synctool.types.Trial``
============  ========================================================================================

NaN, which is not JSON, is ``null``. A line of JSON Lines is one trial, as ``Trial.from_dict`` takes it.
CSV is UTF-8 with commas, RFC 4180 quotes, line feeds and one heading row; what is not known is empty.
"""

from __future__ import annotations

import csv
import io
import math
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from synctool._version import __version__
from synctool.evaluation.agreement import agreement
from synctool.evaluation.metric_specs import METRICS, Metric
from synctool.evaluation.reliability import reliability
from synctool.report.compare_rows import Model, model_of, names_of
from synctool.report.json_out import clean, dump
from synctool.report.stream import send_parts
from synctool.types import COMPARE_SCHEMA, FRAME_MS, Trial

TRIAL_COLUMNS = (
    *("film", "model", "condition", "moved_frames", "start_s", "end_s"),
    *("perturbation", "level", "value", "unit"),
    *("offset_frames", "offset_ms", "answered", "verdict", "confidence", "reason"),
    *("truth_frames", "truth_ms", "error_frames", "error_ms"),
    *("lse_c", "lse_d", "coverage", "segments", "person", "source", "language"),
    *(
        "voiced_share",
        "duration_s",
        "seconds",
        "times_real_time",
        "memory_mb",
        "backbone",
        "weights",
        "error",
    ),
)
"""Columns of the trials. ``offset_frames`` is the best match, whether or not it was ``answered``."""
METRIC_COLUMNS = (
    *("group", "model", "name", "title", "value", "low", "high", "unit", "count"),
    *("drawn", "units", "higher_is_better"),
)
"""Columns of the metrics."""
_PACKAGES = ("torch", "onnxruntime", "numpy", "scipy", "av", "opencv-python-headless")


def versions() -> dict[str, str]:
    """What made the figures: synctool, Python, and the packages that they depend on."""
    found = {"synctool": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def compare_json_parts(
    trials: Sequence[Trial],
    metrics: Iterable[Metric],
    *,
    command: str = "",
    settings: Mapping[str, Any] | None = None,
) -> Iterator[str]:
    """The same in parts: one for each trial, whose series per frame may come from the disk."""
    head = {
        "schema": COMPARE_SCHEMA,
        "command": command,
        "versions": versions(),
        "settings": dict(settings or {}),
        "models": [
            {"name": name, "backbone": backbone, "weights": weights}
            for (backbone, weights), name in names_of(trials).items()
        ],
        "films": list(dict.fromkeys(trial.film for trial in trials)),
    }
    lists = {
        "metrics": [metric.to_dict() for metric in metrics if metric.defined],
        "agreement": [asdict(pair) for pair in agreement(trials)],
    }
    bins = {name: [asdict(b) for b in own] for name, own in reliability(trials).items()}
    entries = [f"  {dump(key)}: {dump(clean(value))}" for key, value in head.items()]
    entries += [f"  {dump(key)}: {_listed(rows)}" for key, rows in lists.items()]
    entries += [f'  "reliability": {dump(clean(bins))}']
    yield "{\n" + ",\n".join(entries) + ',\n  "trials": '
    before = "[\n"
    for trial in trials:
        yield f"{before}    {dump(clean(trial.to_dict()))}"
        before = ",\n"
    yield "\n  ]\n}\n" if trials else "[]\n}\n"


def trial_line(trial: Trial) -> str:
    """One trial in one line of JSON, with a line feed."""
    return dump(clean(trial.to_dict())) + "\n"


def trials_csv(trials: Sequence[Trial]) -> str:
    """One row a trial, with the heading."""
    names = names_of(trials)
    return _table(TRIAL_COLUMNS, (trial_row(trial, names) for trial in trials))


def metrics_csv(metrics: Iterable[Metric]) -> str:
    """One row a metric that is defined, with the heading."""
    return _table(METRIC_COLUMNS, (_metric_row(metric) for metric in metrics if metric.defined))


def write_text(text: str, target: str | os.PathLike[str]) -> None:
    """Write one of these to a file, atomically, or for ``-`` to the standard output.

    Raises:
        OutputError: It cannot be written.
        BrokenPipeError: Nobody reads the standard output any more.
    """
    write_parts([text], target)


def write_parts(parts: Iterable[str], target: str | os.PathLike[str]) -> None:
    """The same for a text in parts.

    Raises:
        OutputError: It cannot be written.
        BrokenPipeError: Nobody reads the standard output any more.
    """
    send_parts(target, (part.encode("utf-8", "backslashreplace") for part in parts))


def _listed(rows: Iterable[Mapping[str, Any]]) -> str:
    lines = [f"    {dump(clean(row))}" for row in rows]
    return "[\n" + ",\n".join(lines) + "\n  ]" if lines else "[]"


def trial_row(trial: Trial, names: Mapping[Model, str]) -> dict[str, Any]:
    """A trial by the columns of the CSV; what is not known is missing."""
    about = {
        "film": trial.film,
        "model": names[model_of(trial)],
        "backbone": trial.backbone,
        "weights": trial.weights,
        "condition": trial.condition.kind,
        **{
            name: getattr(trial.condition, name)
            for name in ("moved_frames", "start_s", "end_s", "perturbation", "value", "unit")
        },
        "level": trial.condition.level or None,
        **{name: getattr(trial.label, name) for name in ("person", "source", "language")},
        "truth_frames": trial.truth_frames,
        "truth_ms": _ms(trial.truth_frames),
        "error": trial.error,
    }
    if trial.error is not None:  # the figures of a failed trial mean nothing
        return about
    return {
        **about,
        **{
            name: getattr(trial, name)
            for name in (
                "offset_frames",
                "verdict",
                "confidence",
                "reason",
                "lse_c",
                "lse_d",
                "voiced_share",
            )
        },
        **{name: getattr(trial, name) for name in ("coverage", "duration_s", "seconds")},
        "offset_ms": _ms(trial.offset_frames),
        "answered": "yes" if trial.answered else "no",
        "error_frames": trial.error_frames,
        "error_ms": _ms(trial.error_frames),
        "segments": len(trial.segments),
        "times_real_time": trial.duration_s / trial.seconds if trial.seconds > 0 else None,
        "memory_mb": trial.memory_mb,
    }


def _metric_row(metric: Metric) -> dict[str, Any]:
    spec = METRICS[metric.name]
    better = {True: "yes", False: "no", None: ""}[metric.higher_is_better]
    return {
        **metric.to_dict(),
        "model": metric.backbone,
        "title": spec.title,
        "unit": spec.unit,
        "higher_is_better": better,
    }


def _ms(frames: float | None) -> float | None:
    return None if frames is None else frames * FRAME_MS


def _table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Empty for what is not known, and figures without digits that mean nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value
