"""A video written anew: all streams copied but the audio tracks that are repaired."""

from __future__ import annotations

import io
import math
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import OutputContainer
from av.container.core import Container
from av.error import FFmpegError
from av.stream import AttachmentStream, Stream

from synctool.errors import OutputError
from synctool.media.decoding_order import COARSE, FINE, DecodingOrder
from synctool.media.opening import OpenedVideo
from synctool.repairing.containers import AVI, TargetContainer, written_as
from synctool.repairing.survey import Survey, is_attached, service_of
from synctool.repairing.tracks import TrackRepair

if TYPE_CHECKING:
    from av.container.core import Chapter

_OF_THE_OLD_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder"}
_OF_THE_OLD_STREAM = ("DURATION", "BPS", "NUMBER_OF_", "_STATISTICS", "vendor_id")
_MAC_LANGUAGES = {
    "deu": "ger", "ell": "gre", "isl": "ice", "nld": "dut", "sqi": "alb", "zho": "chi",
}  # fmt: skip
"""The names by which FFmpeg writes languages into MOV; it leaves out what it does not find."""
_MIME = {"mjpeg": "image/jpeg", "png": "image/png"}


def write_copy(
    opened: OpenedVideo,
    target: Path,
    container: TargetContainer,
    repairs: Mapping[int, TrackRepair],
    facts: Survey,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> dict[Place, Copied]:
    """Write a video anew.

    Args:
        opened: The video, at its start.
        target: The new file.
        container: Of the new file.
        repairs: What becomes of audio tracks, by index; all else is copied.
        facts: What the first pass has found.
        on_progress: Told the share that is done, 0..1.

    Returns:
        What was copied, by kind of stream and number within it; covers are left out.

    Raises:
        OutputError: The container cannot hold a stream, or the file cannot be written.
    """
    video_file = opened.container
    with ExitStack() as stack:
        options = dict(container.options)
        if any(key.startswith("com.") for key in video_file.metadata) and "movflags" in options:
            options["movflags"] += "+use_metadata_tags"
        service = service_of(opened) if container.muxer == "mpegts" else None
        if service is not None:
            options |= {
                "mpegts_service_id": str(service.number),
                "mpegts_transport_stream_id": str(service.stream),
                "mpegts_original_network_id": str(service.network),
            }
        copy = stack.enter_context(
            av.open(f"file:{target}", "w", format=container.muxer, options=options)
        )
        if service is not None:
            copy.metadata.update(
                {"service_name": service.name, "service_provider": service.provider}
            )
        job = _Copy(opened, copy, container, repairs, facts)
        for packet in video_file.demux([s for s in video_file.streams if s.index in job.copies]):
            if packet.size:
                job.push(packet)
                if on_progress and packet.dts is not None and facts.end > facts.begin:
                    done = (packet.dts * packet.time_base - facts.begin) / (facts.end - facts.begin)
                    on_progress(min(1.0, max(0.0, float(done))))
        job.finish()
        opened.check()
    return job.counted


Place = tuple[str, int]
"""Kind of a stream, and its number within the kind."""


@dataclass
class Copied:
    """What was copied of one stream: its packets, their bytes, and a checksum of these."""

    packets: int = 0
    size: int = 0
    check: int = 0

    def add(self, packet: av.Packet) -> None:
        """Count a packet."""
        self.packets += 1
        self.size += packet.size
        self.check = zlib.crc32(packet, self.check)


class _Copy:
    """One copy: its streams, and the packets on their way."""

    def __init__(
        self,
        opened: OpenedVideo,
        copy: OutputContainer,
        container: TargetContainer,
        repairs: Mapping[int, TrackRepair],
        facts: Survey,
    ) -> None:
        self._video, self._copy, self._container = opened.container, copy, container
        self._repairs, self._facts = repairs, facts
        self._same_family = bool(container.family & set(opened.container.format.name.split(",")))
        self.copies: dict[int, Stream] = {}
        self.counted: dict[Place, Copied] = {}
        self._later = self._shift(facts.begin)
        copy.metadata.update(
            {k: v for k, v in self._video.metadata.items() if k not in _OF_THE_OLD_FILE}
        )
        for stream in self._video.streams:
            try:
                made = self._stream(stream)
            except ValueError as error:
                raise self._cannot_hold(stream, opened.name) from error
            if made is not None:
                self.copies[stream.index] = made
        copy.set_chapters([_moved_chapter(c, self._later) for c in self._video.chapters()])
        self._places = _places(copy, {m.index for i, m in self.copies.items() if self._is_cover(i)})
        self._orders = {
            index: DecodingOrder(untold=container.muxer == AVI) for index in self.copies
        }

    def _shift(self, begin: Fraction) -> Fraction:
        """By how much all is written later, seconds.

        Broadcasts begin at any time of their clock, where their players begin to count; MP4 would show that
        much of nothing first.
        """
        keeps_its_clock = self._same_family or "mp4" in self._video.format.name.split(",")
        if self._container.from_zero or begin < 0 or not keeps_its_clock:
            return -begin
        return Fraction(0)

    def _cannot_hold(self, stream: Stream, name: str) -> OutputError:
        own = written_as(self._video.format.name)
        remedies = [own] if own else []
        if self._container.muxer != "matroska" and _fits_matroska(stream):
            remedies.append(".mkv")
        return OutputError(
            f"{self._container.name} cannot hold the {stream.type} stream {stream.index} "
            f"({_codec(stream)}) of {name}",
            remedy=f"Write to {' or to '.join(dict.fromkeys(remedies))}."
            if remedies
            else "Convert it first, with FFmpeg to .mp4 for example, and repair the result.",
        )

    def _stream(self, stream: Stream) -> Stream | None:
        """The stream of the new file; None where it is no stream there."""
        repair = self._repairs.get(stream.index)
        made = repair.add_to(self._copy) if repair is not None else None
        if made is not None:
            self._described(stream, made)
            return made
        if isinstance(stream, AttachmentStream):
            self._copy.add_attachment(
                stream.metadata.get("filename", "attachment"),
                stream.metadata.get("mimetype", "application/octet-stream"),
                bytes(stream.data),
            )
            return None
        if is_attached(stream) and self._container.muxer in ("matroska", "webm"):
            kind = _codec(stream)
            self._copy.add_attachment(
                stream.metadata.get("filename", f"cover.{'png' if kind == 'png' else 'jpg'}"),
                stream.metadata.get("mimetype", _MIME.get(kind, "image/jpeg")),
                self._facts.streams[stream.index].first,
            )
            return None
        if stream.type == "data" and self._is_made_by_muxer(stream):
            return None
        if not self._facts.streams[stream.index].packets and stream.type in ("data", "unknown"):
            return None
        if stream.type == "data" and stream.name is None:
            raise ValueError("a stream of no known kind")
        made = self._copy.add_stream_from_template(stream, opaque=True)
        if self._container.muxer != AVI and (made.time_base is None or made.time_base >= COARSE):
            made.time_base = FINE  # a wish; the container has the last word
        self._described(stream, made)
        if made.codec_context is not None:
            self._keep_tag(stream, made)
        return made

    def _is_cover(self, index: int) -> bool:
        return is_attached(self._video.streams[index])

    def _is_made_by_muxer(self, stream: Stream) -> bool:
        """Whether MP4 and MOV get this stream from the metadata: the timecode, and the chapters' texts."""
        if self._container.muxer not in ("mp4", "mov", "3gp"):
            return False
        if stream.name is None:
            return "timecode" in stream.metadata
        chapters = self._video.chapters()
        return bool(chapters) and self._facts.streams[stream.index].packets == len(chapters)

    def _described(self, stream: Stream, made: Stream) -> None:
        made.metadata.update(
            {k: v for k, v in stream.metadata.items() if not k.startswith(_OF_THE_OLD_STREAM)}
        )
        language = made.metadata.get("language", "")
        if self._container.muxer == "mov" and language in _MAC_LANGUAGES:
            made.metadata["language"] = _MAC_LANGUAGES[language]
        made.disposition = stream.disposition
        if self._same_family and self._container.muxer == "mpegts":
            made.id = stream.id

    def _keep_tag(self, stream: Stream, made: Stream) -> None:
        """Keep the name of the codec within one family: some players know hvc1 and not hev1.

        Matroska has HEVC's parameter sets apart, as hvc1 wants them.
        """
        if self._container.muxer not in ("mp4", "mov") or stream.type != "video":
            return
        if self._same_family:
            made.codec_context.codec_tag = stream.codec_context.codec_tag
        elif "matroska" in self._video.format.name and _codec(stream) == "hevc":
            made.codec_context.codec_tag = "hvc1"

    # ------------------------------------------------------------------ packets

    def push(self, packet: av.Packet) -> None:
        stream = packet.stream
        made = self.copies[stream.index]
        repair = self._repairs.get(stream.index)
        if repair is None:
            self._settle(made, stream.index, self._orders[stream.index].push(packet))
        else:
            self._send(made, repair.push(packet), counted=repair.copied)

    def finish(self) -> None:
        for index, made in self.copies.items():
            repair = self._repairs.get(index)
            if repair is None:
                self._settle(made, index, self._orders[index].flush())
            else:
                self._send(made, repair.finish(), counted=repair.copied)

    def _settle(self, made: Stream, index: int, packets: Iterable[av.Packet]) -> None:
        self._send(made, packets, counted=True)

    def _send(self, made: Stream, packets: Iterable[av.Packet], *, counted: bool) -> None:
        for packet in packets:
            place = self._places.get(made.index)
            if counted and place is not None:
                self.counted.setdefault(place, Copied()).add(packet)
            packet.stream = made
            if self._later:
                _move(packet, self._later)
            self._copy.mux(packet)


def _moved_chapter(chapter: Chapter, later: Fraction) -> Chapter:
    units = round(later / (chapter["time_base"] or Fraction(1)))
    moved = chapter.copy()
    moved["start"], moved["end"] = (max(0, chapter[key] + units) for key in ("start", "end"))
    return moved


def _move(packet: av.Packet, later: Fraction) -> None:
    base = packet.time_base
    fine = Fraction(1, math.lcm(base.denominator, later.denominator, 90_000))
    if fine < Fraction(1, 1 << 30):
        fine = base
    for name in ("pts", "dts"):
        stamp = getattr(packet, name)
        if stamp is not None:
            setattr(packet, name, round((stamp * base + later) / fine))
    packet.duration = round((packet.duration or 0) * base / fine)
    packet.time_base = fine


def check_copy(target: Path, counted: Mapping[Place, Copied], *, exactly: bool) -> None:
    """Read a new file back, and see whether all that was copied is there.

    Args:
        target: The file.
        counted: What ``write_copy`` gave.
        exactly: Whether the bytes are stored as they came, however a container cuts them into packets.

    Raises:
        OutputError: Something is missing or changed.
    """
    found = {place: Copied() for place in counted}
    try:
        with av.open(f"file:{target}", metadata_errors="replace") as video_file:
            places = _places(
                video_file, {s.index for s in video_file.streams.video if is_attached(s)}
            )
            for packet in video_file.demux():
                place = places.get(packet.stream.index)
                if packet.size and place in found:
                    found[place].add(packet)
    except FFmpegError as error:
        raise _not_as_written(str(error)) from error
    for place, wanted in counted.items():
        got, name = found[place], f"{place[0]} stream {place[1]}"
        if wanted.packets and not got.packets:
            raise OutputError(
                f"the container cannot hold its {name}",
                remedy="Write to the container of the old file, or to .mkv.",
            )
        if exactly and (got.size, got.check) != (wanted.size, wanted.check):
            raise _not_as_written(f"{name} has {got.size} bytes of {wanted.size}")
        # Containers cut PCM into packets of their own, and some wrap packets of other codecs.
        if not exactly and got.packets != wanted.packets and got.size != wanted.size:
            raise _not_as_written(f"{name} has {got.packets} packets of {wanted.packets}")


def _fits_matroska(stream: Stream) -> bool:
    """Whether Matroska takes a stream as it is: not one of Windows Media or of old Flash."""
    with av.open(io.BytesIO(), "w", format="matroska") as trial:
        try:
            trial.add_stream_from_template(stream, opaque=True)
        except ValueError:
            return False
    return True


def _places(video_file: Container, covers: Collection[int]) -> dict[int, Place]:
    """Kinds and numbers of streams by index, without covers."""
    places: dict[int, Place] = {}
    numbers: Counter[str] = Counter()
    for stream in video_file.streams:
        if stream.index not in covers:
            places[stream.index] = (stream.type, numbers[stream.type])
            numbers[stream.type] += 1
    return places


def _not_as_written(what: str) -> OutputError:
    return OutputError(
        f"the new file does not hold what was written to it: {what}",
        remedy="Write to another container, .mkv say.",
    )


def _codec(stream: Stream) -> str:
    context = stream.codec_context
    return (
        context.codec.canonical_name if context is not None else (stream.name or "no codec known")
    )
