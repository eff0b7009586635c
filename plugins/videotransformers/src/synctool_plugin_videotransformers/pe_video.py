"""The video encoder of PE-AV, Perception Encoder Audiovisual, by Hugging Face's transformers and timm.

Vyas et al. 2025, "Pushing the Frontier of Audiovisual Perception with Large-Scale Multimodal Correspondence
Learning".
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from transformers import PeVideoEncoder, PeVideoEncoderConfig

from synctool.errors import UsageError
from synctool.weights.transformers_folder import load_part
from synctool_plugin_videotransformers.windows import resized

_ARCHITECTURE = "vit_pe_core_large_patch14_336"
_PATCH = 14
_MARK = "embedder.vision_model.timm_model.patch_embed.proj.weight"
_SAME = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim", "intermediate_size"),
    *("hidden_act", "rms_norm_eps"),
)


class PEVideoEncoder(nn.Module):
    """Perception Encoder frame by frame, then a transformer along time.

    Each frame becomes one token by PE's vision transformer; the temporal transformer attends to all frames
    of the input, with rotary positions, so an embedding depends on the whole input. PE-AV brings its tokens
    to the 25 Hz of its audio encoder by repeating them; here there is one for each frame as it is.

    Args:
        layers: Layers along time.
        size: Their width, D.
        heads: Heads of their attention.
        head_size: Numbers of a head, even.
        hidden: Hidden units between their attentions.
        depth: Layers of the vision transformer.
        width: Their width, a multiple of ``vision_heads`` and of 8.
        vision_heads: Heads of their attention.
        classes: Numbers that the vision transformer says about a frame.
        image_size: Height and width of its frames, in px, a multiple of 14; others are scaled to it.

    Raises:
        UsageError: Sizes that do not go together.
    """

    def __init__(
        self,
        *,
        layers: int = 6,
        size: int = 1792,
        heads: int = 14,
        head_size: int = 128,
        hidden: int = 4800,
        depth: int = 24,
        width: int = 1024,
        vision_heads: int = 16,
        classes: int = 1024,
        image_size: int = 336,
    ) -> None:
        super().__init__()
        if image_size < _PATCH or image_size % _PATCH:
            raise UsageError(
                f"no frames of {image_size} px", remedy=f"Choose a multiple of {_PATCH}."
            )
        if head_size % 2 or width % 8 or width % vision_heads:
            raise UsageError(
                "the sizes of the attention do not go together",
                remedy="head_size is even, and width a multiple of vision_heads and of 8.",
            )
        self.embedding_size, self.image_size = size, image_size
        self.network = PeVideoEncoder(
            PeVideoEncoderConfig(
                hidden_size=size,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                head_dim=head_size,
                intermediate_size=hidden,
                vision_config={
                    "architecture": _ARCHITECTURE,
                    "num_labels": classes,
                    "model_args": {
                        **{"depth": depth, "embed_dim": width, "num_heads": vision_heads},
                        "img_size": image_size,
                    },
                },
            )
        )

    @property
    def pretrained(self) -> nn.ModuleList:
        """The published part in order from input to output."""
        net = self.network
        first = nn.ModuleList([net.embedder.proj, net.embedder.data_proj, net.patch_embedder])
        last = nn.ModuleList([net.norm, net.output])
        return nn.ModuleList([net.embedder.vision_model, first, *net.layers, last])

    def forward(self, x: Tensor) -> Tensor:
        """Encode a clip.

        Args:
            x: ``[B, 3, T, H, W]``, normalised as the spec says.

        Returns:
            ``[B, D, T]``, row t centred on frame t.
        """
        frames = resized(x, self.image_size).transpose(1, 2).contiguous()
        return self.network(pixel_values_videos=frames).last_hidden_state.transpose(1, 2)

    def load_published(self, path: Path) -> None:
        """Take the video encoder out of a published PE-AV; audio and text are left out.

        Args:
            path: Folder of a repository of the Hugging Face Hub, such as facebook/pe-av-large.

        Raises:
            MissingError: No such folder, or no network in it.
            WeightsError: Another network or other sizes, damaged, or a part is missing.
        """
        load_part(
            self.network,
            Path(path),
            name="pe-video",
            section="video_config",
            mark=_MARK,
            same=_SAME,
        )
