"""Measuring in small: a made-up clip is read, a frame is searched for faces, and the model's scores are
compared with stored ones.

The scores are of crops and audio made by whole-number arithmetic, the same on every machine. What they were
is in ``expected_scores.json``, by the label of the weights; ``tools/self_test_scores.py`` writes it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from synctool.doctor.findings import Finding
from synctool.errors import SyncToolError, described
from synctool.measure.encode_clip import encode_audio
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.settings.shared import DEFAULT_DETECTOR
from synctool.temporaries import scratch_folder
from synctool.types import AUDIO_HZ, SAMPLES_PER_FRAME, VIDEO_FPS

SECTION = "Self-test"
FILE = "expected_scores.json"
MAX_OFFSET = 15
FRAMES = 60
_TOLERANCE = 0.02
"""Largest difference of a score, as a share of their spread; processors round differently."""
_CLIP_S, _FLASH_S = 2, 1
_SIDE_PX = 64
_DARK, _BRIGHT = 40, 210


def self_test() -> Iterator[Finding]:
    """Three small tests, about two seconds."""
    yield _tried("reading a video", _read_clip)
    yield _tried("finding faces", _search_faces)
    yield _tried("the model", _score)


def scores(model: LoadedModel) -> list[float]:
    """Mean score of each offset for the made-up crops and audio: ``[2K+1]``.

    Args:
        model: One that takes grey crops; others raise ``ValueError``.
    """
    from synctool.features.inputs import stored_as_input

    side = model.spec.video.size_px
    blocks = _hashed(FRAMES // 3 * 81).reshape(-1, 9, 9) >> 24
    tile = -(-side // 9)
    crops = np.kron(blocks, np.ones((3, 1, 1), np.uint32)).repeat(tile, 1).repeat(tile, 2)
    crops = crops[:FRAMES, :side, :side].astype(np.uint8)
    noise = (_hashed((FRAMES + 2 * MAX_OFFSET) * SAMPLES_PER_FRAME) >> 18).astype(np.int64) - 8192
    loudness = (_hashed(FRAMES + 2 * MAX_OFFSET) >> 28).astype(np.int64).repeat(SAMPLES_PER_FRAME)
    audio = encode_audio(model, (noise * loudness // 16).astype(np.int16))
    volume = model.runtime.score(
        audio.rows[None].astype(np.float32),
        model.runtime.encode_video(stored_as_input(crops, model.spec.video)),
        max_offset=MAX_OFFSET,
        audio_lead=MAX_OFFSET,
    )
    return [round(float(x), 4) for x in volume[0].mean(1)]


def _tried(name: str, test: Callable[[], str]) -> Finding:
    began = time.perf_counter()
    try:
        told = test()
    except SyncToolError as error:
        return Finding(SECTION, name, "problem", error.cause, error.remedy or "")
    except Exception as error:  # a self-test exists to find out what fails
        return Finding(
            SECTION, name, "problem", described(error), "Run with --debug, and report it."
        )
    return Finding(SECTION, name, "ok", f"{told} ({time.perf_counter() - began:.1f} s)")


def _read_clip() -> str:
    from synctool.media.video_file import VideoFile

    with scratch_folder() as folder:
        path = folder / "clip.mkv"
        _write_clip(path)
        with VideoFile(path) as video:
            bright = [f.index for f in video if f.luma is not None and f.luma.mean() > 125]
            samples = video.audio.pop(video.audio.end).astype(np.int32)
    flash_ms = 1000 * bright[0] / VIDEO_FPS if bright else float("nan")
    click_ms = 1000 * int(np.abs(samples).argmax()) / AUDIO_HZ
    if not (abs(flash_ms - 1000 * _FLASH_S) < 1 and abs(click_ms - 1000 * _FLASH_S) < 1):
        raise SyncToolError(
            f"a flash and a click at {1000 * _FLASH_S} ms are read at {flash_ms:.0f} and {click_ms:.0f} ms",
            remedy="pip install --force-reinstall av, and report it if that does not help.",
        )
    return "a flash and a click are read at their time"


def _write_clip(path: Path) -> None:
    import av

    with av.open(f"file:{path}", "w") as clip:
        video: Any = clip.add_stream("mpeg4", rate=VIDEO_FPS)
        video.width = video.height = _SIDE_PX
        video.pix_fmt = "yuv420p"
        audio: Any = clip.add_stream("pcm_s16le", rate=AUDIO_HZ, layout="mono")
        for index in range(_CLIP_S * VIDEO_FPS):
            level = _BRIGHT if index >= _FLASH_S * VIDEO_FPS else _DARK
            image = np.full((_SIDE_PX, _SIDE_PX, 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, VIDEO_FPS)
            clip.mux(video.encode(frame))
            samples = np.zeros((1, SAMPLES_PER_FRAME), np.int16)
            if index == _FLASH_S * VIDEO_FPS:
                samples[0, 0] = 20_000
            waveform = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            waveform.sample_rate, waveform.pts = AUDIO_HZ, index * SAMPLES_PER_FRAME
            waveform.time_base = Fraction(1, AUDIO_HZ)
            clip.mux(audio.encode(waveform))
        clip.mux(video.encode(None))
        clip.mux(audio.encode(None))


def _search_faces() -> str:
    from synctool.measure.tracks import build_detector

    found = build_detector(DEFAULT_DETECTOR).detect(np.full((240, 320), 128, np.uint8))
    if found:
        raise SyncToolError(
            f"{DEFAULT_DETECTOR} finds {len(found)} faces in a grey frame",
            remedy="pip install --force-reinstall onnxruntime",
        )
    return f"{DEFAULT_DETECTOR} runs, and sees nothing in a grey frame"


def _score() -> str:
    model = load_model()
    told = f"{model.weights} on {model.runtime.name}, {model.runtime.device}"
    expected = expected_scores().get(model.weights)
    if expected is None:
        return f"{told}: runs; no scores are stored for these weights"
    wanted, found = np.array(expected), np.array(scores(model))
    off = float(np.abs(found - wanted).max() / (wanted.max() - wanted.min()))
    if not off < _TOLERANCE:
        raise SyncToolError(
            f"{told}: its scores are off by {off:.1%} of their spread",
            remedy="pip install --force-reinstall onnxruntime, and report it if that does not help.",
        )
    return f"{told}: its scores are the stored ones within {max(off, 0.0001):.2%}"


def expected_scores() -> dict[str, list[float]]:
    """The stored scores by label of the weights."""
    return json.loads((resources.files("synctool.doctor") / FILE).read_text("utf-8"))


def _hashed(count: int) -> np.ndarray:
    """Numbers without a pattern, uint32 ``[N]``, the same everywhere (the finalizer of MurmurHash3)."""
    x = np.arange(1, count + 1, dtype=np.uint64) * 2_654_435_761 & 0xFFFFFFFF
    x = (x ^ x >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    x = (x ^ x >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return (x ^ x >> 16).astype(np.uint32)
