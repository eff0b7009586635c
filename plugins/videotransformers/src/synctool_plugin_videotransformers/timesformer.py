"""TimeSformer (Bertasius, Wang & Torresani 2021, "Is space-time attention all you need for video
understanding?"), by Hugging Face's transformers."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from transformers import TimesformerConfig, TimesformerModel

from synctool.weights.transformers_folder import load_transformers
from synctool_plugin_videotransformers.windows import WindowedEncoder, check_sizes

_SAME = (
    *("hidden_size", "num_attention_heads", "intermediate_size", "num_frames"),
    *("image_size", "patch_size", "num_channels", "attention_type", "qkv_bias"),
    *("hidden_act", "layer_norm_eps"),
)
"""What a folder's configuration must have in common with the network's own."""


class TimesformerEncoder(WindowedEncoder):
    """Divided attention: in each layer a patch looks at its own place in the other frames, then at the
    other patches of its own frame.

    An embedding is the mean of a frame's patch tokens after the last normalisation. The published
    classifier reads the class token instead, which is one for all eight frames and cannot say which
    frame it is about; as in training it takes part in the attention.

    With the default sizes and ``hop=1`` an embedding looks at 9 frames and costs 196 thousand million
    multiply-adds, half of that with ``hop=2``; see ``WindowedEncoder`` for what the hop does. A row
    depends on nothing beyond those frames, so the encoder is bounded.

    Args:
        num_frames: Frames per window: 8 (published as base), 16 (hr) or 96 (long range).
        layers: Transformer layers, the first ones of the published network.
        hidden_size: D, the size of the embeddings.
        num_attention_heads: Heads of the attention.
        intermediate_size: Hidden units between the attentions.
        image_size: Height and width of the network's frames, in px; others are scaled to it.
        patch_size: Height and width of a patch, in px.
        hop: Frames from window to window.
        stride: Frames between those of a window; base was trained with 32.
        gradient_checkpointing: Compute windows again in the backward pass, which saves memory.

    Raises:
        UsageError: Sizes that do not go together.
    """

    def __init__(
        self,
        *,
        num_frames: int = 8,
        layers: int = 12,
        hidden_size: int = 768,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        image_size: int = 224,
        patch_size: int = 16,
        hop: int = 1,
        stride: int = 1,
        gradient_checkpointing: bool = False,
    ) -> None:
        sizes = {
            "num_frames": num_frames,
            "hidden_size": hidden_size,
            "num_attention_heads": num_attention_heads,
            "image_size": image_size,
            "patch_size": patch_size,
        }
        check_sizes(layers=layers, **sizes)
        config = TimesformerConfig(
            num_hidden_layers=layers, intermediate_size=intermediate_size, **sizes
        )
        super().__init__(
            TimesformerModel(config),
            frames=num_frames,
            image_size=image_size,
            hop=hop,
            stride=stride,
            gradient_checkpointing=gradient_checkpointing,
        )

    @property
    def last_norm(self) -> nn.Module:
        """The normalisation of the tokens after the last layer."""
        return self.network.layernorm

    def features(self, windows: Tensor) -> Tensor:
        """``[N, n, 3, S, S]`` to ``[N, n, D]``: the mean of each frame's patch tokens."""
        tokens = self.network(pixel_values=windows).last_hidden_state
        return tokens[:, 1:].unflatten(1, (-1, self.frames)).mean(1)  # patch by patch, not by frame

    def load_published(self, path: Path) -> None:
        """Take the published weights.

        Args:
            path: Folder of a repository of the Hugging Face Hub, such as
                facebook/timesformer-base-finetuned-k400: ``config.json`` and the tensors. What
                belongs to the classifier, and layers that this encoder does not keep, are left out.

        Raises:
            MissingError: No such folder, or no network in it.
            WeightsError: Another network or other sizes, damaged, or a part is missing.
        """
        load_transformers(self.network, Path(path), name="timesformer", same=_SAME)
