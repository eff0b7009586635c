"""From packets to frames with their times: frames of video go to a screen, audio to a track of samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Protocol

from av import (
    AudioCodecContext,
    AudioFrame,
    AudioStream,
    Packet,
    VideoCodecContext,
    VideoFrame,
    VideoStream,
)
from av.error import EOFError as EndOfStream
from av.error import FFmpegError

from synctool.media.audio_track import AudioReader
from synctool.media.channel_readers import ChannelReaders
from synctool.media.frame_choice import Lateness
from synctool.media.frame_rate import FASTEST_FPS, FrameRate
from synctool.media.frame_reader import FrameReader
from synctool.media.spans import Span
from synctool.media.timeline import GuessedTimes, PresentationTimes, StreamClock, Timeline
from synctool.media.unread import Unread

_ASPECTS = (0.25, 4.0)
_NAMES = {"video": "video", "audio": "audio"}


class Screen(Protocol):
    """Where frames of video go, in the order of their times.

    Attributes:
        frame_count: Moments of the 25 Hz timeline that have been shown.
        lateness: How far the frames shown lie beside their moments.
    """

    frame_count: int
    lateness: Lateness

    def show(self, frame: VideoFrame, time_s: float, lasts_s: float) -> None:
        """Take the next frame, its time on the timeline, and how long it lasts as far as is known."""

    def read_shown(self) -> Any:
        """Read the frame on screen now: the shape of pixels is about to change."""

    @property
    def shown(self) -> VideoFrame | None:
        """The frame on screen."""

    def finish(self, lasts_s: float) -> None:
        """No frame follows; the one on screen lasts so long."""


class StreamDecoder:
    """Decodes the measured streams, and gives their frames times on the timeline.

    Args:
        streams: By kind, ``video`` and ``audio``.
        starts_s: Where each starts in its own time, None where that is not known.
        origin_s: The streams' own time that is timeline 0; None where that is not known.
        doubtful: Whether timestamps of the container are not to be trusted.
        screen: Takes frames of video.
        reader: Reads them; told the shape of pixels.
        audio: Takes frames of audio.
        unread: Told what was fed and what came.
        warn: Told what is worth a remark.

    Attributes:
        streams: The streams that are decoded now, by kind.
        rate: Of the video.
        spans: How far each stream reaches, by kind.
        clocks: Of the streams, by kind.
        frames: Frames of video so far.
        size_px: Width and height of the first one as a player shows it; None before it.
        audio_hz: Rate of the audio; None before its first frame.
        audio_lasts_s: Duration of the last frame of audio.
    """

    def __init__(
        self,
        streams: Mapping[str, VideoStream | AudioStream],
        *,
        starts_s: Mapping[str, float | None],
        origin_s: float | None,
        doubtful: bool,
        screen: Screen,
        rate: FrameRate,
        reader: FrameReader,
        audio: AudioReader | ChannelReaders,
        unread: Unread,
        warn: Callable[[str], None],
    ) -> None:
        self.streams = dict(streams)
        self._decoders: dict[str, Any] = {k: s.codec_context for k, s in self.streams.items()}
        timeline = Timeline(origin_s, warn)
        self.clocks: dict[str, StreamClock] = {
            kind: timeline.clock(start, _NAMES[kind]) for kind, start in starts_s.items()
        }
        self.spans = {kind: Span(stream) for kind, stream in self.streams.items()}
        self._times = PresentationTimes(doubtful=doubtful)
        self.rate = rate
        self._screen = screen
        self._reader = reader
        self._audio_reader = audio
        self._unread = unread
        self._warn = warn
        video = self.streams.get("video")
        aspect = getattr(video, "sample_aspect_ratio", None)
        coded = getattr(self._decoders.get("video"), "sample_aspect_ratio", None)
        self._coded_aspect, self._aspect_is_coded = (
            coded or None,
            (coded or None) == (aspect or None),
        )
        self.frames = 0
        self.size_px: tuple[int, int] | None = None
        self.audio_hz: int | None = None
        self.audio_lasts_s = 0.0
        self._audio_frames = 0
        self._guessed = GuessedTimes()
        self._rates_hz: set[int] = set()
        self._damaged = 0

    def use(self, stream: VideoStream | AudioStream) -> None:
        """Go on with another stream in place of the one of its kind."""
        self.streams[stream.type] = stream
        self._decoders[stream.type] = stream.codec_context
        if isinstance(stream, VideoStream):
            stream.thread_type = "AUTO"
            self._times = PresentationTimes()
        else:
            self._guessed, self._rates_hz = GuessedTimes(), set()

    def release(self) -> None:
        """Let go of the streams and their codecs; facts about what was decoded stay.

        The codecs' threads end with them, and would otherwise wait for the next collection of garbage.
        """
        self.streams.clear()
        self._decoders.clear()

    def use_decoder(self, kind: str, decoder: VideoCodecContext | AudioCodecContext) -> None:
        """Go on with the same stream in another codec; what the decoder before still holds comes first."""
        self.decode(kind, None)
        self._decoders[kind] = decoder

    def decode(self, kind: str, packet: Packet | None) -> int:
        """Decode a packet, and give how many frames came; None gives what the decoder still holds."""
        if packet is not None and packet.size and not packet.is_discard:
            self._unread.feed(kind)
        try:
            frames = self._decoders[kind].decode(packet)
        except EndOfStream:
            return 0
        except FFmpegError as error:
            self._damaged += 1
            if self._damaged == 1:
                self._warn(f"damaged {kind} data was skipped: {ffmpeg_words(error)}")
            return 0
        for frame in frames:
            if kind == "video":
                self._on_video(frame)
            else:
                self._on_audio(frame, packet)
        return len(frames)

    def finish(self) -> None:
        """No packet follows."""
        if "audio" in self.streams:
            for frame, time_s in self.clocks["audio"].finish():
                self._audio_reader.add(frame, time_s)
            self._audio_reader.finish()
        if "video" in self.streams:
            for frame, time_s in self.clocks["video"].finish():
                self._screen.show(frame, time_s, self._lasts_s(frame))
        if self._screen.shown is not None:
            self._screen.finish(self._lasts_s(self._screen.shown))

    def _on_video(self, frame: VideoFrame) -> None:
        self._heed_pixel_aspect(frame)
        if not self.frames:
            self.size_px = self._reader.shown_size(frame)
        self.frames += 1
        stamp = self._times.best(frame.pts, frame.dts)
        own_s = _seconds(stamp, frame, self.streams["video"])
        self.spans["video"].add(own_s, self._lasts_s(frame, most_s=math.inf))
        for ready, time_s in self.clocks["video"].take(frame, own_s, self._lasts_s(frame)):
            self.rate.add(time_s)
            self._unread.got("video", time_s, self.rate.interval_s)
            self._screen.show(ready, time_s, self._lasts_s(ready))

    def _heed_pixel_aspect(self, frame: VideoFrame) -> None:
        """Take the shape of pixels from the frames where it changes and the container has no other."""
        coded = (
            getattr(self._decoders["video"], "sample_aspect_ratio", None) or None
        )  # none: square
        if coded == self._coded_aspect:
            return
        if self.frames and not frame.key_frame:
            return  # the decoder is ahead of what it gives: it changes with the next key frame
        if self._aspect_is_coded:
            self._screen.read_shown()
            self._reader.use_pixel_aspect(plausible_aspect(coded))
        self._coded_aspect = coded

    def _on_audio(self, frame: AudioFrame, packet: Packet | None) -> None:
        if not self._audio_frames:  # of audio that begins late the header does not know the rate
            self.audio_hz = frame.sample_rate
        self._audio_frames += 1
        own_s = _seconds(frame.pts, frame, self.streams["audio"])
        lasts_s = _audio_lasts_s(frame)
        self._rates_hz.add(frame.sample_rate)
        if len(self._rates_hz) > 1 and packet is not None and packet.duration and packet.time_base:
            counted_s = float(packet.duration * packet.time_base)
            own_s = self._guessed.mended(own_s, counted_s=counted_s, lasts_s=lasts_s)
        self.spans["audio"].add(own_s, lasts_s)
        for ready, time_s in self.clocks["audio"].take(frame, own_s, lasts_s):
            self.audio_lasts_s = _audio_lasts_s(ready)
            self._unread.got("audio", time_s, self.audio_lasts_s)
            self._audio_reader.add(ready, time_s)

    def _lasts_s(self, frame: VideoFrame, *, most_s: float = 1.0) -> float:
        lasts_s = self.rate.interval_s
        duration = getattr(frame, "duration", None)  # not in PyAV 14
        if duration and frame.time_base:
            own_s = float(duration * frame.time_base)
            # At a variable rate the usual gap says nothing of one frame; a clock's tick is no duration.
            varies = not self.rate.is_steady and own_s * FASTEST_FPS >= 1
            lasts_s = own_s if varies else max(lasts_s, own_s)
        return min(lasts_s, most_s)


def ffmpeg_words(error: FFmpegError) -> str:
    """What FFmpeg says of an error."""
    return (error.strerror or str(error)).lower()


def plausible_aspect(aspect: Fraction | None) -> float:
    """Width of a pixel relative to its height; 1 where what is told cannot be."""
    return float(aspect) if aspect and _ASPECTS[0] <= aspect <= _ASPECTS[1] else 1.0


def _audio_lasts_s(frame: AudioFrame) -> float:
    return frame.samples / frame.sample_rate


def _seconds(
    stamp: int | None, frame: VideoFrame | AudioFrame, stream: VideoStream | AudioStream
) -> float | None:
    unit = frame.time_base or stream.time_base  # the last frames of a broken video have none
    return None if stamp is None or not unit else float(stamp * unit)
