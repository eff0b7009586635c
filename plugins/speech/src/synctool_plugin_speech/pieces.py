"""Inputs that are longer than a network's table of positions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from synctool.models.tracing import exporting
from synctool.types import SAMPLES_PER_FRAME


def in_pieces(
    encode: Callable[[Tensor], Tensor],
    waveform: Tensor,
    *,
    limit: int,
    margin: int,
    steps: int = SAMPLES_PER_FRAME,
) -> Tensor:
    """Encode a waveform of any length with a network that takes so many frames and no more.

    Longer ones are cut into overlapping pieces of exactly ``limit`` frames; at a cut the outermost
    ``margin`` rows of either piece are dropped, so that every row has at least that much context. An
    exported network takes one piece and no more.

    Args:
        encode: ``[B, steps n, ...] -> [B, D, n]`` for n up to ``limit``.
        waveform: ``[B, steps T, ...]``: samples, or what was computed of them.
        limit: Frames of a piece.
        margin: Frames dropped at a cut; less than half of ``limit``.
        steps: Steps of the input for each frame; 640 for samples.

    Returns:
        ``[B, D, T]``.
    """
    frames = waveform.shape[1] // steps
    if exporting() or frames <= limit:
        return encode(waveform)
    rows: list[Tensor] = []
    done = 0
    while done < frames:
        start = min(max(done - margin, 0), frames - limit)
        stop = start + limit
        end = frames if stop == frames else stop - margin
        piece = encode(waveform[:, steps * start : steps * stop])
        rows.append(piece[..., done - start : end - start])
        done = end
    return torch.cat(rows, -1)
