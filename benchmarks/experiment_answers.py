"""Windows of known offset, what networks answer to them, and how good that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from experiment_runs import MARGIN, MAX_OFFSET
from small_network import SPEC
from torch import Tensor, nn

from synctool.data.augment import centre_crop
from synctool.data.pool import PooledSample
from synctool.data.windows import audio_segment
from synctool.evaluation.bootstrap import LEAST_PEOPLE, Interval, mean_interval
from synctool.features.logmel import MARGIN as MEL_MARGIN
from synctool.features.logmel import logmel
from synctool.models.offset_classifier import OffsetClassifier
from synctool.models.offset_regressor import OffsetRegressor
from synctool.models.protocol import expected_offset
from synctool.training.data import TrainData
from synctool.training.losses.volume import expected_offsets
from synctool.types import SAMPLES_PER_FRAME

Reading = Callable[[nn.Module, Tensor, Tensor, int], Tensor]
"""Network, audio, frames and lead of the audio to the offset of each window, ``[B]``."""
WITHIN_FRAMES = 1.0
_BATCH = 32
_DRAWS = 1000


@dataclass(frozen=True)
class Windows:
    """Windows cut out of clips, all of one length.

    Attributes:
        video: uint8 ``[N, T, S, S]``.
        audio: float32 ``[N, 64, 4 (T + 2 lead)]``.
        lead: Audio frame that belongs to video frame 0.
        offset_frames: float ``[N]``, the truth.
        clips: Key of each one's clip.
        people: Who is in it.
    """

    video: np.ndarray
    audio: np.ndarray
    lead: int
    offset_frames: np.ndarray
    clips: tuple[str, ...]
    people: tuple[str, ...]


def cut_windows(
    samples: Sequence[PooledSample], data: TrainData, *, frames: int, per_clip: int, seed: int
) -> Windows:
    """Cut windows and move their audio, the offsets spread evenly over -15 to 15 frames.

    In clips that are long enough, the place of the *audio* is drawn, whatever the offset, and the
    frames are taken from where they belong to it: else a network could guess the offset from the
    audio alone, by where in the clip it seems to lie. In short clips the frames' place is drawn.
    Beyond the clip's audio there is another clip's of the same person, as in training.

    Args:
        samples: Clips as long as a window.
        data: Who is in them, and their constant offsets.
        frames: T.
        per_clip: Windows of each clip.
        seed: Seed.
    """
    rng = np.random.default_rng(seed)
    count, pad = len(samples) * per_clip, MAX_OFFSET + MARGIN
    wanted = MAX_OFFSET * (2 * (rng.permutation(count) + rng.random(count)) / count - 1)
    people = [data.person(sample) for sample in samples]
    videos, waveforms, offsets, which = [], [], [], []
    for number, offset in enumerate(wanted):
        i = number % len(samples)
        info, waveform = samples[i].info, samples[i].audio
        constant = data.constant(samples[i])
        moved = round((offset - constant) * SAMPLES_PER_FRAME)
        first = _place(info.num_frames - frames, moved / SAMPLES_PER_FRAME, rng)
        begin = info.sound_lead + (first - pad) * SAMPLES_PER_FRAME + moved - MEL_MARGIN
        length = (frames + 2 * pad) * SAMPLES_PER_FRAME + 2 * MEL_MARGIN
        heard = audio_segment(waveform, begin, length, samples[_mate(people, i)].audio, rng)
        videos.append(centre_crop(samples[i].crops[first : first + frames], SPEC.video.size_px))
        waveforms.append(logmel(heard.astype(np.float32) / 32768))
        offsets.append(moved / SAMPLES_PER_FRAME + constant)
        which.append(i)
    return Windows(
        video=np.stack(videos),
        audio=np.stack(waveforms),
        lead=pad,
        offset_frames=np.array(offsets),
        clips=tuple(samples[i].info.key for i in which),
        people=tuple(people[i] for i in which),
    )


def others_crops(windows: Windows) -> Windows:
    """The same audio frames with the frames of another clip each: what is still right is no lip reading."""
    return replace(windows, video=np.roll(windows.video, 1, axis=0))


def classified(model: OffsetClassifier, audio: Tensor, video: Tensor, lead: int) -> Tensor:
    """The best of the candidates, over the whole window."""
    logits = model(audio, video, max_offset=MAX_OFFSET, audio_lead=lead).logits
    return expected_offset(logits.mean(-1, keepdim=True).softmax(1))[0][:, 0]


def soft_argmax(model: OffsetClassifier, audio: Tensor, video: Tensor, lead: int) -> Tensor:
    """The mean of the candidates by their chances, as the loss ``mse`` sees it."""
    probs = model(audio, video, max_offset=MAX_OFFSET, audio_lead=lead).sync_probs
    return expected_offsets(probs).mean(1)


def regressed(model: OffsetRegressor, audio: Tensor, video: Tensor, lead: int) -> Tensor:
    """The mean over the frames."""
    return model(audio, video, audio_lead=lead).mean(1)


@torch.inference_mode()
def answers(model: nn.Module, windows: Windows, read: Reading) -> np.ndarray:
    """What a network says of each window, in frames: float ``[N]``."""
    found = []
    for start in range(0, len(windows.clips), _BATCH):
        part = slice(start, start + _BATCH)
        video = torch.from_numpy(windows.video[part])[:, None].float() / 255.0
        audio = torch.from_numpy(windows.audio[part])[:, None]
        found.append(read(model, audio, video, windows.lead).float().numpy())
    return np.concatenate(found).astype(float)


@dataclass(frozen=True)
class Quality:
    """How good answers are, each with a 95% interval.

    Attributes:
        deviation: Standard deviation of the answers, in frames.
        slope: Of answer on truth: 1 is right, 0 says that the answer does not follow the truth.
        within: Share of windows within a frame.
        blind: The same with other clips' frames.
        median_error: Median of the absolute errors, in frames.
    """

    deviation: Interval
    slope: Interval
    within: Interval
    blind: Interval
    median_error: Interval


def quality(said: np.ndarray, blind: np.ndarray, windows: Windows) -> Quality:
    """Judge answers.

    Args:
        said: To the windows.
        blind: To the same windows with ``others_pictures``.
        windows: The windows.
    """
    true = windows.offset_frames
    errors = np.abs(said - true)
    return Quality(
        deviation=interval(lambda i: said[i].std(), windows),
        slope=interval(lambda i: _slope(true[i], said[i]), windows),
        within=within(said, windows),
        blind=within(blind, windows),
        median_error=interval(lambda i: np.median(errors[i]), windows),
    )


def within(said: np.ndarray, windows: Windows) -> Interval:
    """Share of answers within a frame of the truth, over clips, with its interval."""
    right = np.abs(said - windows.offset_frames) <= WITHIN_FRAMES
    clips = dict.fromkeys(windows.clips)
    of = {clip: right[[c == clip for c in windows.clips]].mean() for clip in clips}
    who = dict(zip(windows.clips, windows.people))
    return mean_interval([float(of[c]) for c in clips], [who[c] for c in clips])


def better_by(new: np.ndarray, old: np.ndarray, windows: Windows) -> Interval:
    """By how much the share within a frame is greater, paired over the same windows."""
    hits = [np.abs(x - windows.offset_frames) <= WITHIN_FRAMES for x in (new, old)]
    return interval(lambda i: hits[0][i].mean() - hits[1][i].mean(), windows)


def interval(statistic: Callable[[np.ndarray], float], windows: Windows) -> Interval:
    """A figure of some windows with its 95% interval, whole people drawn with replacement; whole
    clips where the people are too few (``synctool.evaluation.bootstrap``).

    Args:
        statistic: Indices of windows to a number.
        windows: All of them.
    """
    by_person = len(set(windows.people)) >= LEAST_PEOPLE
    keys = np.array(windows.people if by_person else windows.clips)
    members = [np.flatnonzero(keys == key) for key in dict.fromkeys(keys.tolist())]
    rng = np.random.default_rng(0)
    drawn = [
        float(statistic(np.concatenate([members[i] for i in picks])))
        for picks in rng.integers(0, len(members), (_DRAWS, len(members)))
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(
        value=float(statistic(np.arange(len(keys)))),
        low=float(low),
        high=float(high),
        drawn="people" if by_person else "clips",
        units=len(members),
        count=len(keys),
    )


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    spread = x.var()
    return float(((x - x.mean()) * (y - y.mean())).mean() / spread) if spread > 0 else 0.0


def _place(last: int, moved_frames: float, rng: np.random.Generator) -> int:
    """The first frame of a window; the last one that there may be is ``last``."""
    if last < 2 * MAX_OFFSET:
        return int(rng.integers(0, last + 1))
    heard = rng.uniform(MAX_OFFSET, last - MAX_OFFSET)
    return int(np.clip(round(heard - moved_frames), 0, last))


def _mate(people: Sequence[str], index: int) -> int:
    """Another clip of the same person, or the clip itself."""
    after = [*range(index + 1, len(people)), *range(index)]
    return next((j for j in after if people[j] == people[index]), index)
