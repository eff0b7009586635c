"""Writing a video anew without touching its video or audio: only their timing against each other."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Disposition, Stream

from synctool.errors import MediaError, OutputError, OutputNameError, UsageError
from synctool.files import atomic_path
from synctool.media.decoding_order import DecodingOrder
from synctool.media.locating import is_pipe
from synctool.media.opening import open_video
from synctool.media.video_file import VideoFile
from synctool.names import printable

_CANNOT_START_LATE = (".avi",)
"""Containers without timestamps of their own: a late stream cannot be written."""
_OF_THE_OLD_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder"}
_FINEST_S = Fraction(1, 90_000)
_OTHER_CONTAINER = "Try another container, .mkv say."


def move_audio_track(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    by_ms: float,
    allow_external: bool = False,
) -> None:
    """Copy a video with its audio moved against the video, all streams copied bit for bit.

    All audio tracks are moved; subtitles stay with the video, as far as the container can hold
    them. Cover images, attachments and chapters are left out.

    Args:
        source: The video.
        target: The new video; its suffix chooses the container. It may be the video itself.
        by_ms: How far the audio is moved ahead; negative delays it.
        allow_external: Whether a playlist may name local files outside its folder.

    Raises:
        MissingError: There is no such video.
        UsageError: It is a pipe.
        MediaError: The video cannot be read, lacks video or audio, or has no timestamps to copy.
        OutputError: The new video cannot be written, or its container cannot hold the streams.
    """
    suffix = Path(target).suffix.lower()
    if suffix in _CANNOT_START_LATE:
        raise OutputError(
            f"{suffix} cannot hold moved audio", remedy="Write to .mkv, .mp4 or .mov instead."
        )
    if is_pipe(source):
        raise UsageError(
            f"{printable(os.fspath(source))} is a pipe, and a copy must read it twice",
            remedy="Save it, and give the file.",
        )
    VideoFile(
        source, allow_external=allow_external
    ).close()  # says what is wrong with it, if anything is
    late_s = {"audio": Fraction(max(-by_ms, 0.0)) / 1000, "video": Fraction(max(by_ms, 0.0)) / 1000}
    try:
        with (
            closing(open_video(source, allow_external=allow_external)) as opened,
            atomic_path(target) as part,
        ):
            _check_timestamps(opened.container, source)
            with _created(part, target) as copy:
                _copy(opened.container, copy, late_s)
                opened.check()
    except (FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"cannot copy {os.fspath(source)} to {os.fspath(target)}: {reason}",
            remedy=_OTHER_CONTAINER,
        ) from error


def _named(path: str | os.PathLike[str]) -> str:
    return f"file:{os.fspath(path)}"


def _check_timestamps(video_file: InputContainer, source: str | os.PathLike[str]) -> None:
    """AVI stores the decoding order only; where that is not the order of show, a copy would stutter."""
    reordered = any(
        s.codec_context.has_b_frames for s in video_file.streams.video if s.codec_context
    )
    if video_file.format.name == "avi" and reordered:
        raise MediaError(
            f"{os.fspath(source)} is an AVI video with B-frames, whose timestamps cannot be copied",
            remedy="Convert it to MP4 or Matroska first, and give that.",
        )


@contextmanager
def _created(part: Path, target: str | os.PathLike[str]) -> Iterator[OutputContainer]:
    try:
        copy = av.open(_named(part), "w")
    except ValueError as error:
        raise OutputNameError(
            f"{os.fspath(target)}: its ending tells no container that is known",
            remedy="Give a name that ends in .mkv, .mp4 or .mov.",
        ) from error
    with copy:
        yield copy


def _copy(
    video_file: InputContainer,
    copy: OutputContainer,
    late_s: dict[str, Fraction],
) -> None:
    copies = _streams(video_file, copy)
    known = {k: v for k, v in video_file.metadata.items() if k not in _OF_THE_OLD_FILE}
    copy.metadata.update(known)
    orders = {index: DecodingOrder() for index in copies}
    streams = [s for s in video_file.streams if s.index in copies]
    for packet in video_file.demux(streams):
        if not packet.size:  # the end of a stream
            continue
        for ready in orders[packet.stream.index].push(packet):
            _mux(copy, copies, ready, late_s)
    for order in orders.values():
        for ready in order.flush():
            _mux(copy, copies, ready, late_s)


def _streams(video_file: InputContainer, copy: OutputContainer) -> dict[int, Stream]:
    """The streams of the new video, by index in the old one."""
    covers = Disposition.attached_pic
    shown = [s for s in video_file.streams.video if not s.disposition & covers]
    copies = {}
    for stream in (*shown, *video_file.streams.audio, *video_file.streams.subtitles):
        try:
            made = copy.add_stream_from_template(stream)
        except ValueError:
            if stream.type != "subtitle":
                raise
            continue
        if made.time_base is None or made.time_base > _FINEST_S:
            made.time_base = _FINEST_S  # a wish; the container has the last word
        made.metadata.update(
            {k: stream.metadata[k] for k in ("language", "title") if k in stream.metadata}
        )
        copies[stream.index] = made
    return copies


def _mux(
    copy: OutputContainer,
    copies: dict[int, Stream],
    packet: av.Packet,
    late_s: dict[str, Fraction],
) -> None:
    """Write one packet at its new time, on a time base that can say it."""
    stream = packet.stream
    finer = max(1, math.ceil(packet.time_base / _FINEST_S))
    base = packet.time_base / finer
    later = round(late_s["audio" if stream.type == "audio" else "video"] / base)
    packet.dts = (packet.dts or 0) * finer + later
    packet.pts = packet.dts if packet.pts is None else packet.pts * finer + later
    packet.duration = (packet.duration or 0) * finer
    packet.time_base = base
    packet.stream = copies[stream.index]
    copy.mux(packet)
