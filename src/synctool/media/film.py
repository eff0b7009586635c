"""One pass over a film: pictures on the 25 Hz timeline, sound at 16 kHz, both by timestamp.

Timeline 0 is the earlier start of the two chosen streams, moved back to the grid of the picture, so
that constant 25 fps material is read frame for frame. A tick shows the frame nearest to it in
presentation time (up to half a frame ahead), or else the one still on screen, as a player would.
"""

from __future__ import annotations

import math
import os
import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from synctool.errors import MediaError, MissingError, UsageError
from synctool.media.pictures import Picture, PictureReader
from synctool.media.sound import SoundTrack
from synctool.types import AUDIO_HZ, VIDEO_FPS, Source

QUEUED_PICTURES = 32
"""Pictures that the decoder may be ahead of the reader."""
MAX_SIDE_PX = 1920
"""Larger pictures are reduced to this; faces fill crops of 224 px at most."""
_TICK_S = 1.0 / VIDEO_FPS
_EPSILON_S = 1e-4
_MAX_HOLD_S = 6 * 3600.0


class Film:
    """A film opened for one pass. Use it as a context manager and iterate over it once.

    Iterating gives ``Picture`` objects in order, one per 25 Hz tick, while a thread decodes;
    ``sound`` fills at the same time and is complete when the iteration ends.

    Args:
        path: File to read.
        audio_track: Which sound track, counted from 0.
        colour: None (luma only), ``rgb`` or ``bgr``.
        need_video: Raise if there is no picture.
        need_audio: Raise if there is no sound.
        max_side_px: Larger pictures are reduced to this.

    Raises:
        MissingError: The file does not exist or cannot be read.
        MediaError: It is empty, not a film, or lacks a stream that is needed.
        UsageError: The sound track asked for does not exist.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        audio_track: int = 0,
        colour: str | None = None,
        need_video: bool = True,
        need_audio: bool = True,
        max_side_px: int = MAX_SIDE_PX,
    ) -> None:
        self.path = Path(path)
        self.sound = SoundTrack()
        self.warnings: list[str] = []
        self._reader = PictureReader(colour=colour, max_side_px=max_side_px)
        self._container = _open(self.path)
        try:
            self._video, self._audio = self._choose_streams(audio_track, need_video, need_audio)
            self._plan_timeline()
        except BaseException:
            self._container.close()
            raise
        self._queue: queue.Queue[Picture | BaseException | None] = queue.Queue(QUEUED_PICTURES)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._resampler: av.AudioResampler | None = None
        self._shown: tuple[float, av.VideoFrame] | None = None
        self._shown_arrays: tuple[np.ndarray, np.ndarray | None, float] | None = None
        self._tick = 0
        self._frames = 0
        self._damaged = 0

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop decoding and release the file."""
        self._stop.set()
        if self._thread is not None:
            while self._thread.is_alive():
                try:
                    self._queue.get(timeout=0.05)
                except queue.Empty:
                    pass
            self._thread.join()
        self._container.close()

    @property
    def source(self) -> Source:
        """Facts about the film; durations are final once the iteration has ended."""
        ends_s = max(self._tick / VIDEO_FPS, self.sound.end / AUDIO_HZ)
        return replace(
            self._source,
            duration_s=ends_s or self._source.duration_s,
            warnings=tuple(self.warnings),
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

    def __iter__(self) -> Iterator[Picture]:
        if self._thread is not None:
            raise RuntimeError("a Film can be iterated over once")
        self._thread = threading.Thread(target=self._decode, name="synctool-decode", daemon=True)
        self._thread.start()
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    # ------------------------------------------------------------------ opening

    def _choose_streams(
        self, audio_track: int, need_video: bool, need_audio: bool
    ) -> tuple[av.VideoStream | None, av.AudioStream | None]:
        videos = [s for s in self._container.streams.video if not _is_cover(s)]
        audios = list(self._container.streams.audio)
        if need_video and not videos:
            raise MediaError(
                f"{self.path.name} has no picture", remedy="Give a film with a video stream."
            )
        if need_audio and not audios:
            raise MediaError(
                f"{self.path.name} has no sound track",
                remedy="Lip sync needs sound: give a film with an audio stream.",
            )
        if audios and not 0 <= audio_track < len(audios):
            raise UsageError(
                f"{self.path.name} has no sound track {audio_track}",
                remedy=f"It has {len(audios)}: --audio-track 0 to {len(audios) - 1}.",
            )
        video = videos[0] if videos and need_video else None
        audio = audios[audio_track] if audios and need_audio else None
        if video is not None:
            video.thread_type = "AUTO"
        for stream in (video, audio):
            if stream is not None and stream.codec_context is None:
                raise MediaError(
                    f"{self.path.name}: no decoder for its {stream.type} stream",
                    remedy="Convert the film to a common codec (H.264 with AAC, say) and try again.",
                )
        return video, audio

    def _plan_timeline(self) -> None:
        video_start = _start_s(self._video)
        audio_start = _start_s(self._audio)
        starts = [s for s in (video_start, audio_start) if s is not None]
        first = min(starts)
        if video_start is not None:
            lead_ticks = math.ceil((video_start - first) * VIDEO_FPS - _EPSILON_S)
            self._origin_s = video_start - lead_ticks * _TICK_S
        else:
            self._origin_s = first
        duration = self._container.duration
        # Only the pixel size that a player shows counts: a rotated film is reported upright.
        width = self._video.codec_context.width if self._video is not None else 0
        height = self._video.codec_context.height if self._video is not None else 0
        rate = (
            self._video.average_rate or self._video.guessed_rate
            if self._video is not None
            else None
        )
        self._source = Source(
            duration_s=float(duration / av.time_base) if duration else 0.0,
            video_fps=round(float(rate), 3) if rate else 0.0,
            video_start_s=round((video_start or 0.0) - first, 4),
            audio_start_s=round((audio_start or 0.0) - first, 4),
            width_px=width,
            height_px=height,
            audio_hz=self._audio.rate if self._audio is not None else 0,
        )
        apart = (audio_start or 0.0) - (video_start or 0.0)
        if self._video is not None and self._audio is not None and abs(apart) > 0.1:
            late = "sound" if apart > 0 else "picture"
            self.warnings.append(
                f"the {late} starts {abs(apart):.2f} s later than the other stream"
            )

    # ------------------------------------------------------------------ decoding (own thread)

    def _decode(self) -> None:
        try:
            self._demux()
            self._put(None)
        except _Stopped:
            pass
        except BaseException as error:  # handed to the reader, which raises it
            try:
                self._put(error)
            except _Stopped:
                pass

    def _demux(self) -> None:
        streams = [s for s in (self._video, self._audio) if s is not None]
        packets = self._container.demux(*streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except FFmpegError as error:
                self._warn(f"the film breaks off: {_words(error)}")
                for stream in streams:  # what the decoders still hold
                    self._decode_packet(stream, None)
                break
            self._decode_packet(packet.stream, packet)
        if self._audio is not None and self._resampler is not None:
            self._place_sound(self._resampler.resample(None), None)
        self._end_of_video()
        self._judge()

    def _decode_packet(
        self, stream: av.VideoStream | av.AudioStream, packet: av.Packet | None
    ) -> None:
        try:
            frames = stream.decode(packet)
        except av.error.EOFError:
            return
        except FFmpegError as error:
            self._damaged += 1
            if self._damaged == 1:
                self._warn(f"damaged {stream.type} data was skipped: {_words(error)}")
            return
        for frame in frames:
            if stream is self._video:
                self._on_video(frame)
            else:
                self._on_audio(frame)

    def _on_video(self, frame: av.VideoFrame) -> None:
        self._frames += 1
        shown_s = self._shown[0] if self._shown else None
        if frame.pts is None:
            step = 1.0 / (self._source.video_fps or VIDEO_FPS)
            time_s = (
                shown_s + step
                if shown_s is not None
                else -self._origin_s + (_start_s(self._video) or 0.0)
            )
        else:
            time_s = float(frame.pts * frame.time_base) - self._origin_s
        if shown_s is not None:
            if time_s <= shown_s:
                return  # a repeated or backward timestamp: a player keeps what it shows
            if time_s - shown_s > _MAX_HOLD_S:
                self._warn("a picture timestamp lies hours ahead and was ignored")
                return
        self._show_until(time_s)
        self._shown, self._shown_arrays = (time_s, frame), None

    def _show_until(self, next_s: float) -> None:
        """Emit the ticks that the frame on screen serves before the next one at ``next_s``."""
        while (tick_s := self._tick * _TICK_S) < next_s - _EPSILON_S:
            if self._shown is not None:
                ahead = next_s - tick_s
                if ahead <= _TICK_S / 2 and ahead < tick_s - self._shown[0] - _EPSILON_S:
                    return
            elif next_s - tick_s <= _TICK_S / 2:
                return
            self._emit()

    def _emit(self) -> None:
        if self._shown is None:
            picture = Picture(self._tick, None)
        else:
            if self._shown_arrays is None:
                self._shown_arrays = self._reader.read(self._shown[1])
            luma, colour, scale = self._shown_arrays
            picture = Picture(self._tick, luma, colour, scale)
        self._tick += 1
        self._put(picture)

    def _end_of_video(self) -> None:
        if self._shown is None:
            return
        time_s, frame = self._shown
        lasts_s = 1.0 / (self._source.video_fps or VIDEO_FPS)
        if frame.duration and frame.time_base:
            lasts_s = min(max(lasts_s, float(frame.duration * frame.time_base)), 1.0)
        self._show_until(time_s + lasts_s)

    def _on_audio(self, frame: av.AudioFrame) -> None:
        if self._resampler is None:
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_HZ)
            self._resampled_format = (frame.sample_rate, frame.layout.name, frame.format.name)
            self._expected_s: float | None = None
        time_s = None
        if frame.pts is not None and frame.time_base:
            time_s = float(frame.pts * frame.time_base) - self._origin_s
        described = (frame.sample_rate, frame.layout.name, frame.format.name)
        broken = (
            self._expected_s is not None
            and time_s is not None
            and abs(time_s - self._expected_s) > 0.02
        )
        if broken or described != self._resampled_format:
            # A gap, a jump or a change of format: what the filter holds belongs before it.
            self._place_sound(self._resampler.resample(None), None)
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_HZ)
            self._resampled_format = described
            self._expected_s = None
        at = round(time_s * AUDIO_HZ) if self._expected_s is None and time_s is not None else None
        if time_s is not None:
            self._expected_s = time_s + frame.samples / frame.sample_rate
        elif self._expected_s is not None:
            self._expected_s += frame.samples / frame.sample_rate
        frame.pts = None  # timing is kept here; the filter must not rescale foreign time bases
        self._pending_at = at if at is not None else getattr(self, "_pending_at", None)
        self._place_sound(self._resampler.resample(frame), self._pending_at)

    def _place_sound(self, frames: list[av.AudioFrame], at: int | None) -> None:
        for frame in frames:
            if not frame.samples:
                continue
            self.sound.place(frame.to_ndarray().reshape(-1), at)
            at = self._pending_at = None

    def _judge(self) -> None:
        if self._video is not None and not self._frames:
            raise MediaError(
                f"{self.path.name}: no picture could be decoded",
                remedy="The file is damaged or cut off before its first frame; get a whole copy.",
            )
        if self._audio is not None and not self.sound.end:
            raise MediaError(
                f"{self.path.name}: no sound could be decoded",
                remedy="Its sound track is empty or damaged; get a whole copy.",
            )
        if self.sound.gaps:
            self._warn(f"the sound has {self.sound.gaps} gap(s), filled with silence")
        announced = self._source.duration_s
        if (
            announced
            and max(self._tick / VIDEO_FPS, self.sound.end / AUDIO_HZ) < 0.9 * announced - 1.0
        ):
            self._warn("the film is shorter than its header says: it may be cut off")

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


class _Stopped(Exception):
    """The reader has gone."""


def _open(path: Path) -> av.container.InputContainer:
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError as error:
        raise MissingError(
            f"no such file: {path}", remedy="Check the path and its spelling."
        ) from error
    except IsADirectoryError as error:
        raise UsageError(
            f"{path} is a folder",
            remedy="Give the films in it, or the folder to a command that takes folders.",
        ) from error
    except OSError as error:
        raise MissingError(
            f"cannot read {path}: {error.strerror}", remedy="Check its permissions."
        ) from error
    if empty:
        raise MediaError(f"{path.name} is empty (0 bytes)", remedy="Copy or download it again.")
    try:
        # "file:" keeps names with colons from being taken for a protocol.
        container = av.open(f"file:{path}", metadata_errors="replace")
    except FFmpegError as error:
        raise MediaError(
            f"{path.name} cannot be read as a film: {_words(error)}",
            remedy="It is damaged, cut off, or not a film; play it in a media player to see.",
        ) from error
    if not any(s.type in ("video", "audio") for s in container.streams):
        container.close()
        raise MediaError(f"{path.name} holds neither picture nor sound", remedy="Give a film.")
    return container


def _words(error: FFmpegError) -> str:
    return (error.strerror or str(error)).lower()


def _start_s(stream: av.VideoStream | av.AudioStream | None) -> float | None:
    if stream is None:
        return None
    if stream.start_time is None or stream.time_base is None:
        return 0.0
    return float(Fraction(stream.start_time) * stream.time_base)


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
