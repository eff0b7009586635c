"""Reading the packets of the measured streams, through every part of a file that a player would play:
recordings joined end to end, streams that go on under other numbers or in another codec."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from av.container import InputContainer
from av.error import FFmpegError

from synctool.errors import MediaError, SyncToolError
from synctool.media import continuation, joined
from synctool.media.announced import announced_length_s
from synctool.media.continuation import PartGate, ProgrammeWatch
from synctool.media.decode import StreamDecoder, ffmpeg_words
from synctool.media.selection import MIX, select
from synctool.media.unread import Unread
from synctool.types import StreamSelection

_NOTABLE_PROGRAMME_S = 2.0


class Stopped(Exception):
    """The reader has gone."""


class Demuxer:
    """Hands the packets of a video to its decoder, to the end.

    Args:
        container: FFmpeg's container.
        path: Of the one file that it is read from; None where there is no such file.
        name: For messages.
        decoder: Takes the packets.
        unread: Told which parts could not be read.
        warn: Told what is worth a remark.
        at_s: How far the timeline has come, in seconds.
        stopped: Whether the reader has gone.

    Attributes:
        reached: Position of the last packet that was read.
    """

    def __init__(
        self,
        container: InputContainer,
        path: str | None,
        *,
        name: str,
        decoder: StreamDecoder,
        unread: Unread,
        warn: Callable[[str], None],
        at_s: Callable[[], float],
        stopped: Callable[[], bool],
    ) -> None:
        self._container = container
        self._path = path
        self._name = name
        self._decoder = decoder
        self._unread = unread
        self._warn = warn
        self._at_s = at_s
        self._stopped = stopped
        self._streams = dict(decoder.streams)
        self._pids = {kind: stream.id for kind, stream in self._streams.items()}
        self._read: dict[str, int] = {}
        self.reached = 0

    def run(self) -> None:
        """Read everything.

        Raises:
            Stopped: The reader has gone.
        """
        path = self._path
        chained = self._container.format.name == joined.FORMAT
        recordings = joined.recordings(path) if chained and path is not None else []
        if path is not None and len(recordings) > 1:
            self._recordings(path, recordings)
        else:
            self._programme()

    def _recordings(self, path: str, recordings: Sequence[tuple[int, int]]) -> None:
        """Read recordings that follow one another in one file."""
        kinds = list(self._streams)
        for number, (begin, end) in enumerate(recordings):
            rest = continuation.continuation(path, begin, end, format_name=joined.FORMAT)
            at_s = self._at_s()
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
                self._container_to_end(rest.container)
            except SyncToolError as error:
                self._warn(
                    f"after {at_s:.1f} s another recording follows that cannot be read: {error.cause}"
                )
                self._unread.add("video", announced_length_s(rest.container))
            finally:
                rest.close()

    def _programme(self) -> None:
        path = self._path
        watched = path is not None and self._container.format.name in continuation.FORMATS
        watch = ProgrammeWatch(path, self._pids) if path is not None and watched else None
        self._part(self._container, watch, 0)
        while path is not None and watch is not None:
            switch, at_s = watch.last_switch(), self._at_s()
            if switch is None and watch.beyond_s > _NOTABLE_PROGRAMME_S:
                self._warn(
                    f"another programme goes on for {watch.beyond_s:.1f} s after the end of the one that "
                    "is measured; it was not read"
                )
            watch.close()
            watch = None if switch is None else self._follow(path, switch, at_s)

    def _part(self, container: InputContainer, watch: ProgrammeWatch | None, begin: int) -> None:
        """Read the measured streams, up to where others are known to follow."""
        switch = None if watch is None else watch.switch(begin)
        rest = None
        if self._path is not None and switch is not None and switch.stops is not None:
            # FFmpeg would run the last frame into what follows, and it has looked that far ahead.
            rest = continuation.continuation(self._path, begin, switch.stops)
        if rest is None:
            return self._container_to_end(container, watch, begin)
        try:
            for kind, stream in list(self._streams.items()):
                self._take_stream(rest.container, kind, {stream.id})
            self._container_to_end(rest.container, watch, begin)
        finally:
            rest.close()

    def _container_to_end(
        self,
        container: InputContainer,
        watch: ProgrammeWatch | None = None,
        begin: int = 0,
    ) -> None:
        """Read the measured streams to the end of a container, or to where others follow."""
        packets: Any = container.demux(*self._streams.values())
        gate = None if watch is None else PartGate(watch, begin, self._read)
        while gate is None or not gate.is_over(self._streams):
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (FFmpegError, IndexError) as error:
                # IndexError: PyAV stumbles at the end over streams that appeared on the way.
                if isinstance(error, FFmpegError):
                    self._warn(f"the video breaks off: {ffmpeg_words(error)}")
                break
            if self._stopped():
                raise Stopped
            self.reached = max(self.reached, packet.pos or 0)
            if gate is None or (packet.size and gate.lets_through(packet)):
                self._decoder.decode(packet.stream.type, packet)
        packets.close()
        switch = None if watch is None else watch.last_switch()
        for kind in list(self._streams) if switch is None else switch.pids:
            self._decoder.decode(kind, None)  # what the decoders still hold

    def _follow(self, path: str, switch: continuation.Switch, at_s: float) -> ProgrammeWatch:
        """Read on where other streams follow, and give the watch over what comes after them."""
        rest = continuation.continuation(path, switch.at)
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
        watch = ProgrammeWatch(
            path, self._pids, begin=switch.at, units_from=switch.begins, first=False
        )
        try:
            if rest is not None and self._streams:
                self._part(rest.container, watch, switch.at)
            watch.last_switch()
        finally:
            if rest is not None:
                rest.close()
        for kind in unread:
            self._unread.add(kind, watch.seconds)
        return watch

    def _take_streams(
        self, container: InputContainer, switch: continuation.Switch
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

    def _take_stream(self, container: InputContainer, kind: str, pids: Collection[int]) -> None:
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
        if stream is None or stream.index in elsewhere or stream.codec_context is None:
            raise MediaError("it has no decoder", remedy="Convert the video to a common format.")
        self._streams[kind], self._pids[kind] = stream, stream.id
        self._read.pop(kind, None)
        self._decoder.use(stream)
