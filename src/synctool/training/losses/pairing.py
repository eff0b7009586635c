"""Which audio frame belongs to which video frame, once the known shift of the audio is undone."""

from __future__ import annotations

from torch import Tensor

from synctool.training.replicas import gather, rank


def belonging(
    audio_features: Tensor,
    frames: Tensor,
    *,
    offset_frames: Tensor,
    audio_lead: int,
    moved: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The audio frames of given video frames, to the nearest frame.

    Args:
        audio_features: ``[B, D, T_audio]``.
        frames: ``[F]``, indices of video frames.
        offset_frames: ``[B]``, how far the audio is ahead.
        audio_lead: Index of the audio that would belong to video frame 0 at offset 0.
        moved: ``[B]`` whole frames; the audio that many frames later are taken instead.

    Returns:
        ``[B, D, F]``, and a boolean ``[B, F]`` that is False where the audio does not reach; there
        the outermost audio stands.
    """
    start = audio_lead - offset_frames.round().long()
    if moved is not None:
        start = start + moved
    index = frames[None] + start[:, None]
    last = audio_features.shape[-1] - 1
    known = (index >= 0) & (index <= last)
    index = index.clamp(0, last)[:, None].expand(-1, audio_features.shape[1], -1)
    return audio_features.gather(2, index), known


def gathered(known: Tensor, *features: Tensor) -> tuple[Tensor, ...]:
    """The known rows of all processes that train together.

    Args:
        known: Boolean ``[B, F]``.
        features: Each ``[B, D, F]``.

    Returns:
        For each of the features ``[N, D]``, N being the number of known places of all processes.
    """
    return tuple(gather(x.transpose(1, 2)[known]) for x in features)


def of_clip_before(features: Tensor) -> Tensor:
    """Of every clip, the row of the clip before it in the batch of all processes; of the first, the last's.

    Args:
        features: ``[B, ...]``, of one shape in all processes.
    """
    first, count = rank() * len(features), len(features)
    return gather(features).roll(1, 0)[first : first + count]
