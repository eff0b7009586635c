"""What a network costs: parameters, multiply-adds, time and memory, measured in this process."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from synctool.features.frontends import FRONT_ENDS
from synctool.models.protocol import sync_model
from synctool.networks.build import construct
from synctool.networks.names import spec_of
from synctool.networks.profile import Profile, licence
from synctool.plugins.specs import BackboneSpec, VideoInput
from synctool.types import DEFAULT_MAX_OFFSET, VIDEO_FPS
from synctool.weights.locate import whereabouts

SECONDS = 2
"""Length of the video that is measured on: noise, since the cost does not depend on its content."""
_LONG_S = 3.0
_RUNS = 3


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
        licence=licence(spec),
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
