"""WebVTT chapters for players (W3C, "WebVTT: The Web Video Text Tracks Format"), a track of kind chapters."""

from __future__ import annotations

from synctool.report.markers.description import MarkedVideo

_SPECIAL = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def to_webvtt(video: MarkedVideo) -> bytes:
    """The file."""
    cues = ["WEBVTT"]
    for number, marker in enumerate(video.markers, 1):
        times = f"{_clock(marker.start_s)} --> {_clock(marker.end_s)}"
        cues.append(f"{number}\n{times}\n{' '.join(marker.name.split()).translate(_SPECIAL)}")
    return ("\n\n".join(cues) + "\n").encode("utf-8", "replace")


def _clock(time_s: float) -> str:
    seconds, ms = divmod(round(time_s * 1000), 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{second:02d}.{ms:03d}"
