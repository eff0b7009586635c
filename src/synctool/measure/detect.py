"""``detect``: how far audio and video are apart, and how sure that is.

The video is read once: one thread decodes, this one tracks faces, cuts crops and encodes chunk by
chunk. Only embeddings are kept (about 25 kB a second of video), so long videos fit in little memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from synctool._version import __version__
from synctool.errors import UsageError
from synctool.measure.analyze import analyze, conclude
from synctool.measure.detectors import needed
from synctool.measure.encode import DetectProgress, encode
from synctool.measure.thumbnails import Thumbnail
from synctool.measure.timing import Stopwatch
from synctool.measure.tracks import build_detector
from synctool.media.waiting import STALL_S
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.scoring.verdict import Circumstances
from synctool.types import DetectResult, Source, StreamSelection

THUMBNAILS = 8
"""At most so many are made of a video, where they are asked for."""
STAGES = ("decode", "faces", "video", "audio", "scoring")
"""What ``timing_s`` tells the seconds of, beside ``total``."""


class Detector:
    """Measures videos with one model, which is loaded once.

    Args:
        model: The model.
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
        """Measure one video.

        Args:
            path: The video; also a ``file:`` URL, or ``-`` for the standard input.
            on_progress: Called every second of video.
            on_thumbnails: Called once, at the end, with a few small images of the video.

        Returns:
            The result; a video that carries no answer gives the verdict ``inconclusive``.

        Raises:
            MissingError: No such file.
            MediaError: It cannot be read, or has no video or no audio.
            UsageError: It has no such audio track.
        """
        encoded = encode(
            path,
            [self._model],
            detector=self._faces,
            streams=self._streams,
            max_faces=self._max_faces,
            allow_external=self._allow_external,
            stall_timeout=self._stall_s,
            thumbnails=THUMBNAILS if on_thumbnails else 0,
            on_progress=on_progress,
        )
        stopwatch = Stopwatch()
        stopwatch.now("scoring")
        source, (own,) = encoded.source, encoded.models
        findings = analyze(
            self._model,
            own.faces,
            own.audio,
            frames=encoded.frames,
            max_offset=self._max_offset,
            known=Circumstances(
                has_audio=not encoded.silent,
                steady=encoded.steady,
                audio_starts_late_s=source.audio_start_s - source.video_start_s,
                other_videos=_other_videos(source),
            ),
            look_further=True,
            unread_share=source.unread_share,
            frames_late=encoded.frames_late,
        )
        result = conclude(self._model, findings, name=os.fspath(path), source=source)
        stopwatch.now("")
        if on_thumbnails:
            on_thumbnails(encoded.thumbnails)
        stage_s = dict.fromkeys(STAGES, 0.0) | {**encoded.stage_s, **stopwatch.seconds}
        return replace(result, timing_s=stage_s | {"total": sum(stage_s.values())})


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
    """Measure one video; for several, make a ``Detector`` once.

    Args:
        path: The video.
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
        on_progress: Called every second of video.

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
