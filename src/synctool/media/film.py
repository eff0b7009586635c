"""One pass over a film: pictures on the 25 Hz timeline, sound at 16 kHz, both by timestamp.

Timeline 0 is the earlier start of the two chosen streams, moved back to the grid of the picture, so
that constant 25 fps material is read frame for frame. Which frame a tick shows is told by
``frame_choice``: of a constant rate the nearest, so that pictures are neither early nor late on
average.
"""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from synctool.errors import MediaError, SyncToolError
from synctool.media import continuation, joined
from synctool.media.announced import announced_length_s, counted_s, length_s
from synctool.media.continuation import PartGate, ProgrammeWatch
from synctool.media.frame_choice import FrameChoice, Lateness
from synctool.media.frame_rate import FASTEST_FPS, FrameRate
from synctool.media.listening import TrackAudio, listen
from synctool.media.opening import OpenedVideo, open_video
from synctool.media.pictures import Picture, PictureReader
from synctool.media.selection import MIX, Selected, select
from synctool.media.sound import SoundReader, SoundTrack
from synctool.media.spans import Span, contradiction
from synctool.media.timeline import (
    LONGEST_GAP_S,
    PresentationTimes,
    StreamClock,
    Timeline,
    TooSparse,
)
from synctool.media.unread import Unread
from synctool.media.waiting import hung, within
from synctool.names import printable
from synctool.types import AUDIO_HZ, PLAYED, VIDEO_FPS, Source, StreamSelection

QUEUED_PICTURES = 16
"""Pictures that the decoder may be ahead of the reader."""
MAX_SIDE_PX = 1920
"""Larger pictures are reduced to this; faces fill crops of 224 px at most."""
_TICK_S = 1.0 / VIDEO_FPS
_EPSILON_S = 1e-4
_CLOSE_S = 5.0
_MANY_PIXELS = 4096 * 2304
_FEW_THREADS = 4
_ASPECTS = (0.25, 4.0)
_NOTABLE_S = 0.1
_NOTABLE_LACK_S = 0.5
"""Parts of a playlist may be so much longer or shorter than it says."""
_NOTABLE_PROGRAMME_S = 2.0


class Film:
    """A film opened for one pass. Use it as a context manager and iterate over it once.

    Iterating gives ``Picture`` objects in order, one per 25 Hz tick, while a thread decodes;
    ``sound`` fills at the same time and is complete when the iteration ends. Leaving the iteration
    early stops the thread.

    Args:
        path: File to read; also a ``file:`` URL, or ``-`` for the standard input.
        streams: Which of its streams, as a player takes them unless told.
        colour: None (luma only), ``rgb`` or ``bgr``.
        need_video: Raise if there is no picture.
        need_audio: Raise if there is no sound.
        max_side_px: Larger pictures are reduced to this.
        stall_s: Longest time that opening, or one frame, may take; None or 0 waits for ever.
        allow_external: Whether a playlist may name local files outside its folder.

    Raises:
        MissingError: The file does not exist or cannot be read.
        MediaError: It is empty, not a video, or lacks a stream that is needed, or that is encrypted.
        UsageError: The audio track asked for does not exist; a URL, a folder or a device was given.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        streams: StreamSelection = PLAYED,
        colour: str | None = None,
        need_video: bool = True,
        need_audio: bool = True,
        max_side_px: int = MAX_SIDE_PX,
        stall_s: float | None = None,
        allow_external: bool = False,
    ) -> None:
        self._stall_s = stall_s or math.inf
        self.path = Path(path)
        self.sound = SoundTrack()
        self._allow_external = allow_external
        self._channel = streams.channel
        name = printable(os.path.basename(path) or os.fspath(path))
        self._opened = within(
            self._stall_s,
            lambda: open_video(path, allow_external=allow_external),
            name=name,
            what="opening it",
            undo=OpenedVideo.close,
        )
        self._name = self._opened.name
        self._container = self._opened.container
        self.warnings: list[str] = self._opened.warnings
        try:
            self._selected = self._choose_streams(path, streams, need_video, need_audio)
            self._video, self._audio = self._selected.video, self._selected.audio
            self._starts = starts_s(self._video, self._audio)
            self._rate = FrameRate(_announced_rates(self._video))
            self._source = self._describe()
        except BaseException:
            self._opened.close()
            raise
        aspect = self._video.sample_aspect_ratio if self._video is not None else None
        coded = self._video.codec_context.sample_aspect_ratio if self._video is not None else None
        self._coded_aspect, self._aspect_is_coded = (
            coded or None,
            (coded or None) == (aspect or None),
        )
        self._reader = PictureReader(
            colour=colour, max_side_px=max_side_px, pixel_aspect=_plausible(aspect)
        )
        timeline = Timeline(timeline_origin_s(self._starts), self._warn)
        names = {"video": "picture", "audio": "sound"}
        self._clocks: dict[str, StreamClock] = {
            kind: timeline.clock(start, names[kind]) for kind, start in self._starts.items()
        }
        self._spans = {
            kind: Span(stream)
            for kind, stream in (("video", self._video), ("audio", self._audio))
            if stream is not None
        }
        self._times = PresentationTimes(doubtful=self._container.format.name == "avi")
        self._sound_reader = SoundReader(self.sound, self._warn, channel=self._selected.channel)
        self._queue: queue.Queue[Picture | BaseException | None] = queue.Queue(QUEUED_PICTURES)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._shown: tuple[float, av.VideoFrame] | None = None
        self._shown_arrays: tuple[np.ndarray, np.ndarray | None, float] | None = None
        self._choice = FrameChoice(self._rate.interval_s)
        self._tick = 0
        self._lateness = Lateness()
        self._frames = 0
        self._sounds = 0
        self._damaged = 0
        self._audio_lasts_s = 0.0
        self._turned_deg = 0
        self._unread = Unread()
        self._reached = 0
        self._streams = {s.type: s for s in (self._video, self._audio) if s is not None}
        self._decoders = {kind: stream.codec_context for kind, stream in self._streams.items()}
        self._pids = {kind: stream.id for kind, stream in self._streams.items()}
        self._read: dict[str, int] = {}

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop decoding and release the file."""
        self._stop.set()
        if self._thread is not None:
            self._opened.stop_waiting()
            until = time.monotonic() + _CLOSE_S
            while self._thread.is_alive() and time.monotonic() < until:
                self._drain()
                self._thread.join(0.02)
            if self._thread.is_alive():
                return
        self._drain()
        self._opened.close()

    @property
    def source(self) -> Source:
        """Facts about the film; durations and rates are final once the iteration has ended."""
        ends_s = max(self._tick / VIDEO_FPS, self.sound.end / AUDIO_HZ)
        return replace(
            self._source,
            duration_s=ends_s or self._source.duration_s,
            video_fps=self._rate.fps,
            warnings=tuple(self.warnings),
            turned_deg=self._turned_deg,
            unread_s=round(self._unread.seconds, 3),
            unread_share=round(
                self._unread.share(
                    video_s=self._tick / VIDEO_FPS, audio_s=self.sound.end / AUDIO_HZ
                ),
                4,
            ),
        )

    def note_turn(self, quarters: int) -> None:
        """Note that the reader turns the pictures clockwise by so many quarters, as the file should say."""
        degrees = 90 * (quarters % 4)
        self._turned_deg = degrees
        way = {90: "turned by 90° clockwise", 180: "turned upside down"}
        self._warn(
            "faces do not stand upright, and the file has no rotation that says so: the video was "
            f"measured {way.get(degrees, 'turned by 90° counter-clockwise')}"
        )

    @property
    def expected_ticks(self) -> int | None:
        """Ticks that the container announces, for a progress bar."""
        seconds = self._source.duration_s
        return round(seconds * VIDEO_FPS) if seconds > 0 else None

    @property
    def tick(self) -> int:
        """Ticks decoded so far; the length of the film once the iteration has ended."""
        return self._tick

    @property
    def frames_late(self) -> float:
        """How much later than their ticks the pictures shown belong on average, in 25 Hz frames."""
        return self._lateness.mean_frames

    def _drain(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except queue.Empty:
            pass

    def __iter__(self) -> Iterator[Picture]:
        if self._thread is not None or self._stop.is_set():
            raise RuntimeError("a Film can be iterated over once, while it is open")
        self._thread = threading.Thread(target=self._decode, name="synctool-decode", daemon=True)
        self._thread.start()
        try:
            while (item := self._next()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
                del item  # a slow reader must not keep what it has given back
        finally:
            self._stop.set()

    def _next(self) -> Picture | BaseException | None:
        asked = time.monotonic()
        while True:
            try:
                return self._queue.get(timeout=0.5)
            except queue.Empty:
                if self._stop.is_set():  # closed meanwhile by another thread
                    return None
                if time.monotonic() - asked > self._stall_s:
                    return hung(self._name, "the decoder", self._stall_s)

    # ------------------------------------------------------------------ opening

    def _choose_streams(
        self,
        path: str | os.PathLike[str],
        wanted: StreamSelection,
        need_video: bool,
        need_audio: bool,
    ) -> Selected:
        selected = select(
            self._container,
            wanted,
            name=self._name,
            need_video=need_video,
            need_audio=need_audio,
            undecodable=self._opened.undecodable,
            listen=None if self._opened.once_only else partial(self._listened, path),
        )
        video, audio = selected.video, selected.audio
        self._opened.check_decodable(video, audio)
        for stream in (video, audio):
            if stream is not None and stream.codec_context is None:
                raise MediaError(
                    f"{self._name}: no decoder for its {stream.type} stream",
                    remedy="Convert the film to a common codec (H.264 with AAC, say) and try again.",
                )
        for note in selected.notes:
            self._warn(note)
        if video is not None:
            video.thread_type = "AUTO"
            if video.codec_context.width * video.codec_context.height > _MANY_PIXELS:
                video.codec_context.thread_count = _FEW_THREADS  # each holds pictures of its own
        return selected

    def _listened(
        self, path: str | os.PathLike[str], tracks: Sequence[int]
    ) -> Mapping[int, TrackAudio]:
        """Listen to audio tracks through a second look at the file, a short one."""

        def look() -> Mapping[int, TrackAudio]:
            again = open_video(path, allow_external=self._allow_external)
            try:
                return listen(again.container, tracks)
            finally:
                again.close()

        return within(self._stall_s, look, name=self._name, what="the decoder")

    def _describe(self) -> Source:
        video, audio = self._video, self._audio
        known = {kind: start for kind, start in self._starts.items() if start is not None}
        late = {kind: start - min(known.values()) for kind, start in known.items()}
        apart = late.get("audio", 0.0) - late.get("video", 0.0)
        if len(known) == 2 and abs(apart) > _NOTABLE_S:
            which = "sound" if apart > 0 else "picture"
            self._warn(f"the {which} starts {abs(apart):.2f} s later than the other stream")
        return Source(
            duration_s=announced_length_s(self._container),
            video_fps=self._rate.fps,
            video_start_s=round(late.get("video", 0.0), 4),
            audio_start_s=round(late.get("audio", 0.0), 4),
            width_px=video.codec_context.width if video is not None else 0,
            height_px=video.codec_context.height if video is not None else 0,
            audio_hz=audio.rate if audio is not None else 0,
            tracks=self._selected.tracks,
            channel=self._selected.channel_name,
        )

    # ------------------------------------------------------------------ decoding (own thread)

    def _decode(self) -> None:
        try:
            self._demux()
            self._put(None)
        except _Stopped:
            pass
        except BaseException as error:  # handed to the reader, which raises it
            if isinstance(error, FFmpegError):
                error = self._undecodable(error)
            elif isinstance(error, TooSparse):
                error = self._sparse(error)
            try:
                self._put(error)
            except _Stopped:
                pass

    def _undecodable(self, error: FFmpegError) -> SyncToolError:
        wrapped = MediaError(
            f"{self._name} cannot be decoded: {_words(error)}",
            remedy="Convert the film to a common format (MP4 with H.264 and AAC, say) and try again.",
        )
        wrapped.__cause__ = error
        return wrapped

    def _sparse(self, error: TooSparse) -> SyncToolError:
        wrapped = MediaError(
            f"{self._name}: the timestamps of the {error.stream} are damaged: single frames lie "
            f"{error.apart_s:.0f} s apart, where the other stream has nothing",
            remedy="Get a whole copy. If it is a slide show, write it anew with both streams interleaved.",
        )
        wrapped.__cause__ = error
        return wrapped

    def _demux(self) -> None:
        path = self._opened.path
        chained = self._container.format.name == joined.FORMAT and path is not None
        recordings = joined.recordings(path) if chained else []
        if len(recordings) > 1:
            self._demux_recordings(path, recordings)
        else:
            self._demux_programme()
        self._opened.check()
        for text in self._opened.warnings:
            self._warn(text)
        self._finish()
        self._judge()

    def _demux_recordings(self, path: str, recordings: Sequence[tuple[int, int]]) -> None:
        """Read recordings that follow one another in one file."""
        kinds = list(self._streams)
        for number, (begin, end) in enumerate(recordings):
            rest = continuation.continuation(path, begin, end, format_name=joined.FORMAT)
            at_s = self._tick * _TICK_S
            if rest is None:
                self._warn(f"after {at_s:.1f} s another recording follows that cannot be read")
                continue
            try:
                self._streams = {}
                for kind in kinds:
                    own = (
                        {self._pids[kind]}
                        if number == 0
                        else {s.id for s in rest.container.streams}
                    )
                    self._take_stream(rest.container, kind, own)
                if number:
                    self._warn(
                        f"after {at_s:.1f} s another recording follows in the file, which was read"
                    )
                self._demux_container(rest.container)
            except SyncToolError as error:
                self._warn(
                    f"after {at_s:.1f} s another recording follows that cannot be read: {error.cause}"
                )
                self._unread.add("video", announced_length_s(rest.container))
            finally:
                rest.close()

    def _demux_programme(self) -> None:
        watch = self._watched()
        self._demux_part(self._container, watch, 0)
        while watch is not None:
            switch, at_s = watch.last_switch(), self._tick * _TICK_S
            if switch is None and watch.beyond_s > _NOTABLE_PROGRAMME_S:
                self._warn(
                    f"another programme goes on for {watch.beyond_s:.1f} s after the end of the one that "
                    "is measured; it was not read"
                )
            watch.close()
            watch = None if switch is None else self._follow(switch, at_s)

    def _watched(self, switch: continuation.Switch | None = None) -> ProgrammeWatch | None:
        """A watch over what comes after the streams that are measured now; None where nothing can."""
        path = self._opened.path
        if path is None or self._container.format.name not in continuation.FORMATS:
            return None
        pids = self._pids
        if switch is None:
            return ProgrammeWatch(path, pids)
        return ProgrammeWatch(path, pids, begin=switch.at, units_from=switch.begins, first=False)

    def _demux_part(
        self, container: av.container.InputContainer, watch: ProgrammeWatch | None, begin: int
    ) -> None:
        """Read the measured streams, up to where others are known to follow."""
        switch = None if watch is None else watch.switch(begin)
        rest = None
        if switch is not None and switch.stops is not None:
            # FFmpeg would run the last frame into what follows, and it has looked that far ahead.
            rest = continuation.continuation(self._opened.path, begin, switch.stops)
        if rest is None:
            return self._demux_container(container, watch, begin)
        try:
            for kind, stream in list(self._streams.items()):
                self._take_stream(rest.container, kind, {stream.id})
            self._demux_container(rest.container, watch, begin)
        finally:
            rest.close()

    def _demux_container(
        self,
        container: av.container.InputContainer,
        watch: ProgrammeWatch | None = None,
        begin: int = 0,
    ) -> None:
        """Read the measured streams to the end of a container, or to where others follow."""
        packets = container.demux(*self._streams.values())
        gate = None if watch is None else PartGate(watch, begin, self._read)
        while gate is None or not gate.is_over(self._streams):
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (FFmpegError, IndexError) as error:
                # IndexError: PyAV stumbles at the end over streams that appeared on the way.
                if isinstance(error, FFmpegError):
                    self._warn(f"the film breaks off: {_words(error)}")
                break
            if self._stop.is_set():
                raise _Stopped
            self._reached = max(self._reached, packet.pos or 0)
            if gate is None or (packet.size and gate.lets_through(packet)):
                self._decode_packet(packet.stream.type, packet)
        packets.close()
        switch = None if watch is None else watch.last_switch()
        for kind in list(self._streams) if switch is None else switch.pids:
            self._decode_packet(kind, None)  # what the decoders still hold

    def _follow(self, switch: continuation.Switch, at_s: float) -> ProgrammeWatch:
        """Read on where other streams follow, and give the watch over what comes after them."""
        rest = continuation.continuation(self._opened.path, switch.at)
        unread = dict.fromkeys(switch.pids, "its streams cannot be opened")
        if rest is not None:
            unread = self._take_streams(rest.container, switch)
        for kind, reason in unread.items():
            self._warn(
                f"after {at_s:.1f} s the {kind} goes on in a stream that cannot be read: {reason}"
            )
        read = [kind for kind in ("video", "audio") if kind in switch.pids.keys() - unread.keys()]
        if read:
            goes = f"{' and '.join(read)} go{'es' if len(read) == 1 else ''} on"
            how = (
                "in another codec, which was"
                if switch.recoded
                else "in other streams (PIDs), which were"
            )
            self._warn(f"after {at_s:.1f} s {goes} {how} read")
        watch = self._watched(switch)
        try:
            if self._streams:
                self._demux_part(rest.container, watch, switch.at)
            watch.last_switch()
        finally:
            if rest is not None:
                rest.close()
        for kind in unread:
            self._unread.add(kind, watch.seconds)
        return watch

    def _take_streams(
        self, container: av.container.InputContainer, switch: continuation.Switch
    ) -> dict[str, str]:
        """Take the streams that go on from a container, and say of which kinds it cannot be done, and why."""
        kept = {kind: pid for kind, pid in self._pids.items() if kind not in switch.pids}
        self._streams = {s.type: s for s in container.streams if (s.type, s.id) in kept.items()}
        unread: dict[str, str] = {}
        for kind, pids in switch.pids.items():
            self._pids[kind] = min(pids)
            try:
                self._take_stream(container, kind, pids)
            except SyncToolError as error:
                unread[kind] = error.cause
        return unread

    def _take_stream(
        self, container: av.container.InputContainer, kind: str, pids: Collection[int]
    ) -> None:
        elsewhere = {s.index: "elsewhere" for s in container.streams if s.id not in pids}
        found = select(
            container,
            StreamSelection(channel=MIX),
            name=self._name,
            need_video=kind == "video",
            need_audio=kind == "audio",
            undecodable=elsewhere,
        )
        stream = found.video or found.audio
        if stream.index in elsewhere or stream.codec_context is None:
            raise MediaError("it has no decoder", remedy="Convert the video to a common format.")
        self._streams[kind], self._pids[kind] = stream, stream.id
        self._decoders[kind] = stream.codec_context
        self._read.pop(kind, None)
        if kind == "video":
            self._video = stream
            stream.thread_type = "AUTO"
            self._times = PresentationTimes()
        else:
            self._audio = stream

    def _finish(self) -> None:
        if self._audio is not None:
            for frame, time_s in self._clocks["audio"].finish():
                self._sound_reader.add(frame, time_s)
            self._sound_reader.finish()
        if self._video is not None:
            for frame, time_s in self._clocks["video"].finish():
                self._show(frame, time_s)
        if self._shown is not None:
            time_s, frame = self._shown
            ends_s = time_s + self._lasts_s(frame)
            while self._tick * _TICK_S < ends_s - _TICK_S / 2 - _EPSILON_S:
                self._emit()

    def _decode_packet(self, kind: str, packet: av.Packet | None) -> None:
        if packet is not None and packet.size and not packet.is_discard:
            self._unread.feed(kind)
        try:
            frames = self._decoders[kind].decode(packet)
        except av.error.EOFError:
            return
        except FFmpegError as error:
            self._damaged += 1
            if self._damaged == 1:
                self._warn(f"damaged {kind} data was skipped: {_words(error)}")
            return
        for frame in frames:
            if kind == "video":
                self._on_video(frame)
            else:
                self._on_audio(frame)

    def _on_video(self, frame: av.VideoFrame) -> None:
        self._heed_pixel_aspect(frame)
        if not self._frames:
            width, height = self._reader.shown_size(frame)
            self._source = replace(self._source, width_px=width, height_px=height)
        self._frames += 1
        stamp = self._times.best(frame.pts, frame.dts)
        own_s = _seconds(stamp, frame, self._video)
        self._spans["video"].add(own_s, self._lasts_s(frame, most_s=math.inf))
        for ready, time_s in self._clocks["video"].take(frame, own_s, self._lasts_s(frame)):
            self._rate.add(time_s)
            self._unread.got("video", time_s, self._rate.interval_s)
            self._show(ready, time_s)

    def _heed_pixel_aspect(self, frame: av.VideoFrame) -> None:
        """Take the shape of pixels from the frames where it changes and the container has no other."""
        coded = self._decoders["video"].sample_aspect_ratio or None  # none: square
        if coded == self._coded_aspect:
            return
        if self._frames and not frame.key_frame:
            return  # the decoder is ahead of what it gives: it changes with the next key frame
        if self._aspect_is_coded:
            self._read_shown()
            self._reader.use_pixel_aspect(_plausible(coded))
        self._coded_aspect = coded

    def _on_audio(self, frame: av.AudioFrame) -> None:
        if not self._sounds:  # of audio that begins late the header does not know the rate
            self._source = replace(self._source, audio_hz=frame.sample_rate)
        self._sounds += 1
        own_s = _seconds(frame.pts, frame, self._audio)
        lasts_s = _lasts_s(frame)
        self._spans["audio"].add(own_s, lasts_s)
        for ready, time_s in self._clocks["audio"].take(frame, own_s, lasts_s):
            self._audio_lasts_s = _lasts_s(ready)
            self._unread.got("audio", time_s, self._audio_lasts_s)
            self._sound_reader.add(ready, time_s)

    def _lasts_s(self, frame: av.VideoFrame, *, most_s: float = 1.0) -> float:
        lasts_s = self._rate.interval_s
        duration = getattr(frame, "duration", None)  # not in PyAV 14
        if duration and frame.time_base:
            own_s = float(duration * frame.time_base)
            # At a variable rate the usual gap says nothing of one frame; a clock's tick is no duration.
            varies = not self._rate.is_steady and own_s * FASTEST_FPS >= 1
            lasts_s = own_s if varies else max(lasts_s, own_s)
        return min(lasts_s, most_s)

    def _show(self, frame: av.VideoFrame, time_s: float) -> None:
        if self._shown is not None and time_s <= self._shown[0]:
            return  # a repeated or backward timestamp: a player keeps what it shows
        self._show_until(time_s)
        self._shown, self._shown_arrays = (time_s, frame), None

    def _show_until(self, next_s: float) -> None:
        """Emit the ticks that the frame on screen serves before the next one at ``next_s``."""
        shown_s = None if self._shown is None else self._shown[0]
        self._choice.begin(shown_s, next_s)
        while (tick_s := self._tick * _TICK_S) < next_s - _EPSILON_S:
            if self._choice.prefers_next(tick_s):
                return
            self._emit()

    def _emit(self) -> None:
        if self._shown is None:
            picture = Picture(self._tick, None)
        else:
            luma, colour, scale = self._read_shown()
            self._lateness.add(self._shown[0] - self._tick * _TICK_S)
            picture = Picture(self._tick, luma, colour, scale)
        self._tick += 1
        self._put(picture)

    def _read_shown(self) -> tuple[np.ndarray, np.ndarray | None, float] | None:
        """Arrays of the frame on screen, if there is one."""
        if self._shown is not None and self._shown_arrays is None:
            self._shown_arrays = self._reader.read(self._shown[1])
        return self._shown_arrays

    def _judge(self) -> None:
        if self._video is not None and not self._frames:
            raise MediaError(
                f"{self._name}: no picture could be decoded",
                remedy="The file is damaged or cut off before its first frame; get a whole copy.",
            )
        if self._audio is not None and not self.sound.end:
            raise MediaError(
                f"{self._name}: no sound could be decoded",
                remedy="Its sound track is empty or damaged; get a whole copy.",
            )
        if self.sound.gaps:
            self._warn(f"the sound has {self.sound.gaps} gap(s), filled with silence")
        if self.sound.overlaps:
            self._warn(
                f"the sound goes back in time at {self.sound.overlaps} place(s) and overlaps itself: "
                "what came first was kept"
            )
        self._judge_length()

    def _judge_length(self) -> None:
        """Tell and count what was not read."""
        for kind, interval_s in (("video", self._rate.interval_s), ("audio", self._audio_lasts_s)):
            self._unread.ended(kind, interval_s)
        if self._unread.seconds:
            self._warn(f"{self._unread.seconds:.1f} s of the video could not be decoded")
        self._judge_joined()
        announced_s = self._announced_s()
        ends_s = max(self._tick / VIDEO_FPS, self.sound.end / AUDIO_HZ)
        if announced_s and ends_s < 0.9 * announced_s - 1.0:
            self._warn("the film is shorter than its header says: it may be cut off")
            for kind in self._clocks:
                self._unread.at_least_after(kind, announced_s - ends_s)
        self._judge_missing(announced_s - ends_s)
        if wrong := contradiction(self._container.format.name, self._spans):
            self._warn(wrong)

    def _judge_missing(self, lack_s: float) -> None:
        """Count the parts of a playlist that are not there.

        Args:
            lack_s: How much shorter the video is than the playlist says; the rest lacks in between.
        """
        missing_s = self._opened.missing_s
        at_ends_s = min(missing_s, max(lack_s, 0.0))
        for kind in self._clocks:
            if at_ends_s > _NOTABLE_LACK_S:
                self._unread.at_least_after(kind, at_ends_s)
            if missing_s - at_ends_s > _NOTABLE_LACK_S:
                self._unread.between(kind, missing_s - at_ends_s)

    def _judge_joined(self) -> None:
        """Tell and count a second file behind the first one, by its share of the bytes."""
        path = self._opened.path
        if path is None:
            return
        begins = joined.second_file(path, self._container.format.name)
        if begins is None or self._reached >= begins:
            return
        behind = os.path.getsize(path) - begins
        self._warn(
            f"another file of {behind} bytes is joined to the end of this one; players show the first one "
            "only, and it was not read"
        )
        ends_s = max(self._tick / VIDEO_FPS, self.sound.end / AUDIO_HZ)
        for kind in self._clocks:
            self._unread.add(kind, ends_s * behind / begins)

    def _announced_s(self) -> float:
        """Length that the container announces of the measured streams: another one may be longer."""
        own_s = [length_s(stream) for stream in (self._video, self._audio) if stream is not None]
        known_s = [seconds for seconds in own_s if seconds]
        whole_s = self._source.duration_s
        announced_s = min(whole_s, max(known_s)) if len(known_s) == len(own_s) else whole_s
        in_frames_s = None if self._video is None else counted_s(self._video)
        return max(announced_s, in_frames_s or 0.0)

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _put(self, item: Picture | BaseException | None) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return
            except queue.Full:
                continue
        raise _Stopped


def _lasts_s(frame: av.AudioFrame) -> float:
    return frame.samples / frame.sample_rate


class _Stopped(Exception):
    """The reader has gone."""


def _words(error: FFmpegError) -> str:
    return (error.strerror or str(error)).lower()


def _announced_rates(video: av.VideoStream | None) -> tuple[float | None, ...]:
    return () if video is None else (video.average_rate, video.guessed_rate, video.base_rate)


def starts_s(video: av.VideoStream | None, audio: av.AudioStream | None) -> dict[str, float | None]:
    """Where each stream starts in its own time; None if the container does not tell or cannot be right."""
    starts: dict[str, float | None] = {}
    for stream in (video, audio):
        if stream is not None:
            known = stream.start_time is not None and stream.time_base is not None
            starts[stream.type] = float(stream.start_time * stream.time_base) if known else None
    known_s = [start for start in starts.values() if start is not None]
    if known_s and max(known_s) - min(known_s) > LONGEST_GAP_S:
        return dict.fromkeys(starts)
    return starts


def _seconds(stamp: int | None, frame: av.frame.Frame, stream: av.stream.Stream) -> float | None:
    unit = frame.time_base or stream.time_base  # the last frames of a broken film have none
    return None if stamp is None or not unit else float(stamp * unit)


def timeline_origin_s(starts: dict[str, float | None]) -> float | None:
    """The streams' own time that becomes timeline 0; None if the container does not tell."""
    video_s, audio_s = starts.get("video"), starts.get("audio")
    if video_s is None or audio_s is None:
        return video_s if video_s is not None else audio_s
    lead_ticks = math.ceil((video_s - min(video_s, audio_s)) * VIDEO_FPS - _EPSILON_S)
    return video_s - lead_ticks * _TICK_S


def _plausible(aspect: Fraction | None) -> float:
    return float(aspect) if aspect and _ASPECTS[0] <= aspect <= _ASPECTS[1] else 1.0
