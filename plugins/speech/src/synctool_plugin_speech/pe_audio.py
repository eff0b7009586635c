"""The audio encoder of PE-AV, Perception Encoder Audiovisual, by Hugging Face's transformers.

Vyas et al. 2025, "Pushing the Frontier of Audiovisual Perception with Large-Scale Multimodal Correspondence
Learning".
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PeAudioEncoder, PeAudioEncoderConfig
from transformers.models.pe_audio.modeling_pe_audio import PeAudioEncoderEmbedder

from synctool.errors import UsageError
from synctool.weights.transformers_folder import load_part

_FASTER = 3
"""The network takes 48 kHz: three samples for each one of ours."""
_STEPS = (2, 8, 10, 12)  # of the codec: together a video frame
_TAPS = 24
_MARK = "embedder.dac_encoder.conv1.weight"
_SAME = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim", "intermediate_size"),
    *("hidden_act", "rms_norm_eps"),
)


class PEAudio(nn.Module):
    """The encoder of a codec for the waveform at 48 kHz, then a transformer along time, at 25 Hz.

    The audio comes at 16 kHz and is brought to 48 kHz here, so that there is nothing above 8 kHz in it,
    which the network heard in training. An embedding depends on the whole input, by attention and by
    normalisation. Unlike in the library, the codec can be trained.

    Args:
        layers: Layers along time.
        size: Their width, D.
        heads: Heads of their attention.
        head_size: Numbers of a head, even.
        hidden: Hidden units between their attentions.
        channels: Of the first convolution of the codec; they double four times.
        codec_size: Numbers that the codec's encoder ends in.
        codes: Numbers of its bottleneck.

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
        channels: int = 64,
        codec_size: int = 1024,
        codes: int = 128,
    ) -> None:
        super().__init__()
        if head_size < 2 or head_size % 2:
            raise UsageError(f"no heads of {head_size} numbers", remedy="head_size is even.")
        self.embedding_size = size
        config = PeAudioEncoderConfig(
            hidden_size=size,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            head_dim=head_size,
            intermediate_size=hidden,
            dac_config={
                "model_type": "dac",
                "downsampling_ratios": list(_STEPS),
                "encoder_hidden_size": channels,
                "hidden_size": codec_size,
                "codebook_dim": codes,
            },
        )
        self.network = PeAudioEncoder(config)
        embedder = _Embedder(config)
        embedder.load_state_dict(self.network.embedder.state_dict())
        self.network.embedder = embedder
        for layer in embedder.modules():
            if isinstance(layer, nn.Conv1d):
                # As the library begins them, hardly anything of the audio would reach the output.
                layer.reset_parameters()
        self.register_buffer("between", _between(), persistent=False)

    @property
    def pretrained(self) -> nn.Module:
        """The published part in order from input to output."""
        net = self.network
        first = nn.ModuleList([net.embedder, net.patch_embedder])
        return nn.ModuleList([first, *net.layers, nn.ModuleList([net.norm, net.output])])

    def forward(self, waveform: Tensor) -> Tensor:
        """Embeddings of the audio.

        Args:
            waveform: ``[B, 640 T]`` at 16 kHz, -1..1.

        Returns:
            ``[B, D, T]``, row t centred on sample ``640 t + 320``.
        """
        fast = F.conv_transpose1d(
            waveform[:, None],
            self.between.to(waveform.dtype),
            stride=_FASTER,
            padding=_TAPS * _FASTER,
        )
        # The last sample has two more after it.
        fast = F.pad(fast, (0, _FASTER * waveform.shape[1] - fast.shape[2]))
        return self.network(fast).last_hidden_state.transpose(1, 2)

    def load_published(self, path: Path) -> None:
        """Take the audio encoder out of a published PE-AV; video and text are left out.

        Args:
            path: Folder of a repository of the Hugging Face Hub, such as facebook/pe-av-large.

        Raises:
            MissingError: No such folder, or no network in it.
            WeightsError: Another network or other sizes, damaged, or a part is missing.
        """
        load_part(
            self.network,
            Path(path),
            name="pe-audio",
            section="audio_config",
            mark=_MARK,
            same=_SAME,
        )


class _Embedder(PeAudioEncoderEmbedder):
    """The library's, with gradients."""

    def forward(
        self, input_values: Tensor, padding_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        codes = self.bottleneck(self.dac_encoder(input_values))
        return self.data_proj(codes.transpose(1, 2)), padding_mask


def _between() -> Tensor:
    """Filter that brings a waveform to three times its rate: a windowed sinc, ``[1, 1, 2 * 72 + 1]``."""
    at = torch.arange(-_TAPS * _FASTER, _TAPS * _FASTER + 1) / _FASTER
    window = torch.kaiser_window(len(at), periodic=False, beta=8.0)
    return (torch.sinc(at) * window)[None, None]
