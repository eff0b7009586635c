"""The containers that a repaired video can be written in, and what each needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from synctool.errors import UsageError

_ALL = ".mp4, .mov, .mkv, .webm, .avi, .ts, .wmv or .flv"


@dataclass(frozen=True)
class TargetContainer:
    """A container to write.

    Attributes:
        name: As people call it.
        muxer: FFmpeg's name.
        options: Of the muxer.
        family: FFmpeg's names of readers whose streams it takes over unchanged.
        hides_start: Whether it can hold what is not played before the start, as encoders' delays need.
        from_zero: Whether timestamps are told from the start of the video on.
        substitutes: Codecs to write audio in, by order, where there is no encoder for its own.
    """

    name: str
    muxer: str
    options: Mapping[str, str] = field(default_factory=dict)
    family: frozenset[str] = frozenset()
    hides_start: bool = False
    from_zero: bool = False
    substitutes: tuple[str, ...] = ()


_ISO = frozenset({"mov", "mp4", "m4a", "3gp", "3g2", "mj2"})
_EXACT = {"movflags": "+faststart", "movie_timescale": "90000"}
_MATROSKA = frozenset({"matroska", "webm"})
_MP4 = TargetContainer("MP4", "mp4", _EXACT, _ISO, hides_start=True, substitutes=("alac", "aac"))
_TS = TargetContainer(
    "MPEG-TS", "mpegts", {}, frozenset({"mpegts"}), from_zero=True, substitutes=("ac3",)
)
_CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": TargetContainer(
        "MOV", "mov", _EXACT, _ISO, hides_start=True, substitutes=("alac", "aac")
    ),
    ".3gp": TargetContainer("3GP", "3gp", _EXACT, _ISO, hides_start=True),
    ".mkv": TargetContainer("Matroska", "matroska", {}, _MATROSKA, substitutes=("flac",)),
    ".webm": TargetContainer("WebM", "webm", {}, _MATROSKA, substitutes=("libopus",)),
    ".avi": TargetContainer("AVI", "avi", {}, frozenset({"avi"}), from_zero=True),
    ".ts": _TS,
    ".m2ts": TargetContainer(
        "MPEG-TS", "mpegts", {"mpegts_m2ts_mode": "1"}, _TS.family, from_zero=True
    ),
    ".mts": TargetContainer(
        "MPEG-TS", "mpegts", {"mpegts_m2ts_mode": "1"}, _TS.family, from_zero=True
    ),
    ".wmv": TargetContainer("ASF", "asf", {}, frozenset({"asf"}), from_zero=True),
    ".flv": TargetContainer("FLV", "flv", {}, frozenset({"flv", "live_flv"}), from_zero=True),
}
SUFFIXES = frozenset(_CONTAINERS)
AVI = "avi"


def container_for(path: str | os.PathLike[str]) -> TargetContainer:
    """The container that the ending of a name asks for.

    Raises:
        UsageError: It is none that can be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _CONTAINERS:
        said = f"the ending {suffix!r}" if suffix else "a name without an ending"
        raise UsageError(
            f"{os.fspath(path)}: {said} tells no container that can be written",
            remedy=f"Give a name that ends in {_ALL}.",
        )
    return _CONTAINERS[suffix]


def written_as(reader: str) -> str | None:
    """The ending of the container that FFmpeg's reader of this name reads; None where it is not written."""
    names = set(reader.split(","))
    return next((end for end, made in _CONTAINERS.items() if made.family & names), None)
