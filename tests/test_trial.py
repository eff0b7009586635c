"""Trials go through JSON and come back."""

from __future__ import annotations

import json

import pytest

from synctool.types import Condition, FrameSeries, Label, Segment, Trial

TRIAL = Trial(
    film="talk.mp4",
    backbone="fcn-cls",
    condition=Condition("piece", 1.5, 2.0, 4.0),
    label=Label(3.0, "anna", "news", "en", (Segment(0.0, 4.0, 3.0, 1.0),)),
    truth_frames=4.5,
    offset_frames=4.0,
    answered=True,
    segments=(Segment(0.0, 2.0, 4.0, 0.9),),
    frames=FrameSeries((0.0, 0.04), (4.0, None), (0.9, None)),
    curve=(0.0, None, 1.0),
    windows={5: (3, 4)},
)


def test_a_trial_survives_json() -> None:
    assert Trial.from_dict(json.loads(json.dumps(TRIAL.to_dict()))) == TRIAL
    assert TRIAL.error_frames == -0.5


def test_what_is_no_trial_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no synctool\.trial/1"):
        Trial.from_dict({**TRIAL.to_dict(), "schema": "synctool.trial/2"})
    with pytest.raises(TypeError):
        Trial.from_dict({**TRIAL.to_dict(), "smell": 1})


def test_an_error_needs_both_sides() -> None:
    assert Trial("a", "b", truth_frames=1.0).error_frames is None
    assert Trial("a", "b", offset_frames=1.0).error_frames is None
