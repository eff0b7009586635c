"""The pieces test: a video has one true offset, so all its pieces must agree.

A video is cut into pieces of 2 or 3 seconds with different content, and each piece's audio comes from a
place moved by its own random known amount. All answers minus their moves must agree; a spurious match
cannot do that. It is the honest test on videos whose offset nobody has published.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from synctool.comparison.segment_cuts import cuts
from synctool.data.samples import Sample, SampleInfo
from synctool.evaluation.bootstrap import Interval, mean_interval
from synctool.evaluation.consensus import Answer, Piece, agrees, consensus_of
from synctool.measure.analyze import analyze
from synctool.measure.encode_clip import encode_audio, encode_crops
from synctool.networks.loaded import LoadedModel
from synctool.types import DEFAULT_MAX_OFFSET, SAMPLES_PER_FRAME


@dataclass(frozen=True)
class PiecesResult:
    """How many pieces agree with their video.

    Attributes:
        pieces: Pieces in videos that have a consensus.
        answered: Of these, so many were answered.
        of_all: Share of all pieces whose best match is right; no match is wrong.
        of_answered: Share of the answered ones that are right; None if there is none.
        answered_right: Share of all pieces that were answered and right.
        consensus: Offset of each video in frames.
    """

    pieces: int
    answered: int
    of_all: Interval
    of_answered: Interval | None
    answered_right: Interval
    consensus: Mapping[str, float]


def joined(samples: Sequence[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Clips as one video.

    Returns:
        Crops uint8 ``[T, S, S]`` or ``[T, S, S, 3]``, and int16 audio of exactly as long; what a clip
        lacks is silent.
    """
    crops = np.concatenate([sample.crops for sample in samples])
    audio = []
    for sample in samples:
        length = sample.info.num_frames * SAMPLES_PER_FRAME
        own = sample.audio[sample.info.sound_lead :][:length]
        audio.append(np.pad(own, (0, length - own.size)))
    return crops, np.concatenate(audio)


def measure(
    model: LoadedModel,
    crops: np.ndarray,
    samples: np.ndarray,
    *,
    stored: SampleInfo,
    max_offset: int = DEFAULT_MAX_OFFSET,
) -> Answer:
    """Measure a segment that is in memory as ``detect`` measures a video with this one face.

    Args:
        model: The model.
        crops: uint8 ``[T, S, S]``, or ``[T, S, S, 3]`` in RGB.
        samples: int16 ``[N]``; sample 0 belongs to frame 0, and there is no other audio.
        stored: What kind of crops they are.
        max_offset: Largest offset searched, in frames.
    """
    face, audio = encode_crops(model, crops, stored), encode_audio(model, samples)
    found = analyze(model, [face], audio, frames=len(crops), max_offset=max_offset)
    answered = found.decision.verdict != "inconclusive"
    return Answer(found.offset_frames, found.confidence, answered)


def pieces_of(
    video: str,
    person: Hashable,
    samples: Sequence[Sample],
    model: LoadedModel,
    *,
    piece_frames: int,
    rng: np.random.Generator,
) -> list[Piece]:
    """The pieces of one person's clips joined to a video.

    Args:
        video: Name for it.
        person: Who speaks.
        samples: The clips.
        model: The model.
        piece_frames: Length of a piece.
        rng: Source of chance.
    """
    crops, audio = joined(samples)
    length = piece_frames * SAMPLES_PER_FRAME
    found = []
    for start, begin, moved in cuts(len(crops), piece_frames, audio.size, rng):
        answer = measure(
            model,
            crops[start : start + piece_frames],
            audio[begin : begin + length],
            stored=samples[0].info,
        )
        found.append(Piece(video, person, moved / SAMPLES_PER_FRAME, answer))
    return found


def agreement(pieces: Sequence[Piece]) -> PiecesResult | None:
    """Compare pieces with their videos' consensus.

    Videos of fewer than three pieces take no part; see ``consensus_of``.

    Returns:
        None if no video has a consensus.
    """
    consensus = consensus_of(pieces)
    counted = [piece for piece in pieces if piece.film in consensus]
    if not counted:
        return None
    right = [agrees(piece, consensus[piece.film]) for piece in counted]
    people = [p.person for p in counted]
    sure = [i for i, p in enumerate(counted) if p.answer.answered]
    return PiecesResult(
        pieces=len(counted),
        answered=len(sure),
        of_all=mean_interval(right, people),
        of_answered=mean_interval([right[i] for i in sure], [people[i] for i in sure])
        if sure
        else None,
        answered_right=mean_interval(
            [r and p.answer.answered for r, p in zip(right, counted)], people
        ),
        consensus=consensus,
    )
