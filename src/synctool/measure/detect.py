"""``detect``: how far audio and video are apart, and how sure that is.

The video is read once: one thread decodes, this one tracks faces, cuts crops and encodes chunk by
chunk. Only embeddings are kept (about 25 kB a second of video), so long videos fit in little memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from synctool._version import __version__
from synctool.extras import require
from synctool.features.loudness import Loudness
from synctool.features.mouth_motion import MouthSeries
from synctool.features.steadiness import LevelSpread
from synctool.features.voice_activity import speech_probability
from synctool.measure.analyze import analyze, conclude
from synctool.measure.arrays import DetectArrays, arrays_of
from synctool.measure.authenticity import authenticity_of
from synctool.measure.channels import measure_channels
from synctool.measure.detectors import needed
from synctool.measure.direction import direction_of
from synctool.measure.embeddings import EncodedVideo, ModelEmbeddings
from synctool.measure.encode import DetectProgress, encode
from synctool.measure.encode_clip import encode_audio, is_silent
from synctool.measure.ensemble import calibration_of, joined, spread
from synctool.measure.scene import scene_statistics
from synctool.measure.thumbnails import Thumbnail
from synctool.measure.timing import Stopwatch
from synctool.measure.tracks import build_detector
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.scoring.verdict import Circumstances
from synctool.settings.detect import DetectSettings
from synctool.types import AudioChannel, AudioDirection, DetectResult, Source

THUMBNAILS = 8
"""At most so many are made of a video, where they are asked for."""
STAGES = ("decode", "faces", "video", "audio", "scoring")
"""What ``timing_s`` tells the seconds of, beside ``total``."""


class Detector:
    """Measures videos with one model, which is loaded once.

    Args:
        settings: How to measure; None for the defaults.
        model: The model, in place of the one that the settings name.
        threads: Most that an exported model computes with; None for half of the cores.
        changes: Settings by name that differ from ``settings``: see ``DetectSettings``.

    Raises:
        UsageError: A wrong setting, or no such model or face detector.
        SyncToolError: See ``load_model``.
    """

    def __init__(
        self,
        settings: DetectSettings | None = None,
        *,
        model: LoadedModel | None = None,
        threads: int | None = None,
        **changes: Any,
    ) -> None:
        self._settings = s = DetectSettings.of(settings, changes)
        self._members = _members(s, model, threads)
        self._model = self._members[0]
        if len(self._members) > 1:
            calibration = calibration_of(self._members)
            weights = " + ".join(member.weights for member in self._members)
            self._model = replace(self._model, calibration=calibration, weights=weights)
        calibration = self._model.calibration.covering(s.set_coverage)
        self._model = replace(self._model, calibration=calibration)
        self._faces = build_detector(s.detector)

    @property
    def makes_sets(self) -> bool:
        """Whether its model has thresholds for sets of offsets."""
        return self._model.calibration.sets is not None

    @property
    def weights(self) -> str:
        """Which weights measure."""
        return self._model.weights

    @property
    def decides(self) -> dict[str, Any]:
        """All that results depend on but the videos, as JSON knows it."""
        spec, runtime = self._model.spec, self._model.runtime
        _, weights = needed(self._settings.detector)
        return {
            "synctool": __version__,
            "network": [spec.full_name, self._model.weights],
            "runtime": f"{runtime.name} on {runtime.device}",
            "max_offset": self._settings.max_offset,
            "detector": [
                self._settings.detector,
                None if weights is None else weights.stat().st_size,
            ],
            "streams": asdict(self._settings.streams),
            "channels": self._settings.channels,
            "max_faces": self._settings.max_faces,
            "set_coverage": self._settings.set_coverage,
            "allow_external": self._settings.allow_external,
        }

    def detect(
        self,
        path: str | os.PathLike[str],
        *,
        on_progress: Callable[[DetectProgress], None] | None = None,
        on_thumbnails: Callable[[tuple[Thumbnail, ...]], None] | None = None,
        on_mouths: Callable[[Mapping[int, MouthSeries]], None] | None = None,
    ) -> DetectResult:
        """Measure one video.

        Args:
            path: The video; also a ``file:`` URL, or ``-`` for the standard input.
            on_progress: Called every second of video.
            on_thumbnails: Called once, at the end, with a few small images of the video.
            on_mouths: Called once, at the end, with the motion of each face's mouth by its number.

        Returns:
            The result; a video that carries no answer gives the verdict ``inconclusive``.

        Raises:
            MissingError: No such file.
            MediaError: It cannot be read, or has no video or no audio.
            UsageError: It has no such audio track.
        """
        arrays = self._measured(
            path, on_progress=on_progress, on_thumbnails=on_thumbnails, on_mouths=on_mouths
        )
        return arrays.result

    def arrays(
        self,
        path: str | os.PathLike[str],
        *,
        on_progress: Callable[[DetectProgress], None] | None = None,
    ) -> DetectArrays:
        """Measure one video, and give what the result is concluded from: score volume and embeddings.

        Args:
            path: See ``detect``.
            on_progress: See ``detect``.

        Raises:
            SyncToolError: See ``detect``.
        """
        return self._measured(path, on_progress=on_progress)

    def _measured(
        self,
        path: str | os.PathLike[str],
        *,
        on_progress: Callable[[DetectProgress], None] | None = None,
        on_thumbnails: Callable[[tuple[Thumbnail, ...]], None] | None = None,
        on_mouths: Callable[[Mapping[int, MouthSeries]], None] | None = None,
    ) -> DetectArrays:
        encoded = encode(
            path,
            self._members,
            detector=self._faces,
            streams=self._settings.streams,
            max_faces=self._settings.max_faces,
            allow_external=self._settings.allow_external,
            stall_timeout=self._settings.stall_timeout,
            thumbnails=THUMBNAILS if on_thumbnails else 0,
            mouths=True,
            channels=self._settings.channels in ("each", "mix"),
            on_progress=on_progress,
        )
        stopwatch = Stopwatch()
        stopwatch.now("scoring")
        source, own, model = encoded.source, encoded.models[0], self._model
        channels = ensemble = direction = None
        if len(self._members) > 1:
            model, own = joined(self._members, encoded.models, self._model.calibration)
        if encoded.channels:
            encoded, own, channels = self._mixed(encoded, own)
            source = encoded.source
        findings = analyze(
            model,
            own.faces,
            own.audio,
            frames=encoded.frames,
            max_offset=self._settings.max_offset,
            known=Circumstances(
                has_audio=not encoded.silent,
                steady=encoded.steady,
                audio_starts_late_s=source.audio_start_s - source.video_start_s,
                other_videos=_other_videos(source),
            ),
            speech=encoded.speech,
            look_further=True,
            unread_share=source.unread_share,
            frames_late=encoded.frames_late,
        )
        if len(self._members) > 1:
            late = encoded.frames_late
            ensemble = spread(self._members, encoded.models, findings, frames_late=late)
        if self._settings.channels in ("each", "mix"):
            reference = next((c.name for c in channels or () if c.reference), "")
            direction = direction_of(encoded, findings, own.faces, reference=reference)
            source = _with_mirrored(source, direction)
        result = conclude(model, findings, name=os.fspath(path), source=source)
        result = replace(result, audio_channels=channels, ensemble=ensemble)
        result = replace(result, audio_direction=direction)
        if (
            encoded.speech is not None
            and encoded.levels_db is not None
            and encoded.scene is not None
        ):
            scene = scene_statistics(
                encoded.scene,
                source=source,
                speech=encoded.speech,
                levels_db=encoded.levels_db,
                activity=findings.activity,
            )
            result = replace(result, scene=scene)
        if encoded.speech is not None and encoded.levels_db is not None and ensemble is None:
            judged = authenticity_of(
                self._model,
                encoded,
                findings,
                speech=encoded.speech,
                levels_db=encoded.levels_db,
            )
            result = replace(result, authenticity=judged)
        stopwatch.now("")
        if on_thumbnails:
            on_thumbnails(encoded.thumbnails)
        if on_mouths:
            on_mouths(encoded.mouths)
        stage_s = dict.fromkeys(STAGES, 0.0) | {**encoded.stage_s, **stopwatch.seconds}
        result = replace(result, timing_s=stage_s | {"total": sum(stage_s.values())})
        return arrays_of(result, findings, own.faces, own.audio)

    def _mixed(
        self, encoded: EncodedVideo, own: ModelEmbeddings
    ) -> tuple[EncodedVideo, ModelEmbeddings, tuple[AudioChannel, ...]]:
        """The video with the mix of its channels in place of its audio, and what each channel says."""
        mix = measure_channels(
            self._model,
            encoded,
            own.faces,
            encoded.channel_names,
            max_offset=self._settings.max_offset,
            each=self._settings.channels == "each",
        )
        level, loudness = LevelSpread(), Loudness()
        level.add(mix.samples)
        loudness.add(mix.samples)
        encoded = replace(
            encoded,
            source=replace(encoded.source, channel="aligned mix"),
            silent=is_silent(mix.samples),
            steady=level.steady,
            speech=speech_probability(mix.samples, encoded.frames),
            levels_db=loudness.levels(encoded.frames),
        )
        return encoded, replace(own, audio=encode_audio(self._model, mix.samples)), mix.channels


def _members(
    s: DetectSettings, model: LoadedModel | None, threads: int | None
) -> list[LoadedModel]:
    """What measures: the model; with those beside it; or so many passes of it with dropout."""
    if s.mc_dropout:
        require("train", "Monte Carlo dropout", "torch")
    runtime = "torch" if s.mc_dropout and s.runtime == "auto" else s.runtime
    first = model or load_model(
        s.backbone,
        weights=s.weights,
        device=s.device,
        runtime=runtime,
        threads=threads,
        trust=s.trust,
    )
    if s.mc_dropout:
        from synctool.networks.dropout_passes import dropout_passes

        return dropout_passes(first, s.mc_dropout)
    return [
        first,
        *(load_model(name, device=s.device, threads=threads) for name in s.ensemble),
    ]


def _with_mirrored(source: Source, direction: AudioDirection) -> Source:
    """The same with a warning where left and right are likely swapped."""
    if direction.verdict != "mirrored":
        return source
    said = f"left and right of the audio are likely swapped: {direction.reason}"
    return replace(source, warnings=(*source.warnings, said))


def _other_videos(source: Source) -> tuple[int, ...]:
    """Numbers of the video tracks that might be measured in place of the one that was."""
    return tuple(
        t.number for t in source.tracks if t.kind == "video" and not (t.measured or t.note)
    )


def detect(
    path: str | os.PathLike[str],
    settings: DetectSettings | None = None,
    *,
    on_progress: Callable[[DetectProgress], None] | None = None,
    **changes: Any,
) -> DetectResult:
    """Measure one video; for several, make a ``Detector`` once.

    Args:
        path: The video; also a ``file:`` URL, or ``-`` for the standard input.
        settings: How to measure; None for the defaults.
        on_progress: Called every second of video.
        changes: Settings by name that differ from ``settings``: see ``DetectSettings``.

    Returns:
        The result.

    Raises:
        SyncToolError: See ``Detector`` and ``Detector.detect``.

    Example:
        >>> result = synctool.detect("talk.mp4", max_offset=50)  # doctest: +SKIP
        >>> result.offset_ms, result.audio_is, result.verdict  # doctest: +SKIP
        (121, 'ahead', 'unacceptable')
    """
    return Detector(settings, **changes).detect(path, on_progress=on_progress)
