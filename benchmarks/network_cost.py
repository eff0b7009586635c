"""What a network costs: multiply-adds and time per frame on one core, against decoding a video."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch

from synctool.features.frontends import FRONT_ENDS
from synctool.networks.loaded import LoadedModel
from synctool.networks.profiling import multiply_adds
from synctool.types import SAMPLES_PER_FRAME, VIDEO_FPS

FRAMES = 250
_RUNS = 5


def cost(model: LoadedModel, videos: list[Path], *, weights: Path | None) -> dict:
    """Cost of each part of the network per 25 Hz frame.

    Args:
        model: The network, on the CPU.
        videos: Decoded for comparison in the same run.
        weights: Its file.

    Returns:
        Plain data: ``parts`` (multiply-adds and ms per frame), ``decoding`` (ms per frame and the
        ratio of the network to it), ``parameters``, ``weights_bytes``.
    """
    network, spec = model.network, model.spec
    size = spec.video.size_px
    images = torch.rand(1, spec.video.channels, FRAMES, size, size)
    front = FRONT_ENDS[spec.audio.kind]
    length = front.before + FRAMES * SAMPLES_PER_FRAME + front.after
    noise = np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)
    audio = torch.from_numpy(front.compute(noise))[None]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            seen, heard = network.encode_video(images), network.encode_audio(audio)
            parts = {
                "video encoder": _part(lambda: network.encode_video(images)),
                "audio encoder": _part(lambda: network.encode_audio(audio)),
                "head, ±15 frames": _part(lambda: network.score(heard, seen, max_offset=15)),
                "head, ±125 frames": _part(lambda: network.score(heard, seen, max_offset=125)),
            }
        used = ("video encoder", "audio encoder", "head, ±15 frames")
        whole_ms = sum(parts[name]["ms"] for name in used)
        decoding = {}
        for video_file in videos:
            ms = _decoding_ms(video_file)
            decoding[video_file.name] = {"ms": ms, "network_to_decoding": whole_ms / ms}
    finally:
        torch.set_num_threads(before)
    return {
        "parts": parts,
        "whole_ms": whole_ms,
        "decoding": decoding,
        "parameters": sum(p.numel() for p in network.parameters()),
        "weights_bytes": os.path.getsize(weights) if weights else None,
    }


def _part(work: Callable[[], object]) -> dict[str, float]:
    counted = multiply_adds(work)
    taken = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return {
        "multiply_adds": counted / FRAMES,
        "ms": 1000 * statistics.median(taken) / FRAMES,
    }


def _decoding_ms(video_file: Path) -> float:
    """Milliseconds to decode video and audio of one 25 Hz frame on one core."""
    taken = []
    for _ in range(_RUNS):
        seconds = 0.0
        started = time.perf_counter()
        with av.open(str(video_file)) as opened:
            for stream in opened.streams:
                stream.codec_context.thread_count = 1
            for frame in opened.decode(video=0, audio=0):
                if isinstance(frame, av.VideoFrame) and frame.time is not None:
                    seconds = max(seconds, frame.time)
        taken.append((time.perf_counter() - started) / max(seconds * VIDEO_FPS, 1))
    return 1000 * statistics.median(taken)
