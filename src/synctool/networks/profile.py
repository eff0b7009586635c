"""``backbones --profile``: what networks cost, each measured in a process of its own."""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from synctool.errors import described
from synctool.features.frontends import FRONT_ENDS
from synctool.models.protocol import sync_model
from synctool.networks.build import construct
from synctool.networks.load_torch import choose_device
from synctool.networks.names import spec_of
from synctool.plugins.specs import BackboneSpec, PairSpec, VideoInput
from synctool.types import DEFAULT_MAX_OFFSET, VIDEO_FPS
from synctool.weights.locate import whereabouts

SECONDS = 2
"""Length of the video that is measured on: noise, since the cost does not depend on its content."""
_LONG_S = 3.0
_RUNS = 3


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
    choose_device(device)
    for spec in [spec_of(name) for name in names]:
        # A new interpreter for each: memory of one must not count for the next, and a network that
        # takes all of it must end alone.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                yield pool.submit(measured, spec.full_name, device).result()
            except BrokenProcessPool:
                yield _unmeasured(spec, "its process was killed (out of memory?)")
            except Exception as error:  # a plugin's network may fail in any way, or be killed
                yield _unmeasured(spec, described(error))


def measured(name: str, device: str) -> Profile:
    """Measure one network in this process; its memory is right only if nothing was measured before."""
    spec = spec_of(name)
    before = _memory_mb()
    built, network = construct(spec, {})
    network = network.to(device).eval()
    given = _inputs(built, device)

    def work() -> None:
        if built.role != "joint":
            network(*given)
            return
        model = sync_model(network)
        video, audio = model.encode_video(given[0]), model.encode_audio(given[1])
        model.score(audio, video, max_offset=DEFAULT_MAX_OFFSET)

    started = time.perf_counter()
    counted = multiply_adds(work) / SECONDS
    # Beside what takes long, the counting and the preparing of kernels cost nothing.
    first_s = time.perf_counter() - started
    seconds = first_s if first_s > _LONG_S else _timed(work, device)
    return Profile(
        name=spec.full_name,
        role=spec.role,
        parameters=sum(p.numel() for p in network.parameters()),
        multiply_adds=counted,
        ms=1000 * seconds / SECONDS,
        times_real_time=SECONDS / seconds,
        memory_mb=_memory_mb() - before if device == "cpu" else _gpu_memory_mb(),
        embedding_size=built.embedding_size,
        weights=whereabouts(spec.weights),
        licence=_licence(spec),
    )


def multiply_adds(work: Callable[[], object]) -> float:
    """Multiply-adds of some work: those of convolutions, matrix products and attention."""
    # Not in inference mode, where the counter breaks layers with normalised weights.
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        work()
    # The counter takes a multiplication and an addition for two.
    return counter.get_total_flops() / 2


def _timed(work: Callable[[], object], device: str) -> float:
    """Seconds of a run, the median of a few."""
    taken: list[float] = []
    with torch.inference_mode():
        while len(taken) < _RUNS and sum(taken) < _LONG_S:
            started = time.perf_counter()
            work()
            if device != "cpu":
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _inputs(spec: BackboneSpec, device: str) -> list[torch.Tensor]:
    frames = SECONDS * VIDEO_FPS
    makers = (
        (spec.video, lambda video: _video(video, frames)),
        (spec.audio, lambda audio: 0.1 * torch.randn(FRONT_ENDS[audio.kind].shape(frames))),
    )
    return [make(contract).to(device) for contract, make in makers if contract is not None]


def _video(video: VideoInput, frames: int) -> torch.Tensor:
    return torch.rand(1, video.channels, frames, video.size_px, video.size_px)


def _memory_mb() -> float:
    """The most memory that this process has had, MiB; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


def _gpu_memory_mb() -> float:
    return torch.cuda.max_memory_allocated() / 2**20


def _licence(spec: BackboneSpec) -> str | None:
    if isinstance(spec, PairSpec):
        encoders = (spec.video_encoder, spec.audio_encoder)
        found = [encoder.weights.licence for encoder in encoders if encoder.weights]
        return "; ".join(dict.fromkeys(found)) or None
    return spec.weights.licence if spec.weights else None


def _unmeasured(spec: BackboneSpec, reason: str) -> Profile:
    return Profile(
        name=spec.full_name, role=spec.role, weights=whereabouts(spec.weights),
        licence=_licence(spec), error=reason,
    )  # fmt: skip
