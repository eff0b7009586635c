"""Videos for the benchmarks: moved copies, pieces, long loops. Made in a temporary folder, never kept."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from synctool.media.video_file import VideoFile
from synctool.types import AUDIO_HZ, VIDEO_FPS, DetectResult

ROOT = Path(__file__).resolve().parent.parent


def shared(name: str) -> Path:
    """The folder of real videos: ``SYNCTOOL_CLIPS`` or ``SYNCTOOL_CORPUS``, or beside the project."""
    return Path(os.environ.get(f"SYNCTOOL_{name.upper()}") or ROOT.parent / "shared" / name)


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser with what all benchmarks take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--backbone", default="fcn-cls")
    parser.add_argument("--weights", type=Path, help="weights in place of the backbone's own")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    return parser


def write_video(path: Path, images: Iterable[np.ndarray], waveform: np.ndarray) -> None:
    """Write grey images at 25 fps (H.264, nearly lossless) with 16 kHz audio (PCM), in Matroska.

    Args:
        path: Ends in ``.mkv``.
        images: uint8 ``[H, W]`` each.
        waveform: int16 ``[N]``.
    """
    with av.open(str(path), "w") as video_file:
        video = video_file.add_stream(
            "libx264", rate=VIDEO_FPS, options={"crf": "12", "preset": "veryfast"}
        )
        audio = video_file.add_stream("pcm_s16le", rate=AUDIO_HZ, layout="mono")
        video.pix_fmt = "yuv420p"
        for i, image in enumerate(images):
            height, width = (n // 2 * 2 for n in image.shape)
            if i == 0:
                video.width, video.height = width, height
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(image[:height, :width]), format="gray"
            ).reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, VIDEO_FPS)
            video_file.mux(video.encode(frame))
        video_file.mux(video.encode(None))
        heard = av.AudioFrame.from_ndarray(waveform[None], format="s16", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = AUDIO_HZ, 0, Fraction(1, AUDIO_HZ)
        video_file.mux(audio.encode(heard))
        video_file.mux(audio.encode(None))


def read_video(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """All grey images on the 25 Hz timeline, and the audio: for short videos only."""
    with VideoFile(path) as video_file:
        images = [p.luma for p in video_file if p.luma is not None]
        return images, video_file.audio.pop(video_file.audio.end)


def best_match(result: DetectResult) -> float | None:
    """The offset that fits best, also where ``detect`` would not call it an answer.

    Without an answer it is the median over the frames, weighted by their confidence.
    """
    if result.offset_frames is not None:
        return result.offset_frames
    known = [
        (offset, confidence)
        for offset, confidence in zip(result.frames.offset_frames, result.frames.confidence)
        if offset is not None and confidence
    ]
    if not known:
        return None
    offsets, weights = np.array(sorted(known)).T
    half = weights.cumsum() >= weights.sum() / 2
    return float(offsets[half.argmax()])
