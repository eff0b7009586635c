"""What a second of video costs on this machine: each graph of an exported model beside PyTorch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from synctool.cores import usable_cores
from synctool.exporting.formats.checks import Speed
from synctool.exporting.parity import AUDIO, HEAD, VIDEO, InSteps
from synctool.exporting.requirements import ALONE
from synctool.exporting.windows import Window
from synctool.runtimes.protocol import Graph, Runtime
from synctool.types import VIDEO_FPS

_RUNS = 7
_LEAST_RUNS = 3
_LONG_S = 2.0


def speeds(
    reference: Runtime,
    opened: Callable[[int], Mapping[str, Graph]],
    window: Window,
) -> Iterator[Speed]:
    """Time all graphs, with one thread and with all cores.

    Args:
        reference: PyTorch.
        opened: Opens the graphs, to compute with so many threads.
        window: What they are given: the longer, the more like a video.

    Yields:
        Graph by graph, the thread counts one after the other.
    """
    video, audio = window.video(), window.audio()
    inside = np.ones((1, window.frames + 2 * window.rows), np.float32)
    ours = InSteps(reference)
    answer = ours.answer(video, audio, inside)
    audio_frames = window.frames + 2 * window.rows
    torch_work: dict[str, tuple[Callable[[], object], int]] = {
        VIDEO: (lambda: reference.encode_video(video), window.frames),
        AUDIO: (lambda: reference.encode_audio(audio), audio_frames),
        HEAD: (
            lambda: ours.scores(answer.audio_features, answer.video_features, inside),
            window.frames,
        ),
        ALONE: (lambda: ours.answer(video, audio, inside), window.frames),
    }
    given = {
        VIDEO: (video,),
        AUDIO: (audio,),
        HEAD: (answer.audio_features, inside, answer.video_features),
        ALONE: (video, audio, inside),
    }
    before = reference.threads
    try:
        for threads in sorted({1, usable_cores()}):
            graphs = opened(threads)
            reference.threads = threads
            for name, graph in graphs.items():
                work, frames = torch_work[name]
                per_second = 1000 * VIDEO_FPS / frames
                yield Speed(
                    graph=name,
                    threads=threads,
                    torch_ms=per_second * _median_s(work),
                    export_ms=per_second * _median_s(lambda g=graph, n=name: g(*given[n])),
                )
    finally:
        reference.threads = before


def _median_s(work: Callable[[], object]) -> float:
    """Seconds of a run: the median of a few after a first one, of fewer where they take long."""
    work()
    taken: list[float] = []
    while len(taken) < _LEAST_RUNS or (len(taken) < _RUNS and sum(taken) < _LONG_S):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
