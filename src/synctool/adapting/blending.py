"""A calibration between one that was fitted on many people and one fitted on a few clips.

Log-odds are linear in the coefficients, so their mean is the mean of the log-odds.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from synctool.scoring.confidence import Belonging, Calibration, Distinctness

PRIOR_EXAMPLES = 200
"""The calibration before counts as much as so many examples."""
_COEFFICIENTS = ("intercept", "log1p_t_stat", "margin", "log_frames", "height")


def blended(before: Calibration, fitted: Calibration, *, examples: int) -> Calibration:
    """The calibration before and one of a few examples, each by its weight.

    Args:
        before: Fitted on many people.
        fitted: Fitted on the examples.
        examples: How many these are.

    Returns:
        One of temperature 1; where one of them never asked whether audio belongs to the face, what the other
        says of that.
    """
    share = examples / (examples + PRIOR_EXAMPLES)
    numbers = {
        name: (1 - share) * getattr(before, name) / before.temperature
        + share * getattr(fitted, name) / fitted.temperature
        for name in _COEFFICIENTS
    }
    return replace(
        fitted,
        **numbers,
        temperature=1.0,
        belonging=_belonging(before, fitted, share),
        distinct=_distinctness(before) or _distinctness(fitted),
    )


def _distinctness(known: Calibration) -> Distinctness | None:
    """What it says of still faces, at temperature 1: a few clips of moving ones change nothing of that."""
    if known.distinct is None:
        return None
    numbers = asdict(known.distinct).items()
    return Distinctness(**{name: value / known.temperature for name, value in numbers})


def _belonging(before: Calibration, fitted: Calibration, share: float) -> Belonging | None:
    old, new = (
        {k: v / c.temperature for k, v in asdict(c.belonging).items()} if c.belonging else None
        for c in (before, fitted)
    )
    if old is None or new is None:
        known = old or new
        return None if known is None else Belonging(**known)
    return Belonging(**{k: (1 - share) * old[k] + share * new[k] for k in old})
