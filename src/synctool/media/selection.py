"""Which video track, which audio track and which of its channels are measured: those that a player takes.

A player takes what the file flags as default, never a comment or a cover; of a broadcast with several
programmes it takes one whole. What it cannot decode, it passes over. Where the audio so chosen is silent, or
holds no speech while another track clearly does, the other is taken. Every choice is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from synctool.errors import MediaError, UsageError
from synctool.media.announced import announced_length_s, length_s
from synctool.media.downmix import channel_names, is_ambisonic
from synctool.media.listening import Signal, TrackAudio
from synctool.media.speech_likeness import CLEAR_SPEECH, NO_SPEECH
from synctool.types import MediaTrack, StreamSelection

MIX, AUTO = "mix", "auto"
_STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_BESIDE = (
    Disposition.comment
    | Disposition.hearing_impaired
    | Disposition.visual_impaired
    | Disposition.descriptions
    | Disposition.karaoke
    | Disposition.lyrics
    | Disposition.clean_effects
    | Disposition.dependent
)
"""Flags of audio that is not the programme's own."""
_BESIDE_TITLE = re.compile(r"comment|descri|karaoke|music only|effects only|m&e\b", re.I)
_SHORT_S, _SHORT_SHARE = 0.5, 0.1
_CANCELLED_DB = 12.0
"""A mix weaker than its loudest channel by so much has cancelled itself."""
_CLEARER = 1.3
"""A channel is preferred to the mix when it is so many times as much like speech as the mix, or as every
other channel that would be loud in the mix. Voices on several channels are mixed."""
_LOUD_IN_MIX_DB = 15.0
_SAME = 0.95
_AMBISONIC = (4, 9, 16, 25)
_FAR_SOFTER_DB = 30.0

Listen = Callable[[Sequence[int]], Mapping[int, TrackAudio]]


@dataclass(frozen=True)
class Selected:
    """The choice.

    Attributes:
        video: The video stream, None where none is wanted.
        audio: The audio stream, None where none is wanted.
        channel: Index of its channel, None for all mixed.
        channel_name: What is measured of it: ``mix``, the name of a channel, or empty for mono.
        tracks: Everything that there was.
        notes: What a person should know, as sentences' parts.
    """

    video: av.VideoStream | None
    audio: av.AudioStream | None
    channel: int | None
    channel_name: str
    tracks: tuple[MediaTrack, ...]
    notes: tuple[str, ...]


def select(
    container: InputContainer,
    wanted: StreamSelection,
    *,
    name: str,
    need_video: bool = True,
    need_audio: bool = True,
    undecodable: Mapping[int, str] | None = None,
    listen: Listen | None = None,
) -> Selected:
    """Choose the streams of an opened video.

    Args:
        container: The video.
        wanted: What the user asked for.
        name: Of the video, for messages.
        need_video: Whether a video track is needed.
        need_audio: Whether an audio track is needed.
        undecodable: Why streams cannot be decoded, by index.
        listen: Listens to audio tracks by number; None where that cannot be done (a pipe).

    Raises:
        MediaError: There is no track of a kind that is needed.
        UsageError: There is no such track or channel.
    """
    choosing = _Choosing(container, wanted, name, dict(undecodable or {}), listen)
    video = choosing.video() if need_video else None
    audio = choosing.audio(video) if need_audio else None
    if video is not None and audio is not None:
        video = choosing.video_beside(audio, video)
    channel, channel_name = choosing.channel(audio)
    return Selected(
        video, audio, channel, channel_name, choosing.tracks(video, audio), tuple(choosing.notes)
    )


class _Choosing:
    """One choice: the streams, why each is passed over, and what was heard of them."""

    def __init__(
        self,
        container: InputContainer,
        wanted: StreamSelection,
        name: str,
        undecodable: dict[int, str],
        listen: Listen | None,
    ) -> None:
        self._container = container
        self._wanted = wanted
        self._name = name
        self._listen = listen
        self._videos = list(container.streams.video)
        self._audios = list(container.streams.audio)
        self._why: dict[int, str] = {}
        for stream in (*self._videos, *self._audios):
            if reason := undecodable.get(stream.index) or self._unusable(stream):
                self._why[stream.index] = reason
        self._analysed: dict[int, TrackAudio] = {}
        self.notes: list[str] = []

    # ------------------------------------------------------------------ tracks

    def video(self) -> av.VideoStream:
        shown = [s for s in self._videos if not _has(s, Disposition.attached_pic)]
        if not shown:
            raise MediaError(
                f"{self._name} has no video track", remedy="Give a video with a video stream."
            )
        asked = self._asked(self._videos, self._wanted.video_track, "video")
        return asked or min(shown, key=self._video_rank)

    def audio(self, video: av.VideoStream | None) -> av.AudioStream:
        if not self._audios:
            raise MediaError(
                f"{self._name} has no audio track",
                remedy="Lip sync needs audio: give a video with an audio stream.",
            )
        asked = self._asked(self._audios, self._wanted.audio_track, "audio")
        if asked is not None:
            return asked
        best = self._best("audio", video)
        ranked = sorted(self._audios, key=lambda s: self._audio_rank(s, best))
        usable = [s for s in ranked if s.index not in self._why]
        return self._audible(usable) if usable else ranked[0]

    def video_beside(self, audio: av.AudioStream, video: av.VideoStream) -> av.VideoStream:
        """The video of the audio's programme, where that is another one and no video was asked for."""
        own, told = (self._best("video", related) for related in (audio, video))
        if self._wanted.video_track is not None or own is None or own is told:
            return video
        # A programme without video gives that of another one.
        same = self._best("audio", own) is self._best("audio", audio)
        if not same or own.index in self._why:
            return video
        self.notes.append(
            f"video track {self._videos.index(own)} is measured: it is in the programme of audio track "
            f"{self._audios.index(audio)}"
        )
        return own

    def _asked(self, streams: Sequence, number: int | None, kind: str):
        if number is None:
            return None
        if not 0 <= number < len(streams):
            flag = f"--{kind}-track"
            raise UsageError(
                f"{self._name} has no {kind} track {number}",
                remedy=f"It has one only: {flag} 0."
                if len(streams) == 1
                else f"It has {len(streams)}: {flag} 0 to {len(streams) - 1}.",
            )
        return streams[number]

    def _video_rank(self, stream: av.VideoStream) -> tuple:
        best = self._best("video", None)
        return (
            stream.index in self._why,
            _has(stream, Disposition.dependent),
            not _has(stream, Disposition.default),
            stream is not best,
            stream.index,
        )

    def _audio_rank(self, stream: av.AudioStream, best: av.AudioStream | None) -> tuple:
        return (
            stream.index in self._why,
            _is_beside(stream),
            not _has(stream, Disposition.default),
            stream is not best,
            stream.index,
        )

    def _best(self, kind: Literal["video", "audio"], related: Stream | None) -> Any:
        """FFmpeg's own choice, which keeps to one programme."""
        return self._container.streams.best(kind, related=related)

    def _audible(self, ranked: list[av.AudioStream]) -> av.AudioStream:
        """The first track, unless it is silent or without speech and another one speaks."""
        first = ranked[0]
        if len(ranked) == 1:
            return first
        analysed = self._listened(ranked)
        own = analysed.get(first.index)
        if own is None or (not own.silent and own.likeness >= NO_SPEECH):
            return first
        others = [s for s in ranked[1:] if s.index in analysed and not analysed[s.index].silent]
        speaking = [s for s in others if analysed[s.index].likeness >= CLEAR_SPEECH]
        if not speaking and own.silent:
            speaking = others
        if not speaking:
            return first
        own_kind = [s for s in speaking if not _is_beside(s)] or speaking
        chosen = max(own_kind, key=lambda s: analysed[s.index].likeness)
        chosen = next(
            s
            for s in own_kind
            if analysed[s.index].likeness >= _SAME * analysed[chosen.index].likeness
        )
        said = "is silent" if own.silent else "holds no speech"
        self._why[first.index] = said
        self.notes.append(
            f"audio track {self._audios.index(first)} {said}; track {self._audios.index(chosen)} is measured"
        )
        return chosen

    def _listened(self, streams: Sequence[av.AudioStream]) -> dict[int, TrackAudio]:
        """What was heard of streams, by index."""
        numbers = [
            self._audios.index(s)
            for s in streams
            if s.index not in self._analysed and s.codec_context is not None
        ]
        if numbers and self._listen is not None:
            found = self._listen(numbers)
            self._analysed |= {
                self._audios[number].index: analysed for number, analysed in found.items()
            }
        return self._analysed

    def _unusable(self, stream: Stream) -> str:
        """Why a stream is not what one measures; empty if it is."""
        if stream.codec_context is None:
            return "no decoder for its codec"
        if stream.type != "video":
            return ""
        if _has(stream, _STILL):
            return "an attached picture"
        if stream.frames == 1:
            return "one frame only"
        duration_s, whole_s = length_s(stream), announced_length_s(self._container)
        if duration_s is not None and duration_s < min(_SHORT_S, _SHORT_SHARE * whole_s):
            return f"only {duration_s:.2f} s long"
        return ""

    # ------------------------------------------------------------------ channels

    def channel(self, audio: av.AudioStream | None) -> tuple[int | None, str]:
        """Index and name of what is measured of a track."""
        if audio is None or audio.codec_context is None:
            return None, ""
        count = audio.codec_context.layout.nb_channels
        if count <= 1:
            self._check_mono()
            return None, ""
        names = channel_names(audio.codec_context.layout.name, count)
        asked = self._wanted.channel.strip()
        if asked.lower() == MIX:
            return None, MIX
        if asked.lower() != AUTO:
            index = _channel_index(asked, names, self._name)
            return index, names[index]
        analysed = self._listened([audio]).get(audio.index)
        chosen = None if analysed is None else _clearest(analysed, names)
        if chosen is None:
            layout = audio.codec_context.layout.name
            return None, "W" if is_ambisonic(layout) else MIX
        index, reason = chosen
        self.notes.append(f"audio channel {names[index]} of {count} is measured: {reason}")
        return index, names[index]

    def _check_mono(self) -> None:
        if self._wanted.channel.strip().lower() not in (AUTO, MIX, "0"):
            raise UsageError(
                f"{self._name} has no audio channel {self._wanted.channel}: its audio is mono",
                remedy="Leave --channel out.",
            )

    def tracks(
        self, video: av.VideoStream | None, audio: av.AudioStream | None
    ) -> tuple[MediaTrack, ...]:
        """Everything that there was, with the choice marked."""
        return tuple(
            replace(
                _track(stream, number), measured=stream in (video, audio), note=self._note(stream)
            )
            for streams in (self._videos, self._audios)
            for number, stream in enumerate(streams)
        )

    def _note(self, stream: Stream) -> str:
        if stream.index in self._why:
            return self._why[stream.index]
        beside = isinstance(stream, av.AudioStream) and _is_beside(stream)
        return "not the programme's own" if beside else ""


def _clearest(analysed: TrackAudio, names: Sequence[str]) -> tuple[int, str] | None:
    """The channel to measure in place of the mix, and why; None for the mix."""
    loudest = max(channel.level_db for channel in analysed.channels)
    audible = [
        i
        for i, channel in enumerate(analysed.channels)
        if not channel.silent and channel.level_db > loudest - _FAR_SOFTER_DB
    ]
    if not audible:
        return None
    most = max(analysed.channels[i].likeness for i in audible)
    alike = [i for i in audible if analysed.channels[i].likeness >= _SAME * most]
    index = next((i for i in alike if names[i] == "FC"), alike[0])
    best: Signal = analysed.channels[index]
    if analysed.mix.level_db < loudest - _CANCELLED_DB:
        return index, "the channels cancel each other when they are mixed"
    if best.likeness >= max(_CLEARER * analysed.mix.likeness, NO_SPEECH):
        return index, "its speech is clearer than that of the mix"
    others = [
        analysed.channels[i].likeness
        for i in audible
        if i != index and analysed.channels[i].level_db > best.level_db - _LOUD_IN_MIX_DB
    ]
    if others and best.likeness >= max(_CLEARER * max(others), CLEAR_SPEECH):
        if max(others) < NO_SPEECH:
            return index, "the others carry no speech"
        return index, "its speech is clearer than that of the others"
    return None


def _channel_index(asked: str, names: Sequence[str], name: str) -> int:
    """Index of a channel by its number or name.

    Raises:
        UsageError: There is none.
    """
    upper = [n.upper() for n in names]
    if asked.upper() in upper and not names[0].isdigit():
        return upper.index(asked.upper())
    if asked.isdigit() and int(asked) < len(names):
        return int(asked)
    if asked.upper() == "W" and len(names) in _AMBISONIC:
        return 0  # ambisonic audio that does not say so
    listed = ", ".join(f"{i} ({n})" if not n.isdigit() else str(i) for i, n in enumerate(names))
    raise UsageError(
        f"{name} has no audio channel {asked}", remedy=f"It has {listed}; or give mix, or auto."
    )


def _track(stream: Stream, number: int) -> MediaTrack:
    context = stream.codec_context
    layout: Any = getattr(context, "layout", None) if stream.type == "audio" else None
    return MediaTrack(
        kind="audio" if stream.type == "audio" else "video",
        number=number,
        codec=context.name if context is not None else "",
        language=stream.metadata.get("language", "").replace("und", ""),
        title=stream.metadata.get("title", ""),
        dispositions=tuple(f.name for f in Disposition if f and f.name and _has(stream, f)),
        channels=0 if layout is None else layout.nb_channels,
        layout="" if layout is None else layout.name,
    )


def _is_beside(stream: av.AudioStream) -> bool:
    return _has(stream, _BESIDE) or bool(_BESIDE_TITLE.search(stream.metadata.get("title", "")))


def _has(stream: Stream, flags: Disposition) -> bool:
    return bool(stream.disposition & flags)
