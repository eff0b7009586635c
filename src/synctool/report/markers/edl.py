"""EDL (CMX 3600) as DaVinci Resolve writes and reads timeline markers.

Each marker is an event of one frame, followed by a line ``NOTE |C:ResolveColorBlue |M:NAME |D:FRAMES``.
"""

from __future__ import annotations

from synctool.report.markers.description import MarkedVideo

_MOST_TITLE = 70


def to_edl(video: MarkedVideo) -> bytes:
    """The file."""
    clock = video.clock
    lines = [
        f"TITLE: {_plain(video.name)[:_MOST_TITLE]}",
        f"FCM: {'DROP FRAME' if clock.drop else 'NON-DROP FRAME'}",
    ]
    for number, marker in enumerate(video.markers, 1):
        times = f"{clock.text(marker.frame)} {clock.text(marker.frame + 1)}"
        lines += [
            "",
            f"{number:03d}  001      V     C        {times} {times}  ",
            f"{_plain(marker.note)} |C:ResolveColor{marker.colour} |M:{_plain(marker.name)} "
            f"|D:{marker.frames}",
        ]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _plain(text: str) -> str:
    """Without what separates fields."""
    return " ".join(text.replace("|", "/").split())
