"""A first pass over a video without decoding: where its streams begin and end, and what breaks off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from synctool.errors import MediaError, UsageError
from synctool.media.opening import OpenedVideo
from synctool.media.time_base import starts_s, timeline_origin_s
from synctool.media.timeline import LONGEST_GAP_S
from synctool.media.transport import Programme, TransportScanner
from synctool.media.transport_service import TransportService, first_service
from synctool.types import StreamSelection

_BACK_S = 1.0
_TABLES_WITHIN_BYTES = 4 << 20
"""Every programme of a broadcast has told its streams by then."""


@dataclass
class StreamFacts:
    """What the packets of one stream tell.

    Attributes:
        start: Where it begins in its own time, seconds; None without timestamps.
        end: Where its last packet ends.
        packets: How many there are.
        size: Bytes of them.
        first: Content of the first one, of an attached picture only.
    """

    start: Fraction | None = None
    end: Fraction = Fraction(0)
    packets: int = 0
    size: int = 0
    first: bytes = b""

    @property
    def bit_rate(self) -> float:
        """Bits a second; 0 where it is not known."""
        lasts_s = float(self.end - self.start) if self.start is not None else 0.0
        return 8 * self.size / lasts_s if lasts_s > 0 else 0.0


@dataclass
class Survey:
    """What the packets of a video tell.

    Attributes:
        streams: Facts by index of the stream.
        begin: Where the first stream that is played begins, seconds.
        end: Where the last one ends.
        origin: The time that measurements count from.
    """

    streams: dict[int, StreamFacts] = field(default_factory=dict)
    begin: Fraction = Fraction(0)
    end: Fraction = Fraction(0)
    origin: Fraction = Fraction(0)


def survey(
    opened: OpenedVideo,
    measured: StreamSelection,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> Survey:
    """Read all packets of a video.

    Args:
        opened: The video; it is at its end afterwards.
        measured: The streams that times count from.
        on_progress: Told the share that is read, 0..1, as far as it can be told.

    Raises:
        MediaError: There is no audio, nothing else, or the timestamps break off.
        UsageError: There is no such audio track.
    """
    video_file = opened.container
    if not video_file.streams.audio:
        raise MediaError(
            f"{opened.name} has no audio track", remedy="There is nothing that could be moved."
        )
    videos = [s for s in video_file.streams.video if not is_attached(s)]
    if not videos:
        raise MediaError(
            f"{opened.name} has no video track", remedy="Give a file with video and audio."
        )
    found = Survey({s.index: StreamFacts() for s in video_file.streams})
    last: dict[int, Fraction] = {}
    length = float(video_file.duration or 0) / av.time_base
    for packet in video_file.demux():
        if not packet.size:
            continue
        stream, unit = packet.stream, packet.time_base
        facts = found.streams.setdefault(stream.index, StreamFacts())
        if is_attached(stream) and not facts.packets:
            facts.first = bytes(packet)
        facts.packets += 1
        facts.size += packet.size
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or unit is None:
            continue
        at = stamp * unit
        facts.start = at if facts.start is None else min(facts.start, at)
        facts.end = max(facts.end, at + (packet.duration or 0) * unit)
        if stream.type in ("video", "audio") and packet.dts is not None:
            now: Fraction = packet.dts * unit
            before: Fraction = last.get(stream.index, now)
            if not -_BACK_S <= now - before <= LONGEST_GAP_S:
                raise broken_timestamps(opened.name, stream, float(before), float(now))
            last[stream.index] = max(now, before)
            if on_progress and length:
                on_progress(min(1.0, max(0.0, float(now) / length)))
    opened.check()
    played = [s for s in (*videos, *video_file.streams.audio) if found.streams[s.index].packets]
    shown = {s.index: _start(s, found.streams[s.index]) for s in played}
    if not any(s.index in shown for s in videos):
        raise MediaError(f"{opened.name} has no frames", remedy="Give another video.")
    found.begin = min(shown.values())
    found.end = max(found.streams[index].end for index in shown)
    found.origin = _origin(video_file, measured, found.begin)
    return found


def is_attached(stream: Stream) -> bool:
    """Whether a stream is a cover picture."""
    return bool(stream.disposition & Disposition.attached_pic)


def moved_tracks(opened: OpenedVideo, number: int | None) -> list[av.AudioStream]:
    """The audio tracks that are moved.

    Args:
        opened: The video.
        number: Of the one track, counted from 0; None for all.

    Raises:
        UsageError: There is no such track.
    """
    tracks = list(opened.container.streams.audio)
    if number is None:
        return tracks
    if not 0 <= number < len(tracks):
        raise UsageError(
            f"{opened.name} has no audio track {number}",
            remedy="It has one only: --audio-track 0."
            if len(tracks) == 1
            else f"It has {len(tracks)}: --audio-track 0 to {len(tracks) - 1}.",
        )
    return [tracks[number]]


def holds_programmes(opened: OpenedVideo) -> bool:
    """Whether a video is an MPEG-TS with several programmes that share no stream."""
    if opened.path is None or opened.container.format.name != "mpegts":
        return False
    with open(opened.path, "rb") as file:
        events = TransportScanner(file).to(_TABLES_WITHIN_BYTES)
        found = [set(event.codings) for event in events if isinstance(event, Programme)]
    return any(pids and found[0].isdisjoint(pids) for pids in found[1:])


def service_of(opened: OpenedVideo) -> TransportService | None:
    """The service that an MPEG-TS names; None of other files."""
    if opened.path is None or opened.container.format.name != "mpegts":
        return None
    with open(opened.path, "rb") as file:
        return first_service(file)


def broken_timestamps(name: str, stream: Stream, before_s: float, now_s: float) -> MediaError:
    """The error of timestamps that jump."""
    way = "back" if now_s < before_s else "ahead"
    return MediaError(
        f"{name}: the timestamps of its {stream.type} jump {way} at {before_s:.1f} s "
        f"(to {now_s:.1f} s)",
        remedy="Convert it first, so that its timestamps run on, and repair the result.",
    )


def _start(stream: Stream, facts: StreamFacts) -> Fraction:
    """Where the playing of a stream begins: after what an edit list or an encoder's delay hides."""
    if stream.start_time is not None and stream.time_base is not None:
        return stream.start_time * stream.time_base
    return facts.start if facts.start is not None else Fraction(0)


def _origin(video_file: InputContainer, measured: StreamSelection, begin: Fraction) -> Fraction:
    videos = [s for s in video_file.streams.video if not is_attached(s)]
    video = (
        videos[0]
        if measured.video_track is None
        else video_file.streams.video[measured.video_track]
    )
    audio = video_file.streams.audio[measured.audio_track or 0]
    origin_s = timeline_origin_s(starts_s(video, audio))
    return begin if origin_s is None else Fraction(origin_s).limit_denominator(90_000)
