"""What a network costs, as it is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from synctool.plugins.specs import BackboneSpec, PairSpec


@dataclass(frozen=True)
class Profile:
    """What one network costs, per second of video (25 frames, one face).

    Attributes:
        name: Its full name.
        role: ``video``, ``audio`` or ``joint``; a joint model is measured with both encoders and the
            volume of ±15 frames.
        parameters: Trainable numbers.
        multiply_adds: Of convolutions, matrix products and attention.
        ms: Milliseconds on this machine: the median of three runs after a first one, or this one if it
            takes long.
        times_real_time: Seconds of video in a second.
        memory_mb: MiB by which the process grew, the network's own numbers included.
        embedding_size: D.
        weights: ``bundled``, ``here``, ``download`` (not here yet) or ``none`` (train it).
        licence: Of the weights, None without any.
        error: Why it could not be measured; then the figures are None.
    """

    name: str
    role: str
    parameters: int | None = None
    multiply_adds: float | None = None
    ms: float | None = None
    times_real_time: float | None = None
    memory_mb: float | None = None
    embedding_size: int | None = None
    weights: str = "none"
    licence: str | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def licence(spec: BackboneSpec) -> str | None:
    """The licence of a network's weights, of a pair those of both; None without any."""
    if isinstance(spec, PairSpec):
        encoders = (spec.video_encoder, spec.audio_encoder)
        found = [encoder.weights.licence for encoder in encoders if encoder.weights]
        return "; ".join(dict.fromkeys(found)) or None
    return spec.weights.licence if spec.weights else None
