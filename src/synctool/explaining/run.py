"""``explain``: which pixels and moments of a video carried the answer at one time."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from synctool._version import __version__
from synctool.errors import UsageError
from synctool.explaining.checks import (
    MaskingCheck,
    RandomWeightsCheck,
    check_masking,
    check_random_weights,
)
from synctool.explaining.moment import Moment, read_moment
from synctool.explaining.occlusion import audio_importance, frame_importance, occlusion_map
from synctool.explaining.target import Target
from synctool.extras import require
from synctool.measure.encode import DetectProgress
from synctool.measure.tracks import build_detector
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.scoring.offset import estimate_offset
from synctool.settings.explain import ExplainSettings
from synctool.types import EXPLAIN_SCHEMA, FRAME_MS, VIDEO_FPS

Method = Literal["occlusion", "grad-cam", "integrated-gradients"]
GRADIENTS = ("grad-cam", "integrated-gradients")


@dataclass(frozen=True)
class Explanation:
    """What carried the answer at one moment.

    Attributes:
        input: The video as it was given.
        backbone: Full name of the model.
        weights: Name and checksum of its weights.
        runtime: What ran it.
        method: How the map was made.
        moment: The crops and the audio.
        row: Row of the volume that is explained.
        offset_frames: Offset of the moment; > 0: audio ahead.
        confidence: Probability that it is right within a frame.
        score: How far that offset stands out, in units of the scores.
        volume: Score volume of the moment ``[2K+1, T]``.
        heat: Importance of every place of the crop ``[S, S]``, highest 1.
        heats: The same of every frame ``[T, S, S]``, 0..1.
        frames: Importance of every frame ``[T]``, in units of the scores.
        audio: Importance of the audio that belongs to every frame ``[T]``, likewise.
        masking: What masking costs.
        random_weights: Whether shuffled weights destroy the map; None where that was not tried.
        checks: Whether that was asked for.
    """

    input: str
    backbone: str
    weights: str
    runtime: str
    method: Method
    moment: Moment
    row: int
    offset_frames: float
    confidence: float
    score: float
    volume: np.ndarray
    heat: np.ndarray
    heats: np.ndarray
    frames: np.ndarray
    audio: np.ndarray
    masking: MaskingCheck
    random_weights: RandomWeightsCheck | None = None
    checks: bool = True

    @property
    def offset_ms(self) -> int:
        """The offset in whole milliseconds."""
        return round(self.offset_frames * FRAME_MS)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        moment = self.moment
        random = self.random_weights
        return {
            "schema": EXPLAIN_SCHEMA,
            "input": self.input,
            "synctool": __version__,
            "backbone": self.backbone,
            "weights": self.weights,
            "runtime": self.runtime,
            "method": self.method,
            "at_s": moment.at_s,
            "face": moment.face,
            "start_s": moment.first_frame / VIDEO_FPS,
            "explained_frames": [moment.target.start, moment.target.stop],
            "offset_frames": round(self.offset_frames, 3),
            "offset_ms": self.offset_ms,
            "confidence": round(self.confidence, 4),
            "score": round(self.score, 4),
            "places": _coarse(self.heat),
            "frames": [round(float(x), 4) for x in self.frames],
            "audio": [round(float(x), 4) for x in self.audio],
            "checks": {
                "masking": {
                    "share": round(self.masking.share, 4),
                    "named": round(self.masking.named, 4),
                    "random": round(self.masking.random, 4),
                    "random_low": round(self.masking.random_low, 4),
                    "random_high": round(self.masking.random_high, 4),
                    "passed": self.masking.passed,
                },
                "random_weights": random
                and {"correlation": round(random.correlation, 4), "passed": random.passed},
            },
        }


def explain(
    path: str | os.PathLike[str],
    settings: ExplainSettings | None = None,
    *,
    model: LoadedModel | None = None,
    on_progress: Callable[[DetectProgress], None] | None = None,
    **changes: Any,
) -> Explanation:
    """Say which pixels and moments carried the answer at one time of a video.

    Args:
        path: The video.
        settings: What to explain, and how; None for the defaults.
        model: The model, loaded already; else it is loaded from the settings.
        on_progress: Called every second of video.
        changes: Settings by name that differ from ``settings``: see ``ExplainSettings``.

    Raises:
        UsageError: The moment lies outside the video, or the method needs PyTorch.
        SyncToolError: The video or the model cannot be read.
    """
    given = ExplainSettings.of(settings, changes)
    if given.method in GRADIENTS:
        require("explain", f"--method {given.method}", "captum", "torch")
    made = model or load_model(
        given.backbone,
        weights=given.weights,
        device=given.device,
        runtime="torch" if given.method in GRADIENTS else given.runtime,
        trust=given.trust,
    )
    moment = read_moment(
        path,
        made,
        build_detector(given.detector),
        at_s=given.at,
        seconds=given.seconds,
        max_offset=given.max_offset,
        face=given.face,
        streams=given.streams,
        max_faces=given.max_faces,
        allow_external=given.allow_external,
        stall_s=given.stall_timeout,
        on_progress=on_progress,
    )
    return explained(made, moment, given, name=os.fspath(path))


def explained(
    model: LoadedModel, moment: Moment, settings: ExplainSettings, *, name: str
) -> Explanation:
    """The explanation of a moment that was read."""
    target = Target(model, moment, max_offset=settings.max_offset)
    method: Method = "occlusion" if settings.method == "auto" else settings.method  # type: ignore[assignment]
    heats, heat = _maps(target, method)
    frames, audio = frame_importance(target), audio_importance(target)
    if heats is None:  # of a map of the whole moment each frame has its own share
        heats = heat[None] * np.clip(frames / max(float(frames.max()), 1e-9), 0, 1)[:, None, None]
    random = None
    if settings.checks and hasattr(model.runtime, "network"):
        random = check_random_weights(target, heat, lambda other: _maps(other, method)[1])
    estimate = estimate_offset(target.volume[:, moment.target])
    return Explanation(
        input=name,
        backbone=model.spec.full_name,
        weights=model.weights,
        runtime=model.runtime.name,
        method=method,
        moment=moment,
        row=target.row,
        offset_frames=target.offset_frames,
        confidence=0.0 if estimate is None else model.calibration.confidence(estimate),
        score=target.score(target.volume),
        volume=target.volume,
        heat=heat,
        heats=heats,
        frames=frames,
        audio=audio,
        masking=check_masking(target, heat),
        random_weights=random,
        checks=settings.checks,
    )


def _maps(target: Target, method: Method) -> tuple[np.ndarray | None, np.ndarray]:
    """The map of every frame, where the method makes one, and that of the moment; highest 1."""
    if method == "occlusion":
        heat = np.clip(occlusion_map(target), 0, None)
        return None, heat / max(float(heat.max()), 1e-9)
    if target.model.runtime.name != "torch":
        raise UsageError(
            f"--method {method} needs a network in PyTorch",
            remedy="Leave --runtime out, and give a weight file as --weights.",
        )
    from synctool.explaining.gradients import grad_cam, integrated_gradients

    heats = grad_cam(target) if method == "grad-cam" else integrated_gradients(target)[0]
    heat = _smooth(heats[target.moment.target].mean(0))
    # A single frame often has most of all; the others are to be seen, too.
    usual = float(np.percentile(heats.max((1, 2)), 80))
    return np.clip(heats / max(usual, 1e-9), 0, 1), heat / max(float(heat.max()), 1e-9)


def _smooth(heat: np.ndarray) -> np.ndarray:
    """Neighbouring pixels carry one thing: a map smoothed by a fortieth of its side."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(heat, len(heat) / 40)


def _coarse(heat: np.ndarray, cells: int = 12) -> list[list[float]]:
    """The map as rows of 12 means each, from top left."""
    edges = np.linspace(0, len(heat), cells + 1).round().astype(int)
    return [
        [
            round(float(heat[a:b, c:d].mean()), 3)
            for c, d in zip(edges[:-1].tolist(), edges[1:].tolist())
        ]
        for a, b in zip(edges[:-1].tolist(), edges[1:].tolist())
    ]
