"""``backbones --profile``: what networks cost, each measured in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from typing import Any

from synctool.errors import described
from synctool.networks.names import spec_of
from synctool.plugins.specs import BackboneSpec, PairSpec
from synctool.weights.locate import whereabouts


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


def profiles(names: Iterable[str], *, device: str = "cpu") -> Iterator[Profile]:
    """Measure networks one after the other.

    Args:
        names: ``NAME[.TAG]`` of encoders and joint models, ``VIDEO+AUDIO`` of pairs.
        device: ``cpu`` or ``cuda``.

    Yields:
        One profile for each, in order; one that cannot be built or run says why.

    Raises:
        UsageError: There is no such network; before anything is measured.
        MissingError: There is no such device.
    """
    if device != "cpu":
        from synctool.networks.load_torch import choose_device

        choose_device(device)
    for spec in [spec_of(name) for name in names]:
        # A new interpreter for each: memory of one must not count for the next, and a network that
        # takes all of it must end alone.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                yield pool.submit(_measured, spec.full_name, device).result()
            except BrokenProcessPool:
                yield _unmeasured(spec, "its process was killed (out of memory?)")
            except Exception as error:  # a plugin's network may fail in any way, or be killed
                yield _unmeasured(spec, described(error))


def _measured(name: str, device: str) -> Profile:
    """Measure in the new interpreter: this one does without PyTorch."""
    spec_of(name)  # what is not there for it fails at once
    from synctool.networks.profiling import measured

    return measured(name, device)


def licence(spec: BackboneSpec) -> str | None:
    """The licence of a network's weights, of a pair those of both; None without any."""
    if isinstance(spec, PairSpec):
        encoders = (spec.video_encoder, spec.audio_encoder)
        found = [encoder.weights.licence for encoder in encoders if encoder.weights]
        return "; ".join(dict.fromkeys(found)) or None
    return spec.weights.licence if spec.weights else None


def _unmeasured(spec: BackboneSpec, reason: str) -> Profile:
    return Profile(
        name=spec.full_name, role=spec.role, weights=whereabouts(spec.weights),
        licence=licence(spec), error=reason,
    )  # fmt: skip
