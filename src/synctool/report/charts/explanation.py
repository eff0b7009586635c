"""What each frame and the audio of each frame carried, as a chart."""

from __future__ import annotations

import numpy as np

from synctool.explaining.run import Explanation
from synctool.report.charts.description import Axis, Bars, Chart, Look, Panel, labelled, nice_ticks
from synctool.report.text import plain
from synctool.types import VIDEO_FPS

_WIDTH, _HEIGHT = 880.0, 90.0


def moments_chart(found: Explanation) -> Chart:
    """Importance along time: frames above, audio below."""
    first, frames = found.moment.first_frame, len(found.frames)
    low, high = first / VIDEO_FPS, (first + frames) / VIDEO_FPS
    x = Axis(low, high, labelled(nice_ticks(low, high, 8), lambda s: f"{s:.2g}"), "time, s")
    panels = (
        _panel("Frames of the video", found.frames, first, 0),
        _panel("Audio that belongs to them", found.audio, first, 1),
    )
    return Chart(
        "What each moment carried",
        f"{frames} frames from {low:.2f} to {high:.2f} s",
        x,
        panels,
        _WIDTH,
        caption="How much the score falls where a moment is replaced by the mean of all; below 0: rises.",
    )


def _panel(title: str, values: np.ndarray, first: int, model: int) -> Panel:
    tall = [float(v) for v in values]
    bars = tuple(
        ((first + t + 0.1) / VIDEO_FPS, (first + t + 0.9) / VIDEO_FPS, v)
        for t, v in enumerate(tall)
    )
    low, high = min([*tall, 0.0]), max([*tall, 1e-3])
    ticks = labelled(nice_ticks(low, high, 3), lambda v: plain(v, 1))
    return Panel(Axis(low, high, ticks), (Bars(bars, Look("count", model)),), _HEIGHT, title)
