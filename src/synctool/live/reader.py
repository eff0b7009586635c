"""Reads one source for as long as it lasts: opened again after a loss, cut where its timestamps break."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from av import AudioStream, VideoStream
from av.error import ExitError, FFmpegError

from synctool.errors import MediaError, MissingError, SyncToolError, UsageError, described
from synctool.live.addresses import LiveAddress
from synctool.live.continuity import Break, Continuity
from synctool.live.parts import EndReason, Finished, Part, PartEnd, PartFacts, PartQueue
from synctool.live.recoding import CodecWatch
from synctool.media.audio_track import AudioReader, AudioTrack
from synctool.media.decode import StreamDecoder, ffmpeg_words, plausible_aspect
from synctool.media.frame_rate import FrameRate
from synctool.media.frame_reader import FrameReader, TimelineFrame
from synctool.media.frame_timeline import FrameTimeline
from synctool.media.freed_memory import give_back
from synctool.media.opening import OpenedVideo, open_video
from synctool.media.selection import Selected, select
from synctool.media.stream_opening import PROTOCOLS, open_device, open_stream
from synctool.media.time_base import starts_s, timeline_origin_s
from synctool.media.timeline import TooSparse
from synctool.media.unread import Unread
from synctool.media.video_file import MAX_SIDE_PX, announced_rates
from synctool.types import PLAYED, VIDEO_FPS, StreamSelection

QUEUED_FRAMES = 50
"""Frames that the reader may be ahead: two seconds, of 1920x1080 100 MB."""
OPEN_S, SILENT_S = 20.0, 10.0
"""Longest wait for a stream to be opened, and for its next packet, frame or samples."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
"""Time before a lost source is opened again; doubled at every attempt that fails."""
_STEADY_S = 10.0
"""A source that has run for so long is no failing one: the next wait is the first one again."""
_DECODING_THREADS = 2
"""Threads of the video decoder: each is a frame of delay."""
_OVERLOAD_S = 2.0
_UNDECODABLE = "the {} that comes cannot be decoded: it is damaged, or in a codec that is not known"
_WRAPPING = {"mpegts", "hls", "rtp", "rtsp"}


@dataclass(frozen=True)
class Reading:
    """How a source is read.

    Attributes:
        streams: Which of its streams.
        colour: None (luma only), ``rgb`` or ``bgr``.
        silent_s: A source that gives no packets, frames or samples for so long is lost.
        open_s: Opening it may take so long, and the first image and audio after that.
        give_up_s: A source that is lost for so long is given up; None never.
        paced: Whether a file is played at its own speed; else as fast as it is measured.
        allow_external: Whether a playlist may name local files outside its folder.
        first_wait_s: Time before a lost source is opened again for the first time.
        options: More options of FFmpeg for streams.
    """

    streams: StreamSelection = PLAYED
    colour: str | None = None
    silent_s: float = SILENT_S
    open_s: float = OPEN_S
    give_up_s: float | None = None
    paced: bool = True
    allow_external: bool = False
    first_wait_s: float = FIRST_WAIT_S
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Loss:
    """A source could not be opened, or was lost.

    Attributes:
        reason: In words.
        again_in_s: Seconds until it is opened again.
    """

    reason: str
    again_in_s: float


class LiveReader:
    """Reads a source in a thread of its own. Close it.

    Args:
        address: The source.
        how: How it is read.
        on_loss: Told, in that thread, when the source is lost or cannot be opened.
        on_change: Told likewise, in words, when a stream goes on in another codec, or in none that is known.
    """

    def __init__(
        self,
        address: LiveAddress,
        how: Reading,
        *,
        on_loss: Callable[[Loss], None],
        on_change: Callable[[str], None],
    ) -> None:
        self._address = address
        self._how = how
        self._on_loss = on_loss
        self._on_change = on_change
        self._stop = threading.Event()
        self._queue = PartQueue(QUEUED_FRAMES, self._stop.is_set)
        self._thread = threading.Thread(
            target=self._run, name=f"synctool-read-{address.label}", daemon=True
        )
        self._parts = 0
        pushed = address.kind == "device" or (
            bool(address.scheme) and PROTOCOLS[address.scheme].pushed
        )
        self._room_within_s = _OVERLOAD_S if pushed else None
        self._played_s: float | None = None

    def parts(self) -> Iterator[Part]:
        """The parts of the source, one after the other, each to be read to its end.

        Raises:
            SyncToolError: A file cannot be read, or a source is given up.
        """
        self._thread.start()
        while True:
            item = self._queue.get()
            if isinstance(item, Finished):
                if item.error is not None:
                    raise item.error
                return
            if isinstance(item, Part):
                item.take = self._taken
                yield item

    def close(self) -> None:
        """Stop reading. A thread that waits for the network is left behind, and ends by itself."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _taken(self) -> TimelineFrame | PartEnd:
        item = self._queue.get()
        if isinstance(item, TimelineFrame | PartEnd):
            return item
        return PartEnd("stopped")

    # ------------------------------------------------------------------ in the thread

    def _run(self) -> None:
        lost_since = time.monotonic()
        wait_s = self._how.first_wait_s
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                reason = self._once()
            except UsageError as error:
                return self._finish(error)
            except (SyncToolError, FFmpegError, OSError, TooSparse) as error:
                if not self._address.endless:
                    return self._finish(_as_media_error(error, self._address.label))
                reason = _words(error)
            except Exception as error:  # a bug must not look like a source without data
                return self._finish(error)
            if not self._address.endless:
                return self._finish(None)
            now = time.monotonic()
            if self._session is not None and self._session.frames:
                lost_since = now
                if now - began >= _STEADY_S:
                    wait_s = self._how.first_wait_s
            if not reason:
                continue  # this program was too slow: the source is there
            give_up_s = self._how.give_up_s
            if give_up_s is not None and now - lost_since >= give_up_s:
                return self._finish(
                    MissingError(
                        f"{self._address.label} is given up: {reason}",
                        remedy="See whether the stream runs; --give-up says how long to wait for it.",
                    )
                )
            pause_s = wait_s * random.uniform(0.8, 1.2)
            self._on_loss(Loss(reason, pause_s))
            self._stop.wait(pause_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _finish(self, error: BaseException | None) -> None:
        self._queue.put(Finished(error), within_s=None)

    _session: _Session | None = None

    def _once(self) -> str:
        """Open the source and read it to its end; why it was lost, empty where it was not."""
        self._session = None
        opened = self._opened()
        try:
            selected = select(
                opened.container,
                self._how.streams,
                name=opened.name,
                undecodable=opened.undecodable,
                listen=None,
            )
            opened.check_decodable(selected.video, selected.audio)
            self._session = session = _Session(
                opened, selected, self._how.colour, self._put, self._on_change
            )
            return self._read(opened, session)
        finally:
            opened.stop_waiting()
            opened.close()
            if self._session is not None:
                self._session.release()
            give_back()

    def _opened(self) -> OpenedVideo:
        address, how = self._address, self._how
        if address.kind == "stream":
            return open_stream(
                address.where,
                shown=address.label,
                open_s=how.open_s,
                silent_s=how.silent_s,
                options=how.options,
            )
        if address.kind == "device":
            format_name, _, device = address.where.partition(":")
            return open_device(
                format_name, device, shown=address.label, open_s=how.open_s, silent_s=how.silent_s
            )
        return open_video(address.where, allow_external=how.allow_external)

    def _read(self, opened: OpenedVideo, session: _Session) -> str:
        self._begin(session)
        end: EndReason = "end"
        detail = ""
        try:
            for packet in session.packets():
                if self._stop.is_set():
                    return ""
                found = session.take(packet)
                if found is not None:
                    session.drain()
                    self._end("break", f"the timestamps jump by {found.jump_s:+.1f} s")
                    session.anew(found)
                    self._begin(session)
                    session.resume()
                if self._address.endless:
                    session.check_alive(self._how.silent_s, self._how.open_s)
            if not self._address.endless:
                opened.check()
            session.drain()
        except _TooSlow:
            end, detail = "overload", "this machine is too slow for the stream"
        except ExitError:
            end, detail = "lost", f"nothing came for {self._how.silent_s:g} s"
        except _Lost as loss:
            end, detail = "lost", str(loss)
        except (FFmpegError, SyncToolError, OSError, TooSparse) as error:
            end, detail = "lost", _words(error)
        if end == "end" and self._address.endless:
            end, detail = "lost", "the stream has ended"
        self._end(end, detail)
        return "" if end == "overload" else detail

    def _begin(self, session: _Session) -> None:
        self._played_s = time.monotonic()
        self._queue.put(session.part(self._parts), within_s=None)
        self._parts += 1

    def _end(self, reason: EndReason, detail: str) -> None:
        self._queue.put(PartEnd(reason, detail), within_s=None)

    def _put(self, frame: TimelineFrame) -> None:
        if self._address.kind == "file" and self._how.paced and self._played_s is not None:
            ahead_s = frame.index / VIDEO_FPS - (time.monotonic() - self._played_s)
            if ahead_s > 0:
                self._stop.wait(ahead_s)
        if not self._queue.put(frame, within_s=self._room_within_s) and not self._stop.is_set():
            raise _TooSlow


class _Lost(Exception):
    """Nothing useful comes any more."""


class _TooSlow(Exception):
    """The measuring thread does not keep up with a stream that does not wait."""


class _Session:
    """One opening of a source: its packets, decoded onto the timelines of its parts.

    Attributes:
        frames: Frames of the timeline so far.
    """

    def __init__(
        self,
        opened: OpenedVideo,
        selected: Selected,
        colour: str | None,
        put: Callable[[TimelineFrame], None],
        on_change: Callable[[str], None],
    ) -> None:
        video, audio = selected.video, selected.audio
        assert video is not None and audio is not None  # select() was asked for both
        video.thread_type = "AUTO"
        video.codec_context.thread_count = _DECODING_THREADS
        self._container = opened.container
        self._selected = selected
        self._streams: tuple[VideoStream, AudioStream] = (video, audio)
        self._colour = colour
        self._put_frame = put
        self._on_change = on_change
        self._codecs = {
            kind: CodecWatch(kind, stream.codec_context.name, threads=_DECODING_THREADS)
            for kind, stream in (("video", video), ("audio", audio))
        }
        self._notes = [*selected.notes, *opened.warnings]
        name = opened.container.format.name
        self._wraps = bool(_WRAPPING & set(name.split(",")))
        self._continuity = Continuity(wraps=self._wraps)
        self._starts: dict[str, float | None] = dict(starts_s(video, audio))
        self._after_break: list[tuple[str, Any]] = []
        now = time.monotonic()
        self._seen = {"video": now, "audio": now}
        self._given: set[str] = set()
        self.frames = 0
        self._new_decoder(timeline_origin_s(self._starts))

    def _new_decoder(self, origin_s: float | None) -> None:
        video, audio = self._streams
        rate = FrameRate(announced_rates(video))
        reader = FrameReader(
            colour=self._colour,
            max_side_px=MAX_SIDE_PX,
            pixel_aspect=plausible_aspect(video.sample_aspect_ratio),
        )
        self._screen = FrameTimeline(reader, self._take_frame, interval_s=rate.interval_s)
        self._rate = rate
        self._track = AudioTrack()
        self._decoder = StreamDecoder(
            {"video": video, "audio": audio},
            starts_s=self._starts,
            origin_s=origin_s,
            doubtful=False,
            screen=self._screen,
            rate=rate,
            reader=reader,
            audio=AudioReader(self._track, _unsaid, channel=self._selected.channel),
            unread=Unread(),
            warn=_unsaid,
        )

    def packets(self) -> Iterator[Any]:
        """The packets of the measured streams."""
        try:
            yield from (p for p in self._container.demux(*self._streams) if p.size)
        except IndexError:  # PyAV stumbles at the end over streams that appeared on the way
            return

    def take(self, packet: Any) -> Break | None:
        """Decode a packet; where the timestamps break there, it and what follows is kept for ``resume``."""
        kind = packet.stream.type
        found: Break | None = None
        for item in self._continuity.take(kind, packet):
            if isinstance(item, Break):
                found = item
            elif found is not None:
                self._after_break.append((kind, item))
            else:
                self._decode(kind, item)
        return found

    def _decode(self, kind: str, packet: Any) -> None:
        before = self._track.end
        gave = self._decoder.decode(kind, packet)
        self._follow_codec(kind, packet, gave=gave > 0)
        if self._track.end > before:
            self._note("audio")

    def _follow_codec(self, kind: str, packet: Any, *, gave: bool) -> None:
        watch = self._codecs[kind]
        was_unknown = watch.unknown
        recoded = watch.add(packet, gave=gave)
        if recoded is not None:
            self._on_change(f"the {kind} goes on in another codec ({recoded.name})")
            self._decoder.use_decoder(kind, recoded.context)
            for own in recoded.packets:
                self._decoder.decode(kind, own)
        elif watch.unknown and not was_unknown:
            self._on_change(_UNDECODABLE.format(kind))

    def drain(self) -> None:
        """Decode what the decoders still hold, and give what the last frames serve."""
        for kind in ("video", "audio"):
            self._decoder.decode(kind, None)
        self._decoder.finish()

    def anew(self, found: Break) -> None:
        """Begin another timeline behind a break."""
        for stream in self._streams:
            stream.codec_context.flush_buffers()
            self._codecs[stream.type].begin(stream.codec_context.name)
        self._starts = {"video": found.at_s, "audio": found.at_s}
        self._notes = []
        self._new_decoder(found.at_s)

    def resume(self) -> None:
        """Decode what was kept at a break."""
        kept, self._after_break = self._after_break, []
        for kind, packet in kept:
            self._decode(kind, packet)

    def release(self) -> None:
        """Let go of the streams and their codecs.

        The codecs' threads end with them, and would otherwise wait for the next collection of garbage.
        """
        self._decoder.release()
        self._codecs.clear()
        self._after_break.clear()
        del self._container, self._selected, self._streams

    def part(self, number: int) -> Part:
        """The part that begins now."""
        video, audio = self._streams
        context = video.codec_context
        facts = PartFacts(
            context.width, context.height, self._rate.fps, audio.rate or 0, tuple(self._notes)
        )
        self._part = Part(number, facts, self._screen.lateness, self._track)
        return self._part

    def check_alive(self, silent_s: float, open_s: float) -> None:
        """See that both streams give something.

        Args:
            silent_s: How long one may give nothing.
            open_s: The same before it has given anything: nothing can be seen before a keyframe.

        Raises:
            _Lost: One gives nothing.
        """
        now = time.monotonic()
        for kind, last in self._seen.items():
            patience_s = silent_s if kind in self._given else max(silent_s, open_s)
            if now - last > patience_s:
                raise _Lost(f"no {kind} came for {patience_s:g} s")
            if self._codecs[kind].unknown:  # opened anew, FFmpeg looks what it is
                raise _Lost(_UNDECODABLE.format(kind))

    def _note(self, kind: str) -> None:
        self._seen[kind] = time.monotonic()
        self._given.add(kind)

    def _take_frame(self, frame: TimelineFrame) -> None:
        if frame.luma is not None:
            self._note("video")
        self.frames += 1
        self._part.decoded = frame.index + 1
        self._put_frame(frame)


def _unsaid(text: str) -> None:
    """Remarks on single frames and samples: of a stream that runs for days there would be no end of them."""


def _words(error: BaseException) -> str:
    if isinstance(error, SyncToolError):
        return error.cause
    if isinstance(error, ExitError):
        return "nothing came in time"
    if isinstance(error, FFmpegError):
        return ffmpeg_words(error)
    return described(error)


def _as_media_error(error: Exception, label: str) -> SyncToolError:
    if isinstance(error, SyncToolError):
        return error
    made = MediaError(f"{label} cannot be read: {_words(error)}", remedy="Play it to see.")
    made.__cause__ = error
    return made
