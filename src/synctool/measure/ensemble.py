"""Several models as one: their scores are added with weights, offset by offset and frame by frame.

Scores are like log-likelihoods, so a weighted sum is a product of experts (Hinton, "Training products of
experts by minimizing contrastive divergence", Neural Computation 14, 2002). The passes of one network with
dropout are members of equal weight (Gal & Ghahramani, "Dropout as a Bayesian approximation", ICML 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from synctool.measure.analyze import Findings
from synctool.measure.embeddings import AudioEmbeddings, FaceEmbeddings, ModelEmbeddings
from synctool.measure.volumes import video_volume
from synctool.networks.loaded import LoadedModel
from synctool.scoring.confidence import UNCALIBRATED, Calibration
from synctool.scoring.offset import estimate_offset
from synctool.scoring.offset_sets import SetCalibration
from synctool.types import FRAME_MS, Ensemble, EnsembleMember
from synctool.untrusted.documents import read_json, typed

KEPT = Path(str(resources.files("synctool.weights") / "bundled" / "ensembles.json"))
"""Weights and calibration of ensembles of the models that come with the packages."""
_AGREE_FRAMES = 1.0


@dataclass(frozen=True)
class KeptEnsemble:
    """What ``tools/calibrate_ensemble.py`` stores of an ensemble.

    Attributes:
        members: Names and checksums of the weights, in order.
        weights: Of their scores.
        calibration: See ``Calibration.to_dict``.
        offset_sets: See ``SetCalibration.to_dict``.
    """

    members: tuple[str, ...]
    weights: tuple[float, ...]
    calibration: dict[str, Any]
    offset_sets: dict[str, Any] | None = None


class JoinedRuntime:
    """Adds the scores of several models whose embeddings lie above each other.

    Args:
        members: The models.
        weights: Of their scores.
        video_sizes: D of each one's embeddings of frames.
        audio_sizes: And of audio.
    """

    def __init__(
        self,
        members: Sequence[LoadedModel],
        weights: Sequence[float],
        *,
        video_sizes: Sequence[int],
        audio_sizes: Sequence[int],
    ) -> None:
        runtimes = [member.runtime for member in members]
        self.name = "+".join(dict.fromkeys(runtime.name for runtime in runtimes))
        self.device = runtimes[0].device
        self.reach = max(runtime.reach for runtime in runtimes)
        self._runtimes, self._weights = runtimes, weights
        self._video, self._audio = np.cumsum(video_sizes)[:-1], np.cumsum(audio_sizes)[:-1]

    @property
    def threads(self) -> int:
        """See ``Runtime``."""
        return self._runtimes[0].threads

    @threads.setter
    def threads(self, count: int) -> None:
        for runtime in self._runtimes:
            runtime.threads = count

    def encode_video(self, video: np.ndarray) -> np.ndarray:
        """Members take crops of their own kind."""
        raise NotImplementedError("the members of an ensemble encode for themselves")

    def encode_audio(self, audio: np.ndarray) -> np.ndarray:
        """Likewise."""
        raise NotImplementedError("the members of an ensemble encode for themselves")

    def score(
        self,
        audio_features: np.ndarray,
        video_features: np.ndarray,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> np.ndarray:
        """See ``Runtime``; weighted, and -inf where any member has none."""
        parts = zip(
            self._runtimes,
            self._weights,
            np.split(audio_features, self._audio, axis=1),
            np.split(video_features, self._video, axis=1),
            strict=True,
        )
        scores = [
            weight
            * runtime.score(
                np.ascontiguousarray(audio),
                np.ascontiguousarray(video),
                max_offset=max_offset,
                audio_lead=audio_lead,
            )
            for runtime, weight, audio, video in parts
        ]
        return np.asarray(np.sum(scores, axis=0, dtype=np.float32))


def kept_ensemble(members: Sequence[LoadedModel]) -> KeptEnsemble | None:
    """What is known of an ensemble; None for one that nobody calibrated."""
    if not KEPT.is_file():
        return None
    wanted = tuple(member.weights for member in members)
    for known in typed(read_json(KEPT), list[KeptEnsemble]):
        if known.members == wanted:
            return known
    return None


def joined(
    members: Sequence[LoadedModel], found: Sequence[ModelEmbeddings], calibration: Calibration
) -> tuple[LoadedModel, ModelEmbeddings]:
    """One model, and what it made of a video, from those of the members.

    Args:
        members: The models; the first gives its name and SyncNet's distances.
        found: What each made of the video.
        calibration: Of the members together.
    """
    weights = _weights(members)
    sizes = [[rows.shape[0] for rows in _rows(one)] for one in found]
    runtime = JoinedRuntime(
        members,
        weights,
        audio_sizes=[size[0] for size in sizes],
        video_sizes=[size[-1] for size in sizes],
    )
    model = replace(
        members[0],
        runtime=runtime,
        weights=" + ".join(member.weights for member in members),
        calibration=calibration,
        compared=sizes[0][-1],
    )
    frames = min(one.audio.rows.shape[1] for one in found)
    audio = AudioEmbeddings(
        np.concatenate([one.audio.rows[:, :frames] for one in found]), found[0].audio.first_frame
    )
    faces = tuple(_face(same) for same in zip(*(one.faces for one in found), strict=True))
    return model, replace(found[0], weights=model.weights, audio=audio, faces=faces)


def calibration_of(members: Sequence[LoadedModel]) -> Calibration:
    """The calibration of several models together: the kept one; that of a network whose own passes they are,
    without its sets; else the cautious default."""
    if (known := kept_ensemble(members)) is not None:
        calibration = Calibration.from_dict(known.calibration)
        sets = known.offset_sets
        return replace(calibration, sets=None if sets is None else SetCalibration.from_dict(sets))
    if len({id(member.runtime) for member in members}) == 1:
        return replace(members[0].calibration, sets=None)
    return UNCALIBRATED


def spread(
    members: Sequence[LoadedModel],
    found: Sequence[ModelEmbeddings],
    findings: Findings,
    *,
    frames_late: float = 0.0,
) -> Ensemble:
    """What each member says by itself, of the faces that all chose together, and how far they are apart."""
    said = []
    for member, one, weight in zip(members, found, _weights(members), strict=True):
        volume = video_volume(
            member, one.faces, one.audio, findings.video.chosen, max_offset=findings.max_offset
        )
        estimate = estimate_offset(volume)
        said.append(
            EnsembleMember(
                backbone=member.spec.full_name,
                weights=member.weights,
                weight=weight,
                offset_frames=None
                if estimate is None
                else round(estimate.offset_frames + frames_late, 3),
                confidence=0.0 if estimate is None else member.calibration.confidence(estimate),
            )
        )
    offsets = np.array([m.offset_frames for m in said if m.offset_frames is not None])
    together = findings.offset_frames
    return Ensemble(
        members=tuple(said),
        spread_ms=float(offsets.std() * FRAME_MS) if len(offsets) else None,
        agreement=None
        if together is None or not len(offsets)
        else float((np.abs(offsets - together) <= _AGREE_FRAMES).mean()),
    )


def _weights(members: Sequence[LoadedModel]) -> Sequence[float]:
    """Of the members' scores: the kept ones, else all alike."""
    known = kept_ensemble(members)
    return known.weights if known else (1 / len(members),) * len(members)


def _rows(one: ModelEmbeddings) -> list[np.ndarray]:
    return [one.audio.rows, *(face.rows for face in one.faces[:1])]


def _face(same: Sequence[FaceEmbeddings]) -> FaceEmbeddings:
    return replace(same[0], rows=np.concatenate([face.rows for face in same]))
