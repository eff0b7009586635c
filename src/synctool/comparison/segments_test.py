"""The pieces test: a film has one true offset, so all its pieces must agree.

A film is cut into pieces of 2 or 3 seconds with different content, and each piece's sound comes from a
place moved by its own random known amount. All answers minus their moves must agree; a spurious match
cannot do that. It is the honest test on films whose offset nobody has published.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from synctool.comparison.segment_cuts import cuts
from synctool.data.samples import Sample
from synctool.evaluation.bootstrap import Interval, mean_interval
from synctool.evaluation.consensus import Answer, Piece, agrees, consensus_of
from synctool.measure.clip_embeddings import encoded_crops, encoded_sound
from synctool.plugins.specs import BackboneSpec
from synctool.scoring.confidence import Calibration
from synctool.scoring.path import follow_offset
from synctool.scoring.verdict import Circumstances, decide
from synctool.types import SAMPLES_PER_FRAME


@dataclass(frozen=True)
class PiecesResult:
    """How many pieces agree with their film.

    Attributes:
        pieces: Pieces in films that have a consensus.
        answered: Of these, so many were answered.
        of_all: Share of all pieces whose best match is right; no match is wrong.
        of_answered: Share of the answered ones that are right; None if there is none.
        answered_right: Share of all pieces that were answered and right.
        consensus: Offset of each film in frames.
    """

    pieces: int
    answered: int
    of_all: Interval
    of_answered: Interval | None
    answered_right: Interval
    consensus: Mapping[str, float]


def joined(samples: Sequence[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Clips as one film.

    Returns:
        Crops uint8 ``[T, S, S]`` or ``[T, S, S, 3]``, and int16 sound of exactly as long; what a clip
        lacks is silent.
    """
    crops = np.concatenate([sample.crops for sample in samples])
    sounds = []
    for sample in samples:
        length = sample.info.num_frames * SAMPLES_PER_FRAME
        own = sample.sound[sample.info.sound_lead :][:length]
        sounds.append(np.pad(own, (0, length - own.size)))
    return crops, np.concatenate(sounds)


@torch.inference_mode()
def measure(
    network: nn.Module,
    crops: np.ndarray,
    sound: np.ndarray,
    *,
    spec: BackboneSpec,
    calibration: Calibration,
    max_offset: int = 15,
    stored_crop: str = "mouth",
) -> Answer:
    """Measure a stretch that is in memory as ``detect`` measures a film with this one face.

    Args:
        network: A ``SyncModel`` in evaluation mode.
        crops: uint8 ``[T, S, S]``, or ``[T, S, S, 3]`` in RGB.
        sound: int16 ``[N]``; sample 0 belongs to frame 0, and there is no other sound.
        spec: What the network takes, and how far it looks.
        calibration: Of the network.
        max_offset: Largest offset searched, in frames.
        stored_crop: Kind of the crops: ``mouth`` or ``face``.
    """
    seen = encoded_crops(network, crops, stored_crop=stored_crop, spec=spec)
    heard = encoded_sound(network, sound, spec=spec)
    values = network.score(heard, seen, max_offset=max_offset)[0].float().numpy()
    volume = np.where(np.isfinite(values), values, np.nan)
    path = follow_offset(volume, calibration=calibration)
    overall = path.overall
    if overall is None:
        return Answer(None, 0.0, False)
    decision = decide(
        overall.offset_frames,
        confidence=overall.confidence,
        max_offset=max_offset,
        frames=overall.frames,
        at_edge=overall.at_edge,
        circumstances=Circumstances(belongs=overall.belongs, least_belongs=overall.least_belongs),
        segments=path.segments,
    )
    return Answer(overall.offset_frames, overall.confidence, decision.verdict != "inconclusive")


def pieces_of(
    film: str,
    person: Hashable,
    samples: Sequence[Sample],
    network: nn.Module,
    *,
    piece_frames: int,
    spec: BackboneSpec,
    calibration: Calibration,
    rng: np.random.Generator,
) -> list[Piece]:
    """The pieces of one person's clips joined to a film.

    Args:
        film: Name for it.
        person: Who speaks.
        samples: The clips.
        network: A ``SyncModel`` in evaluation mode.
        piece_frames: Length of a piece.
        spec: What the network takes, and how far it looks.
        calibration: Of the network.
        rng: Source of chance.
    """
    crops, sound = joined(samples)
    length = piece_frames * SAMPLES_PER_FRAME
    found = []
    for start, begin, moved in cuts(len(crops), piece_frames, sound.size, rng):
        answer = measure(
            network,
            crops[start : start + piece_frames],
            sound[begin : begin + length],
            spec=spec,
            calibration=calibration,
            stored_crop=samples[0].info.crop,
        )
        found.append(Piece(film, person, moved / SAMPLES_PER_FRAME, answer))
    return found


def agreement(pieces: Sequence[Piece]) -> PiecesResult | None:
    """Compare pieces with their films' consensus.

    Films of fewer than three pieces take no part; see ``consensus_of``.

    Returns:
        None if no film has a consensus.
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
