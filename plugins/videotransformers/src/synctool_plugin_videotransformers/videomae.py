"""VideoMAE (Tong, Song, Wang & Wang 2022, "VideoMAE: masked autoencoders are data-efficient learners for
self-supervised video pre-training"), by Hugging Face's transformers."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from transformers import VideoMAEConfig, VideoMAEForVideoClassification, VideoMAEModel

from synctool.weights.transformers_folder import load_transformers
from synctool_plugin_videotransformers.windows import WindowedEncoder, check_sizes

_TUBELET = 2
"""Frames that one token stands for, in all published networks."""
_SAME = (
    *("hidden_size", "num_attention_heads", "intermediate_size", "num_frames", "tubelet_size"),
    *("image_size", "patch_size", "num_channels", "use_mean_pooling", "hidden_act"),
    *("layer_norm_eps",),
)
"""What a folder's configuration must have in common with the network's own."""


class VideoMAEEncoder(WindowedEncoder):
    """Joint attention over all places and times of 16 frames, whose tokens are tubelets of two frames.

    The features of a time step are the mean of its tokens. With ``hop=1`` the embedding of frame t is
    the mean of two tubelets, that of frames t-1 and t at the middle of one window and that of t and
    t+1 at the middle of the next, so it is centred on t exactly and looks at 17 frames. It costs 180
    thousand million multiply-adds, a seventh of that with ``hop=7``; see ``WindowedEncoder`` for
    what the hop does. A row depends on nothing beyond those frames, so the encoder is bounded.

    Args:
        num_frames: Frames per window; all published networks have 16.
        layers: Transformer layers, the first ones of the published network.
        hidden_size: D, the size of the embeddings.
        num_attention_heads: Heads of the attention.
        intermediate_size: Hidden units between the attentions.
        image_size: Height and width of the network's frames, in px; others are scaled to it.
        patch_size: Height and width of a patch, in px.
        hop: Frames from window to window, odd.
        stride: Frames between those of a window; the published networks were trained with 2 or 4.
        gradient_checkpointing: Compute windows again in the backward pass, which saves memory.
        use_mean_pooling: Whether the mean over the frame comes before the last normalisation, as in
            networks that were fine-tuned to classify, or after it, as in those that were only
            pretrained. It is the field of this name in their ``config.json``.

    Raises:
        UsageError: Sizes that do not go together.
    """

    def __init__(
        self,
        *,
        num_frames: int = 16,
        layers: int = 12,
        hidden_size: int = 768,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        image_size: int = 224,
        patch_size: int = 16,
        hop: int = 1,
        stride: int = 1,
        gradient_checkpointing: bool = False,
        use_mean_pooling: bool = False,
    ) -> None:
        sizes = {
            "num_frames": num_frames,
            "hidden_size": hidden_size,
            "num_attention_heads": num_attention_heads,
            "image_size": image_size,
            "patch_size": patch_size,
        }
        check_sizes(layers=layers, **sizes)
        config = VideoMAEConfig(
            num_hidden_layers=layers,
            intermediate_size=intermediate_size,
            tubelet_size=_TUBELET,
            use_mean_pooling=use_mean_pooling,
            num_labels=0,  # no classifier
            **sizes,
        )
        super().__init__(
            VideoMAEForVideoClassification(config) if use_mean_pooling else VideoMAEModel(config),
            frames=num_frames,
            image_size=image_size,
            tubelet=_TUBELET,
            hop=hop,
            stride=stride,
            gradient_checkpointing=gradient_checkpointing,
        )

    @property
    def last_norm(self) -> nn.Module:
        """The normalisation of the tokens after the last layer, or of their mean."""
        pooled = self.network.config.use_mean_pooling
        return self.network.fc_norm if pooled else self.network.layernorm

    def features(self, windows: Tensor) -> Tensor:
        """``[N, n, 3, S, S]`` to ``[N, n / 2, D]``: the mean of each time step's tokens."""
        tokens = self.network.base_model(pixel_values=windows).last_hidden_state
        steps = tokens.unflatten(1, (self.frames // _TUBELET, -1)).mean(2)
        return self.last_norm(steps) if self.network.config.use_mean_pooling else steps

    def load_published(self, path: Path) -> None:
        """Take the published weights.

        Args:
            path: Folder of a repository of the Hugging Face Hub, such as MCG-NJU/videomae-base:
                ``config.json`` and the tensors. The decoder or the classifier, and layers that this
                encoder does not keep, are left out.

        Raises:
            MissingError: No such folder, or no network in it.
            WeightsError: Another network or other sizes, damaged, or a part is missing.
        """
        load_transformers(self.network, Path(path), name="videomae", same=_SAME)
