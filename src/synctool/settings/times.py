"""Times as people write them: seconds, minutes and hours with colons, frames."""

from __future__ import annotations

import re
from math import isfinite

from synctool.types import VIDEO_FPS

FORMS = "12.4, 1:02.5, 1:02:03 or 310f"
"""Examples, for help and errors."""
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):([0-5]?\d(?:\.\d*)?)", re.ASCII)
_FRAMES = re.compile(r"(\d+)f", re.ASCII)


def seconds_of(text: str) -> float:
    """The time that a text names, in seconds.

    Args:
        text: Seconds (``12.4``, ``12.4s``), minutes and seconds (``1:02.5``), hours too (``1:02:03``), or a
            number of frames of 40 ms, 25 a second, whatever the rate of the video (``310f``).

    Raises:
        ValueError: It names none; the message continues a sentence that begins with a setting's name.
    """
    said = text.strip()
    if clock := _CLOCK.fullmatch(said):
        hours, minutes, seconds = clock.groups()
        if hours is None or int(minutes) < 60:
            return 3600.0 * int(hours or 0) + 60.0 * int(minutes) + float(seconds)
    elif frames := _FRAMES.fullmatch(said):
        return int(frames[1]) / VIDEO_FPS
    else:
        try:
            value = float(said.removesuffix("s"))
        except ValueError:
            pass
        else:
            if isfinite(value):
                return value
    raise ValueError(f"{text!r} is not a time: write it as {FORMS}")
