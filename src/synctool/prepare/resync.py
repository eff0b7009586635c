"""Bringing clips into sync before training: measure the constant delay of each and take it out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from synctool.data.samples import Sample
from synctool.errors import UsageError
from synctool.measure.encode_clip import encode_audio, encode_crops
from synctool.measure.volumes import score_face
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.prepare.clips import SyncSettings
from synctool.types import DEFAULT_MAX_OFFSET, SAMPLES_PER_FRAME


class Resync:
    """Measures clips with a trained model.

    Args:
        settings: Which model, and how sure it must be.

    Raises:
        MissingError: The weights are not here.
        UsageError: No such backbone.
    """

    def __init__(self, settings: SyncSettings) -> None:
        self._model = _load(settings)
        self._least = settings.min_confidence

    def corrected(self, sample: Sample) -> tuple[Sample | None, str]:
        """The clip in sync, or None and why it is dropped.

        Args:
            sample: A clip with crops that the model can take.
        """
        offset, confidence = self.measure(sample)
        if offset is None or confidence < self._least:
            return None, f"no confident offset ({confidence:.2f} < {self._least:.2f})"
        info = replace(sample.info, offset_frames=round(offset, 3), confidence=round(confidence, 4))
        return moved(replace(sample, info=info), offset), ""

    def measure(self, sample: Sample) -> tuple[float | None, float]:
        """Offset of a clip in frames (audio ahead positive), None without one, and its confidence."""
        with _one_thread():
            return self._measured(sample)

    def _measured(self, sample: Sample) -> tuple[float | None, float]:
        model = self._model
        face = encode_crops(model, sample.crops, sample.info)
        audio = encode_audio(model, sample.audio, at=-sample.info.sound_lead)
        scores = score_face(model, face, audio, max_offset=DEFAULT_MAX_OFFSET)
        if scores.estimate is None or scores.estimate.at_edge:
            return None, 0.0
        found = scores.certainty
        return scores.estimate.offset_frames if found.is_match else None, found.confidence


def check(settings: SyncSettings, *, crop: str, size_px: int, colour: str) -> None:
    """Find out before the work whether the model is here and can take these crops.

    Raises:
        MissingError: The weights are not here.
        UsageError: No such backbone, or it takes other crops.
    """
    wanted = _load(settings).spec
    video = wanted.video
    if video.crop != crop or (video.crop == "mouth" and video.size_px > size_px):
        raise UsageError(
            f"{wanted.full_name} takes {video.crop} crops of {video.size_px} px, not {crop} crops "
            f"of {size_px} px",
            remedy=f"Use --crop {video.crop} --size {max(video.size_px, size_px)}, or another --backbone.",
        )
    if video.colour != "gray" and colour == "gray":
        raise UsageError(
            f"{wanted.full_name} takes colour, not grey crops",
            remedy="Use --colour rgb, or another --backbone.",
        )


def moved(sample: Sample, offset_frames: float) -> Sample:
    """The clip with an offset taken out: audio that is ahead by so much is delayed, exactly.

    Context before the clip is given up where that saves filling up with silence.
    """
    late = round(offset_frames * SAMPLES_PER_FRAME)
    lead, audio = sample.info.sound_lead, sample.audio
    if late < 0:
        audio = audio[-late:]
    else:
        given_up = min(-(-late // SAMPLES_PER_FRAME) * SAMPLES_PER_FRAME, lead)
        lead -= given_up
        if late >= given_up:
            audio = np.concatenate([np.zeros(late - given_up, np.int16), audio])
        else:
            audio = audio[given_up - late :]
    return replace(sample, info=replace(sample.info, sound_lead=lead), audio=audio)


def _load(settings: SyncSettings) -> LoadedModel:
    weights = Path(settings.weights) if settings.weights else None
    return load_model(settings.backbone, weights=weights, device="cpu", runtime="torch")


@contextmanager
def _one_thread() -> Iterator[None]:
    """The workers share the cores among them, and no figure may depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
