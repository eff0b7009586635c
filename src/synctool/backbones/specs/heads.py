"""What compares the embeddings of a pair."""

from __future__ import annotations

from synctool.plugins.specs import HeadSpec


def specs() -> list[HeadSpec]:
    """The head of ``fcn-cls``, that of ``fcn-attn``, and none to speak of."""
    return [
        HeadSpec(
            name="volume",
            factory="synctool.backbones.pair_heads:volume",
            summary="convolutions along time and offset sharpen the similarities, as in fcn-cls",
            options={"channels": 16},
        ),
        HeadSpec(
            name="attentive",
            factory="synctool.backbones.pair_heads:attentive",
            summary="the same after frames have attended to nearby audio, as in fcn-attn",
            options={"channels": 16, "reach": 3, "heads": 4},
        ),
        HeadSpec(
            name="plain",
            factory="synctool.backbones.pair_heads:plain",
            summary="similarities alone, times a learned number",
        ),
    ]
