"""Frames lost, repeated, or shown at another rate. Every frame that is left keeps its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from synctool.media.frame_choice import AHEAD_S
from synctool.media.frames import Frame

_EPSILON_S = 1e-6


def time_change(
    name: str, value: float, rng: np.random.Generator
) -> Callable[[Iterator[Frame]], Iterator[Frame]]:
    """What a degradation does to the run of frames.

    Args:
        name: ``dropped``, ``duplicated``, ``fps``, ``faster`` or ``slower``.
        value: Of its level.
        rng: Random generator.
    """
    if name == "dropped":
        return lambda frames: _dropped(frames, value / 100, rng)
    if name == "duplicated":
        return lambda frames: _duplicated(frames, value / 100, rng)
    if name == "fps":
        return lambda frames: _at_rate(frames, value)
    return lambda frames: _at_speed(frames, value / 100)


def _dropped(frames: Iterator[Frame], share: float, rng: np.random.Generator) -> Iterator[Frame]:
    last = None
    for number, frame in enumerate(frames):
        if number == 0 or rng.random() >= share:
            yield frame
            last = None
        else:
            last = frame
    if last is not None:  # kept, so that the video does not end earlier
        yield last


def _duplicated(frames: Iterator[Frame], share: float, rng: np.random.Generator) -> Iterator[Frame]:
    shown = None
    for frame in frames:
        if shown is None or rng.random() >= share:
            shown = frame.planes
        yield replace(frame, planes=shown)


def _at_rate(frames: Iterator[Frame], fps: float) -> Iterator[Frame]:
    """Each new frame shows what is nearest in time, so that on average nothing is early or late."""
    shown = next(frames, None)
    if shown is None:
        return
    start_s, number = shown.time_s, 0

    def new_frames(shown: Frame, until_s: float) -> Iterator[Frame]:
        nonlocal number
        while (time_s := start_s + number / fps) < until_s - _EPSILON_S:
            yield Frame(time_s, 1 / fps, shown.planes)
            number += 1

    for frame in frames:
        middle_s = (shown.time_s + frame.time_s) / 2
        yield from new_frames(shown, max(middle_s + 2 * _EPSILON_S, frame.time_s - AHEAD_S))
        shown = frame
    yield from new_frames(shown, shown.time_s + shown.lasts_s)


def _at_speed(frames: Iterator[Frame], speed: float) -> Iterator[Frame]:
    for frame in frames:
        yield replace(frame, time_s=frame.time_s / speed, lasts_s=frame.lasts_s / speed)
