"""Before and after in figures with intervals, and whether a change is accepted.

All figures are shares of segments. One stands for all of them and decides: *useful answers*, the share of
segments with their own audio that are answered rightly, less the share answered wrongly, less the share of
segments with another's audio that get an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from synctool.adapting.domain import DomainClip
from synctool.adapting.measured_segments import LENGTHS_S, WHOLE, MeasuredSegments
from synctool.adapting.relative_labels import agreement, sure_clips
from synctool.evaluation.bootstrap import Interval, Units, interval_of_sums, numbered, units_of
from synctool.scoring.confidence import Calibration

_GAIN_LEVEL = 0.9
ALL_LENGTHS = 0
"""As a length: all segments."""
NAMES = ("right", "answered", "wrong", "foreign", "useful")
FARTHEST_ZERO_FRAMES = 0.5
"""Most by which the answers to whole clips may move on the whole."""


@dataclass(frozen=True)
class Answers:
    """Segments under one model and calibration.

    Attributes:
        measured: The segments.
        right: See ``agreement``: float ``[N]``.
        answered: Which get an answer: bool ``[N]``.
        sure: Whole clips that are answered surely: bool ``[N]``.
    """

    measured: MeasuredSegments
    right: np.ndarray
    answered: np.ndarray
    sure: np.ndarray


@dataclass(frozen=True)
class Figure:
    """One share before and after.

    Attributes:
        set: ``domain`` or ``general``.
        name: ``right`` (the best match is right within a frame, answered or not), ``answered``, ``wrong``
            (answered and not right), both of the face's own audio; ``foreign`` (another's audio that is
            answered); ``useful``.
        length_s: Of the segments; 0 for all.
        before: Share and 95 % interval over people, or over clips.
        after: Likewise.
        change: Likewise, paired.
    """

    set: str
    name: str
    length_s: int
    before: Interval
    after: Interval
    change: Interval

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Acceptance:
    """Whether a change is accepted, and the reason."""

    accepted: bool
    reason: str


def answers(measured: MeasuredSegments, reference: np.ndarray, calibration: Calibration) -> Answers:
    """The answers of one model.

    Args:
        measured: Segments.
        reference: What they should answer: see ``references``.
        calibration: The model's.
    """
    sure = sure_clips(measured, calibration)
    return Answers(measured, agreement(measured, reference), measured.answered(calibration), sure)


def figures(
    before: Answers, after: Answers, clips: Sequence[DomainClip], *, set_name: str
) -> list[Figure]:
    """All figures of a set, by length and together.

    Args:
        before: Answers of the model as it was.
        after: Of the changed one, to the same segments.
        clips: The clips of the set.
        set_name: What the set is called.
    """
    made = []
    for length_s in (ALL_LENGTHS, *LENGTHS_S):
        for name in NAMES:
            parts = _parts(before, after, name, length_s)
            units = _units(before.measured, clips)
            made.append(
                Figure(
                    set_name,
                    name,
                    length_s,
                    before=_difference(parts[:, [0, 2, 3, 5]], units, share=name != "useful"),
                    after=_difference(parts[:, [1, 2, 4, 5]], units, share=name != "useful"),
                    change=_change(parts, units),
                )
            )
    return made


def gain(before: Answers, after: Answers, clips: Sequence[DomainClip]) -> Interval:
    """Change of the useful answers with its 90 % interval: its lower end is above 0 where a gain has a
    certainty of 95 %."""
    parts = _parts(before, after, "useful", ALL_LENGTHS)
    return _change(parts, _units(before.measured, clips), level=_GAIN_LEVEL)


def zero_change(before: Answers, after: Answers) -> float:
    """By how many frames the sure answers to whole clips have moved, in the median; NaN without any."""
    both = before.sure & after.sure & ~before.measured.foreign
    moved = (after.measured.offset - before.measured.offset)[both]
    return float(np.median(moved)) if len(moved) else float("nan")


def belonging(found: Answers, clips: Sequence[DomainClip]) -> Interval:
    """By how much more often segments agree with the rest of their clip with their own audio than with
    another's, which is what chance makes: about 0 where all audio is another's."""
    segments = found.measured.length_s != WHOLE
    known = segments & ~np.isnan(found.right)
    value = np.where(known, np.nan_to_num(found.right), 0.0)
    foreign = found.measured.foreign
    parts = np.stack(
        [value * ~foreign, known & ~foreign, value * foreign, known & foreign], 1
    ).astype(float)
    return _difference(parts, _units(found.measured, clips))


def accept(
    rise: Interval,
    found: Mapping[tuple[str, str], Figure],
    zeros: Mapping[str, float],
    *,
    margin: float,
) -> Acceptance:
    """Whether a change is accepted.

    The useful answers of the domain must rise, with a certainty of 95 %; no best match of the domain may get
    worse by more than the margin, and neither those nor the useful answers of the general set.

    Args:
        rise: See ``gain``: against what was accepted before.
        found: Figures of all lengths by set and name.
        zeros: By how many frames the sure answers have moved, by set.
        margin: Most that may be lost.
    """
    if not rise.low > 0:
        beyond = "no gain beyond chance" if rise.value > 0 else "no gain"
        return Acceptance(False, f"useful answers {_words(rise)} in the domain: {beyond}")
    for set_name, name in (("domain", "right"), ("general", "right"), ("general", "useful")):
        change = found[set_name, name].change
        if change.value < -margin:
            what = "right matches" if name == "right" else "useful answers"
            where = "the domain" if set_name == "domain" else "the general set"
            return Acceptance(
                False,
                f"{what} {_words(change)} in {where}: more than the margin of {margin:g} lost",
            )
    for set_name, moved in zeros.items():
        if abs(moved) > FARTHEST_ZERO_FRAMES:
            return Acceptance(
                False,
                f"answers to the same clips have moved by {moved:+.2f} frames ({set_name} set)",
            )
    return Acceptance(True, f"useful answers {_words(rise)} in the domain")


def _words(change: Interval) -> str:
    return f"{change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f})"


def _parts(before: Answers, after: Answers, name: str, length_s: int) -> np.ndarray:
    """Sums for shares, float ``[N, 6]``: own before, after, how many; foreign before, after, how many."""
    measured = before.measured
    here = measured.length_s != WHOLE if length_s == ALL_LENGTHS else measured.length_s == length_s
    own, foreign = here & ~measured.foreign, here & measured.foreign
    if name in ("right", "wrong", "useful"):  # what is right must be known of both
        own = own & ~np.isnan(before.right) & ~np.isnan(after.right)
    if name == "foreign":
        own, foreign = foreign, np.zeros_like(own)
    elif name != "useful":
        foreign = np.zeros_like(foreign)
    columns = []
    for found in (before, after):
        right = np.nan_to_num(found.right)
        value = {
            "right": right,
            "answered": found.answered,
            "wrong": found.answered * (1 - right),
            "foreign": found.answered,
            "useful": found.answered * (2 * right - 1),
        }[name]
        columns.append((value * own, found.answered * foreign))
    (own_before, foreign_before), (own_after, foreign_after) = columns
    return np.stack([own_before, own_after, own, foreign_before, foreign_after, foreign], 1).astype(
        float
    )


def _difference(parts: np.ndarray, units: Units, *, share: bool = False) -> Interval:
    """Share of the first two columns less that of the last two, where there are such; ``share``: there are
    none."""

    def statistic(sums: np.ndarray) -> np.ndarray:
        return _ratio(sums[:, 0], sums[:, 1]) - _less(sums[:, 2], sums[:, 3])

    return _interval(statistic, parts, units, share=share)


def _change(parts: np.ndarray, units: Units, *, level: float = 0.95) -> Interval:
    def statistic(sums: np.ndarray) -> np.ndarray:
        own = _ratio(sums[:, 1] - sums[:, 0], sums[:, 2])
        return own - _less(sums[:, 4] - sums[:, 3], sums[:, 5])

    return _interval(statistic, parts, units, level=level)


def _interval(
    statistic: Any, parts: np.ndarray, units: Units, *, level: float = 0.95, share: bool = False
) -> Interval:
    used = parts.any(1)
    known, renumbered = np.unique(units.index[used], return_inverse=True)
    drawn = Units(renumbered, len(known), units.drawn)
    return interval_of_sums(statistic, parts[used], drawn, level=level, share=share)


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 0, sums / counts, np.nan)


def _less(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(counts > 0, sums / np.maximum(counts, 1), 0.0)


def _units(measured: MeasuredSegments, clips: Sequence[DomainClip]) -> Units:
    people = numbered([clips[i].unit for i in measured.clip])
    return units_of(people, measured.clip)
