"""The metrics of the bench, each with its definition; intervals by bootstrap over faces or clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from synctool.bench.answers import Answer
from synctool.bench.items import PARTS
from synctool.evaluation.bootstrap import (
    UNDEFINED,
    Interval,
    Units,
    interval_of_sums,
    mean_of,
    median_of,
    numbered,
    ratio_of,
    units_of,
)
from synctool.evaluation.metric_specs import CONTEXTS, Metric, MetricSpec

_US = "this project"
_FRAME = "tolerance of a frame: Chung & Zisserman, Out of time, ACCV workshops 2016"
SCORE = "score"
"""Group ``all`` of this is the head of the card."""


def _spec(
    title: str, definition: str, unit: str, better: bool | None, source: str = _US
) -> MetricSpec:
    return MetricSpec(title, definition, unit, source, better, "accuracy")


BENCH_METRICS: Mapping[str, MetricSpec] = {
    SCORE: _spec(
        "score",
        "Mean over the parts (speed apart) of the share of videos that were dealt with rightly: within 40 ms "
        "of the truth, or without an answer where no offset is right.",
        "share",
        True,
    ),
    "right": _spec(
        "right",
        "Share of videos whose answer is within 40 ms of the truth; no answer and a failure are wrong. Where "
        "no offset is right: share without an answer.",
        "share",
        True,
        _FRAME,
    ),
    "answered": _spec(
        "answered",
        "Share of videos of which an offset was given.",
        "share",
        None,
        "reject option: Chow, On optimum recognition error and reject tradeoff, 1970",
    ),
    "wrong_answers": _spec(
        "wrong answers",
        "Share of videos of which an offset was given that is more than 40 ms off the truth.",
        "share",
        False,
        _FRAME,
    ),
    "false_answers": _spec(
        "false answers",
        "Share of videos in which no offset is right of which one was given.",
        "share",
        False,
    ),
    "failed": _spec(
        "failed",
        "Share of videos that ended in an error, a crash, the time limit, or output that is no answer.",
        "share",
        False,
    ),
    "mean_error_ms": _spec(
        "mean error", "Mean absolute distance of the offsets given from the truth.", "ms", False
    ),
    "median_error_ms": _spec(
        "median error", "Median absolute distance of the offsets given from the truth.", "ms", False
    ),
    "bias_ms": _spec(
        "bias",
        "Median of offset given minus truth; above 0 audio is seen too far ahead.",
        "ms",
        None,
        "sign: ITU-R BT.1359-1, 1998",
    ),
    "drift_error": _spec(
        "drift, mean error",
        "Mean absolute distance of the drift given from the true one; of none given, from 0.",
        "ms/min",
        False,
    ),
    **{
        f"windows@{n}": _spec(
            f"windows, {n} frames",
            f"Share of windows of {n} frames whose best of 31 candidate offsets, -15 to +15 frames round the "
            "truth, is within a frame of it, per video, then over videos. Of backbones only.",
            "share",
            True,
            "Chung, Chung & Kang, Perfect match, ICASSP 2019; Kadandale et al., VocaLiST, Interspeech 2022",
        )
        for n in CONTEXTS
    },
    "real_time": _spec(
        "speed", "Seconds of video that are dealt with in a second of wall time.", "s/s", True
    ),
    "decode_ratio": _spec(
        "times decoding",
        "Wall time over that of decoding both streams of the same video in the same run.",
        "",
        False,
    ),
}
"""All metrics of the bench by name, in the order to be shown."""


def summarise(answers: Sequence[Answer], *, subject: str) -> list[Metric]:
    """Every metric of every part and group.

    Args:
        answers: Of all items.
        subject: Whose they are.

    Returns:
        The score (group ``all``), then part by part, its groups (``degraded/noise 10 dB``) after it. What is
        not defined is left out.
    """
    usable = [a for a in answers if a.usable]
    found = [_metric(SCORE, _score(usable), subject, "all")]
    for part in PARTS:
        own = [a for a in usable if a.part == part]
        if not own:
            continue
        if part == "speed":
            found += _speed(own, subject)
            continue
        found += _of_group(own, subject, part)
        groups = list(dict.fromkeys(a.group for a in own if a.group))
        if len(groups) > 1:
            for group in groups:
                members = [a for a in own if a.group == group]
                found += _of_group(members, subject, f"{part}/{group}")
    return [metric for metric in found if metric.defined]


def units_among(answers: Sequence[Answer]) -> Units:
    """What the bootstrap draws: faces, or clips where there are few faces."""
    people = numbered([a.person or None for a in answers])
    return units_of(people, np.arange(len(answers)))


def _of_group(answers: Sequence[Answer], subject: str, group: str) -> list[Metric]:
    units = units_among(answers)
    right = np.array([a.right for a in answers], float)
    given = np.array([a.answered for a in answers], float)
    failed = np.array([a.failed for a in answers], float)
    found: dict[str, Interval] = {"right": mean_of(right, units, share=True)}
    if any(a.truth_ms is not None for a in answers):
        found["answered"] = mean_of(given, units, share=True)
        found["wrong_answers"] = mean_of(given * (1 - right), units, share=True)
        found |= _errors([a for a in answers if a.error_ms is not None])
        found |= _windows(answers)
    else:
        found["false_answers"] = mean_of(given, units, share=True)
    found["failed"] = mean_of(failed, units, share=True)
    found["drift_error"] = _drift(answers)
    return [_metric(name, found[name], subject, group) for name in BENCH_METRICS if name in found]


def _errors(answered: Sequence[Answer]) -> dict[str, Interval]:
    if not answered:
        return {}
    units = units_among(answered)
    errors = np.array([a.error_ms for a in answered], float)
    return {
        "mean_error_ms": mean_of(np.abs(errors), units),
        "median_error_ms": median_of(np.abs(errors), units),
        "bias_ms": median_of(errors, units),
    }


def _windows(answers: Sequence[Answer]) -> dict[str, Interval]:
    found = {}
    for length in CONTEXTS:
        having = [a for a in answers if a.windows.get(length, (0, 0))[1]]
        if having:
            shares = np.array([a.windows[length][0] / a.windows[length][1] for a in having])
            found[f"windows@{length}"] = mean_of(shares, units_among(having), share=True)
    return found


def _drift(answers: Sequence[Answer]) -> Interval:
    """Undefined unless some of the answers say a drift."""
    asked = [a for a in answers if a.drift_truth_ms_per_min is not None]
    if not any(a.drift_ms_per_min is not None for a in asked):
        return UNDEFINED
    errors = [abs((a.drift_ms_per_min or 0.0) - (a.drift_truth_ms_per_min or 0.0)) for a in asked]
    return mean_of(np.array(errors), units_among(asked))


def _score(answers: Sequence[Answer]) -> Interval:
    """Mean over parts of the share that is right; whole faces are drawn, over all parts at once."""
    counted = [a for a in answers if a.part != "speed"]
    parts = [part for part in PARTS if any(a.part == part for a in counted)]
    if not parts:
        return UNDEFINED
    columns = np.zeros((len(counted), 2 * len(parts)))
    for row, answer in enumerate(counted):
        place = parts.index(answer.part)
        columns[row, 2 * place : 2 * place + 2] = answer.right, 1.0

    def mean(sums: np.ndarray) -> np.ndarray:
        right, of = sums[:, ::2], sums[:, 1::2]
        shares = np.divide(right, of, out=np.full_like(right, np.nan), where=of > 0)
        with np.errstate(invalid="ignore"):
            return np.nanmean(shares, axis=1)

    return interval_of_sums(mean, columns, units_among(counted), share=True)


def _speed(answers: Sequence[Answer], subject: str) -> list[Metric]:
    done = [a for a in answers if not a.failed and a.seconds > 0]
    if not done:
        return []
    units = units_among(done)
    lengths, taken = (np.array([getattr(a, n) for a in done]) for n in ("duration_s", "seconds"))
    found = {"real_time": ratio_of(lengths, taken, units)}
    decoded = np.array([a.decode_s or 0.0 for a in done])
    if decoded.all():
        found["decode_ratio"] = ratio_of(taken, decoded, units)
    return [_metric(name, value, subject, "speed") for name, value in found.items()]


def _metric(name: str, estimate: Interval, subject: str, group: str) -> Metric:
    return Metric.of(name, BENCH_METRICS[name], estimate, backbone=subject, group=group)
