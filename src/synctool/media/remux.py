"""Writing a film anew without touching its picture or sound: only their timing against each other."""

from __future__ import annotations

import os
from pathlib import Path

import av
from av.error import FFmpegError

from synctool.errors import MediaError, OutputError
from synctool.files import atomic_path

_CONTAINERS = {".avi": "matroska"}
"""AVI has no timestamps of its own: a late stream cannot be written."""


def move_sound(
    source: str | os.PathLike[str], target: str | os.PathLike[str], *, by_ms: float
) -> None:
    """Copy a film with its sound moved against the picture, both streams copied bit for bit.

    Args:
        source: The film.
        target: The new film; its suffix chooses the container.
        by_ms: How far the sound is moved ahead; negative delays it.

    Raises:
        MediaError: The film cannot be read, or lacks picture or sound.
        OutputError: The new film cannot be written, or its container cannot hold the streams.
    """
    suffix = Path(target).suffix.lower()
    if suffix in _CONTAINERS:
        raise OutputError(
            f"{suffix} cannot hold a moved sound", remedy="Write to .mkv, .mp4 or .mov instead."
        )
    late = {"audio": max(-by_ms, 0.0) / 1000, "video": max(by_ms, 0.0) / 1000}
    try:
        with av.open(f"file:{source}") as film, atomic_path(target) as part:
            streams = [s for kind in (film.streams.video, film.streams.audio) for s in kind[:1]]
            if len(streams) < 2:
                raise MediaError(
                    f"{source} lacks picture or sound", remedy="Give a film with both."
                )
            with av.open(f"file:{part}", "w") as copy:
                copies = {s.index: copy.add_stream_from_template(s) for s in streams}
                for packet in film.demux(streams):
                    if packet.dts is None:
                        continue
                    delay = round(late[packet.stream.type] / packet.time_base)
                    packet.dts += delay
                    packet.pts = None if packet.pts is None else packet.pts + delay
                    packet.stream = copies[packet.stream.index]
                    copy.mux(packet)
    except FFmpegError as error:
        raise OutputError(
            f"cannot copy {source} to {target}: {error.strerror}",
            remedy="Try another container, .mkv say.",
        ) from error
