"""Every audio channel of a video measured for itself, and the mix of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synctool.features.channel_mix import ChannelPlace, mixed, places_of
from synctool.features.voice_activity import SPEECH, speech_probability
from synctool.measure.analyze import analyze
from synctool.measure.embeddings import EncodedVideo, FaceEmbeddings
from synctool.measure.encode_clip import encode_audio, is_silent
from synctool.networks.loaded import LoadedModel
from synctool.scoring.verdict import Circumstances
from synctool.types import AudioChannel

_CENTRE = "FC"
_SAME = 0.9


@dataclass(frozen=True)
class ChannelMix:
    """The channels, and what is measured in their place.

    Attributes:
        channels: What each says.
        samples: The mix, int16 ``[N]``.
        reference: Number of the channel whose time the mix has.
    """

    channels: tuple[AudioChannel, ...]
    samples: np.ndarray
    reference: int


def measure_channels(
    model: LoadedModel,
    encoded: EncodedVideo,
    faces: Sequence[FaceEmbeddings],
    names: Sequence[str],
    *,
    max_offset: int,
    each: bool,
) -> ChannelMix:
    """Measure the channels of a video that was encoded with them.

    Args:
        model: The model.
        encoded: The video.
        faces: Its faces through that model.
        names: Names of the channels.
        max_offset: K.
        each: Whether each gets an offset of its own; else only its place beside the reference.
    """
    samples = encoded.channels
    speech = [speech_probability(x, encoded.frames) for x in samples]
    reference = _reference(samples, speech, names)
    places = places_of(samples, reference)
    found = []
    for number, (name, place) in enumerate(zip(names, places)):
        channel = _channel(name, place, reference=number == reference)
        if each and not is_silent(samples[number]):
            findings = analyze(
                model,
                faces,
                encode_audio(model, samples[number]),
                frames=encoded.frames,
                max_offset=max_offset,
                known=Circumstances(),
                speech=speech[number],
                frames_late=encoded.frames_late,
            )
            answered = findings.decision.verdict != "inconclusive"
            channel = replace(
                channel,
                offset_frames=findings.offset_frames if answered else None,
                confidence=findings.confidence,
                verdict=findings.decision.verdict,
                reason=findings.decision.reason,
            )
        found.append(channel)
    return ChannelMix(tuple(found), mixed(samples, places), reference)


def _reference(
    samples: Sequence[np.ndarray], speech: Sequence[np.ndarray], names: Sequence[str]
) -> int:
    """The centre where it speaks as much as any, else the channel with most speech, the louder of equals."""
    spoken = np.array([float((p >= SPEECH).mean()) for p in speech])
    level = np.array([float(np.mean(x.astype(np.float64) ** 2)) for x in samples])
    alike = spoken >= _SAME * max(float(spoken.max()), 1e-9)
    centre = next((i for i, name in enumerate(names) if name == _CENTRE), None)
    if centre is not None and alike[centre] and level[centre] > 0:
        return centre
    return int(np.where(alike, level, -1.0).argmax())


def _channel(name: str, place: ChannelPlace, *, reference: bool) -> AudioChannel:
    return AudioChannel(
        name,
        place.level_db,
        place.delay_ms,
        place.inverted,
        place.coherence,
        place.weight,
        reference,
    )
