"""What speaks for and against lips and voice belonging together: figures of one face in a span of time.

Everything is read off what ``detect`` has anyway (score volume, embeddings of the mouth, voice activity)
and off
two cheap series: the motion of the mouth (``features.mouth_motion``) and the level of the audio. No word is
recognised.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.special import logit

from synctool.authenticity.closures import closure_frames
from synctool.features.loudness import STEPS
from synctool.features.mouth_motion import MouthSeries
from synctool.scoring.confidence import Calibration
from synctool.scoring.offset import OffsetEstimate, estimate_offset
from synctool.scoring.smoothing import local_peaks
from synctool.types import VIDEO_FPS

WINDOW_S = 1.0
"""Length of the windows whose offsets are compared with that of the whole."""
AGREEING_FRAMES = 1.5
"""A window agrees with the whole when it is no further off."""
USUAL_LIVELY = 0.58
"""``lively`` of most people's own lips: the median over the people of ``benchmarks/authenticity.py``."""
STILL = 0.5
"""Lips are still while they change less than this share of what chin and cheeks change."""
LEAST_FRAMES = 25
"""Frames with speech that any figure needs."""
AGAIN_ALIKE = 0.96
"""Correlation of a third of a second of lips with an earlier one from which it counts as the same."""
_AGAIN_FRAMES, _AGAIN_LEAST_LAG, _AGAIN_MOST_LAG = 9, 12, 150
_AGAIN_LEAST_POWER = 0.3
_AGAIN_LEAST_CHANGE = 0.04
"""Root mean square, as a share of the brightness, of lips that count as moving at all."""
_MOST_ODDS = 8.0
_MOST_JITTER = 6.0


@dataclass(frozen=True)
class Evidence:
    """Figures of one face in a span of time; NaN where there is nothing to tell.

    Attributes:
        own_audio: Natural log-odds that the audio is this face's, by the model's calibration.
        clearness: ``log(1 + t)`` of the best offset.
        height: Score of the best offset above the mean of all.
        level: Mean score of the best offset itself.
        steady: Share of one-second windows in speech whose own offset agrees with the whole.
        jitter: Mean distance of the windows' offsets from the whole, in frames, at most 6.
        follow: Correlation of the opening of the mouth with the level of the audio, at the offset.
        waking: Log of how much more the lips move in speech than in silence.
        lively: Log of how much more the lips move than chin and cheeks, in speech.
        unusual: How far that is from what is usual, either way.
        still: Share of the speech in which the lips are still.
        together: Correlation of the motion of the lips with that of chin and cheeks.
        again: Share of the speech in which the mouth repeats, look for look, what it does elsewhere.
        closed: How far the mouth is more closed at the stops of the audio than in other speech, in standard
            deviations; see ``closures``.
        speech_s: Seconds of speech, on the time of the video.
    """

    own_audio: float = np.nan
    clearness: float = np.nan
    height: float = np.nan
    level: float = np.nan
    steady: float = np.nan
    jitter: float = np.nan
    follow: float = np.nan
    waking: float = np.nan
    lively: float = np.nan
    unusual: float = np.nan
    still: float = np.nan
    together: float = np.nan
    again: float = np.nan
    closed: float = np.nan
    speech_s: float = 0.0


FEATURES = tuple(f.name for f in fields(Evidence) if f.name != "speech_s")
"""The figures that verdicts are made of, in order."""


@dataclass(frozen=True)
class FaceSeries:
    """One face with the audio, on the time of the video; T frames.

    Attributes:
        volume: Scores ``[2K+1, T]``, NaN outside the audio.
        mouth: Opening and motion, of the same frames.
        speech: Probability of speech at every frame of the audio of the whole video, ``[frames]``.
        levels_db: Level of the audio in steps of 10 ms, ``[4 * frames]``.
        first_frame: Frame index of the first frame.
        counted: Which frames count, bool ``[T]``: others belong to another speaker in view; None for all.
    """

    volume: np.ndarray
    mouth: MouthSeries
    speech: np.ndarray
    levels_db: np.ndarray
    first_frame: int = 0
    counted: np.ndarray | None = None

    @property
    def frames(self) -> int:
        """T."""
        return self.volume.shape[1]

    def part(self, start: int, stop: int) -> FaceSeries:
        """The same between two of its frames."""
        cut = slice(start, stop)
        return FaceSeries(
            self.volume[:, cut],
            self.mouth.part(start, stop),
            self.speech,
            self.levels_db,
            self.first_frame + start,
            None if self.counted is None else self.counted[cut],
        )

    def at_audio(self, offset_frames: float) -> np.ndarray:
        """Frame of the audio that belongs to every frame of the face: int ``[T]``, may lie outside."""
        return self.first_frame + np.arange(self.frames) - round(offset_frames)

    def spoken(self, offset_frames: float, least: float) -> np.ndarray:
        """Whether there is speech that counts at every frame of the face: bool ``[T]``."""
        at = self.at_audio(offset_frames)
        inside = (at >= 0) & (at < len(self.speech))
        heard = inside & (self.speech[np.clip(at, 0, len(self.speech) - 1)] >= least)
        return heard if self.counted is None else heard & self.counted

    def loudness(self, offset_frames: float) -> np.ndarray:
        """Mean level in dB at every frame of the face: float ``[T]``, NaN outside the audio."""
        at = self.at_audio(offset_frames)
        by_frame = self.levels_db.reshape(-1, STEPS).mean(1)
        inside = (at >= 0) & (at < len(by_frame))
        return np.where(inside, by_frame[np.clip(at, 0, len(by_frame) - 1)], np.nan)


def evidence_of(
    face: FaceSeries, calibration: Calibration, *, offset_frames: float | None = None
) -> Evidence:
    """The figures of a face.

    Args:
        face: What is known of it.
        calibration: Of the model that made the volume.
        offset_frames: Where the audio is taken to lie; None for the face's own best match.
    """
    from synctool.features.voice_activity import SPEECH

    estimate = estimate_offset(face.volume)
    if estimate is None:
        return Evidence()
    offset = estimate.offset_frames if offset_frames is None else offset_frames
    spoken = face.spoken(offset, SPEECH)
    if spoken.sum() < LEAST_FRAMES:
        return Evidence(speech_s=float(spoken.sum()) / VIDEO_FPS)
    steady, jitter = _steadiness(face.volume, spoken, offset, calibration)
    lively = _lively(face.mouth, spoken)
    return Evidence(
        own_audio=_own_audio(estimate, calibration),
        clearness=float(np.log1p(max(estimate.t_stat, 0.0))),
        height=estimate.height,
        level=estimate.level,
        steady=steady,
        jitter=jitter,
        follow=_correlation(face.mouth.opening, face.loudness(offset)),
        waking=_waking(face.mouth.lips, spoken),
        lively=lively,
        unusual=abs(lively - USUAL_LIVELY),
        still=float(still_frames(face.mouth)[spoken].mean()),
        together=_correlation(face.mouth.lips[1:], face.mouth.around[1:]),
        again=float(repeated_looks(face.mouth.looks)[spoken].mean()),
        closed=_closed(face, offset, spoken),
        speech_s=float(spoken.sum()) / VIDEO_FPS,
    )


def window_offsets(volume: np.ndarray, calibration: Calibration) -> tuple[np.ndarray, np.ndarray]:
    """Offset of the second round every frame, and its confidence: float32 ``[T]`` each."""
    peaks = local_peaks(volume, calibration, window_s=WINDOW_S)
    return peaks.offset_frames, peaks.confidence


def still_frames(mouth: MouthSeries) -> np.ndarray:
    """Whether the lips are still for a third of a second: bool ``[T]``."""
    lips, around = (uniform_filter1d(x, 9) for x in (mouth.lips, mouth.around))
    return lips < STILL * around


def repeated_looks(looks: np.ndarray) -> np.ndarray:
    """Whether a third of a second of lips round each frame was there before, look for look: bool ``[T]``.

    What never changes of a mouth is taken out first, and lips at rest do not count: they always look the
    same.

    Args:
        looks: ``[T, P]``, see ``MouthSeries``.
    """
    frames = len(looks)
    found = np.zeros(frames, bool)
    if frames <= _AGAIN_LEAST_LAG + _AGAIN_FRAMES:
        return found
    x = looks.astype(np.float32)
    x -= x.mean(0)
    power = uniform_filter1d((x * x).sum(1), _AGAIN_FRAMES)
    at_rest = x.shape[1] * _AGAIN_LEAST_CHANGE**2
    moving = power > max(_AGAIN_LEAST_POWER * float(power.mean()), at_rest)
    for lag in range(_AGAIN_LEAST_LAG, min(_AGAIN_MOST_LAG, frames - _AGAIN_FRAMES)):
        both = uniform_filter1d((x[lag:] * x[:-lag]).sum(1), _AGAIN_FRAMES)
        alike = both / np.maximum(np.sqrt(power[lag:] * power[:-lag]), 1e-9) >= AGAIN_ALIKE
        found[lag:] |= alike
        found[:-lag] |= alike
    return found & moving


def _own_audio(estimate: OffsetEstimate, calibration: Calibration) -> float:
    belongs = calibration.certainty(estimate).belongs
    return float(np.clip(logit(np.clip(belongs, 1e-6, 1 - 1e-6)), -_MOST_ODDS, _MOST_ODDS))


def _steadiness(
    volume: np.ndarray, spoken: np.ndarray, offset: float, calibration: Calibration
) -> tuple[float, float]:
    offsets, _ = window_offsets(volume, calibration)
    apart = np.abs(offsets - offset)[spoken]
    apart = apart[np.isfinite(apart)]
    if not apart.size:
        return np.nan, np.nan
    return float((apart <= AGREEING_FRAMES).mean()), float(np.minimum(apart, _MOST_JITTER).mean())


def _waking(lips: np.ndarray, spoken: np.ndarray) -> float:
    quiet = ~spoken
    quiet[0] = False
    if quiet.sum() < VIDEO_FPS // 5:
        return np.nan
    return float(np.log((lips[spoken].mean() + 1e-4) / (lips[quiet].mean() + 1e-4)))


def _lively(mouth: MouthSeries, spoken: np.ndarray) -> float:
    lips, around = mouth.lips[spoken].mean(), mouth.around[spoken].mean()
    return float(np.log((lips + 1e-4) / (around + 1e-4)))


def _closed(face: FaceSeries, offset: float, spoken: np.ndarray) -> float:
    stops = closure_frames(face.levels_db, face.speech)
    at = face.at_audio(offset)
    inside = (at >= 0) & (at < len(stops))
    here = inside & stops[np.clip(at, 0, len(stops) - 1)] & spoken
    others = spoken & ~here
    if here.sum() < 4 or others.sum() < LEAST_FRAMES // 2:
        return np.nan
    opening = face.mouth.opening
    spread = float(opening[spoken].std()) + 1e-4
    return float((opening[others].mean() - opening[here].mean()) / spread)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    known = np.isfinite(first) & np.isfinite(second)
    a, b = first[known], second[known]
    if a.size < LEAST_FRAMES or a.std() < 1e-6 or b.std() < 1e-6:
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])
