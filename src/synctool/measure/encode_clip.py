"""Stored crops and audio as embeddings, as if their video had been read. Loads no decoder and no detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from synctool.data.augmentation.warp import fit_crops
from synctool.errors import described
from synctool.features.inputs import overlapping, stored_as_input
from synctool.features.stored_crops import fitted
from synctool.measure.audio_encoder import AudioEncoder
from synctool.measure.embeddings import (
    AudioEmbeddings,
    EncodedVideo,
    FaceEmbeddings,
    ModelEmbeddings,
)
from synctool.measure.threads import sharing_cores
from synctool.measure.timing import Stopwatch, network_clock
from synctool.networks.loaded import LoadedModel
from synctool.types import AUDIO_HZ, SAMPLES_PER_FRAME, VIDEO_FPS, Source

if TYPE_CHECKING:
    from synctool.data.pool import PooledSample
    from synctool.data.samples import Sample, SampleInfo

SILENT_PEAK = 33
"""Audio that never exceeds this, of 32768 (-60 dB of full scale), is silence."""


def encode_clip(clip: Sample | PooledSample, models: Sequence[LoadedModel]) -> EncodedVideo:
    """A clip of a processed folder as if its video had been read; the samples of its audio are kept.

    Args:
        clip: The clip.
        models: The models; one that cannot be given these crops, or that fails, says why.

    Raises:
        SyncToolError: The clip is damaged or gone.
    """
    info, stopwatch = clip.info, Stopwatch()
    stopwatch.now("decode")
    crops, samples = clip.crops, clip.audio
    stopwatch.now("")
    found = tuple(_of_clip(model, crops, info) for model in models)
    return EncodedVideo(
        source=Source(
            duration_s=info.num_frames / VIDEO_FPS,
            video_fps=float(VIDEO_FPS),
            video_start_s=0.0,
            audio_start_s=-info.sound_lead / AUDIO_HZ,
            width_px=info.size_px,
            height_px=info.size_px,
            audio_hz=AUDIO_HZ,
        ),
        frames=info.num_frames,
        models=found,
        samples=samples,
        samples_at=-info.sound_lead,
        silent=is_silent(samples),
        stage_s=stopwatch.seconds,
    )


def encode_crops(model: LoadedModel, crops: np.ndarray, stored: SampleInfo) -> FaceEmbeddings:
    """One face whose crops are stored.

    Args:
        model: The model.
        crops: uint8 ``[T, S, S]``, or ``[T, S, S, 3]`` in RGB.
        stored: What kind of crops they are.

    Raises:
        UsageError: The crops are not what the model takes.
    """
    wanted = fitted(stored, model.spec.video, any_crop=False)
    video = fit_crops(crops, stored.crop, wanted)
    # On as many threads as a video's: the figures are the same.
    with sharing_cores(model.runtime):
        rows = [
            model.runtime.encode_video(stored_as_input(video[given], wanted))[0][..., kept]
            for given, kept in overlapping(len(video), side_px=video.shape[1], spec=model.spec)
        ]
    box = np.array([0.0, 0.0, stored.size_px, stored.size_px])
    return FaceEmbeddings(0, 0, np.concatenate(rows, -1).astype(np.float16), (box,))


def encode_audio(model: LoadedModel, samples: np.ndarray, *, at: int = 0) -> AudioEmbeddings:
    """Audio in memory, with nothing round it; a constant error of the model is taken out.

    Args:
        model: The model.
        samples: int16 ``[N]``, 16 kHz.
        at: Where the first sample lies, in samples from frame 0.
    """
    first_frame, phase = divmod(at, SAMPLES_PER_FRAME)
    zero = round(model.zero_frames * SAMPLES_PER_FRAME)
    with sharing_cores(model.runtime):
        encoder = AudioEncoder(
            runtime=model.runtime, spec=model.spec, delay_samples=phase + max(zero, 0)
        )
        encoder.add(samples[max(-zero, 0) :])
        encoder.finish()
        return AudioEmbeddings(encoder.embeddings(), first_frame)


def is_silent(samples: np.ndarray) -> bool:
    """Whether int16 samples are silence."""
    return not samples.size or max(int(samples.max()), -int(samples.min())) < SILENT_PEAK


def _of_clip(model: LoadedModel, crops: np.ndarray, info: SampleInfo) -> ModelEmbeddings:
    now = network_clock(model.runtime.device)
    began = now()
    faces: tuple[FaceEmbeddings, ...] = ()
    error = None
    try:
        faces = (encode_crops(model, crops, info),)
    except Exception as wrong:  # a model may fail in any way, and the others go on
        error = described(wrong)
    return ModelEmbeddings(
        backbone=model.spec.full_name,
        weights=model.weights,
        faces=faces,
        seconds=now() - began,
        error=error,
    )
