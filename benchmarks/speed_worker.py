"""One run of ``speed.py`` in a process of its own: pure decoding, or ``detect`` with its cost by stage.

CPU seconds of a stage are those of the threads that call it; FFmpeg's own threads, and what a model's runtime
starts, count in the process's total only.
"""

from __future__ import annotations

import functools
import json
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any


def used_mb() -> float:
    """Peak memory of this process; getrusage would count that of the one which started it."""
    status = Path("/proc/self/status")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def decode(path: str) -> dict[str, Any]:
    """Decode both streams and do nothing with them."""
    import av

    wall, cpu = time.perf_counter(), time.process_time()
    with av.open(path) as video:
        for stream in video.streams:
            stream.thread_type = "AUTO"
        for _ in video.decode(video=0, audio=0):
            pass
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": used_mb(),
    }


def stages() -> dict[str, list[tuple[Any, str]]]:
    """What is timed: methods and functions by stage, none of which calls another's."""
    from synctool.faces.tracking import FaceTracker
    from synctool.measure import detect, face_encoder
    from synctool.measure.audio_encoder import AudioEncoder
    from synctool.media.frame_reader import FrameReader

    return {
        "frames": [(FrameReader, "read")],
        "faces": [(FaceTracker, "_detect"), (FaceTracker, "_pose")],
        "crops": [(face_encoder, "crop_for")],
        "model": [(face_encoder.FaceEncoder, "_rows")],
        "audio": [(AudioEncoder, "add"), (AudioEncoder, "finish")],
        "scoring": [(detect, "analyze"), (detect, "conclude")],
    }


def timed(owner: Any, name: str, spent: dict[str, float], stage: str) -> None:
    """Have a function add the CPU time of its thread to a stage."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapper(*given: Any, **named: Any) -> Any:
        began = time.thread_time()
        try:
            return function(*given, **named)
        finally:
            spent[stage] += time.thread_time() - began

    setattr(owner, name, wrapper)


def measure(path: str, backbone: str, weights: str, runtime: str, detector: str) -> dict[str, Any]:
    """``detect`` with a loaded model."""
    began = time.perf_counter()
    from synctool.measure.detect import Detector
    from synctool.networks.load import load_model

    spent: dict[str, float] = defaultdict(float)
    for stage, functions in stages().items():
        for owner, name in functions:
            timed(owner, name, spent, stage)
    model = load_model(backbone, weights=weights or None, runtime=runtime)
    measuring = Detector(model=model, detector=detector)
    wall, cpu = time.perf_counter(), time.process_time()
    result = measuring.detect(path)
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "stage_cpu_s": dict(spent),
        "start_s": wall - began,
        "video_s": result.source.duration_s,
        "timing_s": dict(result.timing_s),
        "offset": result.offset_frames,
        "verdict": result.verdict,
        "runtime": result.runtime,
        "peak_mb": used_mb(),
    }


if __name__ == "__main__":
    job, *words = sys.argv[1:]
    print(json.dumps({"decode": decode, "detect": measure}[job](*words)))
