"""The number that is explained: how far the best offset of a moment stands out from all others.

It is the score of that offset less the mean of all offsets, as a mean over the frames of the moment, with the
row fixed: masks must not find another offset that suits them better.
"""

from __future__ import annotations

import numpy as np

from synctool.errors import UsageError
from synctool.explaining.moment import Moment
from synctool.features.frontends import FRONT_ENDS
from synctool.features.inputs import as_input
from synctool.networks.loaded import LoadedModel
from synctool.scoring.offset import estimate_offset
from synctool.types import SAMPLES_PER_FRAME


class Target:
    """The score of a moment, as a function of the crops and of the audio features.

    Args:
        model: The model.
        moment: The moment.
        max_offset: K.

    Attributes:
        row: Row of the volume that is explained.
        offset_frames: Sub-frame offset of the moment; > 0: audio ahead.
        volume: Score volume of the moment ``[2K+1, T]``.
        audio: Audio features, with a batch axis.
        steps: Entries of the last axis of ``audio`` for each frame.
        lead: Index of the audio frame that belongs to the first crop.

    Raises:
        UsageError: There is no audio round the moment.
    """

    def __init__(self, model: LoadedModel, moment: Moment, *, max_offset: int) -> None:
        self.model, self.moment, self.max_offset = model, moment, max_offset
        front = FRONT_ENDS[model.spec.audio.kind]
        samples = front.at_level(moment.samples)
        delay = round(model.zero_frames * SAMPLES_PER_FRAME)
        samples = np.pad(samples, (max(delay, 0), 0))[max(-delay, 0) :]
        frames = samples.size // SAMPLES_PER_FRAME
        if frames < moment.crops.shape[0] // 2:
            raise UsageError(
                f"there is no audio round {moment.at_s:g} s", remedy="Give another --at."
            )
        padded = np.pad(samples[: frames * SAMPLES_PER_FRAME], (front.before, front.after))
        self.audio = np.asarray(front.compute(padded), np.float32)[None]
        self.steps = front.steps
        self.lead = moment.first_frame - moment.samples_frame
        self._audio_rows = model.runtime.encode_audio(self.audio)
        self.volume = self.volume_of(moment.crops)
        estimate = estimate_offset(self.volume[:, moment.target])
        if estimate is None:
            raise UsageError(
                f"nothing can be compared at {moment.at_s:g} s", remedy="Give another --at."
            )
        self.row, self.offset_frames = estimate.row, estimate.offset_frames

    def volume_of(self, crops: np.ndarray, audio: np.ndarray | None = None) -> np.ndarray:
        """Score volume ``[2K+1, T]`` of other crops, and of other audio features."""
        runtime = self.model.runtime
        video = runtime.encode_video(as_input(crops, self.model.spec.video))
        rows = self._audio_rows if audio is None else runtime.encode_audio(audio)
        return self._scored(rows, video)

    def volume_of_audio(self, audio: np.ndarray) -> np.ndarray:
        """The same of the moment's own crops with other audio features."""
        return self._scored(self.model.runtime.encode_audio(audio), self._own_video())

    def score(self, volume: np.ndarray) -> float:
        """The number that is explained, of a volume ``[2K+1, T]``."""
        part = volume[:, self.moment.target]
        finite = np.where(np.isfinite(part), part, np.nan)
        return float(np.nanmean(finite[self.row] - np.nanmean(finite, 0)))

    def _own_video(self) -> np.ndarray:
        if not hasattr(self, "_video_rows"):
            crops = as_input(self.moment.crops, self.model.spec.video)
            self._video_rows = self.model.runtime.encode_video(crops)
        return self._video_rows

    def _scored(self, audio_rows: np.ndarray, video_rows: np.ndarray) -> np.ndarray:
        found = self.model.runtime.score(
            audio_rows, video_rows, max_offset=self.max_offset, audio_lead=self.lead
        )[0]
        return np.where(np.isfinite(found), found, np.nan)


def still_crops(crops: np.ndarray) -> np.ndarray:
    """The mean look of crops ``[T, S, S, ...]``, at every frame: what is left when nothing moves."""
    mean = crops.mean(0).round().astype(np.uint8)
    return np.broadcast_to(mean, crops.shape)
