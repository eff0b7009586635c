"""One pass over a video: frames on the 25 Hz timeline, audio at 16 kHz, both by timestamp.

Timeline 0 is the earlier start of the two chosen streams, moved back to the grid of the frame, so
that constant 25 fps material is read frame for frame. Which stored frame is shown when is told by
``frame_choice``: of a constant rate the nearest, so that frames are neither early nor late on
average.
"""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from av import VideoStream
from av.error import FFmpegError

from synctool.errors import MediaError, SyncToolError
from synctool.media.announced import announced_length_s
from synctool.media.audio_track import AudioReader, AudioTrack
from synctool.media.channel_readers import ChannelReaders
from synctool.media.completeness import judge_completeness
from synctool.media.decode import Screen, StreamDecoder, ffmpeg_words, plausible_aspect
from synctool.media.demux import Demuxer, Stopped
from synctool.media.downmix import channel_names
from synctool.media.frame_rate import FrameRate
from synctool.media.frame_reader import FrameReader, TimelineFrame
from synctool.media.frame_timeline import FrameTimeline
from synctool.media.freed_memory import give_back
from synctool.media.listening import TrackAudio, listen
from synctool.media.opening import OpenedVideo, open_video
from synctool.media.selection import Selected, select
from synctool.media.start_timecode import start_timecode
from synctool.media.time_base import starts_s, timeline_origin_s
from synctool.media.timeline import TooSparse
from synctool.media.unread import Unread
from synctool.media.waiting import hung, within
from synctool.names import printable
from synctool.types import AUDIO_HZ, PLAYED, VIDEO_FPS, Source, StreamSelection

QUEUED_FRAMES = 16
"""Frames that the decoder may be ahead of the reader."""
MAX_SIDE_PX = 1920
"""Larger frames are reduced to this; faces fill crops of 224 px at most."""
_CLOSE_S = 5.0
_MANY_PIXELS = 4096 * 2304
_FEW_THREADS = 4
_NOTABLE_S = 0.1

_Video = TypeVar("_Video", bound="VideoFile")


class VideoFile:
    """A video opened for one pass. Use it as a context manager and iterate over it once.

    Iterating gives ``TimelineFrame`` objects in order, 25 a second, while a thread decodes;
    ``audio`` fills at the same time and is complete when the iteration ends. Leaving the iteration
    early stops the thread.

    Args:
        path: File to read; also a ``file:`` URL, or ``-`` for the standard input.
        streams: Which of its streams, as a player takes them unless told.
        colour: None (luma only), ``rgb`` or ``bgr``.
        need_video: Raise if there is no video track.
        need_audio: Raise if there is no audio track.
        max_side_px: Larger frames are reduced to this.
        stall_s: Longest time that opening, or one frame, may take; None or 0 waits for ever.
        allow_external: Whether a playlist may name local files outside its folder.
        each_channel: Whether every channel of the audio is read for itself as well: see ``channel_audio``.

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
        each_channel: bool = False,
    ) -> None:
        self._stall_s = stall_s or math.inf
        self.path = Path(path)
        self.audio = AudioTrack()
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
        self._unread = Unread()
        self._queue: queue.Queue[Any] = queue.Queue(QUEUED_FRAMES)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._turned_deg = 0
        try:
            self._selected = self._choose_streams(path, streams, need_video, need_audio)
            self._starts = starts_s(self._selected.video, self._selected.audio)
            self._rate = FrameRate(announced_rates(self._selected.video))
            self._source = self._describe()
        except BaseException:
            self._opened.close()
            raise
        video = self._selected.video
        self._reader = FrameReader(
            colour=colour,
            max_side_px=max_side_px,
            pixel_aspect=plausible_aspect(video.sample_aspect_ratio if video else None),
        )
        self._screen = self._new_screen()
        audio = AudioReader(self.audio, self._warn, channel=self._selected.channel)
        self.channel_names: tuple[str, ...] = ()
        self.channel_audio: Sequence[AudioTrack] = ()
        if each_channel and len(names := self._names_of_channels()) > 1:
            audio = ChannelReaders(audio, len(names), self._warn)
            self.channel_names, self.channel_audio = names[: len(audio.tracks)], audio.tracks
        self._decoder = StreamDecoder(
            {s.type: s for s in (video, self._selected.audio) if s is not None},
            starts_s=self._starts,
            origin_s=timeline_origin_s(self._starts),
            doubtful=self._container.format.name == "avi",
            screen=self._screen,
            rate=self._rate,
            reader=self._reader,
            audio=audio,
            unread=self._unread,
            warn=self._warn,
        )

    def _names_of_channels(self) -> tuple[str, ...]:
        audio = self._selected.audio
        if audio is None or audio.codec_context is None:
            return ()
        layout = audio.codec_context.layout
        return tuple(channel_names(layout.name, layout.nb_channels))

    def _new_screen(self) -> Screen:
        return FrameTimeline(self._reader, self._put, interval_s=self._rate.interval_s)

    def __enter__(self: _Video) -> _Video:
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
        self._decoder.release()
        self._selected = replace(self._selected, video=None, audio=None)
        give_back()

    @property
    def source(self) -> Source:
        """Facts about the video; durations and rates are final once the iteration has ended."""
        width_px, height_px = self._decoder.size_px or (
            *(self._source.width_px, self._source.height_px),
        )
        audio_hz = self._decoder.audio_hz
        return replace(
            self._source,
            duration_s=self._ends_s or self._source.duration_s,
            width_px=width_px,
            height_px=height_px,
            audio_hz=self._source.audio_hz if audio_hz is None else audio_hz,
            video_fps=self._rate.fps,
            warnings=tuple(self.warnings),
            turned_deg=self._turned_deg,
            unread_s=round(self._unread.seconds, 3),
            unread_share=round(
                self._unread.share(
                    video_s=self.frame_count / VIDEO_FPS, audio_s=self.audio.end / AUDIO_HZ
                ),
                4,
            ),
        )

    def note_turn(self, quarters: int) -> None:
        """Note that the reader turns the frames clockwise by so many quarters, as the file should say."""
        degrees = 90 * (quarters % 4)
        self._turned_deg = degrees
        way = {90: "turned by 90° clockwise", 180: "turned upside down"}
        self._warn(
            "faces do not stand upright, and the file has no rotation that says so: the video was "
            f"measured {way.get(degrees, 'turned by 90° counter-clockwise')}"
        )

    @property
    def expected_frames(self) -> int | None:
        """Frames of 25 Hz that the container announces, for a progress bar."""
        seconds = self._source.duration_s
        return round(seconds * VIDEO_FPS) if seconds > 0 else None

    @property
    def frame_count(self) -> int:
        """Frames of 25 Hz decoded so far; the length of the video once the iteration has ended."""
        return self._screen.frame_count

    @property
    def frames_late(self) -> float:
        """How much later than their times the frames shown belong on average, in 25 Hz frames."""
        return self._screen.lateness.mean_frames

    @property
    def _ends_s(self) -> float:
        return max(self.frame_count / VIDEO_FPS, self.audio.end / AUDIO_HZ)

    def _drain(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except queue.Empty:
            pass

    def __iter__(self) -> Iterator[TimelineFrame]:
        if self._thread is not None or self._stop.is_set():
            raise RuntimeError("a Video can be iterated over once, while it is open")
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

    def _next(self) -> TimelineFrame | BaseException | None:
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
                    remedy="Convert the video to a common codec (H.264 with AAC, say) and try again.",
                )
        for note in selected.notes:
            self._warn(note)
        if video is not None:
            video.thread_type = "AUTO"
            if video.codec_context.width * video.codec_context.height > _MANY_PIXELS:
                video.codec_context.thread_count = _FEW_THREADS  # each holds frames of its own
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
        video, audio = self._selected.video, self._selected.audio
        known = {kind: start for kind, start in self._starts.items() if start is not None}
        late = {kind: start - min(known.values()) for kind, start in known.items()}
        apart = late.get("audio", 0.0) - late.get("video", 0.0)
        if len(known) == 2 and abs(apart) > _NOTABLE_S:
            which = "audio" if apart > 0 else "video"
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
            timecode=start_timecode(self._container, video),
        )

    # ------------------------------------------------------------------ decoding (own thread)

    def _decode(self) -> None:
        try:
            self._demux()
            self._put(None)
        except Stopped:
            pass
        except BaseException as error:  # handed to the reader, which raises it
            if isinstance(error, FFmpegError):
                error = self._undecodable(error)
            elif isinstance(error, TooSparse):
                error = self._sparse(error)
            try:
                self._put(error)
            except Stopped:
                pass

    def _undecodable(self, error: FFmpegError) -> SyncToolError:
        wrapped = MediaError(
            f"{self._name} cannot be decoded: {ffmpeg_words(error)}",
            remedy="Convert the video to a common format (MP4 with H.264 and AAC, say) and try again.",
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
        demuxer = Demuxer(
            self._container,
            self._opened.path,
            name=self._name,
            decoder=self._decoder,
            unread=self._unread,
            warn=self._warn,
            at_s=lambda: self.frame_count / VIDEO_FPS,
            stopped=self._stop.is_set,
        )
        demuxer.run()
        self._opened.check()
        for text in self._opened.warnings:
            self._warn(text)
        self._decoder.finish()
        self._judge(demuxer.reached)

    def _judge(self, reached: int) -> None:
        if self._selected.video is not None and not self._decoder.frames:
            raise MediaError(
                f"{self._name}: no frame could be decoded",
                remedy="The file is damaged or cut off before its first frame; get a whole copy.",
            )
        if self._selected.audio is not None and not self.audio.end:
            raise MediaError(
                f"{self._name}: no audio could be decoded",
                remedy="Its audio track is empty or damaged; get a whole copy.",
            )
        if self.audio.gaps:
            self._warn(f"the audio has {self.audio.gaps} gap(s), filled with silence")
        if self.audio.overlaps:
            self._warn(
                f"the audio goes back in time at {self.audio.overlaps} place(s) and overlaps itself: "
                "what came first was kept"
            )
        judge_completeness(
            self._opened,
            self._decoder,
            self._unread,
            announced_s=self._source.duration_s,
            ends_s=self._ends_s,
            reached=reached,
            warn=self._warn,
        )

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _put(self, item: object) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return
            except queue.Full:
                continue
        raise Stopped


def announced_rates(video: VideoStream | None) -> tuple[Fraction | None, ...]:
    return () if video is None else (video.average_rate, video.guessed_rate, video.base_rate)
