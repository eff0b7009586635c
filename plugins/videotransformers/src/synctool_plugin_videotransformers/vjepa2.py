"""V-JEPA 2 (Assran et al. 2025, "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and
Planning", arXiv:2506.09985), by Hugging Face's transformers."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from transformers import VJEPA2Config, VJEPA2Model

from synctool.errors import UsageError
from synctool.weights.transformers_folder import load_transformers
from synctool_plugin_videotransformers.windows import WindowedEncoder, check_sizes

_TUBELET = 2
"""Frames that one token stands for, in all published networks."""
_LEAST_HEAD = 6
"""Numbers of a head that rotary positions in three directions take at least."""
_SAME = (
    *("hidden_size", "num_attention_heads", "mlp_ratio", "patch_size", "tubelet_size", "in_chans"),
    *("qkv_bias", "hidden_act", "layer_norm_eps"),
)
"""What a folder's configuration must have in common with the network's own. Positions are rotary: the
number of frames and the size of the images are free."""


class VJEPA2Encoder(WindowedEncoder):
    """The encoder of V-JEPA 2: joint attention over all places and times of a window, whose tokens are
    tubelets of two frames; the predictor that it was trained with is left out.

    The features of a time step are the mean of its tokens. With ``hop=1`` the embedding of frame t is the
    mean of two tubelets, that of frames t-1 and t at the middle of one window and that of t and t+1 at the
    middle of the next, so it is centred on t exactly. With 16 frames it looks at 17 and costs 829 thousand
    million multiply-adds, a fifth of that at ``image_size=128``; see ``WindowedEncoder`` for what the
    hop does. A row depends on nothing beyond those frames, so the encoder is bounded.

    Args:
        num_frames: Frames per window, even; published networks were trained with up to 64.
        layers: Transformer layers, the first ones of the published network.
        hidden_size: D, the size of the embeddings.
        num_attention_heads: Heads of the attention, of six numbers or more.
        mlp_ratio: Hidden units between the attentions, as a multiple of ``hidden_size``.
        image_size: Height and width of the network's frames, in px; others are scaled to it.
        patch_size: Height and width of a patch, in px.
        hop: Frames from window to window, odd.
        stride: Frames between those of a window.
        gradient_checkpointing: Compute windows again in the backward pass, which saves memory.

    Raises:
        UsageError: Sizes that do not go together.
    """

    def __init__(
        self,
        *,
        num_frames: int = 16,
        layers: int = 24,
        hidden_size: int = 1024,
        num_attention_heads: int = 16,
        mlp_ratio: float = 4.0,
        image_size: int = 256,
        patch_size: int = 16,
        hop: int = 1,
        stride: int = 1,
        gradient_checkpointing: bool = False,
    ) -> None:
        check_sizes(
            layers=layers,
            num_frames=num_frames,
            hidden_size=hidden_size,
            num_attention_heads=num_attention_heads,
            image_size=image_size,
            patch_size=patch_size,
        )
        if hidden_size // num_attention_heads < _LEAST_HEAD:
            raise UsageError(
                f"{num_attention_heads} heads for {hidden_size} numbers are too many",
                remedy=f"A head has {_LEAST_HEAD} or more: rotary positions need them.",
            )
        network = VJEPA2Model(
            VJEPA2Config(
                num_hidden_layers=layers,
                hidden_size=hidden_size,
                num_attention_heads=num_attention_heads,
                mlp_ratio=mlp_ratio,
                crop_size=image_size,
                patch_size=patch_size,
                frames_per_clip=num_frames,
                tubelet_size=_TUBELET,
                pred_num_hidden_layers=0,  # a folder is read with this too, and its predictor is not wanted
            )
        )
        network.predictor = nn.Identity()
        super().__init__(
            network,
            frames=num_frames,
            image_size=image_size,
            tubelet=_TUBELET,
            hop=hop,
            stride=stride,
            gradient_checkpointing=gradient_checkpointing,
        )

    @property
    def pretrained(self) -> nn.ModuleList:
        """The published part in order from input to output: embeddings, each layer, last norm."""
        encoder = self.network.encoder
        return nn.ModuleList([encoder.embeddings, *encoder.layer, encoder.layernorm])

    @property
    def last_norm(self) -> nn.Module:
        """The normalisation of the tokens after the last layer."""
        return self.network.encoder.layernorm

    def features(self, windows: Tensor) -> Tensor:
        """``[N, n, 3, S, S]`` to ``[N, n / 2, D]``: the mean of each time step's tokens."""
        tokens = self.network.encoder(pixel_values_videos=windows).last_hidden_state
        return tokens.unflatten(1, (self.frames // _TUBELET, -1)).mean(2)

    def load_published(self, path: Path) -> None:
        """Take the published weights.

        Args:
            path: Folder of a repository of the Hugging Face Hub, such as facebook/vjepa2-vitl-fpc64-256:
                ``config.json`` and the tensors. The predictor or the classifier, and layers that this
                encoder does not keep, are left out.

        Raises:
            MissingError: No such folder, or no network in it.
            WeightsError: Another network or other sizes, damaged, or a part is missing.
        """
        load_transformers(self.network, Path(path), name="vjepa2", same=_SAME)
