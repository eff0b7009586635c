"""``detect``: how far sound and picture of a film are apart, and how sure that is.

The film is read once: one thread decodes, this one follows faces, cuts crops and encodes chunk by
chunk. Only embeddings are kept (about 25 kB a second of film), so long films fit in little memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from synctool._version import __version__
from synctool.errors import UsageError
from synctool.measure.analyze import conclude, find, is_silent
from synctool.measure.detectors import needed
from synctool.measure.streams import SoundStream, encoding_beside
from synctool.measure.thumbnails import Thumbnail, ThumbnailKeeper
from synctool.measure.timing import Stopwatch
from synctool.measure.track_encoders import Crops, FacesSeen
from synctool.measure.tracks import build_detector, followed
from synctool.media.film import Film
from synctool.media.waiting import STALL_S
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.types import VIDEO_FPS, DetectResult, Source, StreamSelection

THUMBNAILS = 8
"""At most so many are made of a film, where they are asked for."""


@dataclass(frozen=True)
class DetectProgress:
    """How far one film is; ``ticks_total`` is None where the film does not say its length."""

    ticks_done: int
    ticks_total: int | None


class Detector:
    """Measures films with one network, which is loaded once.

    Args:
        model: The network.
        max_offset: Largest offset searched, in frames.
        detector: Name of the face detector.
        video_track: Which video track, counted from 0; None for that of a player.
        audio_track: Which audio track, counted from 0; None for that of a player.
        channel: Audio channel: a number from 0, a name such as ``FC``, ``mix``, or ``auto``.
        max_faces: At most so many faces are followed at a time.
        allow_external: Whether a playlist may name local files outside its folder.
        stall_timeout: Longest wait for a frame, in seconds, before a video is given up; 0 waits for ever.

    Raises:
        UsageError: No such detector, or nothing to search.
    """

    def __init__(
        self,
        *,
        model: LoadedModel,
        max_offset: int = 15,
        detector: str = "centerface",
        video_track: int | None = None,
        audio_track: int | None = None,
        channel: str = "auto",
        max_faces: int = 4,
        allow_external: bool = False,
        stall_timeout: float = STALL_S,
    ) -> None:
        if max_offset < 1:
            raise UsageError(
                f"max_offset is {max_offset}", remedy="Search at least one frame either way."
            )
        self._model = model
        self._max_offset = max_offset
        self._detector = detector
        self._faces = build_detector(detector)
        self._streams = StreamSelection(video_track, audio_track, channel)
        self._max_faces = max_faces
        self._allow_external = allow_external
        self._stall_s = stall_timeout

    @property
    def decides(self) -> dict[str, Any]:
        """All that results depend on but the videos, as JSON knows it."""
        spec, runtime = self._model.spec, self._model.runtime
        _, weights = needed(self._detector)
        return {
            "synctool": __version__,
            "network": [spec.full_name, self._model.weights],
            "runtime": f"{runtime.name} on {runtime.device}",
            "max_offset": self._max_offset,
            "detector": [self._detector, None if weights is None else weights.stat().st_size],
            "streams": asdict(self._streams),
            "max_faces": self._max_faces,
            "allow_external": self._allow_external,
        }

    def detect(
        self,
        path: str | os.PathLike[str],
        *,
        on_progress: Callable[[DetectProgress], None] | None = None,
        on_thumbnails: Callable[[tuple[Thumbnail, ...]], None] | None = None,
    ) -> DetectResult:
        """Measure one film.

        Args:
            path: The film; also a ``file:`` URL, or ``-`` for the standard input.
            on_progress: Called every second of film.
            on_thumbnails: Called once, at the end, with a few small pictures of the film.

        Returns:
            The result; a film that carries no answer gives the verdict ``inconclusive``.

        Raises:
            MissingError: No such file.
            MediaError: It cannot be read, or has no picture or no sound.
            UsageError: It has no such sound track.
        """
        watch = Stopwatch()
        watch.now("decode")
        spec = self._model.spec
        colour = None if spec.video.colour == "gray" else spec.video.colour
        with (
            encoding_beside(self._model.runtime) as beside,
            Film(
                path,
                streams=self._streams,
                colour=colour,
                allow_external=self._allow_external,
                stall_s=self._stall_s,
            ) as film,
        ):
            sound = SoundStream(
                runtime=self._model.runtime,
                spec=spec,
                sound=film.sound,
                zero_frames=self._model.zero_frames,
            )
            seen = FacesSeen(model=self._model, beside=beside, watch=watch)
            most = THUMBNAILS if on_thumbnails else 0
            kept = ThumbnailKeeper(most, expected_ticks=film.expected_ticks, colour=colour)
            for tracked in followed(film, self._faces, max_faces=self._max_faces, watch=watch):
                kept.see(tracked)
                seen.add(tracked, Crops(tracked.picture, colour=colour))
                tick = tracked.picture.index
                if tick % VIDEO_FPS == 0:
                    seen.release(tracked)
                    watch.now("audio")
                    sound.encode()
                    watch.now("faces")
                    if on_progress:
                        on_progress(DetectProgress(tick, film.expected_ticks))
            watch.now("audio")
            sound.encode(last=True)
            watch.now("video")
            seen.finish()  # waits for the network, so that its time is not another's
            watch.now("scoring")
            findings = find(
                self._model,
                seen.faces,
                sound.embeddings(),
                ticks=max(film.tick, 1),
                max_offset=self._max_offset,
                silent=is_silent(film.sound.peak),
                steady=sound.steady,
                audio_starts_late_s=film.source.audio_start_s - film.source.video_start_s,
                other_videos=_other_videos(film.source),
                look_further=True,
                unread_share=film.source.unread_share,
                frames_late=film.frames_late,
            )
            result = conclude(self._model, findings, name=os.fspath(path), source=film.source)
        watch.now("")
        if on_thumbnails:
            on_thumbnails(kept.thumbnails())
        timing = (
            dict.fromkeys(("decode", "faces", "video", "audio", "scoring"), 0.0) | watch.seconds
        )
        timing["total"] = sum(timing.values())
        return replace(result, timing_s=timing)


def _other_videos(source: Source) -> tuple[int, ...]:
    """Numbers of the video tracks that might be measured in place of the one that was."""
    return tuple(
        t.number for t in source.tracks if t.kind == "video" and not (t.measured or t.note)
    )


def detect(
    path: str | os.PathLike[str],
    *,
    backbone: str = "fcn-cls",
    weights: str | Path | None = None,
    device: str = "auto",
    runtime: str = "auto",
    trust: str | Sequence[str] | None = None,
    max_offset: int = 15,
    detector: str = "centerface",
    video_track: int | None = None,
    audio_track: int | None = None,
    channel: str = "auto",
    max_faces: int = 4,
    allow_external: bool = False,
    stall_timeout: float = STALL_S,
    on_progress: Callable[[DetectProgress], None] | None = None,
) -> DetectResult:
    """Measure one film; for several, make a ``Detector`` once.

    Args:
        path: The film.
        backbone: ``NAME[.TAG]``.
        weights: Weight file or exported model; None takes the backbone's own.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        runtime: What runs the network: see ``load_model``.
        trust: Checksums of exported models that may run code: see ``load_model``.
        max_offset: Largest offset searched, in frames of 40 ms.
        detector: Name of the face detector.
        video_track: Which video track, counted from 0; None for that of a player.
        audio_track: Which audio track, counted from 0; None for that of a player.
        channel: Audio channel: a number from 0, a name such as ``FC``, ``mix``, or ``auto``.
        max_faces: At most so many faces are followed at a time.
        allow_external: Whether a playlist may name local files outside its folder.
        stall_timeout: Longest wait for a frame, in seconds, before a video is given up; 0 waits for ever.
        on_progress: Called every second of film.

    Returns:
        The result.

    Raises:
        SyncToolError: See ``load_model`` and ``Detector.detect``.

    Example:
        >>> result = synctool.detect("talk.mp4")  # doctest: +SKIP
        >>> result.offset_ms, result.audio_is, result.verdict  # doctest: +SKIP
        (121, 'ahead', 'unacceptable')
    """
    model = load_model(backbone, weights=weights, device=device, runtime=runtime, trust=trust)
    measuring = Detector(
        model=model,
        max_offset=max_offset,
        detector=detector,
        video_track=video_track,
        audio_track=audio_track,
        channel=channel,
        max_faces=max_faces,
        allow_external=allow_external,
        stall_timeout=stall_timeout,
    )
    return measuring.detect(path, on_progress=on_progress)
