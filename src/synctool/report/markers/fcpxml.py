"""FCPXML 1.9 for Final Cut Pro and DaVinci Resolve: a project with the video as one clip that has markers.

Apple, "FCPXML Reference". Times are whole numbers of frames, as fractions of seconds.
"""

from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree

from synctool.report.markers.description import MarkedVideo

_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n'


def to_fcpxml(video: MarkedVideo) -> bytes:
    """The file."""
    source, clock = video.result.source, video.clock
    step = 1 / clock.rate
    start, length = _seconds(clock.start * step), _seconds(video.frames * step)
    tc_format = "DF" if clock.drop else "NDF"

    root = ElementTree.Element("fcpxml", version="1.9")
    resources = _add(root, "resources")
    _add(
        resources, "format", id="r1", frameDuration=_seconds(step),
        width=str(source.width_px), height=str(source.height_px),
    )  # fmt: skip
    asset = _add(
        resources, "asset", id="r2", name=video.name, start=start, duration=length,
        format="r1", hasVideo="1", hasAudio="1",
    )  # fmt: skip
    place = video.file.as_uri() if video.file is not None else "file:///"
    _add(asset, "media-rep", kind="original-media", src=place)
    event = _add(_add(root, "library"), "event", name="synctool")
    sequence = _add(
        _add(event, "project", name=video.name), "sequence",
        format="r1", duration=length, tcStart=start, tcFormat=tc_format,
    )  # fmt: skip
    clip = _add(
        _add(sequence, "spine"), "asset-clip", ref="r2", name=video.name,
        offset=start, start=start, duration=length, tcFormat=tc_format,
    )  # fmt: skip
    for marker in video.markers:
        _add(
            clip, "marker", start=_seconds((clock.start + marker.frame) * step),
            duration=_seconds(marker.frames * step), value=marker.name, note=marker.note,
        )  # fmt: skip
    ElementTree.indent(root)
    return _HEAD + ElementTree.tostring(root, encoding="utf-8") + b"\n"


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)


def _seconds(time_s: Fraction) -> str:
    if time_s.denominator == 1:
        return f"{time_s.numerator}s"
    return f"{time_s.numerator}/{time_s.denominator}s"
