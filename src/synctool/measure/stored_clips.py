"""A clip of a processed folder as if its film had been read: crops and sound as they are stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synctool.data.augment import fit_crops
from synctool.data.pool import PooledSample
from synctool.data.samples import Sample
from synctool.features.inputs import overlapping, stored_as_input
from synctool.features.stored_crops import fitted
from synctool.measure.encode import RecordedFace, Recording, Seen, words
from synctool.measure.streams import encoding_beside
from synctool.measure.timing import Stopwatch, network_clock
from synctool.networks.loaded import LoadedModel
from synctool.types import AUDIO_HZ, VIDEO_FPS, Source


def clip_recording(clip: Sample | PooledSample, models: Sequence[LoadedModel]) -> Recording:
    """Encode a clip with each network.

    Args:
        clip: The clip.
        models: The networks; one that cannot be given these crops says why.

    Raises:
        SyncToolError: The clip is damaged or gone.
    """
    info, watch = clip.info, Stopwatch()
    watch.now("decode")
    crops, sound = clip.crops, clip.sound
    watch.now("")
    size = info.size_px
    # On as many threads as a film's: the figures are the same.
    with encoding_beside(*(model.runtime for model in models)):
        seen = tuple(_seen(model, clip, crops) for model in models)
    return Recording(
        source=Source(
            duration_s=info.num_frames / VIDEO_FPS,
            video_fps=float(VIDEO_FPS),
            video_start_s=0.0,
            audio_start_s=-info.sound_lead / AUDIO_HZ,
            width_px=size,
            height_px=size,
            audio_hz=AUDIO_HZ,
        ),
        ticks=info.num_frames,
        sound=sound,
        sound_at=-info.sound_lead,
        seen=seen,
        shared_s=watch.seconds,
    )


def _seen(model: LoadedModel, clip: Sample | PooledSample, crops: np.ndarray) -> Seen:
    now = network_clock(model.runtime.device)
    began = now()
    faces: tuple[RecordedFace, ...] = ()
    error = None
    try:
        whole = np.array([0.0, 0.0, clip.info.size_px, clip.info.size_px])
        faces = (RecordedFace(0, 0, _rows(model, clip, crops), (whole,)),)
    except Exception as wrong:  # a network may fail in any way, and the others go on
        error = words(wrong)
    return Seen(
        backbone=model.spec.full_name,
        weights=model.weights,
        faces=faces,
        seconds=now() - began,
        error=error,
    )


def _rows(model: LoadedModel, clip: Sample | PooledSample, crops: np.ndarray) -> np.ndarray:
    wanted = fitted(clip.info, model.spec.video, any_crop=False)
    video = fit_crops(crops, clip.info.crop, wanted)
    rows = [
        model.runtime.encode_video(stored_as_input(video[given], wanted))[0][..., kept]
        for given, kept in overlapping(len(video), side_px=video.shape[1], spec=model.spec)
    ]
    return np.concatenate(rows, -1).astype(np.float16)
