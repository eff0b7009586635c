"""``fcn-attn``: ``fcn-cls`` with attention over channels, over time, and of frames to audio."""

from __future__ import annotations

from torch import nn

from synctool.backbones.mouthnet import encoder_pair, temporal_blocks
from synctool.models.attention import AttentionBlock, AttentiveHead, audio_gate, video_gate
from synctool.models.offset_classifier import OffsetClassifier
from synctool.types import DEFAULT_MAX_OFFSET

_DROPOUT = 0.15


def mouth(
    *,
    max_offset: int = DEFAULT_MAX_OFFSET,
    embedding: int = 256,
    width: int = 32,
    use_attention: bool = True,
    channel_attention: bool = True,
    temporal_attention: bool = True,
    cross_attention: bool = True,
    attention_reach: int = 6,
    candidate_reach: int = 3,
    heads: int = 4,
) -> OffsetClassifier:
    """Grey mouth crops of 72 px and 64 log-mel bands; without any attention it is ``fcn-cls``.

    Args:
        max_offset: K.
        embedding: D.
        width: Channels of the first layers of both encoders.
        use_attention: False turns all three off.
        channel_attention: Squeeze-and-excitation (Hu et al. 2018) in both encoders: in frames over
            each frame, in the audio over the bands of each step.
        temporal_attention: Self-attention over neighbouring embeddings of each encoder, after its
            temporal convolutions.
        cross_attention: Each frame attends to its candidate audio frames: ``AttentiveHead``.
        attention_reach: Frames that the self-attention looks at to either side.
        candidate_reach: Offsets that the cross-modal attention looks at to either side.
        heads: Heads of both attentions; they divide D.

    Raises:
        ValueError: They do not, or a reach is negative.
    """

    def temporal() -> nn.Sequential:
        layers = temporal_blocks(embedding, dropout=_DROPOUT)
        if use_attention and temporal_attention:
            layers.append(
                AttentionBlock(embedding, reach=attention_reach, heads=heads, dropout=_DROPOUT)
            )
        return layers

    gates = (nn.Identity, nn.Identity)
    if use_attention and channel_attention:
        gates = (video_gate, audio_gate)
    seeing, hearing = encoder_pair(embedding=embedding, width=width, temporal=temporal, gates=gates)
    head = None
    if use_attention and cross_attention:
        head = AttentiveHead(embedding=embedding, reach=candidate_reach, heads=heads)
    return OffsetClassifier(
        video_encoder=seeing, audio_encoder=hearing, max_offset=max_offset, head=head
    )
