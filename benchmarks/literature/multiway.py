"""Multi-way accuracy: which of 31 audio windows belongs to a frame, within a frame.

Every window of a clip is scored against the audio frames at -15 .. +15 frames. The clip's constant delay is
taken out of its audio to the sample first, so that offset 0 is the truth and three of the 31 candidates
count as right: chance is 3 in 31. Where the clip has no audio that far, another clip's stands in, so that
there are always 31 candidates; or, as in the literature, these candidates are left out. A window takes
part only if the clip has all of its own audio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from literature.offset_bias import clip_constant, constants_of_others
from literature.readings import READINGS, WindowReader
from literature.speech import speech_frames
from synctool.data.samples import Sample
from synctool.evaluation.bootstrap import Interval, mean_interval
from synctool.plugins.specs import BackboneSpec
from synctool.training.multiway import MAX_OFFSET, best_within
from synctool.types import SAMPLES_PER_FRAME

LITERATURE_CONTEXTS = (5, 7, 9, 11, 13, 15)
CHANCE = 3 / (2 * MAX_OFFSET + 1)
SPEECH_SHARE = 0.5
"""A window counts as speech if at least so much of its frames does."""


@dataclass(frozen=True)
class WindowHits:
    """What one clip's windows of one reading and length came to.

    Attributes:
        clip: Key of the clip.
        person: Who is in it.
        source: Its collection.
        reading: One of ``READINGS``.
        frames: N.
        right: bool ``[W]``: whether the best candidate lies within a frame of the truth.
        speech: bool ``[W]``: whether the window is one of speech.
    """

    clip: str
    person: str
    source: str
    reading: str
    frames: int
    right: np.ndarray
    speech: np.ndarray


@dataclass(frozen=True)
class Accuracy:
    """One cell of the table: a reading, a length, and which windows.

    Attributes:
        source: Collection.
        reading: One of ``READINGS``.
        frames: N.
        windows: ``all``, or ``speech`` for windows of speech only.
        interval: Accuracy per clip, then over clips.
        count: Windows in all.
    """

    source: str
    reading: str
    frames: int
    windows: Literal["all", "speech"]
    interval: Interval
    count: int


def clip_volume(
    model: nn.Module,
    sample: Sample,
    filler: np.ndarray,
    *,
    spec: BackboneSpec,
    shift_samples: int = 0,
) -> tuple[Tensor, Tensor]:
    """Score volumes of a whole clip.

    Args:
        model: A ``SyncModel`` in evaluation mode.
        sample: The clip.
        filler: int16, audio for candidates beyond the clip.
        spec: What the network takes, and how far it looks.
        shift_samples: The audio is moved ahead by this.

    Returns:
        Plain similarities and the head's logits, both ``[1, 31, T]``.
    """
    reader = WindowReader(model, sample, filler, spec=spec)
    return reader.film(shift_samples=shift_samples)


def clip_constants(
    model: nn.Module,
    samples: Sequence[Sample],
    *,
    spec: BackboneSpec,
    person: Callable[[Sample], str],
    own: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """The constant delay of each clip, measured with this network on all clips but itself.

    Args:
        model: A ``SyncModel`` in evaluation mode.
        samples: Clips of people that the network was not trained on.
        spec: What the network takes, and how far it looks.
        person: Who is in a clip.
        own: Let a clip of a person without a name have a say in its own constant, as the clips of such
            a person may come from many videos.
        on_progress: Told how many clips are done, and how many there are.

    Returns:
        Frames by key, audio ahead positive, the network's own constant error included; see
        ``constants_of_others``.
    """
    people = [person(sample) for sample in samples]
    curves = []
    for i, sample in enumerate(samples):
        reader = WindowReader(model, sample, _filler(samples, people, i), spec=spec)
        curves.append(reader.film()[1][0].float().log_softmax(0).sum(1).numpy())
        if on_progress:
            on_progress(i + 1, len(samples))
    sources = [sample.info.source for sample in samples]
    moved = constants_of_others(np.array(curves), people, sources)
    if own:
        moved = [
            m if sample.info.speaker else clip_constant(curve, m)
            for sample, curve, m in zip(samples, curves, moved)
        ]
    return {sample.info.key: float(c) for sample, c in zip(samples, moved)}


def window_hits(
    model: nn.Module,
    samples: Sequence[Sample],
    *,
    spec: BackboneSpec,
    person: Callable[[Sample], str],
    constants: Mapping[str, float],
    contexts: Sequence[int] = LITERATURE_CONTEXTS,
    leave_out: bool = False,
    speech: Callable[..., np.ndarray] = speech_frames,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[WindowHits]:
    """Score all windows of clips in all readings.

    Args:
        model: A ``SyncModel`` in evaluation mode.
        samples: Clips of people that the network was not trained on.
        spec: What the network takes, and how far it looks.
        person: Who is in a clip.
        constants: Constant offset of each clip in frames, by key: of ``clip_constants``.
        contexts: Lengths of windows.
        leave_out: Candidates beyond the clip's audio are left out; else other clips' audio stands in.
        speech: Tells frames of speech: as ``speech_frames``.
        on_progress: Told how many clips are done, and how many there are.
    """
    people = [person(sample) for sample in samples]
    hits: list[WindowHits] = []
    for i, sample in enumerate(samples):
        info = sample.info
        shift = -round(constants[info.key] * SAMPLES_PER_FRAME)
        lead = info.sound_lead + shift
        talks = speech(sample.audio, lead=lead, frames=info.num_frames)
        inside = _audio_inside(sample.audio.size, lead, info.num_frames)
        reader = WindowReader(model, sample, _filler(samples, people, i), spec=spec)
        for (reading, n), scores in reader.readings(contexts, shift_samples=shift).items():
            heard = np.lib.stride_tricks.sliding_window_view(inside, n, axis=1).all(-1)
            kept = heard[MAX_OFFSET]
            if leave_out:
                scores = scores.masked_fill(~torch.from_numpy(heard), -torch.inf)
            spoken = np.convolve(talks, np.ones(n), "valid") >= SPEECH_SHARE * n
            right = best_within(scores)
            if kept.any():
                hits.append(
                    WindowHits(
                        info.key, people[i], info.source, reading, n, right[kept], spoken[kept]
                    )
                )
        if on_progress:
            on_progress(i + 1, len(samples))
    return hits


def accuracies(hits: Sequence[WindowHits]) -> list[Accuracy]:
    """The table: accuracy per clip, then over clips, by collection, reading, length and windows."""
    sources = sorted({hit.source for hit in hits})
    lengths = sorted({hit.frames for hit in hits})
    table = []
    for source in sources:
        for windows in ("all", "speech"):
            for reading in READINGS:
                for n in lengths:
                    here = [
                        h for h in hits if (h.source, h.reading, h.frames) == (source, reading, n)
                    ]
                    chosen = [(h, h.right if windows == "all" else h.right[h.speech]) for h in here]
                    chosen = [(h, right) for h, right in chosen if right.size]
                    if not chosen:
                        continue
                    interval = mean_interval(
                        [float(right.mean()) for _, right in chosen], [h.person for h, _ in chosen]
                    )
                    count = sum(right.size for _, right in chosen)
                    table.append(Accuracy(source, reading, n, windows, interval, count))
    return table


def _filler(samples: Sequence[Sample], people: Sequence[str], index: int) -> np.ndarray:
    """Audio of the same person's next clip, whose voice does not tell where a clip ends; or of anyone's."""
    after = [*range(index + 1, len(people)), *range(index)]
    same = [j for j in after if people[j] == people[index]]
    return samples[(same or after or [index])[0]].audio


def _audio_inside(samples: int, lead: int, frames: int) -> np.ndarray:
    """bool ``[31, T]``: whether the clip has at least half of a candidate frame's audio."""
    offsets = np.arange(-MAX_OFFSET, MAX_OFFSET + 1)
    middles = lead + SAMPLES_PER_FRAME * (np.arange(frames)[None] - offsets[:, None])
    middles = middles + SAMPLES_PER_FRAME // 2
    return (middles >= 0) & (middles < samples)
