"""The heads that a pair can have."""

from __future__ import annotations

from synctool.models.attention import AttentiveHead
from synctool.models.heads import PlainHead, VolumeHead


def volume(*, embedding: int, channels: int = 16) -> VolumeHead:
    """Convolutions along time and offset, as in ``fcn-cls``.

    Args:
        embedding: D; any will do.
        channels: Width of the convolutions.
    """
    return VolumeHead(channels=channels)


def attentive(
    *, embedding: int, channels: int = 16, reach: int = 3, heads: int = 4
) -> AttentiveHead:
    """Cross-modal attention before the convolutions, as in ``fcn-attn``.

    Args:
        embedding: D.
        channels: Width of the convolutions.
        reach: Candidates to either side that a frame attends to.
        heads: Heads of the attention; they divide D.
    """
    return AttentiveHead(embedding=embedding, channels=channels, reach=reach, heads=heads)


def plain(*, embedding: int) -> PlainHead:
    """Similarities alone.

    Args:
        embedding: D; any will do.
    """
    return PlainHead()
