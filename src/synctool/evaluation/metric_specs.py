"""What is measured: names, definitions, units and sources. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from synctool.plain_data import from_plain

if TYPE_CHECKING:
    from synctool.evaluation.bootstrap import Interval

CONTEXTS = (5, 7, 9, 11, 13, 15)
"""Lengths of windows in frames, as in the literature."""
TOLERANCES = (0, 1, 2, 3, 5)
"""Errors in frames that accuracies accept; 0 stands for half a frame."""

FAMILIES: Mapping[str, str] = {
    "windows": "Multi-way accuracy of short windows",
    "accuracy": "Offsets against the truth",
    "decision": "In sync or off sync",
    "temporal": "Off-sync segments",
    "calibration": "Calibration of the confidence",
    "lse": "SyncNet's scores",
    "consistency": "Consistency without labels",
    "cost": "Speed and memory",
}
"""Kinds of metrics and their titles, in the order to be shown."""


@dataclass(frozen=True)
class MetricSpec:
    """What a metric is.

    Attributes:
        title: Short, for the head of a table.
        definition: One sentence.
        unit: ``share`` for 0..1, or ``ms``, ``s/s``, ``MiB``; "" for a plain number.
        source: Paper or standard that it comes from.
        higher_is_better: None where neither is.
        family: One of ``FAMILIES``.
        chance: What guessing scores, None where that depends on the data; of a window, where the truth
            lies on a frame.
    """

    title: str
    definition: str
    unit: str
    source: str
    higher_is_better: bool | None
    family: str
    chance: float | None = None


@dataclass(frozen=True)
class Metric:
    """One figure of one model over one group of trials.

    Attributes:
        name: A key of ``METRICS``.
        value: NaN where it is not defined.
        low: Lower end of the 95% interval, NaN where there is none.
        high: Upper end.
        drawn: What the bootstrap drew: ``people``, ``clips``, or "" for nothing.
        units: How many of these.
        count: How many trials it is of, or windows; 0 where it is not defined.
        backbone: The model, as ``model_names`` calls it.
        group: ``all``, ``person=anna``, ``condition=shift``, ``perturbation=noise level=3`` ...
        higher_is_better: As in its ``MetricSpec``.
    """

    name: str
    value: float
    low: float
    high: float
    drawn: str
    units: int
    count: int
    backbone: str
    group: str
    higher_is_better: bool | None

    @classmethod
    def of(
        cls, name: str, spec: MetricSpec, estimate: Interval, *, backbone: str, group: str
    ) -> Metric:
        """A figure with its interval, as a metric of a model over a group."""
        return cls(
            name=name,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            drawn=estimate.drawn,
            units=estimate.units,
            count=estimate.count,
            backbone=backbone,
            group=group,
            higher_is_better=spec.higher_is_better,
        )

    @property
    def defined(self) -> bool:
        """Whether there is a figure."""
        return not math.isnan(self.value)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Metric:
        """A metric from what ``to_dict`` gave, also after a way through JSON.

        Raises:
            ValueError: Something is missing.
        """
        figures = {
            name: math.nan if data[name] is None else data[name]
            for name in ("value", "low", "high")
            if name in data
        }
        return from_plain(cls, {**data, **figures})

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, None for NaN."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        }


_PERFECT_MATCH = (
    "Chung, Chung & Kang, Perfect match, ICASSP 2019; Chen et al., Audio-visual synchronisation in the "
    "wild, BMVC 2021; Kadandale, Montesinos & Haro, VocaLiST, Interspeech 2022"
)
_ACCURACY = "tolerance of a frame: Chung & Zisserman, Out of time, ACCV workshops 2016"
_ITU = "in sync: ITU-R BT.1359-1, 1998"
_ROC = f"Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27, 2006; {_ITU}"
_RETRIEVAL = f"van Rijsbergen, Information retrieval, 1979; {_ITU}"
_TEMPORAL = "Caba Heilbron et al., ActivityNet, CVPR 2015"
_LSE = (
    "Chung & Zisserman, Out of time, ACCV workshops 2016; the name: Prajwal et al., A lip sync expert is "
    "all you need, ACM Multimedia 2020"
)
_PIECES = "this project's pieces test"
_SHIFT = "this project's shift test"


def _windows(frames: int) -> MetricSpec:
    return MetricSpec(
        title=f"±1 frame, {frames} frames",
        definition=(
            f"Share of windows of {frames} frames whose best of 31 candidate audio frames is within a frame "
            "of the truth, per trial, then over trials."
        ),
        unit="share",
        source=_PERFECT_MATCH,
        higher_is_better=True,
        family="windows",
        chance=3 / 31,
    )


def _within(frames: int) -> MetricSpec:
    near = {0: "half a frame", 1: "a frame"}.get(frames, f"{frames} frames")
    return MetricSpec(
        title="exact" if frames == 0 else f"±{frames} frame{'s' if frames > 1 else ''}",
        definition=(
            f"Share of trials whose best match is within {near} of the truth, answered or not; no "
            "match is wrong."
        ),
        unit="share",
        source=_ACCURACY,
        higher_is_better=True,
        family="accuracy",
    )


METRICS: Mapping[str, MetricSpec] = {
    **{f"accuracy_1_frame@{n}": _windows(n) for n in CONTEXTS},
    **{f"accuracy_{k}": _within(k) for k in TOLERANCES},
    "answered_accuracy_1": MetricSpec(
        "±1 frame, answered",
        "Share of the answered trials whose offset is within a frame of the truth.",
        "share",
        _ACCURACY,
        True,
        "accuracy",
    ),
    "mae_ms": MetricSpec(
        "mean error",
        "Mean absolute distance of the best match from the truth.",
        "ms",
        "Willmott & Matsuura, Advantages of the mean absolute error, Climate Research 30, 2005",
        False,
        "accuracy",
    ),
    "median_ae_ms": MetricSpec(
        "median error",
        "Median absolute distance of the best match from the truth.",
        "ms",
        "Hampel, The influence curve and its role in robust estimation, JASA 69, 1974",
        False,
        "accuracy",
    ),
    "bias_ms": MetricSpec(
        "bias",
        "Mean of best match minus truth; above 0 the model sees the audio too far ahead.",
        "ms",
        "sign: ITU-R BT.1359-1, 1998",
        None,
        "accuracy",
    ),
    "inconclusive_rate": MetricSpec(
        "inconclusive",
        "Share of the trials that ran and got no answer.",
        "share",
        "reject option: Chow, On optimum recognition error and reject tradeoff, IEEE Transactions on "
        "Information Theory 16, 1970",
        False,
        "accuracy",
    ),
    "failure_rate": MetricSpec(
        "failed",
        "Share of all trials that ended in an error.",
        "share",
        "this project",
        False,
        "accuracy",
    ),
    "roc_auc": MetricSpec(
        "ROC-AUC",
        "Chance that a trial in sync gets a higher score for being so than one off sync, the score "
        "being the confidence, positive for a best match inside the tolerance, negative outside.",
        "share",
        _ROC,
        True,
        "decision",
        0.5,
    ),
    "average_precision": MetricSpec(
        "average precision",
        "Precision at every recall, weighted by the gain in recall, of the same score.",
        "share",
        f"Davis & Goadrich, The relationship between precision-recall and ROC curves, ICML 2006; {_ITU}",
        True,
        "decision",
    ),
    "precision": MetricSpec(
        "precision",
        "Share of the trials called in sync that are.",
        "share",
        _RETRIEVAL,
        True,
        "decision",
    ),
    "recall": MetricSpec(
        "recall",
        "Share of the trials in sync that are called so; an inconclusive one is not.",
        "share",
        _RETRIEVAL,
        True,
        "decision",
    ),
    "f1": MetricSpec(
        "F1",
        "Harmonic mean of precision and recall.",
        "share",
        _RETRIEVAL,
        True,
        "decision",
    ),
    "frame_accuracy": MetricSpec(
        "frames right",
        "Share of the decided frames that are rightly called inside or outside the tolerance, per "
        "trial, then over trials.",
        "share",
        _ITU,
        True,
        "temporal",
    ),
    "frame_coverage": MetricSpec(
        "frames decided",
        "Share of the frames of known truth that have an offset with a confidence of 0.5 or more, per "
        "trial, then over trials.",
        "share",
        "this project",
        True,
        "temporal",
    ),
    "segment_iou": MetricSpec(
        "segments, IoU",
        "Time that is off sync and was found to be, over time that is either, per trial, then over "
        "trials that have such time.",
        "share",
        f"{_TEMPORAL}; {_ITU}",
        True,
        "temporal",
    ),
    "ece": MetricSpec(
        "calibration error",
        "Distance between confidence and share of answers within a frame, over ten bins of confidence "
        "weighted by their counts.",
        "share",
        "Guo et al., On calibration of modern neural networks, ICML 2017",
        False,
        "calibration",
        None,
    ),
    "brier": MetricSpec(
        "Brier score",
        "Mean squared difference between the confidence and 1 for an answer within a frame, else 0.",
        "share",
        "Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review "
        "78, 1950",
        False,
        "calibration",
    ),
    "lse_c": MetricSpec(
        "LSE-C",
        "Mean over trials of the median minus the minimum, over the candidates, of the mean distance "
        "between the embeddings of video and audio.",
        "",
        _LSE,
        True,
        "lse",
    ),
    "lse_d": MetricSpec(
        "LSE-D",
        "Mean over trials of the minimum, over the candidates, of the mean distance between the "
        "embeddings of video and audio.",
        "",
        _LSE,
        False,
        "lse",
    ),
    "piece_consistency": MetricSpec(
        "pieces agree",
        "Share of a video's pieces, each with its audio moved by its own amount, whose best match minus "
        "the move is within a frame of the median of all.",
        "share",
        _PIECES,
        True,
        "consistency",
    ),
    "shift_mae_ms": MetricSpec(
        "shift, mean error",
        "Mean absolute distance of the change of the best match from the amount that the audio was "
        "moved.",
        "ms",
        _SHIFT,
        False,
        "consistency",
    ),
    "shift_max_ms": MetricSpec(
        "shift, largest error",
        "Largest such distance.",
        "ms",
        _SHIFT,
        False,
        "consistency",
    ),
    "shift_accuracy_0": MetricSpec(
        "shift within half a frame",
        "Share of the moves that are followed to within half a frame.",
        "share",
        _SHIFT,
        True,
        "consistency",
    ),
    "speed": MetricSpec(
        "speed",
        "Seconds of video that the model does in a second, without what the models share.",
        "s/s",
        "real-time factor, inverted",
        True,
        "cost",
    ),
    "memory_mb": MetricSpec(
        "memory",
        "Most memory that the process had taken by the end of a trial.",
        "MiB",
        "getrusage, POSIX.1-2001",
        False,
        "cost",
    ),
}
"""All metrics by name, in the order to be shown."""
