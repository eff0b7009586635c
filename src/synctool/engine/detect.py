"""``detect``: how far sound and picture of a film are apart, and how sure that is.

The film is read once: one thread decodes, this one follows faces, cuts crops and encodes chunk by
chunk. Only embeddings are kept (about 25 kB a second of film), so long films fit in little memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from synctool._version import __version__
from synctool.engine.footage import build_detector, followed
from synctool.engine.models import LoadedModel, load_model
from synctool.engine.stopwatch import Stopwatch
from synctool.engine.streams import FaceStream, SoundStream, encoding_beside
from synctool.engine.volumes import FaceScores, combine, score_face
from synctool.errors import UsageError
from synctool.media.film import Film
from synctool.scoring.offset import estimate_offset
from synctool.scoring.path import follow_offset
from synctool.scoring.segments import overall_offset
from synctool.scoring.syncnet import syncnet_score
from synctool.scoring.verdict import LEAST_CONFIDENCE, decide
from synctool.types import VIDEO_FPS, DetectResult, FrameSeries, Source, Track

SHORTEST_FACE_FRAMES = 5
_SILENT_PEAK = 33
"""Sound that never exceeds -60 dB of full scale is silence."""


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
        audio_track: Which sound track, counted from 0.
        max_faces: At most so many faces are followed at a time.

    Raises:
        UsageError: No such detector, or nothing to search.
    """

    def __init__(
        self,
        *,
        model: LoadedModel,
        max_offset: int = 15,
        detector: str = "centerface",
        audio_track: int = 0,
        max_faces: int = 4,
    ) -> None:
        if max_offset < 1:
            raise UsageError(
                f"max_offset is {max_offset}", remedy="Search at least one frame either way."
            )
        self._model = model
        self._max_offset = max_offset
        self._faces = build_detector(detector)
        self._audio_track = audio_track
        self._max_faces = max_faces

    def detect(
        self,
        path: str | os.PathLike[str],
        *,
        on_progress: Callable[[DetectProgress], None] | None = None,
    ) -> DetectResult:
        """Measure one film.

        Args:
            path: The film.
            on_progress: Called every second of film.

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
            encoding_beside() as beside,
            Film(path, audio_track=self._audio_track, colour=colour) as film,
        ):
            sound = SoundStream(
                network=self._model.network,
                spec=spec,
                device=self._model.device,
                sound=film.sound,
                zero_frames=self._model.zero_frames,
            )
            faces = self._watch_film(film, sound, beside, watch, on_progress)
            watch.now("audio")
            sound.encode(last=True)
            watch.now("video")
            for face in faces.values():
                face.encode(last=True)
                face.embeddings()  # waits for the network, so that its time is not another's
            watch.now("scoring")
            heard = sound.embeddings()
            ticks = max(film.tick, 1)
            scored = [
                score_face(self._model, number, face, heard, max_offset=self._max_offset)
                for number, face in sorted(faces.items())
                if face.frames >= SHORTEST_FACE_FRAMES
            ]
            silent = film.sound.peak < _SILENT_PEAK
            if silent:  # whatever fits silence best is no answer
                scored = [replace(face, estimate=None, confidence=0.0) for face in scored]
            result = self._conclude(
                os.fspath(path), film.source, scored, ticks, any_face=bool(faces), silent=silent
            )
        watch.now("")
        timing = (
            dict.fromkeys(("decode", "faces", "video", "audio", "scoring"), 0.0) | watch.seconds
        )
        timing["total"] = sum(timing.values())
        return replace(result, timing_s=timing)

    def _watch_film(
        self,
        film: Film,
        sound: SoundStream,
        beside: ThreadPoolExecutor,
        watch: Stopwatch,
        on_progress: Callable[[DetectProgress], None] | None,
    ) -> dict[int, FaceStream]:
        faces: dict[int, FaceStream] = {}
        for tracked in followed(film, self._faces, max_faces=self._max_faces, watch=watch):
            tick = tracked.picture.index
            for number, pose in tracked.poses.items():
                face = faces.get(number)
                if face is None:
                    face = faces[number] = FaceStream(
                        network=self._model.network,
                        spec=self._model.spec,
                        device=self._model.device,
                        first_tick=tick,
                        beside=beside,
                    )
                face.add(tracked.picture, pose)
                if face.ready:
                    watch.now("video")
                    face.encode()
                    watch.now("faces")
            if tick % VIDEO_FPS == 0:
                # A face that has gone will not come back under its number: free its crops.
                for number, face in faces.items():
                    if number not in tracked.poses and face.waiting:
                        watch.now("video")
                        face.encode(last=True)
                watch.now("audio")
                sound.encode()
                watch.now("faces")
                if on_progress:
                    on_progress(DetectProgress(tick, film.expected_ticks))
        return faces

    def _conclude(
        self,
        name: str,
        source: Source,
        faces: list[FaceScores],
        ticks: int,
        *,
        any_face: bool,
        silent: bool,
    ) -> DetectResult:
        calibration = self._model.calibration
        rows = 2 * self._max_offset + 1
        combined = combine(faces, ticks, rows, calibration)
        estimate = None if silent else estimate_offset(combined.volume)
        confidence = calibration.confidence(estimate) if estimate else 0.0
        offset, at_edge, segments, drift = None, False, (), None
        series = FrameSeries((), (), ())
        if estimate is not None:
            path = follow_offset(combined.volume, calibration=calibration)
            segments, drift, series = path.segments, path.drift_ms_per_min, path.series()
            offset, confidence = overall_offset(estimate, confidence, segments)
            at_edge = estimate.at_edge
        decision = decide(
            offset,
            confidence=confidence,
            max_offset=self._max_offset,
            frames=estimate.frames if estimate else 0,
            at_edge=at_edge,
            has_face=any_face,
            has_sound=not silent,
            segments=segments,
        )
        distances = syncnet_score(combined.distances)
        return DetectResult(
            input=name,
            backbone=self._model.spec.full_name,
            weights=self._model.weights,
            synctool=__version__,
            source=source,
            offset_frames=None if decision.verdict == "inconclusive" else offset,
            confidence=confidence,
            verdict=decision.verdict,
            reason=decision.reason,
            coverage=combined.coverage,
            drift_ms_per_min=drift,
            syncnet_confidence=distances.syncnet_confidence if distances else None,
            min_distance=distances.min_distance if distances else None,
            segments=segments,
            tracks=tuple(_track(face) for face in faces),
            frames=series,
            timing_s={},
            max_offset=self._max_offset,
        )


def detect(
    path: str | os.PathLike[str],
    *,
    backbone: str = "fcn-cls",
    weights: str | Path | None = None,
    device: str = "auto",
    max_offset: int = 15,
    detector: str = "centerface",
    audio_track: int = 0,
    max_faces: int = 4,
    on_progress: Callable[[DetectProgress], None] | None = None,
) -> DetectResult:
    """Measure one film; for several, make a ``Detector`` once.

    Args:
        path: The film.
        backbone: ``NAME[.TAG]``.
        weights: Weight file; None takes the backbone's own.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        max_offset: Largest offset searched, in frames of 40 ms.
        detector: Name of the face detector.
        audio_track: Which sound track, counted from 0.
        max_faces: At most so many faces are followed at a time.
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
    model = load_model(backbone, weights=weights, device=device)
    measuring = Detector(
        model=model,
        max_offset=max_offset,
        detector=detector,
        audio_track=audio_track,
        max_faces=max_faces,
    )
    return measuring.detect(path, on_progress=on_progress)


def _track(face: FaceScores) -> Track:
    speaking = face.confidence >= LEAST_CONFIDENCE
    left, top, right, bottom = (float(round(x, 1)) for x in face.box)
    return Track(
        id=face.number,
        start_s=face.first_tick / VIDEO_FPS,
        end_s=(face.first_tick + face.frames) / VIDEO_FPS,
        box_px=(left, top, round(right - left, 1), round(bottom - top, 1)),
        speaking=speaking,
        offset_frames=round(face.estimate.offset_frames, 3) if speaking and face.estimate else None,
        confidence=round(face.confidence, 4),
    )
